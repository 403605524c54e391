"""`opsin summary`: a network layer by layer."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from opsin.errors import UsageError

EXAMPLES = ("opsin summary resnet18 --image-size 64", "opsin summary my_networks.py:small", "opsin summary RUN")

CLASSES = 10
"""How many classes a network is drawn with where nothing else is said."""

HEADINGS = ("layer", "kind", "output shape", "parameters", "multiply-adds", "field")
SHORTENED, LEAST_WIDTH = 2, 8
"""The columns of words, and the characters that are left of them on the narrowest terminal."""

if TYPE_CHECKING:
    from opsin.architectures.summary import LayerRow, Summary


def summary(
    name: str = typer.Argument(
        metavar="NAME", help="An architecture (see opsin archs), FILE.py:function, or a run or model folder."
    ),
    image_size: int | None = typer.Option(
        None, min=1, help="Side of the input in pixels; default: what it was drawn for."
    ),
    classes: int | None = typer.Option(None, min=2, help=f"Number of classes; default: {CLASSES}."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Print each layer's output shape, parameters, multiply-adds and receptive field."""
    if os.path.isdir(name):
        _refuse(name, {"--image-size": image_size, "--classes": classes})
        found = _read(Path(name))
    else:
        found = _build(name, image_size, classes or CLASSES)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
        return
    _print(found)


def _refuse(folder: str, options: dict[str, int | None]) -> None:
    for option, value in options.items():
        if value is not None:
            raise UsageError(
                f"Expected no {option} with a folder; received {option} {value} for {folder!r}, whose network is "
                "finished. Leave it out, or give the name of an architecture."
            )


def _read(path: Path) -> "Summary":
    from opsin.architectures.summary import Summary
    from opsin.model_folder import ModelCard, find_model_folder, read_proved
    from opsin.names import LAYERS

    folder = find_model_folder(path)
    return Summary.from_dict(json.loads(read_proved(folder, LAYERS, ModelCard.read(folder, task=None))))


def _build(name: str, image_size: int | None, classes: int) -> "Summary":
    from opsin.architectures import ARCHITECTURES, build_network, load_network
    from opsin.architectures.summary import summarize
    from opsin.catalog import choose

    if ".py:" in name:
        size = image_size or 64
        return summarize(load_network(name, (size, size, 3), classes))
    height, width, channels = ARCHITECTURES[choose("architecture", name, ARCHITECTURES)].input_shape
    shape = (image_size or height, image_size or width, channels)
    return summarize(build_network(name, shape, classes))


def _print(found: "Summary") -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(_lines([HEADINGS, *map(_cells, found.layers)], width)))
    total = "unknown" if found.multiply_adds is None else f"{found.multiply_adds:,}"
    print(
        f"\n{found.parameters:,} parameters ({found.trainable_parameters:,} trainable), {total} multiply-adds a picture"
    )


def _cells(row: "LayerRow") -> tuple[str, ...]:
    counts = ("?" if count is None else f"{count:,}" if count else "" for count in (row.parameters, row.multiply_adds))
    return row.name, row.kind, _shape(row.output_shape), *counts, _field(row.receptive_field)


def _lines(rows: list[tuple[str, ...]], width: int | None) -> list[str]:
    """Lay rows out in columns, words to the left, numbers to the right.

    Args:
        rows: of equally many cells.
        width: the room in characters. Where it is short, words are cut, never numbers. None: all that is needed.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    surplus = 0 if width is None else sum(widths) + 2 * (len(widths) - 1) - width
    while surplus > 0 and max(widths[:SHORTENED]) > LEAST_WIDTH:
        widths[widths.index(max(widths[:SHORTENED]))] -= 1
        surplus -= 1
    words, numbers = widths[:SHORTENED], widths[SHORTENED:]
    return [
        "  ".join([*map(_fit, row[:SHORTENED], words), *map(str.rjust, row[SHORTENED:], numbers)]).rstrip()
        for row in rows
    ]


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def _shape(shape: tuple) -> str:
    return "×".join("?" if size is None else str(size) for size in shape)


def _field(field: tuple[int, int] | None) -> str:
    if field is None:
        return "all"
    return str(field[0]) if field[0] == field[1] else f"{field[0]}×{field[1]}"

"""`opsin summary`: a network layer by layer."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

EXAMPLES = ("opsin summary resnet18 --image-size 64", "opsin summary my_networks.py:small", "opsin summary RUN")

if TYPE_CHECKING:
    from opsin.architectures.summary import Summary


def summary(
    name: str = typer.Argument(help="An architecture (see opsin archs), FILE.py:function, or a run or model folder."),
    image_size: int | None = typer.Option(
        None, min=1, help="Side of the input in pixels; default: what it was drawn for."
    ),
    classes: int = typer.Option(10, min=2, help="Number of classes."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Print each layer's output shape, parameters, multiply-adds and receptive field."""
    found = _read(Path(name)) if Path(name).is_dir() else _build(name, image_size, classes)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
        return
    _print(found)


def _read(path: Path) -> "Summary":
    from opsin.architectures.summary import Summary
    from opsin.model_folder import LAYERS, ModelCard, find_model_folder, read_proved

    folder = find_model_folder(path)
    return Summary.from_dict(json.loads(read_proved(folder, LAYERS, ModelCard.read(folder))))


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
    from rich.console import Console
    from rich.table import Table

    table = Table("layer", "kind", box=None, header_style="bold")
    for heading in ("output shape", "parameters", "multiply-adds", "receptive field"):
        table.add_column(heading, justify="right")
    for row in found.layers:
        table.add_row(
            row.name,
            row.kind,
            _shape(row.output_shape),
            f"{row.parameters:,}" if row.parameters else "",
            "?" if row.multiply_adds is None else (f"{row.multiply_adds:,}" if row.multiply_adds else ""),
            _field(row.receptive_field),
        )
    console = Console(highlight=False)
    console.print(table)
    total = "unknown" if found.multiply_adds is None else f"{found.multiply_adds:,}"
    console.print(
        f"\n{found.parameters:,} parameters ({found.trainable_parameters:,} trainable), {total} multiply-adds a picture"
    )


def _shape(shape: tuple) -> str:
    return " × ".join("?" if size is None else str(size) for size in shape)


def _field(field: tuple[int, int] | None) -> str:
    if field is None:
        return "all"
    return str(field[0]) if field[0] == field[1] else f"{field[0]}×{field[1]}"

"""`opsin archs`: what can be built."""

import json
import shutil
import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from opsin.architectures import Architecture

EXAMPLES = ("opsin archs", "opsin archs --json")

HEADINGS = ("name", "input", "least", "parameters", "MB", "M mult-adds", "ImageNet", "pictures/s", "what it is")
BYTES = 4
"""A weight is a float32."""


def archs(
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """List the architectures that `opsin train --arch` takes.

    Parameters and multiply-adds are those at the size given, with 10 classes, or without a head where ImageNet weights
    are offered; then comes their published top-1 accuracy. Pictures a second are known once they were measured here.
    """
    from opsin.architectures import ARCHITECTURES

    documents = [_document(name, entry) for name, entry in ARCHITECTURES.items()]
    if as_json:
        print(json.dumps(documents, indent=2))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(_lines([HEADINGS, *map(_row, documents)], width)))
    print("\nLayer by layer: opsin summary NAME. Your own: opsin train DATA --arch FILE.py:function")


def _document(name: str, entry: "Architecture") -> dict:
    from opsin.architectures.figures import PARAMETERS_AND_MULTIPLY_ADDS
    from opsin.features.speeds import recall_speed

    parameters, multiply_adds = PARAMETERS_AND_MULTIPLY_ADDS[name]
    return {
        "name": name,
        "input_shape": list(entry.input_shape),
        "least_size": entry.least_size,
        "parameters": parameters,
        "megabytes": round(BYTES * parameters / 1e6, 1),
        "multiply_adds": multiply_adds,
        "imagenet_top1": entry.top1,
        "pictures_per_second": recall_speed(name, entry.image_size),
        "description": entry.description,
    }


def _row(document: dict) -> tuple[str, ...]:
    top1, speed = document["imagenet_top1"], document["pictures_per_second"]
    return (
        document["name"],
        "×".join(map(str, document["input_shape"])),
        str(document["least_size"]),
        f"{document['parameters']:,}",
        f"{document['megabytes']:,.1f}",
        f"{document['multiply_adds'] / 1e6:,.0f}",
        f"{top1:.1%}" if top1 else "",
        f"{speed:,.0f}" if speed else "",
        document["description"],
    )


def _lines(rows: list[tuple[str, ...]], width: int | None) -> list[str]:
    """Lay rows out in columns; the last one, the description, is shortened to the width in characters."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    justify = [str.ljust, str.ljust, *(str.rjust,) * (len(widths) - 3), str.ljust]
    lines = [
        "  ".join(how(cell, size) for how, cell, size in zip(justify, row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [line if width is None or len(line) <= width else line[: width - 1] + "…" for line in lines]

"""`opsin archs`: what can be built."""

import json
import shutil
import sys

import typer

EXAMPLES = ("opsin archs", "opsin archs --json")

HEADINGS = ("name", "input", "least", "what it is")


def archs(
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """List the architectures that `opsin train --arch` takes."""
    from opsin.architectures import ARCHITECTURES

    if as_json:
        print(json.dumps([_document(name, entry) for name, entry in ARCHITECTURES.items()], indent=2))
        return
    rows = [
        (name, "×".join(map(str, entry.input_shape)), str(entry.least_size), entry.description)
        for name, entry in ARCHITECTURES.items()
    ]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(_lines([HEADINGS, *rows], width)))
    print("\nLayer by layer: opsin summary NAME. Your own: opsin train DATA --arch FILE.py:function")


def _lines(rows: list[tuple[str, ...]], width: int | None) -> list[str]:
    """Lay rows out in columns; the last one, the description, is shortened to the width in characters."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return [line if width is None or len(line) <= width else line[: width - 1] + "…" for line in lines]


def _document(name: str, entry: object) -> dict:
    return {
        "name": name,
        "input_shape": list(entry.input_shape),
        "least_size": entry.least_size,
        "description": entry.description,
    }

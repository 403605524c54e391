"""`opsin archs`: what can be built."""

import json

import typer

EXAMPLES = ("opsin archs", "opsin archs --json")


def archs(
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """List the architectures that `opsin train --arch` takes."""
    from opsin.architectures import ARCHITECTURES

    if as_json:
        print(json.dumps([_document(name, entry) for name, entry in ARCHITECTURES.items()], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "input", "least", "what it is", box=None, header_style="bold")
    for name, entry in ARCHITECTURES.items():
        shape = "×".join(map(str, entry.input_shape))
        table.add_row(name, shape, str(entry.least_size), entry.description)
    Console(highlight=False, soft_wrap=False).print(table)
    print("\nLayer by layer: opsin summary NAME. Your own: opsin train DATA --arch FILE.py:function")


def _document(name: str, entry: object) -> dict:
    return {
        "name": name,
        "input_shape": list(entry.input_shape),
        "least_size": entry.least_size,
        "description": entry.description,
    }

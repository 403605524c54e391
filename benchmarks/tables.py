"""Put the results into benchmarks/README.md: a table for each JSON in benchmarks/results, between the markers."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.results import FOLDER, goal

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
NO_RESULTS = "No results are kept yet."


def render(folder: Path) -> str:
    """Return Markdown for every result in a folder, in the order of their names."""
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return "\n\n".join(_section(document) for document in documents) or NO_RESULTS


def _section(document: dict[str, Any]) -> str:
    hardware = document["hardware"]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    settings = ", ".join(f"{name} {_plain(value)}" for name, value in document["settings"].items())
    return "\n".join(
        [
            f"### {document['name'].replace('_', ' ')}",
            "",
            f"`{document['command']}`, {document['date'][:10]}, {hardware['cpu']}, {hardware['cores']} cores, "
            f"{hardware['memory_gib']} GiB, {hardware['system']}, load before {document['load_before']:.1f}; "
            f"{versions}; {settings}.",
            "",
            *_table(("figure", "value", "goal"), [_figure_row(figure) for figure in document["figures"]]),
            "",
            *_table(("measured", "median", "lowest to highest", "n"), [_series_row(one) for one in document["series"]]),
        ]
    )


def _figure_row(figure: dict[str, Any]) -> tuple[str, ...]:
    return figure["what"], _number(figure["value"], figure["unit"]), goal(figure).strip("()")


def _series_row(series: dict[str, Any]) -> tuple[str, ...]:
    spread = f"{_number(series['low'])} to {_number(series['high'])} ({series['spread']:.0%})"
    return series["what"], _number(series["median"], series["unit"]), spread, str(len(series["values"]))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


def _number(value: float, unit: str = "") -> str:
    # Four digits, so that 1.053 does not look like the 1.05 that it was to stay below.
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{text} {unit}".strip()


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return " + ".join(f"{count} {name}" for name, count in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return str(value)


def main() -> None:
    """Write the tables, or only check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the README is out of date")
    options = parser.parse_args()
    before = README.read_text(encoding="utf-8")
    head, rest = before.split(BEGIN)
    tail = rest.split(END)[1]
    after = f"{head}{BEGIN}\n\n{render(FOLDER)}\n\n{END}{tail}"
    if options.check and after != before:
        sys.exit("benchmarks/README.md is out of date. Run: python -m benchmarks.tables")
    README.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()

"""`opsin benchmark`: a model in every engine."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from opsin.runtimes import ENGINES

if TYPE_CHECKING:
    from opsin.evaluation.engine_results import Benchmark, EngineResult

EXAMPLES = (
    "opsin benchmark RUN photos/",
    "opsin benchmark RUN photos/ --plot engines.png --json > engines.json",
    "opsin benchmark RUN photos/ --engine litert --engine onnx-int8 --threads 1",
)

HEADINGS = ("engine", "MB", "load s", "ms, median", "ms, 95 %", "pictures/s", "peak MB", "agrees", "accuracy (95 %)")


def benchmark(
    model: Path = typer.Argument(metavar="MODEL", help="A run folder or a model folder."),
    data: Path = typer.Argument(metavar="DATA", help="Labelled pictures: class folders or a CSV."),
    engine: list[str] = typer.Option([], help=f"Only this one, again for more: {', '.join(ENGINES)}."),
    threads: int | None = typer.Option(None, min=1, help="How many threads each may use (default: all cores)."),
    plot: Path | None = typer.Option(None, help="Also draw it: a PNG, SVG or PDF file."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Measure a model in every engine that is installed: size, speed, memory, accuracy.

    Exports that are missing are made in RUN/exports. The fastest engine that gives the network's own answers is
    remembered for `opsin predict` and `opsin serve` on this machine.
    """
    from opsin.classifier import Classifier
    from opsin.data.dataset import ImageDataset
    from opsin.evaluation.benchmark import benchmark as measure
    from opsin.evaluation.choose_part import choose_part

    part = choose_part(Classifier.open(model, "litert"), ImageDataset.open(data))
    for note in part.notes:
        print(note, file=sys.stderr)
    found = measure(
        model, part.dataset, engines=engine or None, threads=threads, say=lambda line: print(line, file=sys.stderr)
    )
    if plot is not None:
        from opsin.evaluation.charts import engines_chart, save_figure

        save_figure(engines_chart(found.results), plot)
    print(json.dumps(found.to_dict(), indent=2) if as_json else _table(found))


def _table(found: "Benchmark") -> str:
    rows = [HEADINGS, *map(_row, found.results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    justify = [str.ljust, *(str.rjust,) * (len(widths) - 2), str.ljust]
    lines = [
        "  ".join(how(*cell) for how, cell in zip(justify, zip(row, widths, strict=True), strict=True)) for row in rows
    ]
    lines += [f"{name} was left out: {why}" for name, why in found.left_out.items()]
    return "\n".join([*(line.rstrip() for line in lines), f"\nFor this machine: {found.winner}. {found.reason}"])


def _row(one: "EngineResult") -> tuple[str, ...]:
    return (
        one.engine,
        f"{one.megabytes:.1f}",
        f"{one.load_seconds:.2f}",
        f"{one.latency_ms:.1f}",
        f"{one.latency_p95_ms:.1f}",
        f"{one.pictures_per_second:.0f}",
        "" if one.peak_mb is None else f"{one.peak_mb:.0f}",
        f"{one.agreement:.1%}",
        f"{one.accuracy.value:.1%} ({one.accuracy.low:.1%} to {one.accuracy.high:.1%})",
    )

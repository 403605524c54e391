"""Charts as files: each function takes data and returns a matplotlib figure. A page's own are in `page/svg.py`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opsin.atomic import replacing
from opsin.catalog import choose, require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from opsin.evaluation.engine_results import EngineResult

INK = "#7d828a"
BLUE = "#3f78c2"
ORANGE = "#d9822b"


def rate_chart(rates: Sequence[float], losses: Sequence[float], chosen: float) -> "Figure":
    """Draw the loss of a trial with a rising learning rate.

    Args:
        rates: the learning rates.
        losses: the smoothed loss at each.
        chosen: the rate that was chosen.
    """
    figure, axes = _empty(6.0, 3.6)
    axes.plot(rates, losses, color=BLUE, linewidth=1.8)
    axes.axvline(chosen, color=ORANGE, linewidth=1.4)
    axes.annotate(f" {chosen:.2g}", (chosen, max(losses, default=1)), color=ORANGE, fontsize=9, va="top")
    axes.set_xscale("log")
    axes.set_xlabel("learning rate", color=INK, fontsize=9)
    axes.set_title("smoothed loss of the trial", loc="left", fontsize=10, color=INK)
    axes.grid(axis="y", color=INK, alpha=0.25, linewidth=0.6)
    return figure


def engines_chart(results: "Sequence[EngineResult]") -> "Figure":
    """Draw what `opsin benchmark` measured: pictures a second, and the time of a single one.

    Args:
        results: one for each engine, fastest first.
    """
    figure, axes = _empty(9.0, 0.9 + 0.34 * len(results), 2)
    names = [f"{one.engine} ({one.megabytes:.0f} MB)" for one in results]
    panels = (
        ("pictures a second, batches of 16", [one.pictures_per_second for one in results]),
        ("milliseconds for one picture, median", [one.latency_ms for one in results]),
    )
    for panel, (title, values) in zip(axes, panels, strict=True):
        # One colour; 8-bit integers are hatched, so that they are told apart without colours, too.
        bars = panel.barh(names, values, color=BLUE, height=0.62)
        for bar, one in zip(bars, results, strict=True):
            bar.set_hatch("///" if one.engine.endswith("-int8") else "")
            bar.set_edgecolor("white")
        panel.bar_label(bars, fmt="%.3g", padding=3, color=INK, fontsize=8)
        panel.set_title(title, loc="left", fontsize=10, color=INK)
        panel.margins(x=0.16)
        panel.invert_yaxis()
    axes[1].set_yticklabels([])
    return figure


def save_figure(figure: "Figure", path: str | Path) -> None:
    """Write a figure to a file, on white.

    Args:
        figure: one of this module's figures.
        path: its suffix says the format: .png, .svg or .pdf.

    Raises:
        UsageError: it is another.
        SavingError: the file cannot be written.
    """
    kind = choose("suffix of a chart's file", Path(path).suffix.lower(), (".png", ".svg", ".pdf")).removeprefix(".")
    with replacing(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=150, facecolor="white", bbox_inches="tight")


def _empty(width: float, height: float, columns: int = 1) -> "tuple[Figure, Any]":
    figure = require("matplotlib.figure", "drawing a chart").Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots(1, columns)
    for panel in np.ravel(axes):
        panel.patch.set_alpha(0)
        panel.tick_params(colors=INK, labelsize=9, length=0)
        panel.spines[:].set_visible(False)
    return figure, axes

"""Pictures of a report's data. Each function takes data and returns a matplotlib figure.

Backgrounds are transparent and text is a middle grey: a figure can be put on a light and on a dark page.
"""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opsin.atomic import replacing
from opsin.catalog import choose, require
from opsin.evaluation.wording import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from opsin.evaluation.engine_results import EngineResult

INK = "#7d828a"
BLUE = "#3f78c2"
ORANGE = "#d9822b"

# Up to this many classes each cell has its count; up to the second, each row its class name.
COUNTED_CLASSES = 20
NAMED_CLASSES = 60
NAME_LENGTH = 22


def confusion_matrix_chart(confusion_matrix: np.ndarray, class_names: Sequence[str]) -> "Figure":
    """Draw which classes are taken for which: true classes down, predicted ones across.

    A cell's colour is its share of the row. It grows with the square root, so that rare confusions are
    seen; one colour of growing opacity, so that lightness alone carries the value.

    Args:
        confusion_matrix: int `(k, k)`, pictures of class [row] taken for class [column].
        class_names: k names. Beyond 60 classes the axes carry class indices instead.
    """
    k = len(class_names)
    # Inches: room for the names, large cells for few classes, and a legible line a name for many.
    cells = max(min(0.55 * k, 6), 0.12 * min(k, NAMED_CLASSES))
    figure, axes = _empty(cells + 2.8, cells + 2.2)
    totals = confusion_matrix.sum(axis=1, keepdims=True)
    share = confusion_matrix / np.maximum(totals, 1)
    colors = require("matplotlib.colors", "drawing a chart")
    opacity = colors.LinearSegmentedColormap.from_list("opacity", [(BLUE, 0.0), (BLUE, 1.0)])
    # "none": cells are neither blended into each other nor scaled before the page shows them.
    picture = axes.imshow(share, cmap=opacity, norm=colors.PowerNorm(0.5, 0, 1), interpolation="none")
    axes.set_xlabel("predicted class", color=INK)
    axes.set_ylabel("true class", color=INK)
    if k <= NAMED_CLASSES:
        _name_classes(axes, class_names)
    if k <= COUNTED_CLASSES:
        _write_counts(axes, confusion_matrix, share, cell=cells / k)
    _add_scale(figure, picture)
    return figure


def history_chart(history: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draw loss and accuracy over the epochs, on training and on validation pictures.

    Args:
        history: one mapping an epoch with `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`; what is
            missing or None is left out of its curve.
    """
    figure, (loss, accuracy) = _empty(8.4, 3.1, columns=2)
    _draw_curves(loss, history, "loss")
    _draw_curves(accuracy, history, "accuracy")
    percent = require("matplotlib.ticker", "drawing a chart").PercentFormatter(1, symbol=" %")
    accuracy.yaxis.set_major_formatter(percent)
    curves = {line.get_label(): line for panel in (loss, accuracy) for line in panel.get_lines()}
    style = {"ncols": 2, "frameon": False, "labelcolor": INK, "fontsize": 9}
    figure.legend(curves.values(), curves.keys(), loc="outside upper right", **style)
    return figure


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


def to_svg(figure: "Figure", description: str) -> str:
    """Return a figure as an `<svg>` element to stand in a page.

    Its text is text (drawn by the reader's own fonts, in any script) and takes the page's text colour.

    Args:
        figure: one of this module's figures.
        description: what it shows, for those who cannot see it; not from users, it is not escaped.
    """
    drawn = io.StringIO()
    # These two settings can be given to matplotlib in no other way. The salt makes equal figures equal text.
    settings = {"svg.fonttype": "none", "svg.hashsalt": description}
    with require("matplotlib", "drawing a chart").rc_context(settings), warnings.catch_warnings():
        # matplotlib misses Chinese, say, in the font that it measures with; the page's fonts have it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(
            drawn,
            format="svg",
            transparent=True,
            bbox_inches="tight",
            pad_inches=0.05,
            metadata={"Date": None},
        )
    svg = drawn.getvalue()
    svg = svg[svg.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{description}"', 1)
    # The style rule would reach the whole page, and the ids repeat from one figure to the next.
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, count=2, flags=re.DOTALL)
    svg = re.sub(r'<g id="[\w.]+"', "<g", svg)
    return svg.replace(f": {INK}", ": currentColor")


def _empty(width: float, height: float, columns: int = 1) -> "tuple[Figure, Any]":
    figure = require("matplotlib.figure", "drawing a chart").Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots(1, columns)
    for panel in np.ravel(axes):
        panel.patch.set_alpha(0)
        panel.tick_params(colors=INK, labelsize=9, length=0)
        panel.spines[:].set_visible(False)
    return figure, axes


def _name_classes(axes: "Axes", class_names: Sequence[str]) -> None:
    names = [shortened(name, NAME_LENGTH) for name in class_names]
    size = 9 if len(names) <= 24 else 7
    # A dollar sign in a class name is no formula.
    style = {"parse_math": False, "fontsize": size}
    axes.set_yticks(range(len(names)), names, **style)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor", **style)


def _write_counts(axes: "Axes", confusion_matrix: np.ndarray, share: np.ndarray, *, cell: float) -> None:
    # A digit is about 0.63 of the font size wide; `cell` is in inches, of 72 points.
    size = min(9, 0.85 * 72 * cell / (0.63 * len(str(confusion_matrix.max()))))
    for row, column in zip(*np.nonzero(confusion_matrix), strict=True):
        # White is read on the full colour; on paler cells the page's own text colour is.
        color = "white" if share[row, column] > 0.6 else INK
        text = str(confusion_matrix[row, column])
        axes.text(column, row, text, color=color, ha="center", va="center", fontsize=size)


def _add_scale(figure: "Figure", picture: "AxesImage") -> None:
    scale = figure.colorbar(picture, shrink=0.6, aspect=28, pad=0.03, ticks=[0, 0.05, 0.25, 0.5, 1])
    scale.ax.set_yticklabels(["0", "5 %", "25 %", "50 %", "100 %"])
    scale.ax.tick_params(colors=INK, labelsize=8, length=0)
    scale.outline.set_visible(False)
    scale.set_label("share of the true class", color=INK, fontsize=9)


def _draw_curves(axes: "Axes", history: Sequence[Mapping[str, Any]], key: str) -> None:
    for name, column, color in (("training", key, BLUE), ("validation", f"val_{key}", ORANGE)):
        points = [(row["epoch"], row[column]) for row in history if row.get(column) is not None]
        if points:
            # One epoch is no line: its point must be seen.
            axes.plot(*zip(*points, strict=True), color=color, label=name, marker="o", markersize=3, linewidth=1.8)
    axes.set_title(key, loc="left", fontsize=10, color=INK)
    axes.set_xlabel("epoch", color=INK, fontsize=9)
    axes.grid(axis="y", color=INK, alpha=0.25, linewidth=0.6)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set_visible(bool(axes.get_lines()))

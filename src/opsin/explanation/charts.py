"""Charts beside heat maps: how faithful they are, and what is left of them when weights are random."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from opsin.catalog import require
from opsin.explanation.faithfulness import Faithfulness
from opsin.explanation.sanity import SanityStep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, BLUE, ORANGE = "#1c1e22", "#3f78c2", "#d9822b"
_SOFT = "#6e727a"
_DPI = 100


def faithfulness_chart(found: Faithfulness, class_name: str, title: str) -> np.ndarray:
    """Draw the deletion and the insertion curve beside those of random maps: uint8 (H, W, 3), RGB."""
    figure, (deletion, insertion) = _empty(10.4, 2.9, 2)
    areas = found.areas
    rows = (
        (deletion, "deletion", found.deletion, found.random_deletion, "low is good"),
        (insertion, "insertion", found.insertion, found.random_insertion, "high is good"),
    )
    for axes, name, curve, others, wanted in rows:
        along = np.linspace(0, 1, len(curve))
        for number, other in enumerate(others):
            axes.plot(along, other, color=_SOFT, alpha=0.45, linewidth=1, label="" if number else "random maps")
        axes.plot(along, curve, color=BLUE, linewidth=2.2, label="this map")
        axes.fill_between(along, curve, color=BLUE, alpha=0.12, linewidth=0)
        area = f"area {areas[name]:.2f}, random {areas[f'random_{name}']:.2f}; {wanted}"
        axes.set_title(f"{name}: {area}", loc="left", fontsize=9.5, color=INK)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("share of the pixels", fontsize=8.5, color=_SOFT)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, color=INK, fontweight="bold")
    deletion.set_ylabel(f"probability of {class_name}"[:40], fontsize=8.5, color=_SOFT)
    insertion.legend(frameon=False, fontsize=8.5, labelcolor=INK)
    return _pixels(figure)


def sanity_chart(steps: Sequence[SanityStep], title: str) -> np.ndarray:
    """Draw the rank correlation with the trained network's map, step by step: uint8 (H, W, 3), RGB."""
    figure, axes = _empty(10.4, 2.9, 1)
    values = [np.nan if step.correlation is None else step.correlation for step in steps]
    axes.plot(range(1 + len(steps)), [1, *values], color=BLUE, linewidth=2, marker="o", markersize=4)
    axes.axhline(0, color=_SOFT, linewidth=0.8)
    names = ["trained", *(f"{step.layers}: {step.layer.rpartition('/')[2]}" for step in steps)]
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, color=INK, fontweight="bold")
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    axes.set_ylim(-1.05, 1.05)
    told = "rank correlation with the trained network's map; weights made random from the top down to that layer"
    axes.set_title(told, loc="left", fontsize=9.5, color=INK)
    return _pixels(figure)


def _empty(width: float, height: float, columns: int) -> "tuple[Figure, Axes | Sequence[Axes]]":
    figure = require("matplotlib.figure", "drawing a chart").Figure(
        figsize=(width, height), dpi=_DPI, layout="constrained", facecolor="white"
    )
    axes = figure.subplots(1, columns)
    for one in np.atleast_1d(axes):
        one.spines[["top", "right"]].set_visible(False)
        one.spines[["left", "bottom"]].set_color("#c9ccd2")
        one.tick_params(colors=_SOFT, labelsize=8)
        one.grid(axis="y", color=_SOFT, alpha=0.18, linewidth=0.6)
    return figure, axes


def _pixels(figure: "Figure") -> np.ndarray:
    canvas = require("matplotlib.backends.backend_agg", "drawing a chart").FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()

"""Charts as SVG that takes its colours from the page: light on dark, dark on light, and black on paper."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from opsin.evaluation.intervals import Estimate
from opsin.evaluation.wording import percent, span

LEFT, RIGHT, TOP, BOTTOM = 46, 24, 30, 40
"""Room around a chart, in its own units: for the numbers, for what is past the last one, and for the titles."""

SHAPES = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "M-3.5-3.5h7v7h-7z",
    "M0-4.6L4.4 3.4H-4.4z",
    "M0-5L5 0L0 5L-5 0z",
    "M-4-1.4h2.6v-2.6h2.8v2.6h2.6v2.8h-2.6v2.6h-2.8v-2.6h-2.6z",
    "M0 4.6L4.4-3.4H-4.4z",
)
"""Outlines of marks, around 0: with them colours need not be told apart."""

COLORS = 8
"""The page's style has as many colours for what is sorted into kinds: its classes `c0`, `c1` and so on."""


def _whole_percent(value: float) -> str:
    return f"{100 * value:g} %"


@dataclass(frozen=True)
class Axis:
    """One side of a chart.

    Args:
        title: what it measures.
        low: where it begins.
        high: where it ends.
        ticks: where its numbers stand.
        worded: how a number is said.
    """

    title: str
    low: float = 0.0
    high: float = 1.0
    ticks: tuple[float, ...] = (0, 0.25, 0.5, 0.75, 1)
    worded: Callable[[float], str] = _whole_percent

    def share(self, value: np.ndarray | float) -> np.ndarray:
        """Return where a value lies between both ends, from 0 to 1."""
        return (np.asarray(value, dtype=float) - self.low) / ((self.high - self.low) or 1.0)


def axis_for(values: Sequence[float], title: str, *, whole: bool = False, percents: bool = False) -> Axis:
    """Return an axis with round numbers that holds all values.

    Args:
        values: finite; at least one.
        title: what it measures.
        whole: numbers stand at whole values only.
        percents: values are fractions, said in percent.
    """
    low, high = float(min(values)), float(max(values))
    width = (high - low) or abs(high) or 1.0
    # From a hundredth of the width on: a loss may be 1e18 before its training is stopped.
    tens = int(np.floor(np.log10(width)))
    steps = [base * 10.0**power for power in range(tens - 2, max(tens, 0) + 2) for base in (1, 2, 2.5, 5)]
    step = next(step for step in steps if width / step <= 5 and (not whole or step == int(step)))
    first, last = np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9)
    ticks = tuple(float(step * i) for i in np.arange(first, max(last, first + 1) + 1))
    if whole:
        # Time begins with the first epoch and ends with the last: what lies outside is not the future.
        inside = tuple(tick for tick in ticks if low <= tick <= high)
        return Axis(title, low, high, inside or (low,), lambda value: f"{value:g}")
    worded = (lambda value: f"{100 * value:.4g} %") if percents else (lambda value: f"{value:.4g}")
    return Axis(title, ticks[0], ticks[-1], ticks, worded)


class Chart:
    """Lines, bands and marks between two axes; its text is the chart's SVG.

    Args:
        x: the axis across.
        y: the axis up.
        description: what is to be seen, for those who do not see it.
        width: in units that are pixels where there is room.
        height: the same.
    """

    def __init__(self, x: Axis, y: Axis, description: str, *, width: int = 460, height: int = 300):
        self.x, self.y, self.description, self.width, self.height = x, y, description, width, height
        self.drawn: list[str] = []

    def across(self, value: np.ndarray | float) -> np.ndarray:
        """Return where values lie from the left."""
        return LEFT + self.x.share(value) * (self.width - LEFT - RIGHT)

    def down(self, value: np.ndarray | float) -> np.ndarray:
        """Return where values lie from the top."""
        return TOP + (1 - self.y.share(value)) * (self.height - TOP - BOTTOM)

    def line(self, x: Sequence[float], y: Sequence[float], style: str) -> None:
        """Draw a line; `style` is a class of the page's style."""
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(self.across(x), self.down(y), strict=True))
        self.drawn.append(f'<polyline class="line {style}" points="{points}"/>')

    def box(self, x: tuple[float, float], y: tuple[float, float], style: str) -> None:
        """Fill what lies between two values across and two up."""
        (left, right), (bottom, top) = self.across(x), self.down(y)
        size = f'width="{right - left:.1f}" height="{max(bottom - top, 0.5):.1f}"'
        self.drawn.append(f'<rect class="{style}" x="{left:.1f}" y="{top:.1f}" {size}/>')

    def whisker(self, x: float, low: float, high: float, style: str) -> None:
        """Draw a range of values up."""
        at, bottom, top = float(self.across(x)), float(self.down(low)), float(self.down(high))
        ends = f"M{at:.1f} {bottom:.1f}V{top:.1f}M{at - 3:.1f} {bottom:.1f}h6M{at - 3:.1f} {top:.1f}h6"
        self.drawn.append(f'<path class="line {style}" d="{ends}"/>')

    def mark(self, x: float, y: float, style: str, shape: int = 0) -> None:
        """Draw a mark in one of `SHAPES`."""
        self.drawn.append(mark(float(self.across(x)), float(self.down(y)), style, shape))

    def word(self, x: float, y: float, text: str, style: str = "", *, dx: float = 0, dy: float = 0) -> None:
        """Write a text from a place on, which is moved by some units."""
        at = f'x="{float(self.across(x)) + dx:.1f}" y="{float(self.down(y)) + dy:.1f}"'
        self.drawn.append(f'<text class="{style}" {at}>{html.escape(text)}</text>')

    def __str__(self) -> str:
        return picture(self.width, self.height, self.description, self._grid() + "".join(self.drawn))

    def _grid(self) -> str:
        right, bottom = self.width - RIGHT, self.height - BOTTOM
        rows = "".join(
            f'<path class="grid" d="M{LEFT} {float(at):.1f}H{right}"/>'
            f'<text class="end" x="{LEFT - 6}" y="{float(at) + 4:.1f}">{html.escape(self.y.worded(value))}</text>'
            for value, at in zip(self.y.ticks, self.down(self.y.ticks), strict=True)
        )
        columns = "".join(
            f'<text class="middle" x="{float(at):.1f}" y="{bottom + 16}">{html.escape(self.x.worded(value))}</text>'
            for value, at in zip(self.x.ticks, self.across(self.x.ticks), strict=True)
        )
        titles = (
            f'<text class="middle title" x="{(LEFT + right) / 2}" '
            f'y="{self.height - 5}">{html.escape(self.x.title)}</text>'
            f'<text class="title" x="2" y="13">{html.escape(self.y.title)}</text>'
        )
        return rows + columns + titles


def mark(x: float, y: float, style: str, shape: int = 0) -> str:
    """Return a mark at a place of a chart."""
    return f'<path class="mark {style}" transform="translate({x:.1f} {y:.1f})" d="{SHAPES[shape % len(SHAPES)]}"/>'


def picture(width: int, height: int, description: str, drawn: str, style: str = "plot", *, role: str = "img") -> str:
    """Return an `<svg>` element that is read aloud as its description, which is escaped here."""
    said = html.escape(description)
    return (
        f'<svg class="{style}" role="{role}" aria-label="{said}" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">{drawn}</svg>'
    )


def whisker(estimate: Estimate, low: float = 0.0, high: float = 1.0) -> str:
    """Return an estimate as a point on its interval, on a line from `low` to `high`; not read aloud."""
    at, start, end = (100 * (x - low) / (high - low) for x in (estimate.value, estimate.low, estimate.high))
    return (
        '<svg class="whisker" aria-hidden="true" viewBox="-4 0 108 12"><path class="rail" d="M0 6H100"/>'
        f'<path class="reach" d="M{start:.1f} 6H{end:.1f}M{start:.1f} 2.5v7M{end:.1f} 2.5v7"/>'
        f'<circle class="at" cx="{at:.1f}" cy="6" r="3.4"/></svg>'
    )


def measured(
    estimate: Estimate | None, worded: Callable[[float], str] = percent, low: float = 0.0, high: float = 1.0
) -> str:
    """Return the HTML of a number with its interval, in words and as a whisker; a hyphen of none."""
    if estimate is None:
        return "-"
    return (
        f'<span class="measured"><b>{worded(estimate.value)}</b> {whisker(estimate, low, high)}'
        f"<small>{span(estimate, worded)}</small></span>"
    )


def told(estimate: Estimate | None, worded: Callable[[float], str] = percent) -> str:
    """Return the HTML of a number with its interval in words alone; a hyphen of none."""
    if estimate is None:
        return "-"
    return f'<span class="measured"><b>{worded(estimate.value)}</b><small>{span(estimate, worded)}</small></span>'

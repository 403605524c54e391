"""The map of pictures: what the network sees as similar is close; a picture shows where the pointer or the focus is."""

import html

import numpy as np

from opsin.counting import count
from opsin.evaluation.evidence import FeatureMap
from opsin.evaluation.page.album import Album
from opsin.evaluation.page.markup import escaped, figure, section
from opsin.evaluation.page.svg import COLORS, mark, picture
from opsin.evaluation.report import Report
from opsin.evaluation.wording import percent, readable, shortened

DOTS = 3000
SHOWN = 120
"""Dots that show their picture: mistakes first."""

NAMED = 12
"""Classes with a colour and a shape; the pictures of others are grey."""

SIDE, PANEL, MARGIN = 560, 190, 10


def feature_map(report: Report, album: Album) -> str:
    """Return the section."""
    found = report.evidence.map
    if found is None or not len(found.rows):
        return ""
    rows = np.asarray(found.rows)
    kept = _spread(len(rows), DOTS)
    named = _named(report, rows)
    caption = (
        f"Each mark is a picture, of {count(len(rows), 'picture')} laid out by {escaped(found.method)}: what "
        "the network "
        "sees as similar is close, and the axes have no unit. Colour and shape are the true class; a ring is a picture "
        "judged wrongly. A mark of one class amid another’s is either hard or wrongly labelled. Point at a "
        "mark with an "
        "outline, or reach it with the Tab key, to see its picture at the upper right."
    )
    if len(kept) < len(rows):
        caption += f" {len(kept):,} of them are drawn."
    return section(
        "map",
        "How the network sees the pictures",
        '<a class="skip" href="#after-map">Skip the map</a>\n',
        figure(_drawn(report, found, kept, named, album), caption),
        '<span class="after" id="after-map" tabindex="-1"></span>\n',
    )


def _spread(n: int, most: int) -> np.ndarray:
    """Return int (m,): m of n places, at most so many, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)) if n else np.empty(0, dtype=int)


def _named(report: Report, rows: np.ndarray) -> dict[int, int]:
    """Return class index -> which colour and shape it has, in the order of the classes."""
    classes, counts = np.unique(report.labels[rows], return_counts=True)
    largest = classes[np.argsort(-counts, kind="stable")[:NAMED]]
    return {int(index): i for i, index in enumerate(sorted(largest))}


def _drawn(report: Report, found: FeatureMap, kept: np.ndarray, named: dict[int, int], album: Album) -> str:
    points = np.asarray(found.points, dtype=float)
    low, high = points.min(axis=0), points.max(axis=0)
    # One scale for both axes: distances would be no distances otherwise.
    places = MARGIN + (SIDE - 2 * MARGIN) * ((points - (low + high) / 2) / (float((high - low).max()) or 1.0) + 0.5)
    places[:, 1] = SIDE - places[:, 1]
    rows, wrong = np.asarray(found.rows), report.probabilities.argmax(axis=1) != report.labels
    opening = _opening(rows[kept], wrong)
    marks, openers, hint = "", "", ""
    for point in kept:
        row = int(rows[point])
        drawn = _mark(*places[point], named.get(int(report.labels[row])), wrong=bool(wrong[row]))
        if row in opening and album.finds(report.paths[row]):
            openers += _opener(report, row, drawn, album)
        else:
            marks += drawn
    frame = f'<rect class="frame" x="0" y="0" width="{SIDE}" height="{SIDE}" rx="6"/>'
    legend = _legend(report, named, others=len(np.unique(report.labels[rows])) > NAMED)
    if openers:
        middle = SIDE + 20 + PANEL / 2, PANEL / 2
        text = f'<text class="middle" x="{middle[0]}" y="{middle[1]}">the picture pointed at</text>'
        hint = f'<g class="hint">{_panel()}{text}</g>'
    description = f"Map of {count(len(rows), 'picture')}; marks that take the focus show their pictures"
    # Not an image: what is inside of such could not be reached.
    drawn = f"{frame}{marks}{legend}{hint}{openers}"
    return picture(SIDE + PANEL + 20, SIDE, description, drawn, "plot map", role="group")


def _opening(rows: np.ndarray, wrong: np.ndarray) -> set[int]:
    """Return which rows show their pictures: half of them mistakes if there are so many, the others spread evenly."""
    mistaken, right = rows[wrong[rows]], rows[~wrong[rows]]
    first = mistaken[: max(SHOWN // 2, SHOWN - len(right))]
    spread = right[_spread(len(right), SHOWN - len(first))]
    return {int(row) for row in (*first, *spread)}


def _mark(x: float, y: float, number: int | None, *, wrong: bool = False) -> str:
    color = "other" if number is None else f"c{number % COLORS}"
    ring = f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="7"/>' if wrong else ""
    return ring + mark(x, y, color, number or 0)


def _opener(report: Report, row: int, drawn: str, album: Album) -> str:
    path, truth = report.paths[row], report.class_names[report.labels[row]]
    said = report.class_names[int(report.probabilities[row].argmax())]
    sure = percent(float(report.probabilities[row].max()))
    left, side = SIDE + 20, PANEL
    lines = (f"is {shortened(truth, 22)}", f"said {shortened(said, 22)}", sure, shortened(path, 26))
    words = "".join(
        f'<text x="{left}" y="{side + 22 + 18 * i}">{html.escape(line)}</text>' for i, line in enumerate(lines)
    )
    shown = album.inside(path, f'x="{left}" y="0" width="{side}" height="{side}"', rank=1)
    label = f"{readable(path)}: is {readable(truth)}, said {readable(said)}, {sure}"
    return (
        f'<g class="opener" tabindex="0" role="img" aria-label="{html.escape(label)}">{drawn}'
        f'<g class="opened">{_panel()}{shown}{words}</g></g>\n'
    )


def _panel() -> str:
    return f'<rect class="frame" x="{SIDE + 20}" y="0.5" width="{PANEL - 1}" height="{PANEL}" rx="6"/>'


def _legend(report: Report, named: dict[int, int], *, others: bool) -> str:
    left = SIDE + 28
    top = SIDE - 20 * (len(named) + others + 1)
    entries = "".join(
        f"{_mark(left, top + 20 * i, number)}"
        f'<text x="{left + 12}" y="{top + 20 * i + 4}">{html.escape(shortened(report.class_names[index], 24))}</text>'
        for i, (index, number) in enumerate(named.items())
    )
    if others:
        at = top + 20 * len(named)
        entries += f'{_mark(left, at, None)}<text x="{left + 12}" y="{at + 4}">other classes</text>'
    at = top + 20 * (len(named) + others)
    ring = f'<circle class="ring" cx="{left}" cy="{at}" r="7"/>'
    return f'{entries}{ring}<text x="{left + 12}" y="{at + 4}">judged wrongly</text>'

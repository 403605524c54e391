"""Which classes are taken for which: a table of few classes, a picture of many, and the pictures behind each number."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from opsin.counting import count
from opsin.evaluation.metrics import Metrics
from opsin.evaluation.mistakes import Confusion, confused_pairs
from opsin.evaluation.page.album import Album, gallery
from opsin.evaluation.page.markup import escaped, figure, part, place, row, short, table
from opsin.evaluation.page.svg import picture
from opsin.evaluation.report import Report
from opsin.evaluation.wording import percent, readable, shortened
from opsin.images.thumbnails import as_address

TABLE_CLASSES = 25
"""Up to this many classes every cell is in a table; of more, the matrix is a picture."""

CELL_PICTURES = 12
ALL_PICTURES = 300
"""Pictures of all cells together; but each cell shows one."""

PAIRS = 12
PAIRS_OF_MANY = 40
SHADES = 10
FINEST = 250
"""Rows of the picture of a large matrix; several classes share one then."""

_BLUE, _ORANGE = (63, 120, 194), (224, 110, 38)


def confusions(report: Report, album: Album) -> str:
    """Return the confusion matrix and the most confused pairs."""
    metrics = report.metrics
    if len(metrics.class_names) > TABLE_CLASSES:
        return part("Confusion matrix", drawn_matrix(metrics.confusion_matrix, metrics.class_names)) + part(
            "Most confused pairs", _unfolding(report, album)
        )
    note = (
        "Each row is a true class: what its pictures were taken for. Right answers are on the diagonal, in a "
        "frame; the "
        "fuller the colour of a cell, the larger its share of the row. A number that is a link shows its pictures."
    )
    matrix = part("Confusion matrix", _matrix(metrics), _panels(report, album), note=note)
    return matrix + part("Most confused pairs", _linking(metrics))


def cell_rows(report: Report) -> dict[tuple[int, int], np.ndarray]:
    """Return (true class, said class) -> rows of the pictures that were judged so wrongly, the most confident first."""
    said, confidence = report.probabilities.argmax(axis=1), report.probabilities.max(axis=1)
    wrong = np.flatnonzero(said != report.labels)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    cells: dict[tuple[int, int], list[int]] = {}
    for index in wrong:
        cells.setdefault((int(report.labels[index]), int(said[index])), []).append(int(index))
    return {cell: np.array(rows) for cell, rows in sorted(cells.items(), key=lambda item: -len(item[1]))}


def pictures_a_cell(sizes: list[int]) -> int:
    """Return how many pictures each cell may show: all of them together no more than there is room for.

    >>> pictures_a_cell([3, 1]), pictures_a_cell([100] * 50)
    (12, 6)
    """
    fits = (n for n in range(CELL_PICTURES, 1, -1) if sum(min(size, n) for size in sizes) <= ALL_PICTURES)
    return next(fits, 1)


def _matrix(metrics: Metrics) -> str:
    names = [f'<th scope="col"><span class="tall">{short(name, 20)}</span></th>' for name in metrics.class_names]
    rows = "".join(_row(metrics, index) for index in range(len(metrics.class_names)))
    size = "few" if len(metrics.class_names) <= 12 else "many"
    return (
        '<div id="matrix">\n<fieldset class="switch"><legend>Show</legend>'
        '<label><input type="radio" name="cells" id="cells-counts" checked> pictures</label>'
        '<label><input type="radio" name="cells" id="cells-shares"> share of the true class</label></fieldset>\n'
        '<div class="wide" tabindex="0" role="region" aria-label="Confusion matrix">'
        f'<table class="matrix {size}"><caption class="unseen">Pictures of each true class, by what they were taken for'
        f'</caption><thead><tr><th scope="col" class="corner">true ↓ said →</th>{"".join(names)}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>\n</div>\n"
    )


def _row(metrics: Metrics, truth: int) -> str:
    counts = metrics.confusion_matrix[truth]
    shares = counts / max(int(counts.sum()), 1)
    cells = "".join(
        _cell(truth, said, int(n), float(share)) for said, (n, share) in enumerate(zip(counts, shares, strict=True))
    )
    return f'<tr><th scope="row">{short(metrics.class_names[truth], 24)}</th>{cells}</tr>\n'


def _cell(truth: int, said: int, n: int, share: float) -> str:
    if not n:
        return f'<td class="{"right" if truth == said else "none"}"><span class="unseen">0</span></td>'
    # The square root lets rare confusions be seen.
    shade = max(1, round(SHADES * share**0.5))
    number = f'<span class="counts">{n:,}</span><span class="shares">{percent(share).removesuffix(" %")}</span>'
    if truth == said:
        return f'<td class="right s{shade}">{number}</td>'
    return f'<td class="wrong s{shade}"><a href="#cell-{truth}-{said}">{number}</a></td>'


def _panels(report: Report, album: Album) -> str:
    cells = cell_rows(report)
    shown = pictures_a_cell([len(rows) for rows in cells.values()])
    names = report.class_names
    panels = ""
    for (truth, said), rows in cells.items():
        title = f"{count(len(rows), 'picture')} of {short(names[truth])} taken for {short(names[said])}"
        panels += (
            f'<div class="panel" id="cell-{truth}-{said}" role="group" aria-label="Pictures" tabindex="-1">'
            f'<p><b>{title}</b>, the most confident first <a class="close" href="#matrix">close</a></p>\n'
            f"{_pictures(report, rows, shown, album)}</div>\n"
        )
    return panels


def _pictures(report: Report, rows: np.ndarray, shown: int, album: Album) -> str:
    figures = [_figure(report, int(index), rank, album) for rank, index in enumerate(rows[:shown])]
    more = f'<p class="quiet">and {len(rows) - shown:,} more</p>\n' if len(rows) > shown else ""
    return gallery(figures) + more


def _figure(report: Report, index: int, rank: int, album: Album) -> str:
    path, probability = report.paths[index], report.probabilities[index].max()
    shown = album.show(path, rank=2 + rank)
    return f"{shown}<p>{percent(float(probability))} {place(path)}</p>"


def _linking(metrics: Metrics) -> str:
    indices = {name: index for index, name in enumerate(metrics.class_names)}
    rows = [
        row(short(one.truth), short(one.said), _linked(one, indices), _share(one), words=(0, 1))
        for one in confused_pairs(metrics, PAIRS)
    ]
    head = ("True class", "Taken for", "Pictures", "Share of the true class")
    return table("Classes that are confused on the most pictures", head, rows, words=(0, 1)) if rows else ""


def _linked(one: Confusion, indices: dict[str, int]) -> str:
    return f'<a href="#cell-{indices[one.truth]}-{indices[one.said]}">{one.count:,} of {one.support:,}</a>'


def _share(one: Confusion) -> str:
    return percent(one.count / one.support)


def _unfolding(report: Report, album: Album) -> str:
    """Return the pairs, each of which unfolds its pictures."""
    cells = list(cell_rows(report).items())[:PAIRS_OF_MANY]
    shown = pictures_a_cell([len(rows) for _, rows in cells])
    names, supports = report.class_names, report.metrics.confusion_matrix.sum(axis=1)
    return "".join(
        f'<details class="pair"><summary>{short(names[truth])} taken for {short(names[said])}: '
        f"{len(rows):,} of {count(int(supports[truth]), 'picture')}</summary>"
        f"{_pictures(report, rows, shown, album)}</details>\n"
        for (truth, said), rows in cells
    )


def drawn_matrix(confusion_matrix: np.ndarray, class_names: Sequence[str]) -> str:
    """Draw a large matrix: as many rows as can be told apart, each the largest share of the classes in it."""
    k, side, left, top = len(class_names), 560, 130, 12
    places = [round(i * (k - 1) / 5) for i in range(6)]
    names = "".join(
        f'<text class="end" x="{left - 8}" y="{top + side * (index + 0.5) / k + 4:.1f}">'
        f"{escaped(shortened(class_names[index], 16))}</text>"
        for index in places
    )
    drawn = (
        f'<rect class="frame" x="{left}" y="{top}" width="{side}" height="{side}"/>'
        f'<image class="pixels" x="{left}" y="{top}" width="{side}" height="{side}" '
        f'href="{as_address(matrix_image(confusion_matrix), kind="PNG")}"/>{names}'
        f'<text class="middle title" x="{left + side / 2}" y="{top + side + 22}">said, in the same order</text>'
    )
    first, last = (readable(class_names[index]) for index in (0, k - 1))
    return figure(
        picture(left + side + 12, top + side + 34, f"Confusion matrix of {k:,} classes", drawn),
        f"Each row is a true class, from {escaped(first)} to {escaped(last)}; each column what its pictures were taken "
        "for, in the same order. The diagonal, blue, is right; what lies off it, orange, is wrong; the fuller the "
        "colour, the larger the share of the row.",
    )


def matrix_image(confusion_matrix: np.ndarray) -> Image.Image:
    """Return a matrix as a picture with transparency, of at most `FINEST` rows.

    Args:
        confusion_matrix: int (k, k).
    """
    share = confusion_matrix / np.maximum(confusion_matrix.sum(axis=1, keepdims=True), 1)
    starts = np.unique(np.linspace(0, len(share), min(FINEST, len(share)) + 1).astype(int))[:-1]
    wrong = share * (1 - np.eye(len(share)))
    levels = [
        np.rint(255 * np.sqrt(np.maximum.reduceat(np.maximum.reduceat(one, starts, axis=0), starts, axis=1)))
        for one in (share * np.eye(len(share)), wrong)
    ]
    right = np.eye(len(starts), dtype=bool)
    image = np.empty((len(starts), len(starts), 4), np.uint8)
    image[..., :3] = np.where(right[..., None], _BLUE, _ORANGE)
    image[..., 3] = np.where(right, *levels)
    return Image.fromarray(image, "RGBA")

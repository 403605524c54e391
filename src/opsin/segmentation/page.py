"""The report on a segmenter as one page: no other file, no script, no network."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np

from opsin.counting import count
from opsin.evaluation.intervals import Estimate
from opsin.evaluation.page.confusion import SHADES, TABLE_CLASSES, drawn_matrix
from opsin.evaluation.page.frame import LIMIT, document
from opsin.evaluation.page.markup import part, row, section, short, table
from opsin.evaluation.page.svg import measured, told, whisker
from opsin.evaluation.page.training import chosen, left_out, training_curves
from opsin.evaluation.wording import interval, percent, score, span
from opsin.segmentation.cards import JudgedPicture, cards
from opsin.segmentation.classes import ClassTable
from opsin.segmentation.metrics import ClassPixels, SegmentationMetrics

_SWATCH = '<svg class="swatch" aria-hidden="true" viewBox="0 0 10 10"><rect width="10" height="10" rx="2" {}/></svg>'


@dataclass(frozen=True, eq=False)
class PageContent:
    """What a report's page shows.

    Args:
        metrics: the numbers.
        classes: the table of classes.
        pictures: pictures with their masks, the worst first; taken one after the other, once, while there is room.
        title: what the page is called.
        subtitle: what it is about.
        history: the training's epochs, as `opsin.evaluation.page.training.training_curves` takes them.
        skipped: path and reason of each picture that could not be judged.
        settings: name -> value, shown as a list at the end.
    """

    metrics: SegmentationMetrics
    classes: ClassTable
    pictures: Iterable[JudgedPicture] = ()
    title: str = "Report on masks"
    subtitle: str = ""
    history: Sequence[Mapping[str, Any]] = ()
    skipped: Sequence[tuple[str, str]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def segmentation_page(content: PageContent) -> str:
    """Return the report as an HTML page, in the order in which a reader asks; what there is nothing of is left out."""
    metrics, table_of_classes = content.metrics, content.classes
    around = [
        _headline(metrics),
        _classes(metrics, table_of_classes),
        section("confusions", "Which classes are taken for which", _confusions(metrics)),
        training_curves(content.history, ("loss", "iou")),
        left_out(content.skipped),
        chosen(content.settings),
    ]
    style = files("opsin.segmentation").joinpath("page.css").read_text("utf-8")
    subtitle = content.subtitle or count(metrics.n, "picture") + ", " + count(len(table_of_classes), "class", "classes")
    room = LIMIT - len(document(content.title, subtitle, around, "", more_style=style).encode("utf-8"))
    shown, symbols = cards(content.pictures, table_of_classes, metrics.n, room)
    worst = section("pictures", "Worst pictures first", _key(table_of_classes) + shown) if shown else ""
    sections = [*around[:2], worst, *around[2:]]
    return document(content.title, subtitle, sections, symbols, more_style=style)


def _headline(metrics: SegmentationMetrics) -> str:
    return section(
        "numbers",
        "How good it is",
        f'<p class="headline">{percent(metrics.mean_iou.value)}</p>\n'
        f'<p class="interval">mean IoU over the classes, of {count(metrics.n, "picture")} '
        f'<span class="quiet number">({interval(metrics.mean_iou)})</span></p>\n',
        _warnings(metrics),
        table(
            "Each with its 95 % interval, over pictures: pixels of one picture are right or wrong together",
            ("Number", "Value", "Interval", '<span class="unseen">drawn from 0 to 1</span>', "What it says"),
            [row(*cells, words=(0, 4)) for cells in _numbers(metrics)],
            words=(0, 4),
        ),
    )


def _warnings(metrics: SegmentationMetrics) -> str:
    said = []
    if metrics.n < 10:
        said.append(f"{count(metrics.n, 'picture')} say little: the intervals are as wide as they are shown.")
    absent = [one.name for one in metrics.per_class if not one.pixels]
    if absent:
        said.append(f"In no picture here: {', '.join(short(name) for name in absent)}; they take no part in the means.")
    if metrics.unanswered:
        said.append(
            f"{percent(metrics.unanswered / metrics.pixels)} of the pixels have no answer, since the recipe cuts them "
            "off; they count as wrong."
        )
    unseen = [one for one in metrics.per_class if one.pixels and one.boundary_f1 is None]
    if unseen and metrics.boundary_hidden:
        said.append(
            f"Boundaries are not judged of: {', '.join(short(one.name) for one in unseen)}. "
            f"{percent(metrics.boundary_hidden)} of the pixels at which classes end lie along ignored ones, where "
            "nobody says what comes next."
        )
    items = "".join(f"<li><b>Mind:</b> {one}</li>" for one in said)
    return f'<ul class="mind">{items}</ul>\n' if items else ""


def _numbers(metrics: SegmentationMetrics) -> Iterator[tuple[str, ...]]:
    says = "the mean over the classes of: pixels that are and are said to be of it, of those that are either"
    yield _number("mean IoU", metrics.mean_iou, says)
    yield _number("mean Dice", metrics.mean_dice, "the same for twice the pixels that are both, of the sum of both")
    always = max(one.share for one in metrics.per_class)
    says = f"pixels judged rightly; always saying the most frequent class reaches {percent(always)}"
    yield _number("pixel accuracy", metrics.pixel_accuracy, says)
    if metrics.boundary_f1 is not None:
        says = f"boundary pixels that have a partner within {metrics.tolerance}, found and right together"
        yield _number("boundary F1", metrics.boundary_f1, says)


def _number(name: str, value: Estimate, says: str) -> tuple[str, ...]:
    return name, f"<b>{percent(value.value)}</b>", span(value, percent), whisker(value), says


def _classes(metrics: SegmentationMetrics, classes: ClassTable) -> str:
    order = sorted(
        zip(metrics.per_class, classes.colors, strict=True),
        key=lambda pair: 2.0 if pair[0].iou is None else pair[0].iou.value,
    )
    caption = (
        "Lowest IoU first. Precision: the share of right pixels where the class is said. Recall: the share of its "
        "pixels that are found. Under each number its 95 % interval; of the IoU it is drawn, from 0 to 1."
    )
    head = ("Class", "IoU", "Dice", "Precision", "Recall", "Boundary F1", "Pixels", "Pictures")
    return section("classes", "Classes", table(caption, head, [_class(*pair) for pair in order]))


def _class(one: ClassPixels, color: tuple[int, int, int]) -> str:
    rates = (told(rate, score) for rate in (one.dice, one.precision, one.recall, one.boundary_f1))
    share = percent(one.share) if one.pixels else "none"
    return row(_swatch(color) + short(one.name, 48), measured(one.iou, score), *rates, share, f"{one.pictures:,}")


def _confusions(metrics: SegmentationMetrics) -> str:
    names, matrix = metrics.class_names, metrics.confusion_matrix
    if len(names) == 1:
        return ""
    if len(names) > TABLE_CLASSES:
        return part("Confusion matrix", drawn_matrix(matrix, names))
    note = (
        "Each row is a true class: what its pixels were taken for. Right answers are on the diagonal, in a frame; the "
        "fuller the colour of a cell, the larger its share of the row."
    )
    heads = "".join(f'<th scope="col"><span class="tall">{short(name, 20)}</span></th>' for name in names)
    rows = "".join(_row(name, matrix[c], c) for c, name in enumerate(names))
    return part(
        "Confusion matrix",
        '<div id="matrix">\n<fieldset class="switch"><legend>Show</legend>'
        '<label><input type="radio" name="cells" id="cells-shares" checked> share of the true class, in percent</label>'
        '<label><input type="radio" name="cells" id="cells-counts"> pixels</label></fieldset>\n'
        '<div class="wide" tabindex="0" role="region" aria-label="Confusion matrix">'
        f'<table class="matrix {"few" if len(names) <= 12 else "many"}"><caption class="unseen">Pixels of each true '
        f'class, by what they were taken for</caption><thead><tr><th scope="col" class="corner">true ↓ said →</th>'
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></div>\n</div>\n",
        note=note,
    )


def _row(name: str, counts: np.ndarray, truth: int) -> str:
    shares = counts / max(int(counts.sum()), 1)
    cells = "".join(_cell(truth == c, int(n), float(shares[c])) for c, n in enumerate(counts))
    return f'<tr><th scope="row">{short(name, 24)}</th>{cells}</tr>\n'


def _cell(is_right: bool, n: int, share: float) -> str:
    kind = "right" if is_right else "wrong" if n else "none"
    # The square root lets rare confusions be seen.
    shade = f" s{max(1, round(SHADES * share**0.5))}" if n else ""
    number = f'<span class="counts">{n:,}</span><span class="shares">{percent(share).removesuffix(" %")}</span>'
    return f'<td class="{kind}{shade}">{number if n else "<span class=unseen>0</span>"}</td>'


def _key(classes: ClassTable) -> str:
    items = "".join(
        f"<li>{_swatch(color)}{short(name)}</li>" for name, color in zip(classes.names, classes.colors, strict=True)
    )
    return f'<ul class="key">{items}</ul>\n'


def _swatch(color: tuple[int, int, int]) -> str:
    return _SWATCH.format('fill="rgb({} {} {})"'.format(*color))

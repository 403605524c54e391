"""Each class: what is found of it, how often it is rightly said, and its curves."""

from opsin.evaluation.curves import Curves, trace
from opsin.evaluation.metrics import Average, ClassScore, Metrics
from opsin.evaluation.mistakes import worst_first
from opsin.evaluation.page.markup import part, row, section, short, table
from opsin.evaluation.page.svg import measured, picture
from opsin.evaluation.report import Report
from opsin.evaluation.wording import readable, score

CURVES_SHOWN, CURVES_FOLDED = 12, 48
"""Classes whose curves are seen at once, and those whose can be unfolded."""

SIDE = 132


def classes(report: Report) -> str:
    """Return the section."""
    return section("classes", "Classes", _table(report.metrics), _curves(report))


def _table(metrics: Metrics) -> str:
    scores = worst_first(metrics.per_class)
    caption = (
        "Lowest F1 first. Precision: how often the class is right where it is said. Recall: how many of its pictures "
        "are found. Under each number its 95 % Wilson interval, drawn from 0 to 1; of averages, from a bootstrap."
    )
    if any(one.support == 0 for one in scores):
        caption += " A class without pictures here has no scores and takes no part in the averages."
    head = ("Class", "Precision", "Recall", "F1", "Pictures", "ROC AUC", "Average precision")
    averages = [
        _average("macro average", metrics.macro, metrics),
        _average("weighted average", metrics.weighted, metrics),
    ]
    return table(caption, head, [_row(one) for one in scores], foot=averages)


def _row(one: ClassScore) -> str:
    rates = (measured(rate, score) for rate in (one.precision, one.recall, one.f1))
    return row(short(one.name, 48), *rates, f"{one.support:,}", score(one.roc_auc), score(one.average_precision))


def _average(name: str, average: Average, metrics: Metrics) -> str:
    rates = (measured(rate, score) for rate in (average.precision, average.recall, average.f1))
    areas = (score(metrics.roc_auc), score(metrics.average_precision)) if average is metrics.macro else ("", "")
    return row(name, *rates, f"{metrics.n:,}", *areas)


def _curves(report: Report) -> str:
    index = {name: i for i, name in enumerate(report.class_names)}
    scores = [one for one in worst_first(report.metrics.per_class) if one.roc_auc is not None]
    drawn = [_pair(one, report, index[one.name]) for one in scores[: CURVES_SHOWN + CURVES_FOLDED]]
    shown, folded = "".join(drawn[:CURVES_SHOWN]), "".join(drawn[CURVES_SHOWN:])
    if not shown:
        return ""
    rest = f'<div class="multiples">{folded}</div>'
    more = f"<details><summary>{len(drawn) - CURVES_SHOWN:,} more classes</summary>{rest}</details>\n" if folded else ""
    note = (
        "Left the ROC curve: the share of a class’s pictures that is found (up) over the share of others’ that "
        "is taken "
        "for it (across), at every threshold; the nearer to the upper left corner, the better; the dashed line "
        "is chance. "
        "Right precision (up) over recall (across); the nearer to the upper right corner, the better; the "
        "dashed line is "
        "the class’s share of all pictures, which chance reaches. Both axes go from 0 to 1."
    )
    if left := len(scores) - len(drawn):
        note += f" Of the {left:,} classes with the highest F1 there is no room for curves here."
    return part("Curves of each class", f'<div class="multiples">{shown}</div>\n', more, note=note)


def _pair(one: ClassScore, report: Report, index: int) -> str:
    curves = trace(report.labels, report.probabilities, index)
    assert curves is not None, "a class with an area has curves"
    areas = f"ROC AUC {score(one.roc_auc)}, average precision {score(one.average_precision)}"
    share = one.support / report.metrics.n
    return (
        f'<figure class="pair">{_small(curves.thinned(), share, f"{readable(one.name)}: {areas}")}'
        f"<figcaption><b>{short(one.name)}</b> ROC AUC {score(one.roc_auc)}, "
        f"precision-recall {score(one.average_precision)}</figcaption></figure>\n"
    )


def _small(curves: Curves, share: float, description: str) -> str:
    inner, gap = SIDE - 6, SIDE + 14

    def points(x: list[float], y: list[float], left: float) -> str:
        return " ".join(f"{left + 3 + inner * a:.1f},{3 + inner * (1 - b):.1f}" for a, b in zip(x, y, strict=True))

    found = curves.true_positive_rate.tolist()
    chance = 3 + inner * (1 - share)
    frames = "".join(f'<rect class="frame" x="{x + 3}" y="3" width="{inner}" height="{inner}"/>' for x in (0, gap))
    drawn = (
        f'{frames}<path class="line plain" d="M3 {SIDE - 3}L{SIDE - 3} 3M{gap + 3} {chance:.1f}H{gap + SIDE - 3}"/>'
        f'<polyline class="line a" points="{points(curves.false_positive_rate.tolist(), found, 0)}"/>'
        f'<polyline class="line b" points="{points(found, curves.precision.tolist(), gap)}"/>'
    )
    return picture(gap + SIDE, SIDE, description, drawn)

"""How good it is: the accuracy, the other numbers, each with its interval, and what they cannot say."""

import math
from collections.abc import Iterator

from opsin.counting import count
from opsin.evaluation.intervals import Estimate
from opsin.evaluation.metrics import Metrics
from opsin.evaluation.page.markup import escaped, row, section, short, table
from opsin.evaluation.page.svg import picture, whisker
from opsin.evaluation.report import Report
from opsin.evaluation.wording import interval, percent, score, span

WIDTH = 480


def headline(report: Report) -> str:
    """Return the first section."""
    metrics = report.metrics
    return section(
        "numbers",
        "How good it is",
        f'<p class="headline">{percent(metrics.accuracy.value)}</p>\n'
        f'<p class="interval">of {count(metrics.n, "picture")} judged rightly '
        f'<span class="quiet number">({interval(metrics.accuracy)})</span></p>\n',
        _bar(metrics),
        _warnings(report.warnings),
        _numbers(metrics),
    )


def _bar(metrics: Metrics) -> str:
    """Draw the accuracy with its interval, and beside it what the most frequent class alone would reach."""
    accuracy, supports = metrics.accuracy, [one.support for one in metrics.per_class]
    most = max(supports)
    name, share = metrics.class_names[supports.index(most)], most / metrics.n
    low, high, at, plain = (10 + (WIDTH - 20) * x for x in (accuracy.low, accuracy.high, accuracy.value, share))
    ticks = "".join(
        f'<text class="{style}" x="{10 + (WIDTH - 20) * x:.0f}" y="66">{100 * x:g} %</text>'
        for x, style in ((0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1, "end"))
    )
    drawn = (
        f'<rect class="rail" x="10" y="24" width="{WIDTH - 20}" height="22" rx="4"/>'
        f'<rect class="filled" x="10" y="24" width="{at - 10:.1f}" height="22" rx="4"/>'
        f'<path class="reach" d="M{low:.1f} 35H{high:.1f}M{low:.1f} 28v14M{high:.1f} 28v14"/>'
        f'<path class="plain" d="M{plain:.1f} 18V52"/>{ticks}'
        f'<text class="{"end" if share > 0.5 else "start"}" x="{plain + (6 if share <= 0.5 else -6):.1f}" y="15">'
        f"always the same answer: {percent(share)}</text>"
    )
    description = (
        f"Accuracy {percent(accuracy.value)}, {interval(accuracy)}; "
        f"always saying the most frequent class reaches {percent(share)}"
    )
    return (
        f'<figure class="chart">{picture(WIDTH, 72, description, drawn, "plot bar")}<figcaption>The bar is the '
        "accuracy "
        "counted here; the whisker holds the accuracy on pictures like these in 95 of 100 such reports. The "
        "dashed line "
        f"is what saying “{short(name)}” of every picture would reach.</figcaption></figure>\n"
    )


def _warnings(warnings: list[str]) -> str:
    items = "".join(f"<li><b>Mind:</b> {escaped(one)}</li>" for one in warnings)
    return f'<ul class="mind">{items}</ul>\n' if items else ""


def _numbers(metrics: Metrics) -> str:
    words = (0, 4, 5)
    return table(
        "Other numbers; those measured on each picture, with their 95 % intervals",
        ("Number", "Value", "Interval", '<span class="unseen">drawn from 0 to 1</span>', "Method", "What it says"),
        [row(*cells, words=words) for cells in _rows(metrics)],
        words=words,
    )


def _rows(metrics: Metrics) -> Iterator[tuple[str, ...]]:
    drawn_again = "bootstrap"
    yield _share("balanced accuracy", metrics.balanced_accuracy, drawn_again, "every class counts the same")
    yield _score("macro F1", metrics.macro.f1, drawn_again, "precision and recall together, every class the same")
    yield _score("weighted F1", metrics.weighted.f1, drawn_again, "the same, every picture counted once")
    for k, value in metrics.top_k.items():
        yield _share(f"top-{k} accuracy", value, "Wilson", f"the true class is among the {k} most probable ones")
    guessing = score(math.log(len(metrics.class_names)))
    loss, says = metrics.log_loss, f"judges the probabilities: 0 is perfect, {guessing} is what guessing evenly gives"
    yield "log-loss", f"<b>{score(loss.value)}</b>", span(loss, score), "", "bootstrap\u2011t", says
    yield _bare("Matthews’ correlation", metrics.matthews, "answers and truth: 1 is perfect, 0 is chance")
    yield _bare("Cohen’s kappa", metrics.kappa, "agreement beyond chance: 1 is perfect, 0 is chance")
    if metrics.roc_auc is not None:
        yield _bare("ROC AUC", metrics.roc_auc, "how often a picture of a class is given more of it than another’s")
    if metrics.average_precision is not None:
        yield _bare("average precision", metrics.average_precision, "the area under the precision-recall curve")


def _share(name: str, value: Estimate, how: str, says: str) -> tuple[str, ...]:
    return name, f"<b>{percent(value.value)}</b>", span(value, percent), whisker(value), how, says


def _score(name: str, value: Estimate, how: str, says: str) -> tuple[str, ...]:
    return name, f"<b>{score(value.value)}</b>", span(value, score), whisker(value), how, says


def _bare(name: str, value: float, says: str) -> tuple[str, ...]:
    return name, f"<b>{score(value)}</b>", "", "", "counted", says

"""A report as one page: no other file, no script, no network."""

import html
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from opsin.evaluation.charts import (
    NAMED_CLASSES,
    confusion_matrix_chart,
    history_chart,
    to_svg,
)
from opsin.evaluation.metrics import Average, ClassScore, Metrics
from opsin.evaluation.mistakes import confident_mistakes, confused_pairs, worst_first
from opsin.evaluation.report import Report
from opsin.evaluation.wording import count, interval, percent, readable, score, value_of

# A table shows this many rows at once; the rest can be unfolded.
ROWS_SHOWN = 25
PAIRS_SHOWN = 10


def report_page(
    report: Report, *, history: Sequence[Mapping[str, Any]] = (), settings: Mapping[str, Any] | None = None
) -> str:
    """Return the report as an HTML page.

    Args:
        report: what to show.
        history: the training's epochs, as `history_chart` takes them; with none, no curves.
        settings: name -> value, shown as a list at the end.
    """
    title = f"Report (split: {report.split})"
    sections = [
        _headline(report, title),
        _per_class(report.metrics),
        _confusion(report.metrics),
        _curves(history),
        _mistakes(report),
        _skipped(report.skipped),
        _settings(settings or {}),
    ]
    style = files("opsin.evaluation").joinpath("report.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_escaped(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def _headline(report: Report, title: str) -> str:
    metrics = report.metrics
    figures = {
        "balanced accuracy": percent(metrics.balanced_accuracy.value),
        "macro F1": score(metrics.macro.f1.value),
        **{f"top-{k} accuracy": percent(share.value) for k, share in metrics.top_k.items()},
        "log-loss": score(metrics.log_loss.value),
    }
    entries = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures.items())
    pictures = count(metrics.n, "picture")
    return (
        f"<h1>{_escaped(title)}</h1>\n"
        f'<p class="headline">{percent(metrics.accuracy.value)}</p>\n'
        f'<p class="interval">of {pictures} judged rightly '
        f'<span class="quiet number">({interval(metrics.accuracy)})</span></p>\n'
        f'<dl class="figures">{entries}</dl>\n'
        '<p class="quiet">The interval says how far the accuracy on pictures like these may be from the one '
        "counted here. Balanced accuracy and macro F1 count every class the same, however few its pictures. "
        "Log-loss also judges the probabilities: 0 is perfect, and "
        f"{score(math.log(len(report.class_names)))} is what guessing evenly gives.</p>\n"
    )


def _per_class(metrics: Metrics) -> str:
    scores = worst_first(metrics.per_class)
    note = (
        "Lowest F1 first. Precision: how often the class is right where it is said. "
        "Recall: how many of its pictures are found."
    )
    if any(one.support == 0 for one in scores):
        note += " A class without pictures here has no scores and takes no part in the averages."
    rows = [_score_row(one) for one in scores]
    averages = [_average_row("macro average", metrics.macro, metrics.n)]
    averages.append(_average_row("weighted average", metrics.weighted, metrics.n))
    head = ("Class", "Precision", "Recall", "F1", "Pictures")
    return _section("Classes", note, _table(head, rows, foot=averages))


def _score_row(one: ClassScore) -> str:
    precision, recall, f1 = (value_of(rate) for rate in (one.precision, one.recall, one.f1))
    cells = f"{_text(one.name)}<td>{score(precision)}</td><td>{score(recall)}</td>"
    bar = f'<td class="bar" style="--share: {100 * (f1 or 0):.1f}%">{score(f1)}</td>'
    return f"<tr>{cells}{bar}<td>{one.support:,}</td></tr>"


def _average_row(name: str, average: Average, n: int) -> str:
    numbers = (*(score(rate.value) for rate in (average.precision, average.recall, average.f1)), f"{n:,}")
    return f'<tr><td class="text">{name}</td>{"".join(f"<td>{number}</td>" for number in numbers)}</tr>'


def _confusion(metrics: Metrics) -> str:
    chart = to_svg(confusion_matrix_chart(metrics.confusion_matrix, metrics.class_names), "Confusion matrix")
    caption = "Each row is a true class: what its pictures were taken for. Right answers are on the diagonal."
    if len(metrics.class_names) > NAMED_CLASSES:
        caption += " With this many classes the axes carry class indices, counted from 0."
    shown = f"<figure>{chart}<figcaption>{caption}</figcaption></figure>"
    pairs = [
        _row(_text(pair.truth), _text(pair.said), f"<td>{pair.count:,} of {pair.support:,}</td>")
        for pair in confused_pairs(metrics, PAIRS_SHOWN)
    ]
    if pairs:
        shown += "<h3>Most confused</h3>" + _table(("True class", "Taken for", "Pictures"), pairs, text=2)
    return _section("Confusions", "", shown)


def _curves(history: Sequence[Mapping[str, Any]]) -> str:
    if not history:
        return ""
    chart = to_svg(history_chart(history), "Loss and accuracy over the epochs")
    note = "Where the validation curve turns away from the training curve, the network learns by heart."
    return _section("Training", note, f"<figure>{chart}</figure>")


def _mistakes(report: Report) -> str:
    rows = [
        _row(
            _path(mistake.path),
            _text(mistake.truth),
            _text(mistake.said),
            f"<td>{percent(mistake.probability)}</td>",
        )
        for mistake in confident_mistakes(report)
    ]
    if not rows:
        return _section("Mistakes", "None: every picture was judged rightly.", "")
    note = "The wrong answers given with the most confidence. Look at these first: a wrong label looks the same."
    return _section("Mistakes", note, _table(("Picture", "True class", "Said", "Probability"), rows, text=3))


def _skipped(skipped: Sequence[tuple[str, str]]) -> str:
    if not skipped:
        return ""
    note = f"{count(len(skipped), 'picture')} could not be read and took no part in any number above."
    rows = [_row(_path(path), _text(reason)) for path, reason in skipped]
    return _section("Left out", note, _table(("Picture", "Reason"), rows, text=2))


def _settings(settings: Mapping[str, Any]) -> str:
    if not settings:
        return ""
    rows = [_row(_text(name), _text(str(value))) for name, value in settings.items()]
    return _section("Settings", "", _table(("Setting", "Value"), rows, text=2))


def _section(title: str, note: str, content: str) -> str:
    paragraph = f'<p class="quiet">{note}</p>\n' if note else ""
    return f"<section>\n<h2>{title}</h2>\n{paragraph}{content}\n</section>\n"


def _table(head: Sequence[str], rows: Sequence[str], *, foot: Sequence[str] = (), text: int = 1) -> str:
    """Return a table whose first `text` columns are words; what is past the first rows is folded."""
    headings = "".join(
        f'<th scope="col"{" class=text" if column < text else ""}>{name}</th>' for column, name in enumerate(head)
    )
    body = f"<thead><tr>{headings}</tr></thead><tbody>{''.join(rows[:ROWS_SHOWN])}</tbody>"
    table = f'<div class="wide"><table>{body}<tfoot>{"".join(foot)}</tfoot></table></div>'
    if more := rows[ROWS_SHOWN:]:
        folded = f"<table><thead><tr>{headings}</tr></thead><tbody>{''.join(more)}</tbody></table>"
        table += f'<details><summary>{len(more):,} more</summary><div class="wide">{folded}</div></details>'
    return table


def _row(*cells: str) -> str:
    return f"<tr>{''.join(cells)}</tr>\n"


def _text(text: str) -> str:
    return f'<td class="text">{_escaped(text)}</td>'


def _path(path: str) -> str:
    return f'<td class="text path">{_escaped(path)}</td>'


def _escaped(text: str) -> str:
    return html.escape(readable(text))

"""How sure it is: whether its probabilities can be believed, and what it gains to answer only where it is sure."""

import math

import numpy as np

from opsin.counting import count
from opsin.evaluation.calibration import Bin, Calibration, Reliability
from opsin.evaluation.page.markup import figure, part, row, section, short, table
from opsin.evaluation.page.svg import Axis, Chart, axis_for, measured, told
from opsin.evaluation.report import Report
from opsin.evaluation.selective import Cautious, Costs, RiskCoverage
from opsin.evaluation.wording import percent, score, span

COST_CLASSES = 12
"""Up to this many classes the matrix of costs is shown."""

CHANGED = 0.005
"""Temperatures nearer to 1 than this change nothing that is seen."""


def sureness(report: Report) -> str:
    """Return the section."""
    return section(
        "sureness",
        "How sure it is",
        part("Can its probabilities be believed?", _calibration(report.calibration)),
        part("Answering only where sure", _thresholds(report.thresholds), _risk(report.risk_coverage)),
        part("What mistakes cost", _costs(report.evidence.costs, report.class_names)),
    )


def _calibration(calibration: Calibration) -> str:
    believable = (
        "no larger than chance gives a classifier whose answers are right exactly as often as they say"
        if calibration.is_believable
        else "larger than chance alone explains: its probabilities are off"
    )
    low, high = percent(calibration.perfect_low).removesuffix(" %"), percent(calibration.perfect_high)
    answer = (
        f"<p>The calibration error is {percent(calibration.after.ece)}, {believable} ({low} to {high} in 95 of "
        "100 such "
        "classifiers).</p>\n"
    )
    return answer + figure(str(_reliability(calibration)), _reading(calibration)) + _before_and_after(calibration)


def _reading(calibration: Calibration) -> str:
    before = " Hollow squares: before calibration." if _changed(calibration) else ""
    return (
        "Pictures are sorted into bins by the probability of their answer (across); a dot is the share of a "
        "bin that is "
        "right (up), its whisker the 95 % Wilson interval. Dots on the dashed line mean that 80 % is said "
        "where 80 % are "
        "right; below it, the classifier is too sure of itself. A grey bar holds the dots of 95 of 100 perfectly "
        f"calibrated classifiers. The bars at the bottom say how full each bin is.{before}"
    )


def _changed(calibration: Calibration) -> bool:
    return abs(calibration.temperature - 1) > CHANGED


def _reliability(calibration: Calibration) -> Chart:
    after = calibration.after
    chart = Chart(
        Axis("probability of the answer"), Axis("share that is right"), _described(after), width=480, height=380
    )
    fullest = max(one.n for one in after.bins)
    for one in after.bins:
        reach = 1.96 * math.sqrt(one.confidence * (1 - one.confidence) / one.n)
        inside = max(one.confidence - reach, 0), min(one.confidence + reach, 1)
        chart.box((one.low + 0.004, one.high - 0.004), inside, "band")
        chart.box((one.low + 0.004, one.high - 0.004), (0, 0.14 * one.n / fullest), "count")
    chart.line([0, 1], [0, 1], "plain")
    if _changed(calibration):
        for one in calibration.before.bins:
            chart.mark(one.confidence, one.accuracy, "hollow", 1)
    for one in after.bins:
        chart.whisker(one.confidence, one.accuracy_low, one.accuracy_high, "a")
        chart.mark(one.confidence, one.accuracy, "a")
    return chart


def _described(reliability: Reliability) -> str:
    def said(one: Bin) -> str:
        return f"{percent(one.confidence)} said, {percent(one.accuracy)} right of {one.n:,}"

    return "Reliability diagram. " + "; ".join(map(said, reliability.bins))


def _before_and_after(calibration: Calibration) -> str:
    after, before = calibration.after, calibration.before
    perfect = f"{percent(calibration.perfect_low)} to {percent(calibration.perfect_high)}"
    rows = (
        ("calibration error (ECE)", percent(before.ece), percent(after.ece), perfect),
        ("Brier score", told(before.brier, score), told(after.brier, score), "0"),
        ("log-loss", score(before.log_loss), score(after.log_loss), "0"),
    )
    caption = f"Before and after the logits are divided by the temperature {calibration.temperature:.3g}"
    if not _changed(calibration):
        caption = "Of the probabilities as they are: no temperature was needed, or none was fitted"
        return table(caption, ("Number", "Value", "Perfect"), [row(name, now, best) for name, _, now, best in rows])
    return table(caption, ("Number", "Before", "After", "Perfect"), [row(*cells) for cells in rows])


def _thresholds(thresholds: list[Cautious]) -> str:
    rows = [row(f"{one.threshold:g}", measured(one.answered), measured(one.accuracy)) for one in thresholds]
    caption = "If it only answers where the probability of its answer is at least so high (95 % Wilson intervals)"
    return table(caption, ("Threshold", "Pictures that get an answer", "Right ones among them"), rows)


def _risk(curve: RiskCoverage) -> str:
    most = max(float(curve.risk.max()), 0.01)
    described = f"Risk over coverage: {percent(float(curve.risk[-1]))} of the answers are wrong where all are answered"
    chart = Chart(
        Axis("share of pictures that are answered, surest first"),
        axis_for([0, most], "share of wrong answers", percents=True),
        described,
        height=260,
    )
    chart.line(curve.coverage, curve.risk, "a")
    if len(curve.coverage) == 1:
        chart.mark(float(curve.coverage[0]), float(curve.risk[0]), "a")
    return figure(
        str(chart),
        "Answering fewer pictures (to the left) should leave fewer mistakes (down): a curve that falls to the "
        "left means "
        f"that it knows when it does not know. Area below it {score(curve.area)}; with the same number of "
        "mistakes, all of "
        f"them its least sure answers, {score(curve.best_area)}.",
    )


def _costs(costs: Costs | None, class_names: list[str]) -> str:
    if costs is None:
        return ""
    rows = [
        row("the most probable class is said", f"{costs.most_probable.value:.4g}", span(costs.most_probable, _number)),
        row("the cheapest class is said", f"{costs.cheapest.value:.4g}", span(costs.cheapest, _number)),
    ]
    caption = f"Mean cost of a picture; the second way changes {count(costs.changed, 'answer')}"
    return table(caption, ("Where", "Cost", "95 % interval (bootstrap)"), rows) + _cost_matrix(
        costs.matrix, class_names
    )


def _cost_matrix(matrix: np.ndarray, class_names: list[str]) -> str:
    if len(class_names) > COST_CLASSES:
        return ""
    rows = [row(short(name), *map(_number, costs)) for name, costs in zip(class_names, matrix, strict=True)]
    head = ("true ↓ said →", *(short(name, 16) for name in class_names))
    return table("What each answer costs: a row for each true class", head, rows)


def _number(value: float) -> str:
    return f"{value:.4g}"

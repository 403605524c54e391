"""Under which conditions it fails: pictures that have something in common, and pictures that were spoilt a little."""

from opsin.counting import count
from opsin.evaluation.evidence import Corrupted, Robustness, Slice
from opsin.evaluation.page.markup import figure, part, row, section, short, table
from opsin.evaluation.page.svg import COLORS, Axis, Chart, axis_for, measured, told
from opsin.evaluation.report import Report
from opsin.evaluation.slices import is_worse
from opsin.evaluation.wording import percent, span

SLICES = 200
LINE_HEIGHT = 15


def conditions(report: Report) -> str:
    """Return the section."""
    return section(
        "conditions",
        "Under which conditions",
        part("Pictures that have something in common", _slices(report.evidence.slices)),
        part("Pictures that were spoilt a little", _robustness(report.evidence.robustness)),
    )


def _slices(slices: tuple[Slice, ...]) -> str:
    if not slices:
        return ""
    rows = [
        row(
            short(one.kind),
            short(one.name, 40),
            f"{one.accuracy.n:,}",
            measured(one.accuracy),
            told(one.others),
            _difference(one),
            _chance(one.p_value),
            words=(0, 1),
        )
        for one in slices
    ]
    head = ("Sorted by", "Which", "Pictures", "Accuracy", "All others", "Difference", "By chance")
    caption = (
        "Accuracy of these pictures beside that of all others (95 % Wilson intervals), the difference in "
        "points, and how "
        "often chance alone would part any of all these so far (p-value, corrected for their number)"
    )
    return table(caption, head, rows, words=(0, 1), most=SLICES)


def _difference(one: Slice) -> str:
    points = f"{100 * (one.accuracy.value - one.others.value):+.1f}".replace("-", "−")
    return f'<b class="wrong">worse</b> {points}' if is_worse(one) else points


def _chance(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _robustness(robustness: Robustness | None) -> str:
    if robustness is None or not robustness.corrupted:
        return ""
    kinds: dict[str, list[Corrupted]] = {}
    for one in sorted(robustness.corrupted, key=lambda one: one.severity):
        kinds.setdefault(one.kind, []).append(one)
    severities = sorted({one.severity for one in robustness.corrupted})
    clean = f"{percent(robustness.clean.value)} ({span(robustness.clean, percent)})"
    caption = (
        f"Accuracy on {count(robustness.clean.n, 'picture')}: {clean} as they are, and spoilt, from severity 1, hardly "
        "seen, to 5, strong (95 % Wilson intervals)"
    )
    head = ("Spoilt by", *(f"Severity {severity}" for severity in severities))
    rows = []
    for kind, found in kinds.items():
        by_severity = {one.severity: told(one.accuracy) for one in found}
        rows.append(row(short(kind), *(by_severity.get(severity, "-") for severity in severities)))
    caption_of_chart = (
        "From left to right the pictures get worse. A line that falls early shows what the classifier cannot bear; "
        "training with such pictures (augmentation) is what helps."
    )
    return figure(str(_curve(robustness, kinds)), caption_of_chart) + table(caption, head, rows)


def _curve(robustness: Robustness, kinds: dict[str, list[Corrupted]]) -> Chart:
    values = [robustness.clean.value, *(one.accuracy.value for one in robustness.corrupted)]
    most = max(one.severity for one in robustness.corrupted)
    x = Axis(
        "severity", 0, most * 1.28, tuple(range(most + 1)), lambda value: "as it is" if value == 0 else f"{value:g}"
    )
    described = "; ".join(
        f"{kind}: {percent(found[-1].accuracy.value)} at the strongest" for kind, found in kinds.items()
    )
    chart = Chart(x, axis_for(values, "accuracy", percents=True), described, width=600, height=320)
    ends = _apart([float(chart.down(found[-1].accuracy.value)) for found in kinds.values()])
    for index, ((kind, found), end) in enumerate(zip(kinds.items(), ends, strict=True)):
        color = f"c{index % COLORS}"
        points = [(0, robustness.clean.value), *((one.severity, one.accuracy.value) for one in found)]
        chart.line(*zip(*points, strict=True), color)
        for at, value in points[1:]:
            chart.mark(at, value, color, index)
        at, value = points[-1]
        chart.word(at, value, kind[:16], dx=9, dy=end - float(chart.down(value)) + 4)
    return chart


def _apart(heights: list[float]) -> list[float]:
    """Move heights of words down until none covers another."""
    moved, last = dict.fromkeys(range(len(heights)), 0.0), -float("inf")
    for index in sorted(moved, key=lambda index: heights[index]):
        last = moved[index] = max(heights[index], last + LINE_HEIGHT)
    return list(moved.values())

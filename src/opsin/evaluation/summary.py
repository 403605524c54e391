"""A report as plain text for the terminal."""

from rich.cells import cell_len

from opsin.counting import count
from opsin.evaluation.calibration import Calibration
from opsin.evaluation.evidence_summary import summarize_evidence
from opsin.evaluation.intervals import Estimate
from opsin.evaluation.metrics import ClassScore
from opsin.evaluation.mistakes import confused_pairs, worst_first
from opsin.evaluation.report import Report
from opsin.evaluation.wording import interval, percent, readable, score, shortened, span, value_of

# Up to this many classes are all shown; of more, only the worst.
ALL_CLASSES = 20
WORST_CLASSES = 10
SKIPPED_SHOWN = 10
NAME_LENGTH = 40


def summarize(report: Report) -> str:
    """Return the numbers, the classes, the most confused pairs and the evidence as lines of text.

    Of many classes it shows those with the lowest F1, and says how many more there are.
    """
    blocks = [
        _numbers(report),
        _classes(report.metrics.per_class),
        _confused(report),
        _warnings(report),
        _skipped(report),
        *summarize_evidence(report.evidence),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _numbers(report: Report) -> list[str]:
    metrics = report.metrics
    rows = {
        "accuracy": f"{percent(metrics.accuracy.value)} ({interval(metrics.accuracy)})",
        "balanced accuracy": _share(metrics.balanced_accuracy),
        "macro F1": _score(metrics.macro.f1),
        **{f"top-{k} accuracy": _share(value) for k, value in metrics.top_k.items()},
        "log-loss": _score(metrics.log_loss),
        "calibration error": _calibration(report.calibration),
    }
    classes = count(len(report.class_names), "class", "classes")
    title = f"{count(metrics.n, 'picture')}, {classes} (split: {report.split})"
    return [title, *(f"  {name:<18} {value}" for name, value in rows.items())]


def _share(estimate: Estimate) -> str:
    return f"{percent(estimate.value)} ({span(estimate, percent)})"


def _score(estimate: Estimate) -> str:
    return f"{score(estimate.value)} ({span(estimate, score)})"


def _calibration(calibration: Calibration) -> str:
    """Say how far probabilities are from the truth, beside what a perfect classifier would show."""
    said = "no more than chance gives" if calibration.is_believable else "more than chance gives"
    return f"{percent(calibration.after.ece)} ({said}: up to {percent(calibration.perfect_high)})"


def _classes(scores: list[ClassScore]) -> list[str]:
    shown = scores if len(scores) <= ALL_CLASSES else worst_first(scores)[:WORST_CLASSES]
    names = [shortened(one.name, NAME_LENGTH) for one in shown]
    width = max(cell_len(name) for name in ["class", *names])
    lines = [_row("class", ("precision", "recall", "F1", "pictures"), width)]
    for name, one in zip(names, shown, strict=True):
        numbers = (*(score(value_of(rate)) for rate in (one.precision, one.recall, one.f1)), f"{one.support:,}")
        lines.append(_row(name, numbers, width))
    if more := len(scores) - len(shown):
        lines.append(f"  … and {count(more, 'more class', 'more classes')}; these have the lowest F1")
    return lines


def _row(name: str, numbers: tuple[str, ...], width: int) -> str:
    # Chinese and Japanese characters take two columns, which `str.ljust` does not know.
    padded = name + " " * (width - cell_len(name))
    return f"  {padded}" + "".join(f"{number:>11}" for number in numbers)


def _confused(report: Report) -> list[str]:
    pairs = confused_pairs(report.metrics)
    lines = [
        f"  {shortened(pair.truth, NAME_LENGTH)} taken for {shortened(pair.said, NAME_LENGTH)}: "
        f"{pair.count:,} of {count(pair.support, 'picture')}"
        for pair in pairs
    ]
    return ["most confused", *lines] if lines else []


def _warnings(report: Report) -> list[str]:
    return [f"Mind: {warning}" for warning in report.warnings]


def _skipped(report: Report) -> list[str]:
    if not report.skipped:
        return []
    lines = [f"  {readable(path)}: {readable(reason)}" for path, reason in report.skipped[:SKIPPED_SHOWN]]
    if more := len(report.skipped) - len(lines):
        lines.append(f"  … and {more:,} more")
    return [f"{count(len(report.skipped), 'picture')} could not be read and took no part", *lines]

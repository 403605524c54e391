"""Evidence as plain text for the terminal: where a classifier fails, what that costs, and what to do next."""

from rich.cells import cell_len

from opsin.counting import count
from opsin.evaluation.corruptions import SEVERITIES
from opsin.evaluation.evidence import Advice, Evidence, Robustness, Slice, WantedPrecision
from opsin.evaluation.selective import Costs
from opsin.evaluation.slices import is_worse
from opsin.evaluation.wording import interval, percent, readable, score, shortened, span

SLICES = 5
PATHS = 5
NAME_LENGTH = 40


def summarize_evidence(evidence: Evidence) -> list[list[str]]:
    """Return blocks of lines, as far as there is something to say; advice is the last.

    Slices are named where they did worse than other pictures, more than chance makes it; `report.json` has them all.
    """
    return [
        _precisions(evidence.precisions),
        _costs(evidence.costs),
        _slices(evidence.slices),
        _robustness(evidence.robustness),
        _advice(evidence.advice),
    ]


def _precisions(precisions: tuple[WantedPrecision, ...]) -> list[str]:
    return ["thresholds for a wanted precision", *map(_precision, precisions)] if precisions else []


def _precision(one: WantedPrecision) -> str:
    wanted = f"  {shortened(one.name, NAME_LENGTH)}, {one.wanted:g}:"
    if one.precision is None:
        return f"{wanted} out of reach: it is never the most probable class"
    found = (
        f"{percent(one.precision.value)} ({span(one.precision, percent)}) of {count(one.precision.n, 'such answer')}"
    )
    if one.threshold is None:
        return f"{wanted} out of reach: at best, {found} are right"
    recall = "" if one.recall is None else f"; {percent(one.recall.value)} of the class is found then"
    return f"{wanted} say it from a probability of {one.threshold:.4f} on: {found} are right{recall}"


def _costs(costs: Costs | None) -> list[str]:
    if costs is None:
        return []
    return [
        "costs, the mean of a picture",
        f"  {score(costs.most_probable.value)} ({span(costs.most_probable, score)}) when the most probable class is "
        "said",
        f"  {score(costs.cheapest.value)} ({span(costs.cheapest, score)}) when the one of least expected cost is said, "
        f"which changes {count(costs.changed, 'answer')}",
    ]


def _slices(slices: tuple[Slice, ...]) -> list[str]:
    worse = [one for one in slices if is_worse(one)]
    if not worse:
        return []
    lines = [
        f"  {shortened(one.kind, NAME_LENGTH)} {shortened(one.name, NAME_LENGTH)}: {percent(one.accuracy.value)} of "
        f"{count(one.accuracy.n, 'picture')}, others {percent(one.others.value)} (p = {one.p_value:.2g})"
        for one in worse[:SLICES]
    ]
    more = [f"  … and {len(worse) - len(lines):,} more"] if len(worse) > len(lines) else []
    return ["worse than other pictures", *lines, *more]


def _robustness(robustness: Robustness | None) -> list[str]:
    if robustness is None:
        return []
    clean = robustness.clean
    kinds = list(dict.fromkeys(one.kind for one in robustness.corrupted))
    accuracy = {(one.kind, one.severity): one.accuracy.value for one in robustness.corrupted}
    width = max(cell_len(kind) for kind in kinds)
    head = " " * width + "".join(f"{severity:>9}" for severity in SEVERITIES)
    rows = [f"{kind:<{width}}" + "".join(f"{percent(accuracy[kind, one]):>9}" for one in SEVERITIES) for kind in kinds]
    return [
        f"accuracy on spoilt pictures, by severity; as they are {percent(clean.value)} ({interval(clean)}, "
        f"{count(clean.n, 'picture')})",
        *(f"  {line}" for line in (head, *rows)),
    ]


def _advice(advice: tuple[Advice, ...]) -> list[str]:
    lines = []
    for number, one in enumerate(advice, start=1):
        gain = f" At most {100 * one.gain:.1f} points of accuracy." if one.gain else ""
        lines += [f"  {number}. {one.sentence}", f"     {one.reason}{gain}"]
        if one.paths:
            more = f" and {len(one.paths) - PATHS:,} more" if len(one.paths) > PATHS else ""
            lines.append(f"     {', '.join(map(readable, one.paths[:PATHS]))}{more}")
    return ["what to do next", *lines] if lines else []

"""How often the intervals of a report hold the truth: many sets of pictures are drawn from classifiers that are known.

A classifier of k classes is a table: how often each class is taken for which. Sets of pictures are drawn from it, each
is measured as a report measures it, and it is counted how often each interval holds the number that the table has.
Shares of pictures come in steps, which no interval can follow: with 25 pictures of a class, Wilson's holds a true share
of 99 % in 97.4 % of the cases and one of 99.4 % in 86.0 %. So the goal is for the mean of the settings.
"""

import numpy as np

from benchmarks.results import Figure, Result, Series, arguments
from opsin.evaluation.intervals import Estimate, estimate, estimate_f1
from opsin.evaluation.margins import Margins, estimate_mean, estimate_score, resample

LEAST, MOST = 93.0, 97.0
SETTINGS = (
    # Classes, pictures, how many of them are right, the share of each class.
    (2, 60, 0.9, (1, 1)),
    (2, 400, 0.8, (1, 3)),
    (2, 600, 0.98, (1, 9)),
    (3, 30, 0.8, (1, 1, 1)),
    (4, 200, 0.6, (1, 2, 3, 8)),
    (5, 250, 0.85, (1,) * 5),
    (5, 100, 0.9, (1,) * 5),
    (5, 250, 0.97, (1,) * 5),
    (10, 800, 0.7, tuple(range(1, 11))),
    (10, 1000, 0.95, (1,) * 10),
    (20, 400, 0.8, (1,) * 20),
)
LOSSES = ((2, 60, 1.0), (2, 400, 3.0), (5, 250, 2.0), (10, 1000, 3.0))
"""Classes, pictures, how far logits spread."""


def main() -> None:
    """Parse, simulate, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--cases", type=int, default=2000, help="sets of pictures for each setting (default: 2000)")
    options = parser.parse_args()
    result = Result("intervals", "python -m benchmarks.intervals", {"cases": options.cases})
    held: dict[str, list[float]] = {}
    for number, setting in enumerate(SETTINGS):
        _note(held, setting, _simulate_counts(*setting, options.cases, np.random.default_rng(number)))
    for number, setting in enumerate(LOSSES):
        _note(held, setting, _simulate_losses(*setting, options.cases, np.random.default_rng(number)))
    for what, values in held.items():
        result.series.append(Series(f"{what}: intervals that hold the truth, by setting", "%", values))
        mean = float(np.mean(values))
        result.figures.append(Figure(f"{what}: intervals that hold the truth", mean, "%", at_least=LEAST, at_most=MOST))
    every = np.array([value for values in held.values() for value in values])
    outside = int(((every < LEAST) | (every > MOST)).sum())
    result.figures.append(Figure(f"of {len(every)}, those below {LEAST:g} or above {MOST:g} %", outside))
    result.publish(options.results)


def _note(held: dict[str, list[float]], setting: tuple, found: dict[str, float]) -> None:
    print(setting, {what: round(share, 1) for what, share in found.items()}, flush=True)
    for what, share in found.items():
        held.setdefault(what, []).append(share)


def table_of(k: int, accuracy: float, shares: tuple[int, ...]) -> np.ndarray:
    """Return the expected share, (k, k), of each cell of a confusion matrix."""
    rates = np.clip(accuracy + np.linspace(-0.3, 0.3, k) * (1 - accuracy), 0.05, 0.995)
    rows = np.where(np.eye(k, dtype=bool), rates[:, None], (1 - rates[:, None]) / (k - 1))
    return rows * (np.asarray(shares) / np.sum(shares))[:, None]


def _simulate_counts(
    k: int, n: int, accuracy: float, shares: tuple[int, ...], cases: int, random: np.random.Generator
) -> dict[str, float]:
    table = table_of(k, accuracy, shares)
    truth = _true_scores(table)
    held = dict.fromkeys(truth, 0)
    for _ in range(cases):
        drawn = random.multinomial(n, table.ravel()).reshape(k, k)
        for what, found in _measured(drawn, n, seed=int(random.integers(1e9))).items():
            held[what] += found.low <= truth[what] <= found.high
    return {what: 100 * count / cases for what, count in held.items()}


def _true_scores(table: np.ndarray) -> dict[str, float]:
    # Counts, as if there were a billion pictures.
    margins = Margins.of(table * 1e9)
    scores = {f"{average} {score}": _averaged(margins, average, score) for average, score in _AVERAGES}
    single = {f"{score} of a class": float(getattr(margins, score)[0]) for score in ("precision", "recall", "f1")}
    return {"accuracy": float(np.trace(table)), **single, **{what: float(value) for what, value in scores.items()}}


def _measured(drawn: np.ndarray, n: int, seed: int) -> dict[str, Estimate]:
    """Return the estimates that a report has of a confusion matrix (k, k)."""
    margins, others = Margins.of(drawn), resample(drawn, seed=seed)
    hits, truths, said = (int(counts[0]) for counts in (margins.hits, margins.truths, margins.said))
    averages = {
        f"{average} {score}": estimate_score(
            float(_averaged(margins, average, score)), _averaged(others, average, score), n
        )
        for average, score in _AVERAGES
    }
    return {
        "accuracy": estimate(int(margins.hits.sum()), n),
        "precision of a class": estimate(hits, said) if said else Estimate(0.0, 0.0, 1.0, 0),
        "recall of a class": estimate(hits, truths) if truths else Estimate(0.0, 0.0, 1.0, 0),
        "f1 of a class": estimate_f1(hits, truths, said),
        **averages,
    }


_AVERAGES = [(average, score) for average in ("macro", "weighted") for score in ("precision", "recall", "f1")]


def _averaged(margins: Margins, average: str, score: str) -> np.ndarray:
    return getattr(margins, average)(getattr(margins, score))


def _simulate_losses(k: int, n: int, spread: float, cases: int, random: np.random.Generator) -> dict[str, float]:
    """Count how often the intervals of log-loss and Brier score hold those of a calibrated classifier."""
    truth = _losses(k, 1_000_000, spread, random).mean(axis=1)
    held = np.zeros(2)
    for _ in range(cases):
        found = [estimate_mean(one, seed=int(random.integers(1e9))) for one in _losses(k, n, spread, random)]
        held += [one.low <= true <= one.high for one, true in zip(found, truth, strict=True)]
    return dict(zip(("log-loss", "Brier score"), (100 * held / cases).tolist(), strict=True))


def _losses(k: int, n: int, spread: float, random: np.random.Generator) -> np.ndarray:
    """Return the log-losses and the Brier scores of n pictures, (2, n)."""
    exponents = np.exp(random.normal(0, spread, (n, k)))
    probabilities = exponents / exponents.sum(axis=1, keepdims=True)
    labels = (random.random((n, 1)) > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)
    given = probabilities[np.arange(n), labels]
    return np.stack([-np.log(given), (probabilities**2).sum(axis=1) - 2 * given + 1])


if __name__ == "__main__":
    main()

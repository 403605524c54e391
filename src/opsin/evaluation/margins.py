"""What precision, recall, F1, kappa and Matthews' coefficient need of a confusion matrix, and how chance moves it."""

from dataclasses import dataclass

import numpy as np

from opsin.evaluation.intervals import Estimate, wilson_interval

RESAMPLES = 1000

CELLS_AT_ONCE = 4_000_000
"""How many counts are drawn at once: what a resampling takes of memory, whatever the number of classes."""


@dataclass(frozen=True, eq=False)
class Margins:
    """Counts by class, of one set of pictures or of many that were drawn again.

    Args:
        truths: (..., k), pictures of each class.
        said: (..., k), pictures that were said to be of it.
        hits: (..., k), pictures that are both.
    """

    truths: np.ndarray
    said: np.ndarray
    hits: np.ndarray

    @classmethod
    def of(cls, confusion_matrix: np.ndarray) -> "Margins":
        """Take them from a matrix (k, k) of pictures of class [row] taken for class [column]."""
        return cls(confusion_matrix.sum(axis=1), confusion_matrix.sum(axis=0), np.diagonal(confusion_matrix))

    @property
    def precision(self) -> np.ndarray:
        """Float (..., k): the share of right ones where a class is said; 0 where it never is."""
        return self.hits / np.maximum(self.said, 1)

    @property
    def recall(self) -> np.ndarray:
        """Float (..., k): the share of a class's pictures that are found; 0 where it has none."""
        return self.hits / np.maximum(self.truths, 1)

    @property
    def f1(self) -> np.ndarray:
        """Float (..., k): the harmonic mean of precision and recall; 0 where nothing is of the class or said to be."""
        return 2 * self.hits / np.maximum(self.truths + self.said, 1)

    def macro(self, scores: np.ndarray) -> np.ndarray:
        """Return the mean, (...), of scores (..., k) over the classes that have pictures."""
        present = self.truths > 0
        return (scores * present).sum(axis=-1) / present.sum(axis=-1)

    def weighted(self, scores: np.ndarray) -> np.ndarray:
        """Return the mean, (...), of scores (..., k), each picture counting the same."""
        return (scores * self.truths).sum(axis=-1) / self.truths.sum(axis=-1)

    @property
    def kappa(self) -> np.ndarray:
        """Cohen's kappa (...): agreement beyond chance, 1 is perfect, 0 is chance; 0 where only one class occurs.

        Cohen 1960, "A coefficient of agreement for nominal scales".
        """
        n, right, by_chance = self._products()
        return _ratio(n * right - by_chance, n * n - by_chance)

    @property
    def matthews(self) -> np.ndarray:
        """Matthews' correlation coefficient (...) of k classes, from -1 to 1; 0 where only one class occurs.

        Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient": its R_K.
        """
        n, right, by_chance = self._products()
        spread = (n * n - (self.truths**2).sum(axis=-1)) * (n * n - (self.said**2).sum(axis=-1))
        return _ratio(n * right - by_chance, np.sqrt(spread))

    def _products(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # In floating point: the square of the square of 100,000 pictures is no int64 any more.
        truths, said = self.truths.astype(np.float64), self.said.astype(np.float64)
        return truths.sum(axis=-1), self.hits.sum(axis=-1).astype(np.float64), (truths * said).sum(axis=-1)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros_like(np.asarray(below, dtype=np.float64)), where=np.asarray(below) > 0)


def resample(confusion_matrix: np.ndarray, *, seed: int = 0) -> Margins:
    """Return the counts that `RESAMPLES` other sets of pictures like these could have given.

    To draw pictures again is to draw the cells of the matrix again. A class without a mistake, or without a hit, would
    be so in every set, and look certain: it is given half a picture of what it lacks, as Jeffreys' prior for a
    fraction does.

    Args:
        confusion_matrix: int (k, k), with one picture at least.
        seed: of the draw.
    """
    k = len(confusion_matrix)
    expected = _softened(confusion_matrix.astype(np.float64))
    # Only cells that hold something: of a thousand classes, that is a thousandth of them.
    truth, answer = np.nonzero(expected)
    shares = expected[truth, answer] / expected.sum()
    n = int(confusion_matrix.sum())
    random = np.random.default_rng(seed)
    drawn = [
        _count(random.multinomial(n, shares, size=size), truth, answer, k)
        for size in _portions(RESAMPLES, max(1, CELLS_AT_ONCE // len(shares)))
    ]
    return Margins(*(np.concatenate(parts) for parts in zip(*drawn, strict=True)))


def estimate_score(value: float, resampled: np.ndarray, n: int) -> Estimate:
    """Return a score from 0 to 1 with its 95 % interval: that of a plain share that chance moves as much.

    A share of m pictures spreads by mean (1 - mean) / m. The m that resamples spread by is the effective sample size
    (Kish 1965, "Survey sampling"), of which Wilson's interval is taken. Percentiles of the resamples cover too little
    with few pictures, 88 to 95 %; `python -m benchmarks.intervals` says how often these hold the truth.

    Args:
        value: the score of the pictures.
        resampled: float (m,), those of pictures drawn again.
        n: how many pictures.
    """
    mean, spread = float(resampled.mean()), float(resampled.std())
    if spread == 0 or not 0 < mean < 1:
        # Nothing else can come of such pictures, as where all are of one class and its precision is asked for.
        return Estimate(value, value, value, n)
    effective = mean * (1 - mean) / spread**2
    low, high = wilson_interval(value * effective, effective)
    return Estimate(value, min(low, value), max(high, value), n)


def _softened(counts: np.ndarray) -> np.ndarray:
    truths, hits = counts.sum(axis=1), np.diagonal(counts).copy()
    k = len(counts)
    for row in np.flatnonzero(truths > 0):
        if hits[row] == truths[row]:
            # To one class and not a little to each: of a thousand classes, that would be a million cells.
            counts[row, row] -= 0.5
            counts[row, (row + 1) % k] += 0.5
        elif hits[row] == 0:
            counts[row, row] = 0.5
    return counts


def _count(
    drawn: np.ndarray, truth: np.ndarray, answer: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return truths, said and hits, (m, k) each, of drawn cells (m, cells)."""
    return tuple(
        _sum_by(drawn * chosen, index, k) for chosen, index in ((1, truth), (1, answer), (truth == answer, truth))
    )


def _sum_by(values: np.ndarray, index: np.ndarray, k: int) -> np.ndarray:
    order = np.argsort(index, kind="stable")
    present, starts = np.unique(index[order], return_index=True)
    sums = np.zeros((len(values), k), dtype=np.int64)
    sums[:, present] = np.add.reduceat(values[:, order], starts, axis=1)
    return sums


def _portions(total: int, most: int) -> list[int]:
    return [min(most, total - start) for start in range(0, total, most)]


def estimate_mean(values: np.ndarray, *, seed: int = 0) -> Estimate:
    """Return the mean of a loss with its 95 % bootstrap-t interval, which suits losses with a long tail.

    Efron and Tibshirani 1993, "An introduction to the bootstrap", the chapter on bootstrap-t intervals.

    Args:
        values: float (n,), one a picture.
        seed: of the draw.
    """
    n, mean = len(values), float(values.mean())
    error = values.std() / np.sqrt(n)
    if error == 0:
        return Estimate(mean, mean, mean, n)
    random = np.random.default_rng(seed)
    studentized = []
    for size in _portions(RESAMPLES, max(1, CELLS_AT_ONCE // n)):
        drawn = values[random.integers(0, n, (size, n))]
        errors = np.maximum(drawn.std(axis=1) / np.sqrt(n), 1e-3 * error)
        studentized.append((drawn.mean(axis=1) - mean) / errors)
    below, above = np.percentile(np.concatenate(studentized), [2.5, 97.5])
    # Of a handful of pictures, some draws hardly spread: no end is beyond what was seen.
    low, high = np.clip([mean - above * error, mean - below * error], values.min(), values.max())
    return Estimate(mean, float(min(mean, low)), float(max(mean, high)), n)

"""Heads that are solved instead of trained: multinomial logistic regression on features, regularised by evidence."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from opsin.catalog import require
from opsin.images.reading import usable_cores

STRENGTHS = tuple(10.0 ** (exponent / 2) for exponent in range(-8, 5))
"""Values of C, the weight of the evidence against the penalty, from the strongest penalty to the weakest."""

MOST_FOLDS = 5
MANY_ROWS, VERY_MANY_ROWS = 5_000, 20_000
"""From so many pictures on, 3 folds, and then a single one, tell as much as 5."""

PATIENCE = 2
"""So many weaker penalties in a row that are worse end the search."""

ITERATIONS = 300
TOLERANCE_OF_CHOICE, TOLERANCE = 1e-3, 1e-4
"""How flat the loss must be for a search to end: while strengths are compared, and for the head that is kept."""


@dataclass(frozen=True)
class LinearHead:
    """A solved head: logits are `features @ kernel + bias`.

    Args:
        kernel: float32 (d, k).
        bias: float32 (k,).
        strength: the C that was chosen.
        log_loss: its cross-entropy on pictures that took no part in solving, in nats.
        accuracy: the share of those that it had right.
        judged: how many those were.
        cross_validated: whether they were training pictures; where a class has too few, they are those of validation.
        out_of_fold: float32 (n, k), logits of each training picture by a head that had not seen it; None where there
            were too few of a class to leave some out.
    """

    kernel: np.ndarray
    bias: np.ndarray
    strength: float
    log_loss: float
    accuracy: float
    judged: int
    cross_validated: bool
    out_of_fold: np.ndarray | None

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return float32 (N, k) for features, float32 (N, d)."""
        return features @ self.kernel + self.bias


@dataclass(frozen=True)
class HeadData:
    """What a head is solved on.

    Args:
        views: the training pictures' features, float32 (n, d), as they are and then in each augmented view.
        labels: int (n,).
        weights: float (k,), the weight of each class.
        val_features: float32 (m, d); decide where folds cannot.
        val_labels: int (m,).
        groups: n names of groups that stay together in a fold; None where each picture is its own.
    """

    views: Sequence[np.ndarray]
    labels: np.ndarray
    weights: np.ndarray
    val_features: np.ndarray
    val_labels: np.ndarray
    groups: Sequence[str] | None = None


def solve_head(data: HeadData, *, seed: int, stop: Callable[[], bool] = lambda: False) -> LinearHead:
    """Choose the regularisation by cross-validation on log-loss, then solve on all training pictures.

    A picture's views are never on both sides of a fold. Features are centred and brought to one common scale first, so
    that the same strengths suit every backbone; kernel and bias take that in.

    Args:
        data: features and labels.
        seed: decides the folds.
        stop: is asked now and then; once it says yes, the best strength so far is taken.
    """
    from sklearn.exceptions import ConvergenceWarning

    # Here, and not where they come from: that is in threads, which share their filters.
    with warnings.catch_warnings():
        # Nearly there is near enough for a choice by evidence; and many classes of few pictures are classes.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
        return _solve(data, seed, stop)


def _solve(data: HeadData, seed: int, stop: Callable[[], bool]) -> LinearHead:
    mean = data.views[0].mean(axis=0)
    scale = float((data.views[0] - mean).std()) or 1.0
    views = [(view - mean) / scale for view in data.views]
    val = (data.val_features - mean) / scale
    folds = _folds(data, seed)
    # One thread a fold beats all threads on each: these are thousands of small products.
    with require("threadpoolctl", "solving a head").threadpool_limits(1), ThreadPoolExecutor(usable_cores()) as pool:
        found = _search(views, val, data, folds, pool, stop)
        kernel, bias = next(
            _path(views, data.labels, data.weights, [found.strength], found.mean_head, tolerance=TOLERANCE)
        )
    judged = np.concatenate([judged for _, judged in folds]) if folds else np.arange(len(data.val_labels))
    labels = data.labels if folds else data.val_labels
    kernel = (kernel / scale).astype(np.float32)
    return LinearHead(
        kernel,
        (bias - mean @ kernel).astype(np.float32),
        found.strength,
        found.log_loss,
        float((found.logits[judged].argmax(axis=1) == labels[judged]).mean()),
        len(judged),
        bool(folds),
        found.logits.astype(np.float32) if folds and len(judged) == len(labels) else None,
    )


@dataclass(frozen=True)
class _Found:
    """What a search came to.

    Args:
        strength: the best C.
        log_loss: its cross-entropy on what was held out, in nats.
        logits: float (n, k), of what was held out, in rows of their own.
        heads: kernel (d, k) and bias (k,) of each fold.
    """

    strength: float
    log_loss: float
    logits: np.ndarray
    heads: list[tuple[np.ndarray, np.ndarray]]

    @property
    def mean_head(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the folds' mean, from where it is not far to the head of all pictures."""
        kernels, biases = zip(*self.heads, strict=True)
        return np.mean(kernels, axis=0), np.mean(biases, axis=0)


def _folds(data: HeadData, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs of rows to solve on and rows to judge by; none where a class is too small for it."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    count = len(data.labels)
    wanted = MOST_FOLDS if count < MANY_ROWS else 3
    units = np.array(data.groups) if data.groups is not None else np.arange(count)
    smallest = min(len(np.unique(units[data.labels == label])) for label in np.unique(data.labels))
    number = min(wanted, smallest)
    if number < 2:
        return []
    kind = StratifiedKFold if data.groups is None else StratifiedGroupKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # A group that is most of its class is nobody's fault.
        folds = list(kind(number, shuffle=True, random_state=seed).split(data.labels, data.labels, groups=units))
    # A fold without some class would solve for fewer classes than there are.
    whole = [(rest, judged) for rest, judged in folds if len(np.unique(data.labels[rest])) == len(data.weights)]
    return whole[:1] if count >= VERY_MANY_ROWS else whole


def _search(
    views: list[np.ndarray],
    val: np.ndarray,
    data: HeadData,
    folds: list[tuple[np.ndarray, np.ndarray]],
    pool: ThreadPoolExecutor,
    stop: Callable[[], bool],
) -> _Found:
    """Return the best strength, with what it gave for the pictures that were held out."""
    if folds:
        paths = [_path([view[rest] for view in views], data.labels[rest], data.weights, STRENGTHS) for rest, _ in folds]
        sides = [(views[0][judged], data.labels[judged], judged) for _, judged in folds]
    else:
        paths = [_path(views, data.labels, data.weights, STRENGTHS)]
        sides = [(val, data.val_labels, np.arange(len(val)))]
    shape = (len(data.labels) if folds else len(val), len(data.weights))
    best: _Found | None = None
    worse = 0
    for strength in STRENGTHS:
        heads = list(pool.map(next, paths))
        logits = np.zeros(shape)
        losses = []
        for (kernel, bias), (features, labels, rows) in zip(heads, sides, strict=True):
            logits[rows] = features @ kernel + bias
            losses.append(_log_losses(logits[rows], labels))
        loss = float(np.concatenate(losses).mean())
        if best is None or loss < best.log_loss:
            best, worse = _Found(strength, loss, logits, heads), 0
        else:
            worse += 1
        if worse == PATIENCE or stop():
            break
    return best


def _path(
    views: Sequence[np.ndarray],
    labels: np.ndarray,
    weights: np.ndarray,
    strengths: Sequence[float],
    start: tuple[np.ndarray, np.ndarray] | None = None,
    tolerance: float = TOLERANCE_OF_CHOICE,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield kernel (d, k) and bias (k,) for each strength, each search starting where the last one ended."""
    from sklearn.linear_model import LogisticRegression

    features = np.concatenate(views) if len(views) > 1 else views[0]
    repeated = np.tile(labels, len(views))
    solver = LogisticRegression(max_iter=ITERATIONS, tol=tolerance, warm_start=True)
    if start is not None:
        kernel, bias = start
        if len(weights) == 2:
            kernel, bias = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
        solver.coef_, solver.intercept_ = kernel.T, bias
    for strength in strengths:
        # Views of one picture are one piece of evidence.
        solver.C = strength
        solver.fit(features, repeated, sample_weight=weights[repeated] / len(views))
        kernel, bias = solver.coef_.T, solver.intercept_
        if len(weights) == 2:
            # One column z stands for the pair (-z/2, z/2), which has the same probabilities.
            kernel, bias = np.hstack([-kernel / 2, kernel / 2]), np.concatenate([-bias / 2, bias / 2])
        yield kernel, bias


def mean_log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean cross-entropy, in nats, of logits (N, k) with labels int (N,)."""
    return float(_log_losses(logits, labels).mean())


def _log_losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]

"""The temperature: by what logits are divided so that their probabilities are as often right as they say."""

import numpy as np

from opsin.classifier import softmax
from opsin.errors import UsageError

LOWEST, HIGHEST = 0.05, 20.0
STEPS = 60
"""Of bisection: enough for the last bit of a float64 between the two ends."""
NEAR = 1e-9


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature whose probabilities have the least log-loss (Guo et al. 2017, arXiv 1706.04599).

    With few pictures it stays near 1, and where all are right it does not go to 0, as the least loss alone would:
    beside the pictures' loss stands `b - 1 - log b` with b = 1 / temperature, which is least at 1 and weighs as much as
    one picture (the paper has nothing of the kind). Both are convex in b, so the loss on `labels` is never above that
    of temperature 1.

    Args:
        logits: float (N, k) or (N, 1), of pictures that the network was not trained on.
        labels: int (N,), their classes.

    Returns:
        From 0.05 to 20; 1 where there are no pictures.

    Raises:
        UsageError: there is not one label for each picture, or a logit is no number.

    >>> fit_temperature(np.array([[4.0, 0.0]] * 4), np.array([0, 0, 0, 1])) > 1.0
    True
    """
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not np.isfinite(logits).all():
        raise UsageError(
            "Expected finite logits (N, k) and N labels; received "
            f"{logits.shape} and {labels.shape}, {int((~np.isfinite(logits)).sum())} of the logits NaN or infinite."
        )
    if not len(labels):
        return 1.0
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    logits = logits - logits[np.arange(len(labels)), labels][:, None]
    temperature = float(1 / _inverse(logits))
    # Rounding: what is as good as 1 is 1, and nothing worse is ever taken.
    return temperature if log_loss(logits, labels, temperature) < log_loss(logits, labels) - NEAR else 1.0


def log_loss(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Return the mean log-loss, in nats, of logits (N, k) or (N, 1) at a temperature.

    >>> round(log_loss(np.array([[0.0]]), np.array([1])), 4)
    0.6931
    """
    # Logits, not the logarithm of probabilities, which may be 0.
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    if scaled.shape[1] == 1:
        scaled = np.concatenate([np.zeros_like(scaled), scaled], axis=1)
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(labels)), labels]).mean())


def _inverse(margins: np.ndarray) -> float:
    """Return the best 1 / temperature, by Newton's steps where they stay between what is known to be below and above.

    Args:
        margins: float64 (N, k), each picture's logits less that of its class.
    """
    low, high = 1 / HIGHEST, 1 / LOWEST
    inverse = 1.0
    for _ in range(STEPS):
        probabilities = softmax(margins, 1 / inverse)
        mean = (probabilities * margins).sum(axis=1)
        slope = mean.sum() + 1 - 1 / inverse
        if slope > 0:
            high = inverse
        else:
            low = inverse
        bend = ((probabilities * margins**2).sum(axis=1) - mean**2).sum() + 1 / inverse**2
        step = inverse - slope / bend
        step = step if low <= step <= high else (low + high) / 2
        if abs(step - inverse) < NEAR:
            break
        inverse = step
    return inverse

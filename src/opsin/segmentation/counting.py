"""Counting pixels: which class was taken for which, in one picture or in many."""

from dataclasses import dataclass

import numpy as np

from opsin.errors import UsageError
from opsin.segmentation.classes import IGNORED


def count_confusions(truth: np.ndarray, said: np.ndarray, k: int) -> np.ndarray:
    """Count, in each picture, the pixels of each class that were taken for each class.

    Args:
        truth: uint8 (n, h, w) or (h, w), class indices; 255 is not judged.
        said: uint8 of the same shape; 255 is no answer, and counted nowhere.
        k: how many classes.

    Returns:
        int64 (n, k, k) or (k, k): pixels of class [row] taken for class [column].

    Raises:
        UsageError: the arrays do not fit together, or hold other classes.

    >>> count_confusions(np.array([[0, 1, 1, 255]], np.uint8), np.array([[0, 0, 1, 1]], np.uint8), 2).tolist()
    [[1, 0], [1, 1]]
    """
    _require_masks(truth, said, k)
    many = truth.reshape(-1, *truth.shape[-2:])
    answers = said.reshape(many.shape)
    judged = (many != IGNORED) & (answers != IGNORED)
    # One number for a picture, a class and an answer: a whole stack is counted at once.
    cells = (np.arange(len(many))[:, None, None] * k + many) * k + answers
    counts = np.bincount(cells[judged], minlength=len(many) * k * k)
    return counts.reshape(*truth.shape[:-2], k, k)


@dataclass(frozen=True, eq=False)
class PixelCounts:
    """What is counted of n pictures, one row a picture.

    Args:
        truths: int64 (n, k), pixels of each class.
        said: int64 (n, k), judged pixels that were said to be of it.
        hits: int64 (n, k), pixels that are both.
        confusion_matrix: int64 (k, k), pixels of all pictures of class [row] taken for class [column].
    """

    truths: np.ndarray
    said: np.ndarray
    hits: np.ndarray
    confusion_matrix: np.ndarray

    @property
    def k(self) -> int:
        """How many classes there are."""
        return self.truths.shape[1]

    def __len__(self) -> int:
        return len(self.truths)


def count_pixels(truth: np.ndarray, said: np.ndarray, k: int) -> PixelCounts:
    """Count what the measures need of pictures of one size.

    A judged pixel without an answer (255) counts among `truths` and nowhere else: it is a miss.

    Args:
        truth: uint8 (n, h, w), or (h, w) for one picture; class indices; 255 is not judged.
        said: the same.
        k: how many classes.

    Raises:
        UsageError: the arrays do not fit together, or hold other classes.
    """
    matrices = np.atleast_3d(count_confusions(truth, said, k)).reshape(-1, k, k)
    missed = ((truth != IGNORED) & (said == IGNORED)).reshape(len(matrices), -1)
    truths = matrices.sum(axis=2)
    if missed.any():
        pixels = truth.reshape(len(matrices), -1)
        truths += np.stack([np.bincount(one[lost], minlength=k)[:k] for one, lost in zip(pixels, missed, strict=True)])
    return PixelCounts(truths, matrices.sum(axis=1), np.diagonal(matrices, axis1=1, axis2=2), matrices.sum(axis=0))


def _require_masks(truth: np.ndarray, said: np.ndarray, k: int) -> None:
    for name, array in (("truth", truth), ("said", said)):
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim not in (2, 3):
            raise UsageError(f"Expected {name} as uint8 (h, w) or (n, h, w), class indices. Received {_kind(array)}.")
        strange = np.flatnonzero(np.bincount(array.reshape(-1), minlength=256)[k:IGNORED])
        if len(strange):
            raise UsageError(
                f"Expected class indices from 0 to {k - 1}, or {IGNORED}. Received {k + int(strange[0])} in {name}."
            )
    if truth.shape != said.shape:
        raise UsageError(
            f"Expected truth and answers of one size. Received {truth.shape} and {said.shape}. Bring the answers "
            "back to the pictures' size first."
        )


def _kind(array: object) -> str:
    return f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__

"""The one interface of every runtime: images in, logits and features out."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

SMALLEST = float(np.finfo(np.float32).tiny)
"""What a probability of zero is taken for, so that it has a logarithm."""


@dataclass(frozen=True)
class Outputs:
    """What a network says about N images.

    Args:
        logits: float32 (N, k), or (N, 1) for a network with one sigmoid unit.
        features: float32 (N, d), what enters the network's last dense layer; (N, 0) from an export that gives
            probabilities alone.
    """

    logits: np.ndarray
    features: np.ndarray


class Runtime(Protocol):
    """A finished network that can be run."""

    input_shape: tuple[int, int, int]
    """(h, w, c) of one image."""

    def run(self, images: np.ndarray) -> Outputs:
        """Run the network on uint8 or float32 (N, h, w, c), 0 to 255, N ≥ 1."""
        ...


@runtime_checkable
class SideBySide(Runtime, Protocol):
    """A network that makes more of the cores by several calls at a time than by one that uses all of them."""

    lanes: int
    """How many calls."""

    def run_beside(self, images: np.ndarray) -> Outputs:
        """Run the network as `run` does, from any thread, beside `lanes - 1` other calls."""
        ...


def outputs_of(probabilities: np.ndarray, features: np.ndarray | None = None, *, least: float = SMALLEST) -> Outputs:
    """Return what an export says, in the terms of all runtimes: logits whose softmax the probabilities are.

    Args:
        probabilities: float (N, k), from 0 to 1.
        features: float32 (N, d); None where it gives none.
        least: what a smaller probability is taken for.
    """
    logits = np.log(np.maximum(np.asarray(probabilities, dtype=np.float32), max(least, SMALLEST)))
    return Outputs(logits, np.empty((len(logits), 0), dtype=np.float32) if features is None else features)


def as_input(images: np.ndarray, dtype: str | np.dtype) -> np.ndarray:
    """Return images, 0 to 255, in the dtype that a network takes, in one piece of memory."""
    if np.issubdtype(dtype, np.integer) and not np.issubdtype(images.dtype, np.integer):
        images = np.rint(images).clip(0, 255)
    return np.ascontiguousarray(images, dtype=dtype)

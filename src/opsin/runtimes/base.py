"""The one interface of every runtime: images in, logits and features out."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Outputs:
    """What a network says about N images.

    Args:
        logits: float32 (N, k), or (N, 1) for a network with one sigmoid unit.
        features: float32 (N, d), what enters the network's last dense layer.
    """

    logits: np.ndarray
    features: np.ndarray


class Runtime(Protocol):
    """A finished network that can be run."""

    input_shape: tuple[int, int, int]
    """(h, w, c) of one image."""

    def run(self, images: np.ndarray) -> Outputs:
        """Run the network on float32 (N, h, w, c), 0 to 255, N ≥ 1."""
        ...

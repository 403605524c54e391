"""Views at prediction: the same picture mirrored, or moved a little, and the answers averaged."""

from collections.abc import Callable, Sequence

import numpy as np

from opsin.runtimes.base import Outputs

Run = Callable[[np.ndarray], Outputs]

PARTS = 32
"""A picture is moved by so large a part of its side."""


def run_in_views(run: Run, images: np.ndarray, *, flips: bool, shifts: bool) -> Outputs:
    """Run a network on each picture, and on its views, and average.

    Pictures that are moved count half, both of them together (Jordan 2024, arXiv 2404.00498, section 3.5).

    Args:
        run: runs the network.
        images: float32 (N, h, w, c).
        flips: whether each view is seen mirrored left-right as well.
        shifts: whether each picture is also seen moved to two opposite corners.
    """
    outputs = _both_ways(run, images, flips)
    if not shifts:
        return outputs
    return _mean([outputs, _mean([_both_ways(run, moved(images, direction), flips) for direction in (-1, 1)])])


def moved(images: np.ndarray, direction: int) -> np.ndarray:
    """Return pictures moved by 1/32 of each side, one pixel at least, towards a corner; edges are reflected.

    Args:
        images: (N, h, w, c).
        direction: 1 for down and right, -1 for up and left.
    """
    down, right = (min(side - 1, max(1, round(side / PARTS))) for side in images.shape[1:3])
    padded = np.pad(images, ((0, 0), (down, down), (right, right), (0, 0)), mode="reflect")
    top, left = (1 - direction) * down, (1 - direction) * right
    return padded[:, top : top + images.shape[1], left : left + images.shape[2]]


def _both_ways(run: Run, images: np.ndarray, flips: bool) -> Outputs:
    outputs = run(images)
    return _mean([outputs, run(images[:, :, ::-1])]) if flips else outputs


def _mean(outputs: Sequence[Outputs]) -> Outputs:
    logits, features = zip(*((one.logits, one.features) for one in outputs), strict=True)
    return Outputs(sum(logits) / len(outputs), sum(features) / len(outputs))

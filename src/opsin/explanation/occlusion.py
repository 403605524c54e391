"""Occlusion: how much of a class's score goes when a grey patch covers part of the picture."""

import numpy as np

from opsin.explanation.gradients import scores_of
from opsin.explanation.network import ImageNetwork
from opsin.explanation.places import Place

GREY = 127.5
CELLS = 14
"""Positions of the patch along the longer side; of small pictures, one every two pixels at most."""
COVERED = 2
"""How many times as wide as the distance of two positions the patch is."""


def occlusion(
    network: ImageNetwork, images: np.ndarray, class_indices: np.ndarray, place: Place | None = None
) -> np.ndarray:
    """Cover the picture with a grey patch, place by place (Zeiler and Fergus 2013, arXiv 1311.2901).

    Needs no gradients: it asks the network nothing but its answer.
    """
    return np.stack([_of_one(network, image, int(index)) for image, index in zip(images, class_indices, strict=True)])


def _of_one(network: ImageNetwork, image: np.ndarray, class_index: int) -> np.ndarray:
    """Return how much the score falls for each position of the patch, float32 (rows, columns), 0 where it rises."""
    height, width = image.shape[:2]
    step = max(2, max(height, width) / CELLS)
    rows, columns = max(1, round(height / step)), max(1, round(width / step))
    covered = np.repeat(image[None], 1 + rows * columns, axis=0)
    for number, (top, left, bottom, right) in enumerate(_patches(height, width, rows, columns)):
        covered[1 + number, top:bottom, left:right] = GREY
    scores = scores_of(network, covered, np.full(len(covered), class_index))
    return np.maximum(scores[0] - scores[1:], 0).reshape(rows, columns)


def _patches(height: int, width: int, rows: int, columns: int) -> list[tuple[int, int, int, int]]:
    """Return a patch around each cell of a grid: top, left, bottom, right in pixels."""
    tops, bottoms = _spans(height, rows)
    lefts, rights = _spans(width, columns)
    return [(tops[i], lefts[j], bottoms[i], rights[j]) for i in range(rows) for j in range(columns)]


def _spans(length: int, count: int) -> tuple[list[int], list[int]]:
    middles = (np.arange(count) + 0.5) * length / count
    half = COVERED / 2 * length / count
    return (
        [max(0, round(middle - half)) for middle in middles],
        [min(length, round(middle + half)) for middle in middles],
    )

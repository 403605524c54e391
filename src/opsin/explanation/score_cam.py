"""Score-CAM: what is left of a class's score where only the places of one map are shown."""

import numpy as np

from opsin.explanation.geometry import enlarge
from opsin.explanation.gradients import maps_of, scores_of
from opsin.explanation.network import ImageNetwork
from opsin.explanation.places import Place

GREY = 127.5
"""What stands in place of what is not shown. The paper multiplies pictures whose mean is 0 by the mask."""


def score_cam(network: ImageNetwork, images: np.ndarray, class_indices: np.ndarray, place: Place) -> np.ndarray:
    """Weigh each map by the score of the picture seen through it (Wang et al. 2020, arXiv 1910.01279, algorithm 1).

    Needs no gradients, and a run of the network for each map: 1280 of them for MobileNetV2.
    """
    maps = maps_of(network, images, place)
    rows = zip(images, maps, class_indices, strict=True)
    return np.stack([_of_one(network, image, found, index) for image, found, index in rows])


def _of_one(network: ImageNetwork, image: np.ndarray, maps: np.ndarray, class_index: int) -> np.ndarray:
    """Return float32 (h', w') for one image (h, w, c) and its maps (h', w', k)."""
    low, high = maps.min(axis=(0, 1)), maps.max(axis=(0, 1))
    # A map that is the same everywhere shows nothing; the paper would divide zero by zero.
    used = np.flatnonzero(high > low)
    if not len(used):
        return np.zeros(maps.shape[:2], np.float32)
    scores = np.empty(len(used), np.float32)
    for start in range(0, len(used), 32):
        chosen = used[start : start + 32]
        masks = enlarge(maps[:, :, chosen].transpose(2, 0, 1), *image.shape[:2])
        low_up, high_up = masks.min(axis=(1, 2), keepdims=True), masks.max(axis=(1, 2), keepdims=True)
        masks = ((masks - low_up) / np.maximum(high_up - low_up, 1e-12))[..., None]  # Equation 8.
        shown = image[None] * masks + GREY * (1 - masks)
        scores[start : start + 32] = scores_of(network, shown, np.full(len(chosen), class_index))
    # The baseline's score, which algorithm 1 takes off, is the same for all and cancels in the softmax.
    exponents = np.exp(scores - scores.max())
    weights = exponents / exponents.sum()
    return np.maximum((maps[:, :, used] * weights).sum(axis=2), 0).astype(np.float32)  # The last line of algorithm 1.

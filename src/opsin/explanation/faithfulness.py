"""How far a heat map can be believed: what becomes of the class when what it points at is taken away, or put in."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from opsin.explanation.geometry import enlarge
from opsin.explanation.network import ImageNetwork

STEPS = 28
RANDOM_MAPS = 5
GREY = 127.5
BLUR = 0.05
"""Radius of the blur that insertion starts from, as a fraction of the image's longer side."""


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """The deletion and insertion curves of one heat map, beside maps with the same values in random places.

    Args:
        deletion: float64 (steps + 1,), the class's probability while pixels go, those with most evidence first.
        insertion: float64 (steps + 1,), while they come into a blurred picture.
        random_deletion: float64 (maps, steps + 1), the same for random maps.
        random_insertion: float64 (maps, steps + 1).
    """

    deletion: np.ndarray
    insertion: np.ndarray
    random_deletion: np.ndarray
    random_insertion: np.ndarray

    @property
    def areas(self) -> dict[str, float]:
        """The areas under the curves, 0 to 1; of the random maps the mean. Low deletion and high insertion are good."""
        return {
            "deletion": area(self.deletion),
            "insertion": area(self.insertion),
            "random_deletion": float(np.mean([area(curve) for curve in self.random_deletion])),
            "random_insertion": float(np.mean([area(curve) for curve in self.random_insertion])),
        }

    @property
    def verdict(self) -> str:
        """What the areas say, in a sentence."""
        areas = self.areas
        better = [
            areas["deletion"] < min(map(area, self.random_deletion)),
            areas["insertion"] > max(map(area, self.random_insertion)),
        ]
        said = {
            2: "The map is better than every random one: what it points at matters to the network.",
            1: "The map is better than every random one by one of the two measures only: believe it with care.",
            0: "The map is no better than random ones: do not read anything into it.",
        }
        return said[sum(better)]


def measure_faithfulness(
    network: ImageNetwork, image: np.ndarray, class_index: int, evidence: np.ndarray
) -> Faithfulness:
    """Delete and insert pixels in the order of a heat map (Petsiuk et al. 2018, arXiv 1806.07421, "causal metrics").

    Args:
        network: the network.
        image: uint8 (h, w, c), 0 to 255, as it sees it.
        class_index: the class that was explained.
        evidence: float (h', w'), the heat map over the whole image.
    """
    image = image.astype(np.float32)
    gone, blurred = np.full_like(image, GREY), _blurred(image)
    random = np.random.default_rng(0)
    # The same values at other places: a map of noise would be beaten by anything smooth.
    shuffled = [random.permutation(evidence.ravel()).reshape(evidence.shape) for _ in range(RANDOM_MAPS)]
    orders = [_order(one, image.shape[:2], random) for one in (evidence, *shuffled)]
    deletions = [_curve(network, image, gone, order, class_index) for order in orders]
    insertions = [_curve(network, blurred, image, order, class_index) for order in orders]
    return Faithfulness(deletions[0], insertions[0], np.stack(deletions[1:]), np.stack(insertions[1:]))


def area(curve: np.ndarray) -> float:
    """Return the area under a curve over 0 to 1, by trapezoids.

    >>> area(np.array([1.0, 0.0]))
    0.5
    """
    return float((curve[1:] + curve[:-1]).mean() / 2)


def _order(evidence: np.ndarray, size: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Return the pixels' numbers, most evidence first; equals in random order."""
    flat = enlarge(evidence[None], *size).ravel()
    return np.lexsort((random.random(flat.size), -flat))


def _curve(
    network: ImageNetwork, before: np.ndarray, after: np.ndarray, order: np.ndarray, class_index: int
) -> np.ndarray:
    """Return the class's probability while pixels change from `before` to `after`, in this order."""
    images = np.repeat(before[None], STEPS + 1, axis=0)
    flat, new = images.reshape(STEPS + 1, -1, before.shape[2]), after.reshape(-1, before.shape[2])
    for step in range(1, STEPS + 1):
        changed = order[: round(step / STEPS * len(order))]
        flat[step, changed] = new[changed]
    return network.probabilities(images)[:, class_index]


def _blurred(image: np.ndarray) -> np.ndarray:
    radius = BLUR * max(image.shape[:2])
    channels = [
        np.array(Image.fromarray(image[:, :, i].astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius)))
        for i in range(image.shape[2])
    ]
    return np.stack(channels, axis=-1).astype(np.float32)

"""Gradients by the pixels: added up on the way from black, or averaged over noise."""

import numpy as np

from opsin.explanation.gradients import pixel_gradients, scores_of
from opsin.explanation.network import ImageNetwork
from opsin.explanation.places import Place

BLACK = 0.0
STEPS = (50, 150, 450)
"""How many on the way from black; each number is three times the one before, so that what was computed still counts."""
COMPLETE = 0.01
"""How far the attributions' sum may be from what it must be, as a fraction of that, before more steps are taken."""

SAMPLES = 50
NOISE = 0.15
"""Standard deviation, as a fraction of the picture's range of values; the paper recommends 0.1 to 0.2."""


def integrated_gradients(
    network: ImageNetwork, images: np.ndarray, class_indices: np.ndarray, place: Place | None = None
) -> np.ndarray:
    """Add up gradients on the way from a black picture to this one (Sundararajan et al. 2017, arXiv 1703.01365).

    What speaks for the class: the positive part of `attributions`, whose channels are added up.
    """
    return np.stack(
        [
            np.maximum(attributions(network, image, int(index)).sum(axis=2), 0)
            for image, index in zip(images, class_indices, strict=True)
        ]
    )


def attributions(network: ImageNetwork, image: np.ndarray, class_index: int) -> np.ndarray:
    """Say what each value of a picture adds to the class's score, compared with black: integrated gradients.

    By the paper's proposition 1 (completeness) they add up to the difference of the two scores. Steps are made shorter
    until they do, to 1 %.

    Args:
        network: the network.
        image: float32 (h, w, c), 0 to 255.
        class_index: which class.

    Returns:
        float64 (h, w, c); what speaks against the class is negative.
    """
    baseline = np.full_like(image, BLACK)
    ends = scores_of(network, np.stack([baseline, image]), np.full(2, class_index)).astype(np.float64)
    total = np.zeros(image.shape, np.float64)
    for steps in STEPS:
        # The middle of each step instead of its end, as in equation 3: the error falls with the square of the steps.
        places = (np.arange(steps) + 0.5) / steps
        # Of three steps, the middle one has the middle of the long step that they were.
        places = places if steps == STEPS[0] else places[np.arange(steps) % 3 != 1]
        for start in range(0, len(places), network.batch_size):
            shares = places[start : start + network.batch_size, None, None, None]
            between = (baseline + shares * (image - baseline)).astype(np.float32)
            total += pixel_gradients(network, between, np.full(len(between), class_index))[0].sum(axis=0)
        found = (image - baseline) * total / steps  # Equation 3.
        if abs(found.sum() - (ends[1] - ends[0])) <= COMPLETE * abs(ends[1] - ends[0]):
            break
    return found


def smooth_grad(
    network: ImageNetwork, images: np.ndarray, class_indices: np.ndarray, place: Place | None = None
) -> np.ndarray:
    """Average the gradient over noisy copies of the picture (Smilkov et al. 2017, arXiv 1706.03825).

    It says where the score is sensitive, for better or worse: a gradient's sign is not that of evidence. Of the
    channels the largest counts (Simonyan et al. 2013, arXiv 1312.6034, "class saliency extraction").
    """
    return np.stack([_smoothed(network, image, int(index)) for image, index in zip(images, class_indices, strict=True)])


def _smoothed(network: ImageNetwork, image: np.ndarray, class_index: int) -> np.ndarray:
    random = np.random.default_rng(0)
    deviation = NOISE * float(np.ptp(image))
    total = np.zeros(image.shape, np.float64)
    for start in range(0, SAMPLES, network.batch_size):
        count = min(network.batch_size, SAMPLES - start)
        noisy = image + random.normal(0, deviation, (count, *image.shape)).astype(np.float32)
        total += pixel_gradients(network, noisy, np.full(count, class_index))[0].sum(axis=0)
    return np.abs(total / SAMPLES).max(axis=2).astype(np.float32)  # The equation of section 2.2.

"""Changing a picture and its mask by one map: the same (seed, epoch, index) always gives the same pixels."""

from functools import reduce

import numpy as np

from opsin.augmentation import COLOR, GEOMETRY
from opsin.augmentation.color import mean_values, recolor
from opsin.augmentation.draws import Draws
from opsin.augmentation.resampling import resample
from opsin.catalog import resolve
from opsin.errors import UsageError
from opsin.segmentation.classes import IGNORED
from opsin.segmentation.elastic import displacement
from opsin.segmentation.policies import PairPolicy
from opsin.segmentation.sampling import Places, sample_bilinear, sample_nearest


def augment_pair(
    image: np.ndarray, mask: np.ndarray, *, seed: int, epoch: int, index: int, policy: PairPolicy
) -> tuple[np.ndarray, np.ndarray]:
    """Change a picture and its mask.

    Flips and shifts by whole pixels are exact; all else is linear interpolation in the picture and the nearest pixel in
    the mask.

    Args:
        image: uint8 (h, w, c), 0 to 255, of 1 channel (grey) or 3 (RGB, unless the policy was made `for_color`).
        mask: uint8 (h, w), class indices; 255 is ignored.
        seed: 0 to 2**64 - 1.
        epoch: 0 or more.
        index: the picture's row number in the training set.
        policy: what is changed, and how much.

    Returns:
        Arrays of the same types and shapes; in the mask, 255 where the map looks beyond the picture.

    Raises:
        UsageError: picture and mask are not such arrays, or not of one size.

    >>> from opsin.augmentation.policies import Policy
    >>> image = np.array([[[10], [20], [30]]], dtype=np.uint8)
    >>> policy = PairPolicy(base=Policy(horizontal_flip=1.0))
    >>> augment_pair(image, np.array([[0, 1, 2]], np.uint8), seed=0, epoch=0, index=0, policy=policy)[1].tolist()
    [[2, 1, 0]]
    """
    _require_pair(image, mask)
    draws = Draws(seed, epoch, np.array([index]))
    height, width = mask.shape
    active = policy.base.active("gray" if image.shape[2] == 1 else "rgb")
    maps = [resolve(code)(active[name], draws, height, width)[0] for name, code in GEOMETRY.items() if name in active]
    # Rounded, so that the cosine of 90 degrees is nothing and two machines' last digits are no matter.
    matrix = np.round(reduce(np.matmul, maps), 9) if maps else np.eye(3)
    if policy.elastic:
        places = Places.bent(matrix, displacement(policy.elastic, policy.elastic_grid, draws, height, width))
        image = sample_bilinear(image, places, fill=policy.base.fill, fill_value=policy.base.fill_value)
        mask = sample_nearest(mask, places, IGNORED)
    elif maps:
        image = resample(image, matrix, fill=policy.base.fill, fill_value=policy.base.fill_value)
        mask = sample_nearest(mask, Places.of(matrix, height, width), IGNORED)
    return _recolored(image, active, draws), mask


def _recolored(image: np.ndarray, active: dict[str, float], draws: Draws) -> np.ndarray:
    chosen = [name for name in reversed(COLOR) if name in active]
    if not chosen:
        return image
    means = mean_values(image[None])
    maps = [resolve(COLOR[name])(active[name], draws, means)[0] for name in chosen]
    return recolor(image, np.round(reduce(np.matmul, maps), 9))


def _require_pair(image: np.ndarray, mask: np.ndarray) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise UsageError(
            f"Expected a picture as uint8 (h, w, c) with 1 or 3 channels. Received {image.dtype} {image.shape}."
        )
    if mask.dtype != np.uint8 or mask.shape != image.shape[:2]:
        raise UsageError(
            f"Expected a mask as uint8 {image.shape[:2]}, the picture's size. Received {mask.dtype} {mask.shape}."
        )

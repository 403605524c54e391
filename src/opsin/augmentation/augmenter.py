"""Changing training pictures: the same (seed, epoch, index) always gives the same pixels."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from opsin.augmentation import COLOR, ERASING, GEOMETRY, MIXING
from opsin.augmentation.color import mean_values, recolor
from opsin.augmentation.draws import Draws
from opsin.augmentation.erasing import erase
from opsin.augmentation.policies import Policy
from opsin.augmentation.resampling import resample
from opsin.catalog import choose, resolve
from opsin.errors import UsageError
from opsin.images.color import COLORS


class Augmenter:
    """Changes training pictures by a policy; holds nothing that a call alters, so threads can share it.

    Args:
        policy: what is changed, and how much.
        seed: 0 to 2**64 - 1.
        class_count: k, the width of the targets that `mix_batch` takes.
        color: what the channels mean, a name in `opsin.images.color.COLORS`. Colour changes are made to
            `"rgb"` and `"gray"` only: in other spaces, multiplying a channel is no change of light.

    Raises:
        UsageError: the seed is out of its range, or there is no such `color`.

    >>> augmenter = Augmenter(Policy(horizontal_flip=1.0), seed=0, class_count=2)
    >>> image = np.array([[[10], [20], [30]]], dtype=np.uint8)
    >>> augmenter.augment_image(image, epoch=0, index=0)[0, :, 0].tolist()
    [30, 20, 10]
    """

    def __init__(self, policy: Policy, seed: int, class_count: int, *, color: str = "rgb"):
        if not 0 <= seed < 2**64:
            raise UsageError(f"Expected a seed from 0 to 2**64 - 1. Received {seed}.")
        choose("color", color, COLORS)
        self.policy = policy
        self.seed = seed
        self.class_count = class_count
        active = policy.active(color)
        self._geometry, self._color, self._erasing, self._mixing = (
            _chosen(catalogue, active) for catalogue in (GEOMETRY, COLOR, ERASING, MIXING)
        )

    def augment_image(self, image: np.ndarray, *, epoch: int, index: int) -> np.ndarray:
        """Change one picture, as `augment_batch` does with it in any batch.

        Args:
            image: uint8 (h, w, c), 0–255, c of 1 or 3.
            epoch: 0 or more.
            index: the picture's row number in the training set.

        Returns:
            uint8 (h, w, c), 0–255.
        """
        return self.augment_batch(image[None], epoch=epoch, indices=np.array([index]))[0].astype(np.uint8)

    def augment_batch(self, images: np.ndarray, *, epoch: int, indices: np.ndarray) -> np.ndarray:
        """Change each picture of a batch.

        Args:
            images: uint8 (N, h, w, c), 0–255, c of 1 or 3; stays as it is.
            epoch: 0 or more.
            indices: integer (N,), the pictures' row numbers in the training set.

        Returns:
            float32 (N, h, w, c), 0–255, whole numbers.

        Raises:
            UsageError: the arrays have another dtype or shape.
        """
        _check_images(images, indices)
        draws = Draws(self.seed, epoch, indices)
        places, values = self._place_maps(images, draws), self._value_maps(images, draws)
        changed = np.empty(images.shape, dtype=np.float32)
        for position, image in enumerate(images):
            if places is not None:
                image = resample(image, places[position], fill=self.policy.fill, fill_value=self.policy.fill_value)
            if values is not None:
                image = recolor(image, values[position])
            changed[position] = image
        for change, amount in self._erasing:
            erase(changed, change(amount, draws, *images.shape[1:3]), draws)
        return changed

    def mix_batch(
        self, images: np.ndarray, targets: np.ndarray, *, epoch: int, batch: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mix a batch with itself, by mixup or cutmix; a function of (seed, epoch, batch) and the batch.

        Args:
            images: float32 (N, h, w, c), 0–255; stays as it is.
            targets: float32 (N, k), each row sums to 1.
            epoch: 0 or more.
            batch: the batch's number in the epoch.

        Returns:
            Images and targets of the same dtype, shape and range; the same objects where the policy mixes
            nothing.

        Raises:
            UsageError: the targets are not one row of k numbers for each picture.
        """
        if targets.shape != (len(images), self.class_count):
            raise UsageError(
                f"Expected targets of shape ({len(images)}, {self.class_count}), a row for each picture and "
                f"a column for each class. Received {targets.shape}."
            )
        if not self._mixing:
            return images, targets
        generator = np.random.default_rng((self.seed, epoch, batch))
        mix, alpha = self._mixing[generator.integers(len(self._mixing))]
        return mix(alpha, generator, images, targets)

    def _place_maps(self, images: np.ndarray, draws: Draws) -> np.ndarray | None:
        height, width = images.shape[1:3]
        return _product([change(amount, draws, height, width) for change, amount in self._geometry])

    def _value_maps(self, images: np.ndarray, draws: Draws) -> np.ndarray | None:
        if not self._color:
            return None
        means = mean_values(images)
        return _product([change(amount, draws, means) for change, amount in reversed(self._color)])


def _chosen(catalogue: dict[str, str], active: dict[str, float]) -> list[tuple[Callable[..., Any], float]]:
    return [(resolve(catalogue[name]), active[name]) for name in catalogue if name in active]


def _product(maps: list[np.ndarray]) -> np.ndarray | None:
    # Rounded, so that the cosine of 90 degrees is nothing and two machines' last digits are no matter.
    return np.round(reduce(np.matmul, maps), 9) if maps else None


def _check_images(images: np.ndarray, indices: np.ndarray) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise UsageError(
            "Expected images as uint8 (N, h, w, c) with 1 or 3 channels. "
            f"Received {images.dtype} {images.shape}. Preprocess them first."
        )
    if len(indices) != len(images):
        raise UsageError(f"Expected one index for each of {len(images)} images. Received {len(indices)}.")

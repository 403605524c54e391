"""Losses over pixels, and the measures that are watched while training; pixels that are ignored count in none.

Each loss is a function from what a batch's pixels are and are said to be to one number a picture. A picture of which
every pixel is ignored has the loss 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import ops

from opsin.catalog import resolve
from opsin.segmentation import LOSSES
from opsin.segmentation.classes import IGNORED
from opsin.segmentation.config import parts_of

FOCUS = 2.0
"""The power that the focal loss weighs a pixel with; what its paper found best."""


@dataclass(frozen=True)
class Pixels:
    """A batch, as losses see it.

    Args:
        logits: float32 (N, h, w, k).
        classes: int32 (N, h, w), 0 to k - 1; 0 where a pixel is ignored.
        valid: float32 (N, h, w), 0 where a pixel is ignored, else 1.
        weights: float32 (k,), the weight of each class.
    """

    logits: keras.KerasTensor
    classes: keras.KerasTensor
    valid: keras.KerasTensor
    weights: keras.KerasTensor

    def mean(self, values: keras.KerasTensor) -> keras.KerasTensor:
        """Return the mean (N,) of values (N, h, w) over the pixels that count, weighed by class."""
        weighed = values * self.valid * ops.take(self.weights, self.classes)
        return ops.sum(weighed, axis=(1, 2)) / ops.maximum(ops.sum(self.valid, axis=(1, 2)), 1.0)


def cross_entropy(pixels: Pixels) -> keras.KerasTensor:
    """Return −log p of each pixel's class, its mean over a picture's pixels, float32 (N,)."""
    return pixels.mean(_surprise(pixels))


def focal(pixels: Pixels) -> keras.KerasTensor:
    """Return −(1 − p)² log p of each pixel's class, its mean, (N,): what is known well counts little.

    Lin et al. 2017, arXiv:1708.02002, equation 4, with γ = 2 and without its α: class weights do that.
    """
    surprise = _surprise(pixels)
    return pixels.mean((1.0 - ops.exp(-surprise)) ** FOCUS * surprise)


def dice(pixels: Pixels) -> keras.KerasTensor:
    """Return 1 − 2 Σ p·t / (Σ p + Σ t), its mean over the classes that are in a picture, weighed, float32 (N,).

    Milletari et al. 2016, arXiv:1606.04797, section 3, without its squares. A class that is nowhere in the picture is
    left out: its overlap is 0 whatever is said. Where it is said nevertheless, a class that is there loses overlap.
    """
    valid = ops.expand_dims(pixels.valid, -1)
    true = ops.one_hot(pixels.classes, pixels.logits.shape[-1], dtype="float32") * valid
    said = ops.softmax(pixels.logits, axis=-1) * valid
    overlap = ops.sum(said * true, axis=(1, 2))
    area = ops.sum(true, axis=(1, 2))
    missing = 1.0 - 2.0 * overlap / ops.maximum(area + ops.sum(said, axis=(1, 2)), keras.config.epsilon())
    weights = ops.cast(area > 0, "float32") * pixels.weights
    return ops.sum(missing * weights, axis=-1) / ops.maximum(ops.sum(weights, axis=-1), keras.config.epsilon())


def _surprise(pixels: Pixels) -> keras.KerasTensor:
    return ops.sparse_categorical_crossentropy(pixels.classes, pixels.logits, from_logits=True)


class PixelLoss(keras.losses.Loss):
    """The sum of some losses of logits (N, h, w, k) with classes (N, h, w), `IGNORED` where a pixel does not count.

    Args:
        name: names in `opsin.segmentation.LOSSES`, joined by `+`.
        class_weights: the weight of each class; their mean over pixels should be 1.
    """

    def __init__(self, name: str, class_weights: Sequence[float]):
        super().__init__(name="pixel_loss")
        self.parts = [resolve(LOSSES[part]) for part in parts_of(name)]
        self.class_weights = tuple(float(weight) for weight in class_weights)

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Return the loss of each picture, float32 (N,)."""
        counts, classes = told_apart(y_true)
        pixels = Pixels(
            ops.cast(y_pred, "float32"),
            classes,
            ops.cast(counts, "float32"),
            ops.convert_to_tensor(self.class_weights, dtype="float32"),
        )
        return sum(part(pixels) for part in self.parts)


def told_apart(y_true: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return which pixels count, bool (N, h, w), and every pixel's class, int32, 0 where it does not count."""
    classes = ops.cast(y_true, "int32")
    counts = ops.not_equal(classes, IGNORED)
    return counts, ops.where(counts, classes, 0)

"""The loss and the accuracy, the same for class indices, mixed targets and single sigmoid units."""

import keras
from keras import ops


def as_pair(logits: keras.KerasTensor) -> keras.KerasTensor:
    """Read (N, 1), one sigmoid unit's logit z, as the pair (0, z); leave (N, k) as it is."""
    if logits.shape[-1] != 1:
        return logits
    return ops.concatenate([ops.zeros_like(logits), logits], axis=-1)


def as_distribution(targets: keras.KerasTensor, class_count: int) -> keras.KerasTensor:
    """Turn class indices, (N,) or (N, 1), into float (N, k); leave (N, k) as it is."""
    if len(targets.shape) == 2 and targets.shape[-1] == class_count:
        return targets
    return ops.one_hot(ops.cast(ops.reshape(targets, (-1,)), "int32"), class_count)


class CrossEntropy(keras.losses.Loss):
    """Cross-entropy of logits (N, k), or (N, 1), with class indices (N,) or distributions (N, k).

    Args:
        smoothing: share of each target that is spread evenly over all classes (Szegedy et al. 2015,
            arXiv 1512.00567, section 7).
    """

    def __init__(self, smoothing: float = 0.0):
        super().__init__(name="cross_entropy")
        self.smoothing = smoothing

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Return the loss of each picture, float32 (N,)."""
        logits = ops.cast(as_pair(y_pred), "float32")
        targets = ops.cast(as_distribution(y_true, logits.shape[-1]), "float32")
        targets = targets * (1 - self.smoothing) + self.smoothing / logits.shape[-1]
        return -ops.sum(targets * ops.log_softmax(logits, axis=-1), axis=-1)


def accuracy(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
    """Return for each picture 1.0 if the largest logit is that of the (largest) target, else 0.0, (N,)."""
    logits = as_pair(y_pred)
    targets = as_distribution(y_true, logits.shape[-1])
    hit = ops.equal(ops.argmax(logits, axis=-1), ops.argmax(targets, axis=-1))
    return ops.cast(hit, "float32")

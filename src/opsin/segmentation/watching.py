"""What is watched while a segmentation network learns: pixel accuracy and mean IoU, over all pixels of an epoch."""

import keras
from keras import ops

from opsin.segmentation.losses import told_apart


class PixelAccuracy(keras.metrics.Metric):
    """The share of pixels that count whose largest logit is their class's."""

    def __init__(self):
        super().__init__(name="accuracy")
        self.right = self.add_weight(name="right", initializer="zeros")
        self.all = self.add_weight(name="all", initializer="zeros")

    def update_state(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor, sample_weight: None = None) -> None:
        """Take in classes (N, h, w) and logits (N, h, w, k)."""
        counts, classes = told_apart(y_true)
        hit = ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), classes)
        self.right.assign_add(ops.sum(ops.cast(ops.logical_and(hit, counts), "float32")))
        self.all.assign_add(ops.sum(ops.cast(counts, "float32")))

    def result(self) -> keras.KerasTensor:
        """Return the share; 0 where no pixel counts."""
        return self.right / ops.maximum(self.all, 1.0)


class MeanIoU(keras.metrics.Metric):
    """The mean over classes of intersection over union; classes that are neither there nor said are left out.

    Args:
        class_count: k.
    """

    def __init__(self, class_count: int):
        super().__init__(name="iou")
        self.class_count = class_count
        self.confusion = self.add_weight(
            name="confusion", shape=(class_count * class_count,), initializer="zeros", dtype="float32"
        )

    def update_state(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor, sample_weight: None = None) -> None:
        """Take in classes (N, h, w) and logits (N, h, w, k)."""
        counts, classes = told_apart(y_true)
        cells = classes * self.class_count + ops.cast(ops.argmax(y_pred, axis=-1), "int32")
        pixels = ops.reshape(ops.cast(counts, "float32"), (-1,))
        # A batch is summed by itself first: float32 counts exactly to 16 million only.
        self.confusion.assign_add(ops.segment_sum(pixels, ops.reshape(cells, (-1,)), num_segments=self.class_count**2))

    def result(self) -> keras.KerasTensor:
        """Return the mean; 0 where no pixel counts."""
        confusion = ops.reshape(self.confusion, (self.class_count, self.class_count))
        both = ops.diagonal(confusion)
        either = ops.sum(confusion, axis=0) + ops.sum(confusion, axis=1) - both
        seen = ops.cast(either > 0, "float32")
        return ops.sum(both / ops.maximum(either, 1.0)) / ops.maximum(ops.sum(seen), 1.0)

"""From stored pixels to the batches that a network is trained on."""

import time
from collections.abc import Callable

import keras
import numpy as np
from PIL import Image

from opsin.augmentation.augmenter import Augmenter
from opsin.data.store import StoredImages

LEAST_WORKERS = 2
"""With fewer, Keras leaves the batches to tf.data's autotuning, which may sleep for seconds at an epoch's end."""


class TrainingBatches(keras.utils.PyDataset):
    """Shuffled, augmented batches; everything random is a pure function of (seed, epoch).

    `preparing` has the seconds that each batch of the epoch took, one after the other.

    Each batch is a triple: images float32 (N, h, w, c), 0 to 255; targets int32 (N,), or float32 (N, k) where
    pictures are mixed; sample weights float32 (N,).

    Args:
        images: the training pictures.
        augmenter: what is done to them; it holds the seed.
        batch_size: the most pictures a batch; all batches of an epoch are of one size, or one picture smaller.
        class_weights: float (k,), the weight of each class in the loss, 1 on average over pictures.
        size_at: the height and width in pixels of each epoch's pictures, by the epoch's number from 0; None: as they
            are.
        workers: threads that prepare batches ahead, 2 or more.
    """

    def __init__(
        self,
        images: StoredImages,
        augmenter: Augmenter,
        batch_size: int,
        *,
        class_weights: np.ndarray,
        size_at: Callable[[int], int] | None = None,
        workers: int = LEAST_WORKERS,
    ):
        super().__init__(workers=workers, max_queue_size=8)
        self.images = images
        self.augmenter = augmenter
        self.preparing: list[float] = []
        self.batch_size = batch_size
        self.picture_count = len(images)
        self.class_weights = np.asarray(class_weights, dtype=np.float32)
        self.labels = images.dataset.labels
        self.size_at = size_at
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Set which epoch the batches are of; its order is drawn from (seed, epoch) alone."""
        self.epoch = epoch
        self.preparing.clear()
        seeds = np.random.SeedSequence([self.augmenter.seed, epoch])
        self.order = np.random.Generator(np.random.PCG64(seeds)).permutation(len(self.images))

    def __len__(self) -> int:
        return -(-len(self.images) // self.batch_size)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        began = time.perf_counter()
        made = self._make(batch)
        self.preparing.append(time.perf_counter() - began)
        return made

    def _make(self, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        positions = self.order[batch_of(batch, len(self.order), self.batch_size)]
        images = self.images.read(positions)
        if self.size_at is not None:
            images = shrink(images, self.size_at(self.epoch))
        images = self.augmenter.augment_batch(images, epoch=self.epoch, indices=positions)
        labels = self.labels[positions]
        if not (self.augmenter.policy.mixup or self.augmenter.policy.cutmix):
            return images, labels, self.class_weights[labels]
        targets = np.eye(len(self.class_weights), dtype=np.float32)[labels]
        images, targets = self.augmenter.mix_batch(images, targets, epoch=self.epoch, batch=batch)
        return images, targets, targets @ self.class_weights


def batch_of(number: int, pictures: int, batch_size: int) -> slice:
    """Return which of an epoch's pictures a batch holds, where as few batches as can be are of sizes as even as can be.

    A small last one would count as much as any in the averages of normalisation, right before they are judged.

    >>> [batch_of(number, 10, 4) for number in range(3)]
    [slice(0, 4, None), slice(4, 7, None), slice(7, 10, None)]
    """
    size, larger = divmod(pictures, -(-pictures // batch_size))
    start = number * size + min(number, larger)
    return slice(start, start + size + (number < larger))


def shrink(images: np.ndarray, side: int) -> np.ndarray:
    """Return smaller pictures: uint8 (N, h, w, c) to uint8 (N, side, side, c), each pixel a mean of those it covers."""
    if images.shape[1:3] == (side, side):
        return images
    channels = images.shape[3]
    # Pillow has no picture of one channel with an axis for it.
    planes = images if channels == 3 else images[..., 0]
    small = [np.asarray(Image.fromarray(plane).resize((side, side), Image.Resampling.BOX)) for plane in planes]
    return np.stack(small).reshape(len(images), side, side, channels)


class PlainBatches(keras.utils.PyDataset):
    """Batches in order, as they are: images float32 (N, h, w, c), 0 to 255, and labels int32 (N,)."""

    def __init__(self, images: StoredImages, batch_size: int):
        super().__init__(workers=LEAST_WORKERS, max_queue_size=4)
        self.images = images
        self.labels = images.dataset.labels
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.images) // self.batch_size)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
        return self.images.read(part).astype(np.float32), self.labels[part]

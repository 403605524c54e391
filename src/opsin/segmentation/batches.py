"""From stored pictures and masks to the batches that a segmentation network is trained on."""

import keras
import numpy as np

from opsin.pipeline import LEAST_WORKERS, batch_of
from opsin.segmentation.augmenting import augment_pair
from opsin.segmentation.policies import PairPolicy
from opsin.segmentation.store import StoredPairs


class TrainingPairs(keras.utils.PyDataset):
    """Shuffled, augmented batches; everything random is a pure function of (seed, epoch).

    Each batch is a pair: images float32 (N, h, w, c), 0 to 255; class indices uint8 (N, h, w), 255 for ignored.

    Args:
        pairs: the training pictures and masks.
        policy: what is done to them.
        batch_size: the most pictures a batch; all batches of an epoch are of one size, or one picture smaller.
        seed: of order and changes.
        workers: threads that prepare batches ahead, 2 or more.
    """

    def __init__(
        self, pairs: StoredPairs, policy: PairPolicy, batch_size: int, *, seed: int, workers: int = LEAST_WORKERS
    ):
        super().__init__(workers=workers, max_queue_size=8)
        self.pairs = pairs
        self.policy = policy
        self.batch_size = batch_size
        self.seed = seed
        self.picture_count = len(pairs)
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Set which epoch the batches are of; its order is drawn from (seed, epoch) alone."""
        self.epoch = epoch
        seeds = np.random.SeedSequence([self.seed, epoch])
        self.order = np.random.Generator(np.random.PCG64(seeds)).permutation(len(self.pairs))

    def __len__(self) -> int:
        return -(-len(self.pairs) // self.batch_size)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        positions = self.order[batch_of(batch, len(self.order), self.batch_size)]
        images, masks = self.pairs.read(positions)
        changed = [
            augment_pair(image, mask, seed=self.seed, epoch=self.epoch, index=int(index), policy=self.policy)
            for image, mask, index in zip(images, masks, positions, strict=True)
        ]
        return np.stack([image for image, _ in changed]).astype(np.float32), np.stack([mask for _, mask in changed])


class PlainPairs(keras.utils.PyDataset):
    """Batches in order, as they are: images float32 (N, h, w, c), 0 to 255, and class indices uint8 (N, h, w)."""

    def __init__(self, pairs: StoredPairs, batch_size: int):
        super().__init__(workers=LEAST_WORKERS, max_queue_size=4)
        self.pairs = pairs
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.pairs) // self.batch_size)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        images, masks = self.pairs.read(slice(batch * self.batch_size, (batch + 1) * self.batch_size))
        return images.astype(np.float32), masks

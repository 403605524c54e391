"""From cached features to the batches that a head, or the top of a network, is trained on."""

from collections.abc import Sequence

import keras
import numpy as np

from opsin.features.extraction import StoredFeatures
from opsin.pipeline import LEAST_WORKERS, batch_of


class FeatureBatches(keras.utils.PyDataset):
    """Shuffled batches of features; in each epoch every picture shows one of its views, the next one in the next.

    Each batch is a triple: features float32 (N, ...), labels int32 (N,), sample weights float32 (N,). Order and views
    are a pure function of (seed, epoch).

    Args:
        views: the training pictures' features, as they are and in each augmented view.
        labels: int (n,).
        class_weights: float (k,).
        batch_size: the most pictures a batch; all batches of an epoch are of one size, or one picture smaller.
        seed: decides order and views.
    """

    def __init__(
        self,
        views: Sequence[StoredFeatures],
        labels: np.ndarray,
        *,
        class_weights: np.ndarray,
        batch_size: int,
        seed: int,
    ):
        super().__init__(workers=LEAST_WORKERS, max_queue_size=8)
        self.views = views
        self.labels = labels.astype(np.int32)
        self.class_weights = np.asarray(class_weights, dtype=np.float32)
        self.batch_size = batch_size
        self.picture_count = len(labels)
        self.seed = seed
        self._first_view = self._random(0).integers(len(views), size=len(labels))
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Set which epoch the batches are of."""
        self.order = self._random(epoch + 1).permutation(len(self.labels))
        self.view = (self._first_view + epoch) % len(self.views)

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        positions = self.order[batch_of(batch, len(self.order), self.batch_size)]
        features = np.empty((len(positions), *self.views[0].array.shape[1:]), dtype=np.float32)
        for view in np.unique(self.view[positions]):
            chosen = self.view[positions] == view
            features[chosen] = self.views[view].read(positions[chosen])
        labels = self.labels[positions]
        return features, labels, self.class_weights[labels]

    def _random(self, number: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, number])))


class PlainFeatureBatches(keras.utils.PyDataset):
    """Features in order: float32 (N, ...) and labels int32 (N,)."""

    def __init__(self, features: StoredFeatures, labels: np.ndarray, batch_size: int):
        super().__init__(workers=LEAST_WORKERS, max_queue_size=4)
        self.features = features
        self.labels = labels.astype(np.int32)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
        return self.features.read(part), self.labels[part]

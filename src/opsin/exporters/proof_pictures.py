"""The pictures that an export is proved on, and those that tell 8-bit integers their ranges."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opsin.classifier import Classifier
from opsin.data.account import known_parts
from opsin.data.dataset import ImageDataset
from opsin.data.splits import TEST, TRAIN, VAL
from opsin.errors import DataError, OpsinError, PictureError
from opsin.images.drawing import draw_picture
from opsin.images.preprocess import Preprocess
from opsin.images.reading import read_images
from opsin.names import ENVIRONMENT, FILES

AT_LEAST = 64
AT_MOST = 256
FOR_CALIBRATION = 200


@dataclass(frozen=True)
class Pictures:
    """Preprocessed pictures.

    Args:
        names: one for each.
        images: uint8 (n, h, w, c), 0 to 255.
    """

    names: tuple[str, ...]
    images: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def and_then(self, others: "Pictures") -> "Pictures":
        """Return these and others."""
        return Pictures(self.names + others.names, np.concatenate([self.images, others.images]))


def drawn(preprocess: Preprocess, count: int) -> Pictures:
    """Draw pictures of the size that a recipe makes."""
    height, width, channels = preprocess.shape
    images = [draw_picture(100 + number, height, width)[:, :, :channels] for number in range(count)]
    return Pictures(tuple(f"drawn picture {number}" for number in range(count)), np.stack(images))


def find_training_data(classifier: Classifier) -> ImageDataset | None:
    """Open the data that a run was trained on, where it was then; None if it cannot be found or read."""
    try:
        environment = json.loads((classifier.run_folder / ENVIRONMENT).read_text(encoding="utf-8"))
        return ImageDataset.open(environment["data"])
    except (OSError, ValueError, KeyError, TypeError, OpsinError):
        return None


def share_out(classifier: Classifier, data: ImageDataset) -> tuple[ImageDataset, ImageDataset]:
    """Return what to calibrate with and what to prove on, which have no picture in common.

    By the run's own account the first are training pictures and the others held out; of other data, every second
    picture is one or the other.
    """
    parts = known_parts(classifier.run_folder / FILES, data)
    held_out = [parts[name] for name in (TEST, VAL) if name in parts and len(parts[name])]
    if parts and len(parts[TRAIN]) and held_out:
        known = {name for part in held_out for name in part.names}
        return parts[TRAIN], data.subset(np.array([name in known for name in data.names]))
    even = np.arange(len(data)) % 2 == 0
    return data.subset(even), data.subset(~even)


def sample(data: ImageDataset, preprocess: Preprocess, count: int) -> Pictures:
    """Read at most `count` pictures, as many of each class as there are, always the same ones.

    Raises:
        DataError: none can be read.
    """
    order = np.random.default_rng(0).permutation(len(data))
    chosen = order[np.argsort(_turns(np.asarray(data.labels)[order]), kind="stable")[:count]]
    paths = [data.paths[i] for i in chosen]
    found = [
        (data.names[i], image)
        for i, image in zip(chosen, read_images(paths, preprocess), strict=True)
        if not isinstance(image, PictureError)
    ]
    if not found:
        raise DataError(f"Expected pictures that can be read in {str(data.root)!r}; there are none.")
    return Pictures(tuple(str(Path(name)) for name, _ in found), np.stack([image for _, image in found]))


def _turns(labels: np.ndarray) -> np.ndarray:
    """Return for each label how many of its kind come before it: the first of each class, the second of each, …"""
    by_class = np.argsort(labels, kind="stable")
    _, starts, sizes = np.unique(labels[by_class], return_index=True, return_counts=True)
    turns = np.empty(len(labels), dtype=int)
    turns[by_class] = np.arange(len(labels)) - np.repeat(starts, sizes)
    return turns

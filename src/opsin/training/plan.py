"""What `auto` means for this data and this machine."""

import dataclasses
import importlib
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from opsin.architectures import ARCHITECTURES, check_network
from opsin.catalog import require
from opsin.data.dataset import ImageDataset
from opsin.errors import DataError, PictureError, UsageError
from opsin.images.decode import picture_size
from opsin.images.preprocess import Preprocess
from opsin.training.config import AUTO, OWN, TrainConfig

if TYPE_CHECKING:
    import keras

SAMPLE = 200
SMALL_PICTURE = 64
LEARNING_RATES = {"adam": 1e-3, "adamw": 1e-3, "sgd-nesterov": 0.05}

IMBALANCE = 1.5
"""From this ratio of the largest to the smallest class on, `class_weights = "auto"` weighs them."""


@dataclass(frozen=True)
class Plan:
    """Settings without any `auto`, and the recipe that follows from them."""

    config: TrainConfig
    preprocess: Preprocess


def make_plan(config: TrainConfig, train: ImageDataset, model: "keras.Model | None" = None) -> Plan:
    """Decide what is left open.

    Args:
        config: settings, some of them `auto` or None.
        train: the pictures to learn from; the sizes of up to 200 of them are looked at.
        model: the user's own network, whose input decides size and colour.
    """
    if model is not None:
        check_network(model, tuple(model.input_shape[1:]), len(train.class_names))
    config = _decide_network(config, train) if model is None else _follow_model(config, model)
    config = dataclasses.replace(
        config,
        augment="standard" if config.augment == AUTO else config.augment,
        learning_rate=config.learning_rate or LEARNING_RATES[config.optimizer],
        precision=_precision(config),
    )
    height, width = (config.image_size,) * 2 if model is None else model.input_shape[1:3]
    return Plan(config, Preprocess(height, width, fit=config.fit, color=config.color, resample=config.resample))


def weigh_classes(config: TrainConfig, train: ImageDataset) -> np.ndarray:
    """Return the weight of each class in the loss, float64 (k,); 1 on average over the pictures.

    Raises:
        DataError: a class has no pictures to learn from.
    """
    counts = np.array(list(train.counts.values()))
    if not counts.all():
        missing = [name for name, count in train.counts.items() if not count]
        raise DataError(
            f"Expected pictures of all {len(counts)} classes to learn from; there are none that can be read of "
            f"{', '.join(map(repr, missing[:8]))}{' and others' if len(missing) > 8 else ''}. Add pictures, or take "
            "those classes out."
        )
    if config.class_weights == "none" or counts.max() < IMBALANCE * counts.min():
        return np.ones(len(counts))
    return len(train) / (len(counts) * counts)


def _decide_network(config: TrainConfig, train: ImageDataset) -> TrainConfig:
    side = 0
    name = config.architecture
    if name == OWN:
        raise UsageError("Expected your own network for these settings: opsin.train(..., model=YOUR_NETWORK).")
    if name == AUTO:
        name = "cifar_cnn"
        side = min(_median_side(train), SMALL_PICTURE)
    entry = ARCHITECTURES.get(name)
    side = max(side, entry.least_size) if side and entry else side
    color = config.color
    if color == AUTO:
        color = entry.color if entry else "rgb"
    size = config.image_size or side or (entry.image_size if entry else SMALL_PICTURE)
    return dataclasses.replace(config, architecture=name, image_size=size, color=color)


def _follow_model(config: TrainConfig, model: "keras.Model") -> TrainConfig:
    if config.architecture not in (AUTO, OWN):
        raise UsageError(
            f"Expected an architecture or a network of your own; received {config.architecture!r} and a network. "
            "Leave one of them out."
        )
    height, width, channels = model.input_shape[1:]
    color = ("gray" if channels == 1 else "rgb") if config.color == AUTO else config.color
    return dataclasses.replace(config, architecture=OWN, image_size=height if height == width else None, color=color)


def _median_side(dataset: ImageDataset) -> int:
    """Return the median of the pictures' longer sides, in pixels."""
    step = max(1, len(dataset) // SAMPLE)
    sides = []
    for path in dataset.paths[::step]:
        try:
            sides.append(max(picture_size(path)))
        except PictureError:
            continue  # The decoder will say so of every such picture.
    return round(statistics.median(sides)) if sides else SMALL_PICTURE


def _precision(config: TrainConfig) -> str:
    if config.precision != AUTO:
        return config.precision
    return "mixed_float16" if gpu_count() else "float32"


def gpu_count() -> int:
    """Return how many GPUs Keras's backend sees."""
    keras = require("keras", "training")
    if keras.backend.backend() == "torch":
        # Keras has no list of devices there.
        return importlib.import_module("torch").cuda.device_count()
    try:
        return len(keras.distribution.list_devices("gpu"))
    except RuntimeError:
        return 0  # How JAX says that there are none.

"""What `auto` means for this data and this machine."""

import dataclasses
import functools
import importlib
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from opsin.architectures import ARCHITECTURES, check_network
from opsin.architectures.figures import PARAMETERS_AND_MULTIPLY_ADDS
from opsin.architectures.weight_files import IMAGENET, NONE, architectures_of, keras_folder, resolve_weights
from opsin.catalog import require, resolve
from opsin.data.dataset import ImageDataset
from opsin.errors import DataError, PictureError, UsageError
from opsin.images.decode import picture_size
from opsin.images.preprocess import Preprocess
from opsin.training.config import AUTO, OWN, RECIPES, TrainConfig
from opsin.training.memory import require_memory
from opsin.training.recipes import DataSize, standard

if TYPE_CHECKING:
    import keras

SAMPLE = 200
SMALL_PICTURE = 64
FROM_SCRATCH, PRETRAINED_FIRST = "cifar_cnn", "mobilenet_v2"
"""What `auto` stands for without and with pretrained weights."""

VIEWS = 4
FINE_TUNE_SHARE = 0.1
TRANSFER_SETTINGS = ("head", "views", "unfreeze", "unfreeze_blocks", "fine_tune_rate", "layer_decay")

REBUILDING = ("start_size", "activation")
"""Settings that a network is built anew for."""

SCRATCH_SETTINGS = (*REBUILDING, "whiten", "identity_init", "norm_momentum", "logit_scale", "bias_rate", "momentum")
"""What is of no use to a network that was trained before."""

LEARNING_RATES = {"adam": 1e-3, "adamw": 1e-3, "sgd-nesterov": 0.05, "muon": 0.05}

IMBALANCE = 1.5
"""From this ratio of the largest to the smallest class on, `class_weights = "auto"` weighs them."""


@dataclass(frozen=True)
class Plan:
    """Settings without any `auto`, and what follows from them.

    Args:
        config: the settings.
        preprocess: the recipe from a picture to the network's input.
        weights: what the network starts from: None for random weights, `"imagenet"`, or a file.
    """

    config: TrainConfig
    preprocess: Preprocess
    weights: str | None = None


def make_plan(config: TrainConfig, train: ImageDataset, model: "keras.Model | None" = None) -> Plan:
    """Decide what is left open, but for the precision, which takes Keras to know.

    Args:
        config: settings, some of them `auto` or None.
        train: the pictures to learn from; the sizes of up to 200 of them are looked at.
        model: the user's own network, whose input decides size and colour.
    """
    if model is not None:
        check_network(model, tuple(model.input_shape[1:]), len(train.class_names))
    # It takes a look at the files.
    median_side = functools.cache(lambda: _median_side(train))
    config = _follow_recipe(config, train, median_side, model)
    config = _decide_network(config, median_side) if model is None else _follow_model(config, model)
    weights = resolve_weights(config.weights, config.architecture, ARCHITECTURES, offline=config.offline)
    config = dataclasses.replace(
        config,
        augment=("light" if weights else "standard") if config.augment == AUTO else config.augment,
        learning_rate=config.learning_rate or LEARNING_RATES[config.optimizer],
        **(_decide_transfer(config) if weights else {}),
    )
    if weights:
        require_learned_color(config.color)
        _refuse_from_scratch(config)
        require_memory(config.architecture)
    else:
        _refuse_transfer(config)
    height, width = (config.image_size,) * 2 if model is None else model.input_shape[1:3]
    recipe = Preprocess(height, width, fit=config.fit, color=config.color, resample=config.resample)
    return Plan(config, recipe, weights)


def require_learned_color(color: str) -> None:
    """Raise unless pretrained weights can make sense of pictures in a colour space.

    Raises:
        UsageError: they would read hue or lightness as red, green and blue.
    """
    if color not in ("rgb", "gray"):
        raise UsageError(
            f"Expected rgb with pretrained weights, which were learned on it; received the colour space {color!r}. "
            "Leave it out, or train from scratch: --weights none."
        )


def _follow_recipe(
    config: TrainConfig, train: ImageDataset, median_side: Callable[[], int], model: "keras.Model | None"
) -> TrainConfig:
    if model is not None:
        _refuse_for_own_network(config)
        config = config.replace(architecture=OWN if config.architecture == AUTO else config.architecture)
    recipe = resolve(RECIPES[config.recipe])
    side = config.image_size if model is None else model.input_shape[1]
    if config.recipe == "fast" and not side:
        side = min(median_side(), SMALL_PICTURE)
    says = recipe(config, DataSize(len(train), side or 0, len(train.class_names)))
    return config.replace(**{name: value for name, value in says.items() if getattr(config, name) in (None, AUTO)})


def _refuse_for_own_network(config: TrainConfig) -> None:
    for name in REBUILDING:
        if getattr(config, name) not in (None, AUTO, 0):
            raise UsageError(
                f"Expected {name} only with a network that is built here; received a network of your own. Build it "
                f"that way, and leave {name} out."
            )


def _decide_transfer(config: TrainConfig) -> dict[str, Any]:
    unfreezes = config.unfreeze_blocks or config.unfreeze not in (AUTO, "none")
    return {
        "unfreeze": "none" if config.unfreeze == AUTO and config.unfreeze_blocks is None else config.unfreeze,
        "views": (VIEWS if unfreezes else 0) if config.views is None else config.views,
        "fine_tune_rate": config.fine_tune_rate or FINE_TUNE_SHARE * LEARNING_RATES[config.optimizer],
    }


def _refuse_transfer(config: TrainConfig) -> None:
    default = TrainConfig()
    for name in TRANSFER_SETTINGS:
        if getattr(config, name) not in (getattr(default, name), "none", 0):
            raise UsageError(
                f"Expected {name} only with pretrained weights; {config.architecture} is trained from scratch. Leave "
                f"{name} out, or give --weights and an architecture that they are for (opsin archs)."
            )


def _refuse_from_scratch(config: TrainConfig) -> None:
    # What the recipe filled in, and a run's own config.toml has, changes nothing.
    neutral = TrainConfig().replace(**standard(config, DataSize(0, 0, 0)))
    for name in SCRATCH_SETTINGS:
        if getattr(config, name) != getattr(neutral, name):
            raise UsageError(
                f"Expected {name} only where a network is trained from scratch; {config.architecture} starts from the "
                f"weights {config.weights!r}. Leave {name} out, or train from scratch: --weights none."
            )


def settings_of(plan: Plan, config: TrainConfig) -> TrainConfig:
    """Return the settings that a run is known by: the plan's, but under a budget what is searched for stays open."""
    if config.budget is None or not plan.weights:
        return plan.config
    return plan.config.replace(architecture=config.architecture, image_size=config.image_size)


def weigh_classes(config: TrainConfig, train: ImageDataset) -> np.ndarray:
    """Return the weight of each class in the loss, float64 (k,); 1 on average over the pictures.

    Raises:
        DataError: a class has no pictures to learn from.
    """
    counts = np.array(list(train.counts.values()))
    if not counts.all():
        missing = [name for name, count in train.counts.items() if not count]
        raise DataError(
            f"Expected pictures of all {len(counts)} classes to learn from; the train part has none that can be read "
            f"of {', '.join(map(repr, missing[:8]))}{' and others' if len(missing) > 8 else ''}: they cannot be read, "
            "or all are in other parts, as a group of pictures is that stays together. Add pictures, or take those "
            "classes out."
        )
    if config.class_weights == "none" or counts.max() < IMBALANCE * counts.min():
        return np.ones(len(counts))
    return len(train) / (len(counts) * counts)


def _decide_network(config: TrainConfig, median_side: Callable[[], int]) -> TrainConfig:
    side = 0
    name = config.architecture
    if name == OWN:
        raise UsageError("Expected your own network for these settings: opsin.train(..., model=YOUR_NETWORK).")
    if ".py:" in name and config.weights not in (AUTO, NONE):
        raise UsageError(
            f"Expected no weights with {name!r}, a function of your own; received {config.weights!r}. Load them there, "
            "and leave weights out."
        )
    if name == AUTO:
        name = _choose_architecture(config, median_side())
    if config.recipe == "fast" or (name == FROM_SCRATCH and config.architecture == AUTO):
        side = min(median_side(), SMALL_PICTURE)
    entry = ARCHITECTURES.get(name)
    side = max(side, entry.least_size) if side and entry else side
    color = config.color
    if color == AUTO:
        color = entry.color if entry else "rgb"
    size = config.image_size or side or (entry.image_size if entry else SMALL_PICTURE)
    weights = config.weights
    if weights == AUTO:
        weights = IMAGENET if entry is not None and entry.published else NONE
    return dataclasses.replace(config, architecture=name, image_size=size, color=color, weights=weights)


def _choose_architecture(config: TrainConfig, median_side: int) -> str:
    weights = config.weights
    if weights == NONE or (weights == AUTO and median_side <= SMALL_PICTURE):
        return FROM_SCRATCH
    at_hand = architectures_at_hand(config)
    if config.budget is not None and at_hand:
        # A first classifier within seconds; larger ones have their turn after it.
        return min(at_hand, key=lambda name: PARAMETERS_AND_MULTIPLY_ADDS[name][1])
    if weights in (AUTO, IMAGENET):
        return PRETRAINED_FIRST
    if not at_hand:
        resolve_weights(weights, PRETRAINED_FIRST, ARCHITECTURES)  # Says so if there is nothing at the path.
        raise UsageError(
            f"Expected an architecture for the weights {weights!r}; their name does not say it. Give it with --arch."
        )
    return PRETRAINED_FIRST if PRETRAINED_FIRST in at_hand else at_hand[0]


def architectures_at_hand(config: TrainConfig) -> list[str]:
    """Return the architectures whose pretrained weights are on this machine."""
    published = config.weights in (AUTO, IMAGENET)
    found = architectures_of(keras_folder() if published else config.weights, ARCHITECTURES)
    return [name for name in found if ARCHITECTURES[name].published or not published]


def _follow_model(config: TrainConfig, model: "keras.Model") -> TrainConfig:
    if config.architecture not in (AUTO, OWN):
        raise UsageError(
            f"Expected an architecture or a network of your own; received {config.architecture!r} and a network. "
            "Leave one of them out."
        )
    height, width, channels = model.input_shape[1:]
    if config.weights not in (AUTO, NONE):
        raise UsageError(
            f"Expected no weights with a network of your own, which has its own; received {config.weights!r}. Load "
            "them into the network, and leave weights out."
        )
    color = ("gray" if channels == 1 else "rgb") if config.color == AUTO else config.color
    size = height if height == width else None
    return dataclasses.replace(config, architecture=OWN, image_size=size, color=color, weights=NONE)


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

"""`--recipe`: what the settings are that a user leaves open.

A recipe is a function `(config, size)` that returns values for them, by name; what the user has given stands.
`fast` puts together what short training from scratch has been found to live on; every part is a setting of its own,
with its source:

- a first convolution whose filters whiten patches and stay as they are, scaled logits, fast biases, alternating flips,
  label smoothing of 0.2 and few, large steps: Jordan 2024, arXiv 2404.00498, section 3;
- Muon for convolutions: Jordan and others 2024, kellerjordan.github.io/posts/muon; for all else
- Nesterov's momentum with decoupled weight decay: Loshchilov and Hutter 2017, arXiv 1711.05101, algorithm 1;
- one cycle of the learning rate: Smith 2018, arXiv 1803.09820, section 4.

Settings and no part of it, since they were worth nothing here or less than they cost (`benchmarks.ablation`):
convolutions that begin as the identity (section 3.3 of the first), pictures that grow (`start_size`: Howard, DAWNBench
2018; Tan and Le 2021, arXiv 2104.00298, section 4), a moving average of the weights, GELU and SiLU.
"""

from typing import Any, NamedTuple

from opsin.architectures.figures import PARAMETERS_AND_MULTIPLY_ADDS
from opsin.architectures.weight_files import NONE
from opsin.errors import UsageError
from opsin.training.config import AUTO, BFLOAT16_PRODUCTS, TrainConfig, seconds_of
from opsin.training.processor import has_bfloat16_units

MOMENTUM = 0.85
SUMMED_RATE = 11.5
"""The learning rate for the summed loss of 1024 pictures, before momentum: arXiv 2404.00498, listing 4."""

DECAY = 0.0153
"""What weights lose in a step of 1024 pictures at the highest rate, before momentum; of the same place."""

MANY, FEW_EPOCHS = 50_000, 4
MOST_EPOCHS = 40
FEW_CLASSES = 10
"""More than these take more epochs, by the square root of how many: `benchmarks/README.md`. Fewer do not take less."""

NARROW, FAST, WIDE = "speed_cnn_narrow", "speed_cnn", "speed_cnn_wide"
ENOUGH_FOR_FAST = 20_000
"""Fewer pictures teach the narrow network as much, in three fifths of the time: seen with 4,500 of Fashion-MNIST."""

MANY_CLASSES = 50
"""So many are taught better by the larger network, in about the same time: seen with 120 and 1,000, not with ten."""

LEAST_SHARE = {WIDE: 1.25, FAST: 0.75}
"""Of the epochs without a budget, what one should leave room for: a judgement, from single trainings on CIFAR-10."""

FIGURES_SIDE = 32
"""The pictures' side for which multiply-adds are known; they grow with its square."""

MOST_PIXELS = 256 * 64**2
"""In a batch: what is kept for gradients grows with them; a judgement."""

STRETCH = 6
"""Under a budget there are at most so many times the epochs that there are without one."""

MULTIPLY_ADDS_A_SECOND = 20e9
"""What two cores get through in training, counted forward only: 15e9 were seen without AVX-512, 40e9 with it."""

IN_BFLOAT16 = 60e9
"""The same with units for bfloat16: 70e9 were seen."""


class DataSize(NamedTuple):
    """What of the data a recipe goes by."""

    pictures: int
    """How many there are to learn from."""
    side: int
    """How large the network sees them, in pixels."""
    classes: int


def standard(config: TrainConfig, size: DataSize) -> dict[str, Any]:
    """Return what suits most networks: AdamW, half a cosine, 30 epochs that may end early."""
    return {
        "epochs": 30,
        "batch_size": 64,
        "optimizer": "adamw",
        "momentum": 0.9,
        "bias_rate": 1.0,
        "weight_decay": 0.0001,
        "schedule": "cosine",
        "label_smoothing": 0.0,
        "patience": 10,
        "start_size": 0,
        "whiten": False,
        "identity_init": False,
        "logit_scale": 1.0,
    }


def fast(config: TrainConfig, size: DataSize) -> dict[str, Any]:
    """Return what brings a network from scratch far in few epochs, by how many pictures and classes there are.

    Args:
        config: settings; `weights` is `none` or `auto`.
        size: of the data.

    Raises:
        UsageError: the settings name pretrained weights.
    """
    if config.weights not in (AUTO, NONE):
        raise UsageError(
            f"Expected no weights with the recipe 'fast', which trains from scratch; received {config.weights!r}. "
            "Leave one of the two out."
        )
    batch_size = config.batch_size or _batch_size(size.pictures, size.side)
    # Decay and rate of the paper are for sums over a batch; here the loss is a mean.
    step = batch_size / (1024 * (1 + 1 / (1 - MOMENTUM)))
    rate = SUMMED_RATE * step
    return {
        "weights": NONE,
        "architecture": _affordable(config, size),
        "augment": "fast",
        # Under a budget, as many of these as there turns out to be time for.
        "epochs": epochs_for(size.pictures, size.classes) * (STRETCH if config.budget else 1),
        "batch_size": batch_size,
        "optimizer": "muon",
        "learning_rate": rate if config.optimizer in (AUTO, "muon", "sgd-nesterov") else None,
        "momentum": MOMENTUM,
        "bias_rate": 64.0,
        # Where the paper adds decay to the gradient, momentum makes it so many times larger.
        "weight_decay": DECAY * step / rate / (1 - MOMENTUM),
        "schedule": "one-cycle",
        "label_smoothing": 0.2,
        # The cycle is to come to its end.
        "patience": 0,
        "start_size": 0,
        "whiten": True,
        "identity_init": False,
        "logit_scale": 1 / 9,
    }


def describe_fast(config: TrainConfig) -> str:
    """Return in a line what the recipe came to, for the log."""
    rate = config.learning_rate if isinstance(config.learning_rate, str) else f"up to {config.learning_rate:.3g}"
    parts = [
        f"{config.epochs} epochs of batches of {config.batch_size}",
        f"{config.optimizer} {rate}, {config.schedule}",
        f"labels smoothed by {config.label_smoothing:g}",
        f"pictures grow from {config.start_size} to {config.image_size} pixels" if config.start_size else "",
        "the first convolution whitens" if config.whiten else "",
        "convolutions begin as the identity" if config.identity_init else "",
    ]
    return "; ".join(part for part in parts if part)


def epochs_for(pictures: int, classes: int) -> int:
    """Return the epochs of `fast`: 4 of 50,000 pictures of ten classes; more of fewer, but fewer steps; more of more.

    >>> [epochs_for(pictures, 10) for pictures in (100, 1_000, 5_000, 50_000, 1_000_000)]
    [19, 11, 7, 4, 2]
    >>> [epochs_for(50_000, classes) for classes in (2, 10, 100, 1_000)]
    [4, 4, 13, 40]
    """
    few_pictures = (MANY / max(1, pictures)) ** 0.25
    many_classes = max(1.0, classes / FEW_CLASSES) ** 0.5
    return max(1, min(MOST_EPOCHS, round(FEW_EPOCHS * few_pictures * many_classes)))


def _batch_size(pictures: int, side: int) -> int:
    """Return a power of two from 16 to 256 that leaves about 20 steps an epoch, and memory for all else.

    >>> [_batch_size(50_000, side) for side in (32, 64, 128, 512)]
    [256, 256, 64, 16]
    """
    size = 16
    while size < 256 and pictures // (2 * size) >= 20 and 2 * size * side**2 <= MOST_PIXELS:
        size *= 2
    return size


def _affordable(config: TrainConfig, size: DataSize) -> str:
    if config.budget is None:
        return FAST if size.pictures >= ENOUGH_FOR_FAST or size.classes >= MANY_CLASSES else NARROW
    quick = has_bfloat16_units() and config.precision in (AUTO, "mixed_bfloat16", BFLOAT16_PRODUCTS)
    speed = IN_BFLOAT16 if quick else MULTIPLY_ADDS_A_SECOND
    affordable = seconds_of(config.budget) * speed / max(1, size.pictures) / (size.side / FIGURES_SIDE) ** 2
    epochs = epochs_for(size.pictures, size.classes)
    for name, share in LEAST_SHARE.items():
        if affordable >= share * epochs * PARAMETERS_AND_MULTIPLY_ADDS[name][1]:
            return name
    return NARROW

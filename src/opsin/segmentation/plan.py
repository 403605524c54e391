"""What `auto` means for a segmentation: which network, which weights, which size."""

from dataclasses import dataclass

from opsin.architectures.pretrained_entries import PRETRAINED
from opsin.architectures.weight_files import IMAGENET, NONE, resolve_weights
from opsin.errors import UsageError
from opsin.segmentation.config import SegmentConfig
from opsin.segmentation.networks import NETWORKS
from opsin.segmentation.road import SegmentationRecipe
from opsin.training.config import AUTO
from opsin.training.plan import LEARNING_RATES, require_learned_color

ON_BACKBONE, FROM_SCRATCH = "pretrained_unet", "unet"
"""What `auto` stands for with and without pretrained weights."""


@dataclass(frozen=True)
class SegmentPlan:
    """Settings without any `auto` but for the precision, and what follows from them.

    Args:
        config: the settings.
        recipe: the road from picture and mask to the network, and back.
        weights: what the backbone starts from: None for random weights, `"imagenet"`, or a file.
    """

    config: SegmentConfig
    recipe: SegmentationRecipe
    weights: str | None = None


def make_plan(config: SegmentConfig) -> SegmentPlan:
    """Decide what is left open, but for the precision, which takes Keras to know.

    Raises:
        UsageError: settings do not go together, or there is nothing at the weights' path.
        ModelError: offline, and the published weights were never downloaded.
    """
    name = config.architecture
    if name == AUTO:
        name = FROM_SCRATCH if config.weights == NONE else ON_BACKBONE
    entry = NETWORKS[name]
    wanted = config.weights
    if wanted == AUTO:
        wanted = IMAGENET if entry.on_backbone else NONE
    if wanted != NONE and not entry.on_backbone:
        raise UsageError(
            f"Expected no weights with {name}, which is trained from scratch; received {wanted!r}. Use --arch "
            f"{ON_BACKBONE}, or leave --weights out."
        )
    weights = resolve_weights(wanted, config.backbone, PRETRAINED, offline=config.offline)
    if weights:
        require_learned_color(config.color)
    config = config.replace(
        architecture=name,
        weights=wanted,
        image_size=config.image_size or entry.image_size,
        augment=("light" if weights else "standard") if config.augment == AUTO else config.augment,
        learning_rate=config.learning_rate or LEARNING_RATES[config.optimizer],
        decoder_epochs=config.decoder_epochs if weights else 0,
    )
    recipe = SegmentationRecipe((config.image_size, config.image_size), config.fit, config.color)
    return SegmentPlan(config, recipe, weights)

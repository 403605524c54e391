"""`SegmentConfig`: everything that decides how a segmentation network is trained, in one flat, frozen place."""

from dataclasses import dataclass

from opsin.architectures.pretrained_entries import PRETRAINED
from opsin.catalog import choose
from opsin.errors import UsageError
from opsin.images.color import COLORS
from opsin.images.preprocess import FITS
from opsin.segmentation import LOSSES
from opsin.segmentation.networks import NETWORKS, NetworkSettings
from opsin.segmentation.policies import PAIR_POLICIES
from opsin.training.config import AUTO, CLASS_WEIGHTS, OPTIMIZERS, PRECISIONS, RANGES, SCHEDULES
from opsin.training.settings import Settings, require_ranges, require_types

MONITORS = ("val_iou", "val_accuracy", "val_loss")
OWN_RANGES = {
    "decoder_epochs": (0, 100_000, "of at least 0"),
    "backbone_rate": (0.0, 1.0, "from 0 to 1"),
    "dropout": (0.0, 0.99, "from 0 to 0.99"),
}
SHARED_RANGES = (
    *("image_size", "epochs", "batch_size", "learning_rate", "weight_decay", "warmup_epochs", "ema", "patience"),
    *("plateau_patience", "val", "test", "seed", "cache_limit_gb"),
)


@dataclass(frozen=True)
class SegmentConfig(Settings):
    """How to train; every field has a default, `auto` is decided by the other settings and the machine.

    Args:
        architecture: a name of `opsin.segmentation.networks.NETWORKS`; `auto` is `pretrained_unet`, or `unet` where no
            weights are wanted.
        backbone: what networks with pretrained weights stand on: one of keras.applications' names in `opsin archs`.
        weights: what the backbone starts from: `imagenet`, `none`, a file, or a folder of files that are named after
            architectures; `auto` is `imagenet` on a backbone and `none` otherwise.
        offline: never download weights.
        depth: how often `unet` halves its maps.
        width: channels at the finest of a network's own maps.
        normalize: whether `unet` normalises batches.
        dropout: the share of values that is dropped at the coarsest map.
        upsample: `bilinear` or `transposed`.
        image_size: height and width of the network's input in pixels; None for what suits the architecture.
        fit: how a picture and its mask are brought to that size: `stretch`, `crop` or `pad`.
        color: `rgb`, `gray`, `hsv` or `lab`.
        augment: the augmentation policy, of picture and mask together; `auto` is `light` on pretrained weights and
            `standard` from scratch.
        loss: `ce`, `dice`, `focal` or a sum such as `ce+dice`.
        class_weights: `auto` weighs classes against their share of the pixels; `none` never.
        decoder_epochs: on pretrained weights, epochs in which the backbone stays as it is.
        epochs: the most epochs; on pretrained weights, those after that.
        batch_size: pictures a step.
        optimizer: `adam`, `adamw`, `sgd-nesterov` or `muon`.
        learning_rate: its highest value; None for what suits the optimizer.
        backbone_rate: the rate of pretrained layers, as a fraction of it.
        weight_decay: decoupled weight decay (not with `adam`).
        schedule: `constant`, `cosine`, `one-cycle` or `reduce-on-plateau`.
        warmup_epochs: epochs over which the rate rises linearly from 0 (not with `one-cycle`); may be a fraction.
        ema: decay of the moving average of the weights that is judged and kept; 0 keeps the weights themselves.
        monitor: what tells the best epoch: `val_iou`, the mean IoU; `val_accuracy`, that of pixels; or `val_loss`.
        patience: stop after so many epochs without improvement; 0 never stops early.
        plateau_patience: with `reduce-on-plateau`, halve the rate after so many epochs without improvement.
        val: fraction of the pictures for validation.
        test: fraction of the pictures held out for the report.
        seed: the same seed on the same CPU gives the same network.
        precision: arithmetic of training, and what `auto` is, as in `opsin.TrainConfig`; here with weights as well.
        profile: tell at the end where the time went.
        tensorboard: also write TensorBoard logs into the run folder.
        cache: keep decoded pictures and masks for the next run.
        cache_limit_gb: the room, in GiB, that all that is kept together may take.

    Raises:
        UsageError: a value is not what its field takes.
    """

    architecture: str = AUTO
    backbone: str = "mobilenet_v2"
    weights: str = AUTO
    offline: bool = False
    depth: int = 2
    width: int = 32
    normalize: bool = False
    dropout: float = 0.0
    upsample: str = "bilinear"
    image_size: int | None = None
    fit: str = "stretch"
    color: str = "rgb"
    augment: str = AUTO
    loss: str = "ce+dice"
    class_weights: str = "none"
    decoder_epochs: int = 5
    epochs: int = 30
    batch_size: int = 8
    optimizer: str = "adamw"
    learning_rate: float | None = None
    backbone_rate: float = 0.1
    weight_decay: float = 0.0001
    schedule: str = "cosine"
    warmup_epochs: float = 1.0
    ema: float = 0.0
    monitor: str = "val_iou"
    patience: int = 10
    plateau_patience: int = 5
    val: float = 0.15
    test: float = 0.15
    seed: int = 0
    precision: str = AUTO
    profile: bool = False
    tensorboard: bool = False
    cache: bool = True
    cache_limit_gb: float = 20.0

    def __post_init__(self):
        require_types(self)
        choose("architecture", self.architecture, [AUTO, *NETWORKS])
        choose("backbone", self.backbone, PRETRAINED)
        choose("fit", self.fit, FITS)
        choose("color", self.color, COLORS)
        choose("augment", self.augment, [AUTO, *PAIR_POLICIES])
        parts_of(self.loss)
        choose("optimizer", self.optimizer, OPTIMIZERS)
        choose("schedule", self.schedule, SCHEDULES)
        choose("class_weights", self.class_weights, CLASS_WEIGHTS)
        choose("monitor", self.monitor, MONITORS)
        choose("precision", self.precision, PRECISIONS)
        require_ranges(self, {name: RANGES[name] for name in SHARED_RANGES} | OWN_RANGES)
        _ = self.network  # Checks the rest.

    @property
    def network(self) -> NetworkSettings:
        """The part of the settings that a network is built by."""
        return NetworkSettings(self.depth, self.width, self.normalize, self.dropout, self.upsample, self.backbone)


def parts_of(name: str) -> list[str]:
    """Return the losses that a sum such as `ce+dice` names.

    Raises:
        UsageError: one of them does not exist, or is named twice.

    >>> parts_of("ce+dice")
    ['ce', 'dice']
    """
    parts = [choose("loss", part.strip(), LOSSES) for part in name.split("+")]
    if len(set(parts)) < len(parts):
        raise UsageError(f"Expected each loss once in a sum; received {name!r}.")
    return parts

"""Networks that give a class for every pixel: their catalogue, their settings, and building one by its name.

Every network takes float32 `(N, h, w, c)`, 0 to 255, scales it itself and gives raw float32 logits `(N, h, w, k)`.
Listing the catalogue loads neither TensorFlow nor Keras.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsin.architectures.pretrained_entries import PRETRAINED
from opsin.catalog import choose, require, resolve
from opsin.errors import UsageError

if TYPE_CHECKING:
    import keras

UPSAMPLINGS = ("bilinear", "transposed")

Say = Callable[[str], None]


@dataclass(frozen=True)
class SegmentationNetwork:
    """One line of the catalogue.

    Args:
        builder: `"module:function"`; called as `function(input_shape, class_count, settings, weights=…, say=…)`.
        description: one line for who chooses.
        on_backbone: whether it stands on a network of keras.applications, with or without its published weights.
        image_size: height and width in pixels that suit it where nothing else is said.
    """

    builder: str
    description: str
    on_backbone: bool
    image_size: int


NETWORKS: dict[str, SegmentationNetwork] = {
    "unet": SegmentationNetwork(
        "opsin.segmentation.unet:unet",
        "U-Net (Ronneberger 2015), from scratch: few pictures, fine structures",
        on_backbone=False,
        image_size=256,
    ),
    "pretrained_unet": SegmentationNetwork(
        "opsin.segmentation.pretrained_unet:pretrained_unet",
        "U-Net whose way down is a pretrained backbone, its skips taken by stride",
        on_backbone=True,
        image_size=224,
    ),
    "deeplab": SegmentationNetwork(
        "opsin.segmentation.deeplab:deeplab",
        "Pretrained backbone, atrous pooling at several rates, a light decoder, as DeepLabV3+ (Chen 2018)",
        on_backbone=True,
        image_size=224,
    ),
}


@dataclass(frozen=True)
class NetworkSettings:
    """What of a network can be chosen.

    Args:
        depth: how often `unet` halves its maps, 1 to 6.
        width: channels at the finest of its maps, 1 to 512; each coarser one has twice as many (on a backbone, at
            most four times).
        normalize: whether `unet` normalises batches; what is put on a backbone always does.
        dropout: the share of channels' values that is dropped at the coarsest map in training, from 0 to below 1.
        upsample: `bilinear`, or `transposed` for learned kernels.
        backbone: of networks on a backbone, a name in keras.applications' part of `opsin archs`.

    Raises:
        UsageError: a value is not one of these.

    >>> NetworkSettings(depth=4, width=16).stride
    16
    """

    depth: int = 2
    width: int = 32
    normalize: bool = False
    dropout: float = 0.0
    upsample: str = "bilinear"
    backbone: str = "mobilenet_v2"

    def __post_init__(self):
        choose("upsample", self.upsample, UPSAMPLINGS)
        choose("backbone", self.backbone, PRETRAINED)
        for name, low, high in (("depth", 1, 6), ("width", 1, 512)):
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"Expected {name} from {low} to {high}; received {getattr(self, name)}.")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"Expected dropout from 0 to below 1; received {self.dropout}.")

    @property
    def stride(self) -> int:
        """How many pixels of the picture one of `unet`'s coarsest map stands for, along each side."""
        return 2**self.depth


def build_segmentation_network(
    name: str,
    input_shape: tuple[int, int, int],
    class_count: int,
    settings: NetworkSettings | None = None,
    *,
    weights: str | None = None,
    say: Say = lambda line: None,
) -> "keras.Model":
    """Build a network of the catalogue.

    Args:
        name: a key of `NETWORKS`.
        input_shape: `(h, w, c)`, in pixels and channels. Sizes that the network's stride does not divide are padded
            inside, by mirroring, and cut back.
        class_count: k, at least 2.
        settings: None for the defaults.
        weights: of the backbone: None for random ones; `"imagenet"`; or a file.
        say: is called with a sentence on what of a file was left out.

    Returns:
        A flat functional model from `image`, float32 `(N, h, w, c)`, 0 to 255, to logits, float32 `(N, h, w, k)`.

    Raises:
        UsageError: no such name, pictures too small, wrong channels, fewer than two classes, or no such file.
        ModelError: the weights are of another network, damaged, or cannot be had.
        MissingPackageError: Keras is not installed.
    """
    entry = NETWORKS[choose("segmentation network", name, NETWORKS)]
    settings = settings or NetworkSettings()
    if class_count < 2:
        raise UsageError(f"Expected at least 2 classes for {name}; received {class_count}. Add a second class.")
    _check_size(name, input_shape, PRETRAINED[settings.backbone].least_size if entry.on_backbone else settings.stride)
    if weights is not None and not entry.on_backbone:
        raise UsageError(
            f"Expected no weights with {name}, which is trained from scratch; received {weights!r}. Use "
            "--arch pretrained_unet, or leave --weights out."
        )
    if entry.on_backbone and input_shape[2] != 3:
        raise UsageError(
            f"Expected pictures of 3 channels (RGB) for {name}; received {input_shape[2]}. Use color 'rgb'."
        )
    require("keras", "building a network")
    return resolve(entry.builder)(tuple(input_shape), class_count, settings, weights=weights, say=say)


def _check_size(name: str, input_shape: tuple[int, int, int], least: int) -> None:
    height, width, channels = input_shape
    if min(height, width) < least:
        raise UsageError(
            f"Expected pictures of at least {least}x{least} pixels for {name}; received {height}x{width}. "
            f"Use --image-size {least} or more."
        )
    if channels < 1:
        raise UsageError(f"Expected pictures of 1 channel or more for {name}; received {channels}.")

"""Networks: blocks, the classic families and the catalogue of their names.

Every network takes float32 `(N, h, w, c)`, 0 to 255, scales it itself and gives raw float32 logits `(N, k)`.
Listing the catalogue loads neither TensorFlow nor Keras.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from opsin.architectures.entry import Architecture
from opsin.architectures.own import check_network, load_network
from opsin.architectures.pretrained_entries import PRETRAINED
from opsin.architectures.scratch_entries import SCRATCH
from opsin.architectures.weight_files import IMAGENET
from opsin.catalog import choose, require, resolve
from opsin.errors import UsageError

if TYPE_CHECKING:
    import keras

__all__ = ["ARCHITECTURES", "Architecture", "build_network", "check_network", "load_network"]

ARCHITECTURES: dict[str, Architecture] = {**SCRATCH, **PRETRAINED}


def build_network(
    name: str,
    input_shape: tuple[int, int, int],
    class_count: int,
    *,
    weights: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> "keras.Model":
    """Build a network of the catalogue.

    Args:
        name: a key of `ARCHITECTURES`.
        input_shape: `(h, w, c)`, in pixels and channels.
        class_count: k, at least 2.
        weights: None for random ones; `"imagenet"` for those that keras.applications offers; or a file (`.h5`,
            `.weights.h5`, `.keras`), from which all is taken but what comes after the features.
        say: is called with a sentence on what of a file was left out.

    Returns:
        A flat functional model from `image`, float32 `(N, h, w, c)`, 0 to 255, to `logits`, float32 `(N, k)`
        (`(N, 1)` where the network has one unit for two classes). Its layer `features` gives what enters the
        last layer, `(N, d)`.

    Raises:
        UsageError: no such name, pictures too small, wrong channels, fewer than two classes, or no such file.
        ModelError: the weights are of another network, damaged, or cannot be had.
        MissingPackageError: Keras is not installed.
    """
    architecture = ARCHITECTURES[choose("architecture", name, ARCHITECTURES)]
    _check_request(name, input_shape, class_count)
    require("keras", "building a network")
    build = resolve(architecture.builder)
    if name in PRETRAINED:
        return build(tuple(input_shape), class_count, weights=weights, say=say, **architecture.options)
    network = build(tuple(input_shape), class_count, **architecture.options)
    if weights is not None:
        _load_up_to_features(network, name, weights, say)
    return network


def _load_up_to_features(network: "keras.Model", name: str, weights: str, say: Callable[[str], None]):
    if weights == IMAGENET:
        raise UsageError(
            f"Expected an architecture of keras.applications for the weights {IMAGENET!r}; received {name}. Give a "
            "file with --weights PATH, or train from scratch with --weights none."
        )
    from opsin.architectures.weights import load_weights

    keras = require("keras", "building a network")
    backbone = keras.Model(network.inputs[0], network.get_layer("features").output)
    remark = load_weights(backbone, weights, called=name)
    if remark:
        say(remark)


def _check_request(name: str, input_shape: tuple[int, int, int], class_count: int):
    architecture = ARCHITECTURES[name]
    height, width, channels = input_shape
    least = architecture.least_size
    if min(height, width) < least:
        raise UsageError(
            f"Expected pictures of at least {least}x{least} pixels for {name}; received {height}x{width}. "
            f"Use --image-size {least} or more."
        )
    if channels < 1 or (architecture.needs_rgb and channels != 3):
        wanted = "3 channels (RGB)" if architecture.needs_rgb else "1 channel or more"
        raise UsageError(f"Expected pictures of {wanted} for {name}; received {channels}. Use color 'rgb'.")
    if class_count < 2:
        raise UsageError(f"Expected at least 2 classes for {name}; received {class_count}. Add a second class.")

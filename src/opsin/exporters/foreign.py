"""Networks that Opsin did not train: any Keras image classifier, made into a model folder of ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opsin import __version__
from opsin.architectures.scaling import SCALINGS
from opsin.catalog import choose, require
from opsin.classifier import Classifier, softmax
from opsin.errors import ModelError, ParityError, UsageError
from opsin.exporters.proof_pictures import drawn
from opsin.exporters.write_model import write_model
from opsin.images.preprocess import Preprocess
from opsin.model_folder import ModelCard
from opsin.runtimes.keras import KerasRuntime, activation_of, load_network, node_of, passes_on

if TYPE_CHECKING:
    import keras

AS_THEY_ARE = "none"
"""Pixels of 0 to 255 go into the network as they are."""

RANGES = (AS_THEY_ARE, *(name for name in SCALINGS if name != "in_graph"))
CHANNELS = {1: "gray", 3: "rgb"}

PROOF_PICTURES = 16
TOLERANCE = 5e-3
"""How far a probability may be from that of the user's own network, whose softmax may be computed in bfloat16."""


@dataclass(frozen=True)
class Description:
    """What a Keras file does not say of itself.

    Args:
        class_names: in the order of the network's outputs.
        pixels: a name in `RANGES`: the range of values that the network takes; None: whatever it scales by itself.
        fit: how pictures are brought to the network's size: `stretch`, `crop` or `pad`.
        image_size: height and width in pixels, for a network that takes any.
    """

    class_names: tuple[str, ...]
    pixels: str | None = None
    fit: str = "stretch"
    image_size: int | None = None


def adopt(path: str | Path, description: Description, folder: Path, *, trust: bool = False) -> Classifier:
    """Write a model folder of a Keras network, and open it.

    Args:
        path: the `.keras` file.
        description: what it does not say of itself.
        folder: the model folder to write.
        trust: whether code that comes with the file may be run.

    Raises:
        UsageError: the description does not fit the network.
        ModelError: the file cannot be opened, holds what only its maker's code can open, or its network does not end
            in logits, a softmax or one sigmoid.
        ParityError: what was made of the network gives other probabilities than it does.
    """
    opened = load_network(path, trust=trust)
    _require_one_input_and_output(opened)
    network = require("keras", "opening a .keras file").Model(opened.inputs[0], opened.outputs[0], name=opened.name)
    if len(network.inputs[0].shape) != 4:
        raise UsageError(f"Expected a network that takes pictures, (N, h, w, c); it takes {network.inputs[0].shape}.")
    recipe = recipe_of(network, description)
    logits = _with_logits(network)
    _require_names(logits, description.class_names)
    pixels = range_of(network.operations, description.pixels)
    whole = _from_pixels(logits, recipe, pixels)
    _require_same_answers(_from_pixels(network, recipe, pixels), whole, recipe, ends_in_logits=logits is network)
    provenance = {"opsin": __version__, "architecture": network.name, "source": Path(path).name}
    card = ModelCard(description.class_names, recipe, provenance=provenance)
    write_model(folder, whole, card)
    return Classifier.open_own(folder)


def read_class_names(path: str | Path) -> tuple[str, ...]:
    """Return the names in a text file, one a line, in the order of the network's outputs.

    Raises:
        UsageError: there is no such file, or it names nothing.
    """
    try:
        names = tuple(line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"Expected a text file with a class name a line; {str(path)!r} is none: {error}.") from error
    if not names:
        raise UsageError(f"Expected a text file with a class name a line; {str(path)!r} is empty.")
    return names


def recipe_of(network: "keras.Model", description: Description) -> Preprocess:
    """Return the recipe from a picture to a network's input.

    Raises:
        UsageError: it takes no pictures, or any size and none is said.
    """
    _, height, width, channels = network.inputs[0].shape
    color = CHANNELS.get(channels)
    if color is None:
        raise UsageError(f"Expected a network for pictures of 1 or 3 channels; this one takes {channels}.")
    height, width = (side or description.image_size for side in (height, width))
    if height is None or width is None:
        raise UsageError("Expected the size of the pictures, since this network takes any. Give --image-size PIXELS.")
    return Preprocess(height, width, fit=description.fit, color=color)


def range_of(steps: "Sequence[keras.Operation]", pixels: str | None) -> str:
    """Return the range of values that a network takes; nobody can guess it if it does not scale by itself.

    Args:
        steps: its layers and operations, in order.
        pixels: a name in `RANGES`, or None if nothing is said.

    Raises:
        UsageError: it is not said, and the network begins with no scaling.
    """
    if pixels is not None:
        return choose("range of pixels", pixels, RANGES)
    keras = require("keras", "opening a .keras file")
    first = next((i for i, step in enumerate(steps) if isinstance(step, keras.layers.Conv2D)), len(steps))
    if any(isinstance(step, keras.layers.Rescaling | keras.layers.Normalization) for step in steps[:first]):
        return AS_THEY_ARE
    raise UsageError(
        "Expected to know the range of values that the network was trained with: it does not scale pixels by itself. "
        f"Give --preprocess with one of: {', '.join(RANGES)} (none: 0 to 255)."
    )


def _require_one_input_and_output(network: "keras.Model") -> None:
    for kind in ("input", "output"):
        ends = getattr(network, f"{kind}s", None) or ()
        if len(ends) != 1:
            names = ", ".join(repr(end.name) for end in ends) or "none that is known"
            raise UsageError(
                f"Expected a network with one {kind}; {network.name!r} has {len(ends)}: {names}. Save a keras.Model of "
                "the part that is to be exported."
            )


def _with_logits(network: "keras.Model") -> "keras.Model":
    """Return the network without the activation at its end: what it gives before the softmax or the sigmoid."""
    keras = require("keras", "opening a .keras file")
    node = node_of(network.outputs[0])
    after = []
    while passes_on(node.operation):
        after.append(node.operation)
        node = node_of(node.input_tensors[0])
    layer, activation = node.operation, activation_of(node.operation)
    if activation is None:
        linear = getattr(layer, "activation", None) in (None, keras.activations.linear)
        if linear and not isinstance(layer, keras.Model):
            return network
        raise ModelError(
            f"Expected a network that ends in a softmax, a sigmoid or plain logits; this one ends in {layer.name!r}, a "
            f"{type(layer).__name__}. Save it without what comes after its logits."
        )
    units = network.outputs[0].shape[-1]
    if activation == "sigmoid" and units != 1:
        raise ModelError(
            "Expected a network that gives each picture one class; this one ends in a sigmoid of "
            f"{units} units, by which a picture may be of several. Run it in Keras itself, or train one that ends in a "
            "softmax."
        )
    logits = _without_activation(node)
    for operation in reversed(after):
        logits = operation(logits)
    return keras.Model(network.inputs[0], logits)


def _without_activation(node: Any) -> "keras.KerasTensor":
    keras = require("keras", "opening a .keras file")
    layer = node.operation
    if isinstance(layer, keras.layers.Activation) or not hasattr(layer, "activation"):
        return node.input_tensors[0]
    plain = type(layer).from_config({**layer.get_config(), "activation": "linear"})
    logits = plain(*node.input_tensors)
    plain.set_weights(layer.get_weights())
    return logits


def _require_same_answers(
    network: "keras.Model", adopted: "keras.Model", recipe: Preprocess, *, ends_in_logits: bool
) -> None:
    """Compare the user's own network with what was made of it, on drawn pictures."""
    images = drawn(recipe, PROOF_PICTURES).images
    given, logits = (KerasRuntime(one).run(images).logits for one in (network, adopted))
    if ends_in_logits:
        if given.shape[1] > 1 and (given >= 0).all() and np.allclose(given.sum(axis=1), 1, atol=TOLERANCE):
            raise ModelError(
                "Expected a network whose logits can be reached: it ends in a softmax that is no layer or operation of "
                "Keras. Save it with keras.layers.Softmax, or without what comes after its logits."
            )
        return
    expected = np.concatenate([1 - given, given], axis=1) if given.shape[1] == 1 else given
    difference = float(np.abs(softmax(logits, 1.0) - expected).max())
    if not difference <= TOLERANCE:
        raise ParityError(
            "Expected the network's last activation to make its probabilities of its logits, a softmax over all "
            f"classes or one sigmoid; a probability differs by {difference:.2g} from what the network gives, at most "
            f"{TOLERANCE} is allowed. Save it without what comes after its logits."
        )


def _require_names(network: "keras.Model", class_names: tuple[str, ...]) -> None:
    (output,) = network.outputs
    if len(output.shape) != 2:
        raise UsageError(f"Expected one answer a picture, (N, k); this network gives {tuple(output.shape)}.")
    expected = 2 if output.shape[1] == 1 else output.shape[1]
    if len(class_names) != expected:
        raise UsageError(f"Expected {expected} class names for this network; received {len(class_names)}.")


def _from_pixels(network: "keras.Model", recipe: Preprocess, pixels: str) -> Any:
    """Put the scaling in front of a network, so that it takes pixels of 0 to 255."""
    keras = require("keras", "opening a .keras file")
    if pixels == AS_THEY_ARE and network.inputs[0].shape[1:] == recipe.shape:
        return network
    if pixels in ("standardized", "centered_bgr") and recipe.channels != 3:
        raise UsageError(f"Expected colour pictures for the range {pixels!r}; this network takes grey ones.")
    image = keras.Input(recipe.shape, name="image")
    scaled = image if pixels == AS_THEY_ARE else SCALINGS[pixels](image)
    return keras.Model(image, network(scaled), name=network.name)

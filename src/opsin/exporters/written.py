"""What a format's writer is given, and what it says it wrote."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from opsin.catalog import require
from opsin.images.preprocess import Preprocess
from opsin.model_folder import Tensor
from opsin.runtimes.keras import with_features

if TYPE_CHECKING:
    import keras

IMAGE, PROBABILITIES, FEATURES = "image", "probabilities", "features"


@dataclass(frozen=True)
class Request:
    """What is to be written.

    Args:
        class_names: the k class names.
        preprocess: the recipe from picture to the network's input.
        name: what the network is called.
        calibration: of 8-bit integers: uint8 (n, h, w, c), 0 to 255, pictures of the kind that it will see; None for
            float32.
        per_pixel: whether it gives probabilities of each pixel, (N, h, w, k), and not of the picture, (N, k).
    """

    class_names: tuple[str, ...]
    preprocess: Preprocess
    name: str
    calibration: np.ndarray | None = None
    per_pixel: bool = False

    @property
    def int8(self) -> bool:
        """Whether the network shall compute in 8-bit integers."""
        return self.calibration is not None


@dataclass(frozen=True)
class Written:
    """What was written.

    Args:
        file: the network's path in the folder; `"."` where the folder itself is the network.
        input: where pictures go in.
        output: where probabilities come out.
        notes: what its user should know, a sentence each.
    """

    file: str
    input: Tensor
    output: Tensor
    notes: tuple[str, ...] = ()


def ends_of(request: Request, *, dtype: str = "float32") -> tuple[Tensor, Tensor]:
    """Return the two ends that every format has."""
    height, width, _ = request.preprocess.shape
    shape = (None, *((height, width) if request.per_pixel else ()), len(request.class_names))
    image = Tensor(IMAGE, dtype, (None, *request.preprocess.shape), 0.0, 255.0)
    return image, Tensor(PROBABILITIES, dtype, shape, 0.0, 1.0 if dtype == "float32" else 255.0)


def outputs_of(network: "keras.Model") -> tuple[str, ...]:
    """Return what the outputs of a network to be written are called: probabilities, and features where it has both."""
    return (PROBABILITIES, FEATURES)[: len(network.outputs)]


def with_probabilities(network: "keras.Model", temperature: float, *, features: bool = False) -> "keras.Model":
    """Return the same network with one output: calibrated probabilities (N, k), k being 2 for one sigmoid unit.

    Args:
        network: float32 (N, h, w, c), 0 to 255 → logits (N, k) or (N, 1).
        temperature: what logits are divided by first.
        features: whether it gets a second output, what enters its last dense layer, float32 (N, d).
    """
    keras = require("keras", "exporting a network")
    logits = network.outputs[0]
    if logits.shape[-1] == 1:
        # One sigmoid unit's logit z is read as the pair (0, z).
        logits = keras.ops.concatenate([keras.ops.zeros_like(logits), logits], axis=-1)
    if temperature != 1:
        logits = logits / temperature
    outputs = keras.layers.Softmax(name=PROBABILITIES)(logits)
    if features:
        outputs = [outputs, with_features(network).outputs[1]]
    return keras.Model(network.inputs[0], outputs, name=network.name)

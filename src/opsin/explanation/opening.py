"""From a classifier, a model folder, a `.keras` file or a Keras model to the network that is explained."""

from pathlib import Path
from typing import TYPE_CHECKING

from opsin.architectures.scaling import SCALINGS
from opsin.catalog import require
from opsin.classifier import Classifier
from opsin.errors import ModelError, UsageError
from opsin.explanation.calls import operations_of
from opsin.explanation.network import ImageNetwork
from opsin.exporters.foreign import AS_THEY_ARE, Description, range_of, recipe_of
from opsin.model_folder import ModelCard, find_model_folder
from opsin.names import KERAS
from opsin.runtimes.keras import load_network, open_keras

if TYPE_CHECKING:
    import keras

_WITHOUT_GRADIENTS = (".tflite", ".onnx", ".pb", ".xml", ".bin")


def open_network(
    model: "ImageNetwork | Classifier | keras.Model | str | Path",
    description: Description | None = None,
    *,
    trust: bool = False,
) -> ImageNetwork:
    """Open what is to be explained.

    Args:
        model: a classifier, a run or model folder, a `.keras` file, or a Keras model.
        description: of a `.keras` file or a Keras model: what it does not say of itself. Without one, its classes are
            called `"0"`, `"1"` and so on.
        trust: whether code that comes with a `.keras` file may be run.

    Raises:
        UsageError: the description is missing, or does not fit the network.
        ModelError: it cannot be opened, or has no gradients, as an export has none.
    """
    if isinstance(model, ImageNetwork):
        return model
    if isinstance(model, Classifier):
        return _of_folder(model.source, ModelCard.read(model.source))
    if isinstance(model, str | Path):
        if Path(model).is_file():
            return _of_keras(_load(Path(model), trust), description)
        folder = find_model_folder(model)
        return _of_folder(folder, ModelCard.read(folder))
    keras = require("keras", "explaining a network")
    if not isinstance(model, keras.Model):
        raise UsageError(
            f"Expected a classifier, a Keras model or a path to explain; received {type(model).__name__} {model!r}."
        )
    return _of_keras(model, description)


def _of_folder(folder: Path, card: ModelCard) -> ImageNetwork:
    if card.artefact is not None:
        raise ModelError(
            f"Expected a model with gradients, {KERAS} of a run or model folder; {str(folder)!r} is an export as "
            f"{card.artefact.format}, which has none. Give the model that it was exported from."
        )
    keras = require("keras", "explaining a network")
    opened = open_keras(folder, card).network
    logits = keras.Model(opened.inputs[0], opened.outputs[0], name=opened.name)
    return ImageNetwork(logits, card.preprocess, card.class_names, card.temperature)


def _load(path: Path, trust: bool) -> "keras.Model":
    if path.suffix.lower() in _WITHOUT_GRADIENTS:
        raise ModelError(
            f"Expected a model with gradients, {KERAS} of a run or model folder; {str(path)!r} has none. "
            "Give the model that it was made from."
        )
    return load_network(path, trust=trust)


def _of_keras(model: "keras.Model", description: Description | None) -> ImageNetwork:
    _require_one_input(model)
    said = description or Description(_numbers(model))
    recipe = recipe_of(model, said)
    pixels = range_of([operation for _, operation in operations_of(model)], said.pixels)
    scale = None if pixels == AS_THEY_ARE else SCALINGS[pixels]
    return ImageNetwork(model, recipe, said.class_names, scale=scale)


def _require_one_input(model: "keras.Model") -> None:
    inputs = getattr(model, "inputs", None)
    if not inputs:
        raise UsageError(
            f"Expected a network whose input is known; {model.name!r} has not been built. Call it on a picture first, "
            "or begin it with keras.Input((height, width, channels))."
        )
    if len(inputs) > 1:
        names = ", ".join(repr(tensor.name) for tensor in inputs)
        raise UsageError(
            f"Expected a network with one input, the picture; {model.name!r} has {len(inputs)}: {names}. Make a "
            "keras.Model of the part that is to be explained."
        )
    if len(inputs[0].shape) != 4:
        raise UsageError(f"Expected a network that takes pictures, (N, h, w, c); it takes {tuple(inputs[0].shape)}.")


def _numbers(model: "keras.Model") -> tuple[str, ...]:
    outputs = model.outputs[0].shape[-1]
    return tuple(map(str, range(2 if outputs == 1 else outputs)))

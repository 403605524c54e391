"""`ImageNetwork`: any Keras image classifier, from pixels to logits, with its layers in reach. TensorFlow only."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from opsin.catalog import require
from opsin.errors import ModelError, UsageError
from opsin.explanation.calls import Wrapper, wrapped_calls
from opsin.explanation.places import Place, choose_place, find_place, list_places
from opsin.images.preprocess import Preprocess
from opsin.runtimes.keras import activation_of, passes_on

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

MOST_AT_ONCE = 32
HELD_BYTES = 2**29
"""What all layers' outputs together may take; until a network is done with its pictures, Keras holds them all."""


@dataclass(frozen=True)
class ImageNetwork:
    """An image classifier that can be looked into.

    Args:
        model: any Keras model with one input and one output: functional, Sequential, nested, or of a class of its own.
        preprocess: the recipe from a picture to its input.
        class_names: the k class names, in the order of its outputs.
        temperature: what its logits are divided by for a calibrated probability.
        scale: from float32 (N, h, w, c), 0 to 255, to what the model takes; None: it takes that.

    Raises:
        UsageError: the model has several inputs or outputs, or another number of classes.
        ModelError: it does not end in logits, a softmax or a sigmoid, or Keras does not run on TensorFlow.
    """

    model: "keras.Model"
    preprocess: Preprocess
    class_names: tuple[str, ...]
    temperature: float = 1.0
    scale: "Callable[[tf.Tensor], tf.Tensor] | None" = None

    def __post_init__(self):
        keras = require("keras", "explaining a network")
        if keras.backend.backend() != "tensorflow":
            raise ModelError(
                "Expected TensorFlow as Keras's backend, which has the gradients that explanations need; it is "
                f"{keras.backend.backend()!r}. Set KERAS_BACKEND=tensorflow."
            )
        for kind in ("input", "output"):
            ends = getattr(self.model, f"{kind}s", None) or ()
            if len(ends) > 1:
                names = ", ".join(repr(end.name) for end in ends)
                raise UsageError(
                    f"Expected a network with one {kind}; {self.model.name!r} has {len(ends)}: {names}. "
                    "Make a keras.Model of the part that is to be explained."
                )
        self._require_classes()

    @property
    def places(self) -> list[Place]:
        """Its layers, in the order in which they are done."""
        return self._first_run[0]

    @functools.cached_property
    def batch_size(self) -> int:
        """How many pictures to run at a time, so that what the layers give takes bounded memory."""
        held = 4 * sum(math.prod(place.shape) for place in self.places)
        return min(MOST_AT_ONCE, max(1, HELD_BYTES // max(1, held)))

    def place(self, name: str | None = None) -> Place:
        """Return a layer by its name; None: the last one that gives maps, before pooling or flattening.

        Raises:
            UsageError: there is no such layer, or it gives no maps.
            ModelError: no layer gives maps.
        """
        if name is None:
            return find_place(self.places)
        place = choose_place(self.places, name)
        if not place.is_spatial:
            raise UsageError(
                f"Expected a layer that gives maps (h, w, c); {place.name!r} gives {place.shape}. "
                f"The last one that does is {find_place(self.places).name!r}."
            )
        return place

    def class_index(self, class_name: str) -> int:
        """Return which output a class is.

        Raises:
            UsageError: there is no such class; the message has the closest.
        """
        if class_name in self.class_names:
            return self.class_names.index(class_name)
        return _no_such_class(class_name, self.class_names)

    def logits(self, images: Any, wrappers: "dict[keras.Operation, Wrapper] | None" = None) -> "tf.Tensor":
        """Run the network to its logits, whatever it makes of them afterwards.

        Args:
            images: float32 (N, h, w, c), 0 to 255; an array or a tensor.
            wrappers: what is called in place of some layers.

        Returns:
            float32 (N, k) or (N, 1).
        """
        with wrapped_calls(self._ending[1]), wrapped_calls(wrappers or {}):
            output = self.model(self._scaled(images), training=False)
        return _as_logits(output)

    def scores(self, logits: "tf.Tensor", class_indices: Any) -> "tf.Tensor":
        """Return the score of one class for each picture, (N,): its logit.

        One sigmoid unit's logit z is the pair (0, z), of which both sides are to be explained: z speaks for the second
        class, -z for the first.
        """
        tf = require("tensorflow", "explaining a network")
        if logits.shape[1] == 1:
            return logits[:, 0] * (2.0 * tf.cast(class_indices, tf.float32) - 1.0)
        return tf.gather(logits, tf.cast(class_indices, tf.int32), axis=1, batch_dims=1)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return float64 (N, k), calibrated, for float32 (N, h, w, c), 0 to 255."""
        from opsin.classifier import softmax

        logits = self.logits(images).numpy()
        if self._ending[0] == "sigmoid" and logits.shape[1] > 1:
            return 1 / (1 + np.exp(-logits.astype(np.float64) / self.temperature))
        return softmax(logits, self.temperature)

    def _scaled(self, images: Any) -> "tf.Tensor":
        tf = require("tensorflow", "explaining a network")
        images = tf.convert_to_tensor(images, tf.float32)
        return images if self.scale is None else self.scale(images)

    @functools.cached_property
    def _first_run(self) -> "tuple[list[Place], tf.Tensor]":
        """The layers, and what the network makes of noise as it is."""
        return list_places(self.model, self._scaled(self._noise()))

    def _noise(self) -> np.ndarray:
        return np.random.default_rng(0).uniform(0, 255, (2, *self.preprocess.shape)).astype(np.float32)

    @functools.cached_property
    def _ending(self) -> "tuple[str | None, dict[keras.Operation, Wrapper]]":
        """What makes probabilities of the logits, and the wrapper that leaves it out."""
        import keras

        leaves = [place.operation for place in self.places if not isinstance(place.operation, keras.Model)]
        while leaves and passes_on(leaves[-1]):
            leaves.pop()
        activation = activation_of(leaves[-1]) if leaves else None
        if activation is None:
            return None, {}
        if hasattr(leaves[-1], "activation"):
            return activation, {leaves[-1]: _without_activation(leaves[-1])}
        return activation, {leaves[-1]: lambda call, x, *args, **kwargs: x}

    def _require_classes(self) -> None:
        # A network that ends in logits has given them already.
        logits = (self.logits(self._noise()) if self._ending[1] else _as_logits(self._first_run[1])).numpy()
        expected = 2 if logits.shape[1] == 1 else logits.shape[1]
        if len(self.class_names) != expected:
            raise UsageError(f"Expected {expected} class names for this network; received {len(self.class_names)}.")
        if logits.shape[1] > 1 and (logits >= 0).all() and np.allclose(logits.sum(axis=1), 1, atol=1e-4):
            raise ModelError(
                "Expected a network whose logits can be reached: it ends in a softmax that is no Keras layer. Save it "
                "with keras.layers.Softmax, or without what comes after its logits."
            )


def _as_logits(output: "tf.Tensor") -> "tf.Tensor":
    """Return a network's output as float32 (N, k), or (N, 1)."""
    tf = require("tensorflow", "explaining a network")
    return tf.cast(tf.reshape(output, (tf.shape(output)[0], -1)), tf.float32)


def _without_activation(operation: "keras.Operation") -> Wrapper:
    import keras

    def wrapper(call: Callable, *args: Any, **kwargs: Any) -> Any:
        kept = operation.activation
        object.__setattr__(operation, "activation", keras.activations.linear)
        try:
            return call(*args, **kwargs)
        finally:
            object.__setattr__(operation, "activation", kept)

    return wrapper


def _no_such_class(class_name: str, class_names: tuple[str, ...]) -> int:
    from opsin.catalog import choose

    if len(class_names) <= 20:
        choose("class", class_name, class_names)
    import difflib

    close = difflib.get_close_matches(class_name, class_names, n=5, cutoff=0.3)
    raise UsageError(
        f"Expected one of this network's {len(class_names)} classes; received {class_name!r}."
        + (f" Closest: {', '.join(close)}." if close else "")
    )

"""A pretrained network: whole, with a head for this run's classes, and the places where it can be cut."""

import functools
from collections.abc import Callable

import keras
import numpy as np

from opsin.architectures.blocks import logits_head
from opsin.architectures.cuts import Block, find_blocks
from opsin.errors import ModelError
from opsin.exporters.litert import convert, replace_arrays
from opsin.training.config import policy_of
from opsin.training.network import build
from opsin.training.plan import Plan, gpu_count

DENSE_UNITS = 256
DENSE_DROPOUT = 0.5


class Backbone:
    """A network with pretrained weights.

    Args:
        plan: settings, recipe and weights.
        class_count: k.
        say: is called with a sentence on what of a file of weights was left out.

    Raises:
        UsageError: the architecture cannot be built for these pictures.
        ModelError: the weights are of another network, damaged, or cannot be had.
    """

    def __init__(self, plan: Plan, class_count: int, say: Callable[[str], None]):
        self.plan = plan
        self.network = build_with_head(plan, class_count, precision="float32", say=say)
        # Kept here: once parts of the network are networks of their own, a layer has several outputs.
        self.features: keras.KerasTensor = self.network.get_layer("features").output
        """What enters the head, (N, d)."""
        # Random, so that it can be found again in the twin, and another put in its place.
        random = np.random.default_rng(plan.config.seed)
        self._placeholder = [0.01 * random.normal(size=w.shape).astype(np.float32) for w in self.head.get_weights()]
        self.head.set_weights(self._placeholder)

    @property
    def head(self) -> keras.layers.Dense:
        """The last layer, which gives the logits."""
        return self.network.get_layer("logits")

    @functools.cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks from the picture to the features."""
        return find_blocks(self.network, self.features)

    @functools.cached_property
    def first_twin(self) -> bytes | None:
        """The network in LiteRT as it was built; None where that cannot be had, or a GPU is better."""
        if gpu_count() or keras.backend.backend() != "tensorflow" or self.plan.config.head != "linear":
            return None
        # Whatever head it has by now, the one to be found again goes in.
        weights = self.head.get_weights()
        self.head.set_weights(self._placeholder)
        try:
            return convert(self.network)
        except ModelError:
            return None
        finally:
            self.head.set_weights(weights)

    def twin(self) -> bytes | None:
        """Return the network in LiteRT with the head that it has now; None where that takes a new conversion.

        Only right while nothing but the head has been trained.
        """
        if self.first_twin is None:
            return None
        (kernel, bias), (old_kernel, old_bias) = self.head.get_weights(), self._placeholder
        # LiteRT holds a dense layer's kernel as (k, d).
        return replace_arrays(self.first_twin, [(old_kernel.T, kernel.T), (old_bias, bias)])


def build_with_head(
    plan: Plan, class_count: int, *, precision: str, say: Callable[[str], None] = lambda line: None
) -> keras.Model:
    """Build a pretrained network with the head that the settings ask for, one logit a class.

    Args:
        plan: settings, recipe and weights.
        class_count: k.
        precision: arithmetic, settled.
        say: is called with a sentence on what of a file of weights was left out.
    """
    keras.utils.set_random_seed(plan.config.seed)  # A hidden layer is random.
    network = build(plan, class_count, precision=precision, weights=plan.weights, say=say)
    x = network.get_layer("features").output
    if plan.config.head == "dense":
        options = {"activation": "relu", "kernel_initializer": "he_normal", "dtype": policy_of(precision)}
        x = keras.layers.Dense(DENSE_UNITS, name="hidden", **options)(x)
        x = keras.layers.Dropout(DENSE_DROPOUT, name="hidden_dropout", dtype=policy_of(precision))(x)
    elif network.output_shape[-1] == class_count:
        return network  # Some have a single unit for two classes.
    return keras.Model(network.inputs[0], logits_head(x, class_count), name=network.name)

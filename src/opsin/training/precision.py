"""In which arithmetic to train, where the settings leave it open."""

import dataclasses
from collections.abc import Callable

import keras

from opsin.errors import UsageError
from opsin.training.config import AUTO, BFLOAT16_PRODUCTS, OWN
from opsin.training.network import build
from opsin.training.plan import Plan, gpu_count
from opsin.training.processor import has_bfloat16_units
from opsin.training.quick_layers import layers_of


def settle_precision(plan: Plan, class_count: int) -> Plan:
    """Return the plan with the precision that suits this machine and the network, where the settings leave it open.

    On a CPU that is float32 for networks that come with weights, whose features are computed by a runtime of their own,
    and for a user's. Those whose code ends in another arithmetic than float32, which logits are to be in, are trained
    in float32 everywhere.
    """
    config = plan.config
    if config.precision != AUTO:
        return plan
    is_file = ".py:" in config.architecture
    if config.architecture == OWN:
        # It is used as it comes.
        precision = "float32"
    elif plan.weights or is_file:
        precision = "mixed_float16" if gpu_count() else "float32"
    else:
        precision = quickest_precision(lambda: build(plan, class_count, precision="float32"), config.optimizer)
    if is_file and precision != "float32" and not _builds(plan, class_count, precision):
        precision = "float32"
    return dataclasses.replace(plan, config=config.replace(precision=precision))


def quickest_precision(make: Callable[[], keras.Model], optimizer: str) -> str:
    """Return the arithmetic that a network learns fastest in on this machine.

    On a processor with units for products of bfloat16 matrices (Intel's AMX), convolutions take a fifth of the time in
    it, but those of each channel on its own, which they are no use for, take longer (`benchmarks.steps`). Muon makes
    steps of the same size in all directions of a kernel, also in those that rounding alone gives a gradient: with
    kernels' gradients in bfloat16, they drift until the moving averages of normalisation are worth nothing.

    Args:
        make: builds the network; is called only where it depends on it.
        optimizer: what changes the weights, by its name in the settings.
    """
    if gpu_count():
        return "mixed_float16"
    if keras.backend.backend() != "tensorflow" or not has_bfloat16_units():
        return "float32"
    if optimizer == "muon":
        return BFLOAT16_PRODUCTS
    return "float32" if any(map(_is_of_each_channel, layers_of(make()))) else "mixed_bfloat16"


def _builds(plan: Plan, class_count: int, precision: str) -> bool:
    try:
        build(plan, class_count, precision=precision)
    except UsageError:
        return False
    return True


def _is_of_each_channel(layer: keras.layers.Layer) -> bool:
    kinds = (keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
    return isinstance(layer, kinds) or (isinstance(layer, keras.layers.Conv2D) and layer.groups > 1)

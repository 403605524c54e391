"""The network of a run: built, on all GPUs there are, and given its optimizer and loss."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras

from opsin.architectures import build_network, load_network
from opsin.architectures.weights import copy_weights
from opsin.catalog import resolve
from opsin.errors import UsageError
from opsin.runtimes.keras import node_of
from opsin.training.beginnings import freeze_to_whiten, rebuilt, start_as_identity
from opsin.training.config import FIND, OPTIMIZERS, OWN, TrainConfig, policy_of
from opsin.training.losses import CrossEntropy, accuracy
from opsin.training.muon import is_turned
from opsin.training.plan import LEARNING_RATES, Plan, gpu_count

MOMENTUM = 0.9
BIASES = ("bias", "beta")
"""What Keras's layers call what they add."""


def make_network(plan: Plan, class_count: int, model: keras.Model | None = None) -> keras.Model:
    """Build the network that the plan names, or take the user's own, and compile it.

    Args:
        plan: settings and recipe.
        class_count: k.
        model: the user's own network; it is compiled in place.

    Raises:
        UsageError: the architecture cannot be built for these pictures.
    """
    config = plan.config
    keras.utils.set_random_seed(config.seed)
    with device_scope():
        network = model if model is not None else build(plan, class_count, precision=config.precision)
        if model is None:
            network = rebuilt(network, config)
        if config.identity_init:
            start_as_identity(network)
        if config.whiten:
            freeze_to_whiten(network)
        compile_network(network, config, rate_factors=_rate_factors(network, config), momentum=config.momentum)
    return network


def as_saved(network: keras.Model, plan: Plan, class_count: int) -> keras.Model:
    """Return the trained network as it is saved: in float32 and for one size, whatever it was trained in.

    A network of the user's own stays as they made it.
    """
    config = plan.config
    if config.architecture == OWN or (policy_of(config.precision) == "float32" and not config.start_size):
        return network
    single = rebuilt(build(plan, class_count, precision="float32"), config.replace(start_size=0))
    copy_weights(network, single)
    return single


@contextlib.contextmanager
def device_scope() -> Iterator[None]:
    """Make what is built inside live on all GPUs of the machine (TensorFlow's MirroredStrategy)."""
    if keras.backend.backend() != "tensorflow" or gpu_count() < 2:
        yield
        return
    import tensorflow

    with tensorflow.distribute.MirroredStrategy().scope():
        yield


def compile_network(
    network: keras.Model,
    config: TrainConfig,
    *,
    rate_factors: Mapping[str, float] | None = None,
    momentum: float = MOMENTUM,
    loss: keras.losses.Loss | None = None,
    metrics: Sequence[keras.metrics.Metric] | None = None,
) -> None:
    """Give a network its optimizer, loss and metrics, inside the `device_scope` it was built in.

    Args:
        network: the network.
        config: settings without any `auto`.
        rate_factors: what the learning rate is multiplied by for a variable, by its path; 1 for those left out.
        momentum: of SGD.
        loss: None for the cross-entropy of classes of pictures.
        metrics: one of them called `accuracy`; None for that of classes of pictures.
    """
    settings = {"weight_decay": config.weight_decay} if config.optimizer != "adam" else {}
    if config.optimizer in ("sgd-nesterov", "muon"):
        settings |= {"momentum": momentum, "nesterov": True}
    if config.ema:
        settings |= {"use_ema": True, "ema_momentum": config.ema}
    kind = resolve(OPTIMIZERS[config.optimizer])
    # Each step sets the rate anew.
    rate = LEARNING_RATES[config.optimizer] if config.learning_rate == FIND else config.learning_rate
    factors = [rate_factors.get(v.path, 1.0) for v in network.trainable_variables] if rate_factors else []
    optimizer = _with_rate_factors(kind, factors)(learning_rate=rate, **settings)
    if config.optimizer != "adam":
        # Biases and the scales of normalisation are few and do not overfit: decay is for kernels, but for those whose
        # norm stays as it is.
        still = [v for v in network.trainable_variables if len(v.shape) < 2 or _is_turned(v, config)]
        optimizer.exclude_from_weight_decay(var_list=still)
    network.compile(
        optimizer=optimizer,
        loss=loss or CrossEntropy(config.label_smoothing),
        metrics=metrics or [keras.metrics.MeanMetricWrapper(accuracy, name="accuracy")],
        jit_compile=_compile_just_in_time(),
    )
    # Keras would build it in the first step, outside the scope and too late for a checkpoint to be put back.
    network.optimizer.build(network.trainable_variables)


def _is_turned(variable: keras.Variable, config: TrainConfig) -> bool:
    return config.optimizer == "muon" and is_turned(variable)


def _rate_factors(network: keras.Model, config: TrainConfig) -> dict[str, float]:
    """Return what the learning rate is multiplied by for biases and for the last layer, which is scaled here.

    A network whose logits are multiplied by s is one whose last weights are s times smaller and learn s² times slower;
    so the network that is saved needs no further layer.
    """
    factors = {v.path: config.bias_rate for v in network.trainable_variables if v.name in BIASES}
    if config.logit_scale == 1:
        return factors if config.bias_rate != 1 else {}
    last = node_of(network.outputs[0]).operation
    if not getattr(last, "trainable_variables", []):
        raise UsageError(
            f"Expected a last layer with weights for logit_scale; {network.name} ends in {last.name}. Set it to 1."
        )
    for variable in last.trainable_variables:
        variable.assign(config.logit_scale * variable)
        factors[variable.path] = factors.get(variable.path, 1.0) * config.logit_scale**2
    return factors


def build(
    plan: Plan,
    class_count: int,
    *,
    precision: str,
    weights: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> keras.Model:
    """Build the network that a plan names.

    Args:
        plan: settings and recipe.
        class_count: k.
        precision: arithmetic, settled.
        weights: None for random ones, `"imagenet"`, or a file.
        say: is called with a sentence on what of a file was left out.
    """
    with arithmetic(precision):
        if ".py:" in plan.config.architecture:
            return load_network(plan.config.architecture, plan.preprocess.shape, class_count)
        return build_network(plan.config.architecture, plan.preprocess.shape, class_count, weights=weights, say=say)


@contextlib.contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """Let layers that are made while the block runs compute in a precision of the settings."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy_of(precision))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _with_rate_factors(kind: type[keras.optimizers.Optimizer], factors: Sequence[float]) -> type:
    """Return an optimizer whose rate differs from variable to variable; Adam would undo factors on gradients."""
    if not factors:
        return kind

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        # TensorFlow gives its own variable here, which does not know its path.
        factor = factors[self._get_variable_index(variable)]
        kind.update_step(self, gradient, variable, learning_rate * factor)

    return type(kind.__name__, (kind,), {"update_step": update_step})


def _compile_just_in_time() -> bool | str:
    # XLA makes convolutions on a CPU several times slower under TensorFlow; JAX cannot do without it.
    if keras.backend.backend() == "tensorflow":
        return gpu_count() > 0
    return "auto"

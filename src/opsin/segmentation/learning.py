"""How a segmentation network learns: all at once; on pretrained weights what is put on them first, then everything."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from opsin.architectures.weights import copy_weights
from opsin.data.splits import TRAIN, VAL
from opsin.errors import DataError, TrainingError
from opsin.names import CHECKPOINT
from opsin.pipeline import LEAST_WORKERS
from opsin.segmentation.backbones import is_of_backbone
from opsin.segmentation.batches import PlainPairs, TrainingPairs
from opsin.segmentation.classes import IGNORED
from opsin.segmentation.config import SegmentConfig
from opsin.segmentation.losses import PixelLoss
from opsin.segmentation.networks import build_segmentation_network
from opsin.segmentation.plan import SegmentPlan
from opsin.segmentation.policies import get_pair_policy
from opsin.segmentation.store import StoredPairs
from opsin.segmentation.watching import MeanIoU, PixelAccuracy
from opsin.training.config import policy_of
from opsin.training.fit import GPU_WORKERS, Fitted, Phase, fit
from opsin.training.network import arithmetic, compile_network, device_scope
from opsin.training.plan import gpu_count
from opsin.training.run_folder import RunFolder
from opsin.training.stopping import StopRequest

MOST_WEIGHT = 10.0
"""So many times more than the commonest class a rare one may weigh: of a hundred pixels nothing is learned safely."""

DECODER, ALL = "decoder", "all"


@dataclass(frozen=True)
class Taught:
    """What came of a training.

    Args:
        network: float32, with its best weights; None if no epoch was finished.
        history: a row for each epoch.
        completed: False if the user stopped it.
        error: why it could not go on; None if it could.
    """

    network: keras.Model | None
    history: list[dict[str, Any]]
    completed: bool
    error: TrainingError | None


def build(plan: SegmentPlan, class_count: int, *, precision: str, say: Callable[[str], None] = lambda line: None):
    """Build the network that a plan names, with its weights, in an arithmetic."""
    config = plan.config
    with arithmetic(precision):
        return build_segmentation_network(
            config.architecture, plan.recipe.shape, class_count, config.network, weights=plan.weights, say=say
        )


def teach(
    network: keras.Model,
    plan: SegmentPlan,
    stored: dict[str, StoredPairs],
    *,
    run: RunFolder,
    stop: StopRequest,
) -> Taught:
    """Train a network from its checkpoint, if there is one, to its end; it keeps the best weights.

    Args:
        network: what `build` has made, in the arithmetic of training.
        plan: settings without any `auto`.
        stored: the decoded pairs, by part.
        run: where events and history go.
        stop: is looked at after each step.
    """
    config, class_count = plan.config, stored[TRAIN].dataset.classes.k
    weights = weigh_classes(config, stored[TRAIN])
    if weights.max() > weights.min():
        run.say(f"Rare classes weigh more in the loss, up to {weights.max() / weights.min():.1f} times.")
    batches = TrainingPairs(
        stored[TRAIN],
        get_pair_policy(config.augment).for_color(config.color),
        config.batch_size,
        seed=config.seed,
        workers=GPU_WORKERS if gpu_count() else LEAST_WORKERS,
    )
    val = PlainPairs(stored[VAL], config.batch_size)
    fitted, history = None, []
    for phase in _phases(config, run):
        phase = replace(phase, earlier=history)
        with device_scope(), only_trained(network, phase.name, plan):
            rates = {} if phase.name == DECODER else rate_factors(network, plan)
            settings = _settings_of(config, phase)
            _compile(network, settings, weights, rates)
            fitted = fit(network, batches, val, config=settings, run=run, stop=stop, phase=phase)
        history = [*history, *fitted.state.history]
        if fitted.error is not None or not fitted.completed or stop.made:
            break
    return _taught(network, plan, class_count, fitted, history)


def _phases(config: SegmentConfig, run: RunFolder) -> Iterator[Phase]:
    if config.decoder_epochs:
        run.say(
            f"First what is put on {config.backbone} is trained, for up to {config.decoder_epochs} epochs; then "
            f"everything, the backbone at {config.backbone_rate:g} of the rate. Its batch normalisation stays as it is."
        )
        yield Phase(run / CHECKPOINT / DECODER, DECODER)
        yield Phase(run / CHECKPOINT / ALL, ALL, keep_better=True)
    else:
        yield Phase(run / CHECKPOINT)


def _settings_of(config: SegmentConfig, phase: Phase) -> SegmentConfig:
    return config.replace(epochs=config.decoder_epochs) if phase.name == DECODER else config


@contextlib.contextmanager
def only_trained(network: keras.Model, phase: str, plan: SegmentPlan) -> Iterator[None]:
    """Let only those layers be trained, while the block runs, that a phase is about.

    Batch normalisation of pretrained layers stays in inference mode in both: its statistics do not move.

    Args:
        network: the network.
        phase: `DECODER`, or any other for all of it.
        plan: whether there are pretrained weights.
    """
    if not plan.weights:
        yield
        return
    backbone = [layer for layer in network.layers if is_of_backbone(layer)]
    if phase != DECODER:
        backbone = [layer for layer in backbone if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in backbone:
        layer.trainable = False
    try:
        yield
    finally:
        for layer in backbone:
            layer.trainable = True


def rate_factors(network: keras.Model, plan: SegmentPlan) -> dict[str, float]:
    """Return what the rate of each pretrained variable is multiplied by, by its path."""
    if not plan.weights or plan.config.backbone_rate == 1:
        return {}
    return {
        variable.path: plan.config.backbone_rate
        for layer in network.layers
        if is_of_backbone(layer)
        for variable in layer.trainable_variables
    }


def _compile(network: keras.Model, config: SegmentConfig, weights: np.ndarray, rates: dict[str, float]) -> None:
    compile_network(
        network,
        config,
        rate_factors=rates,
        loss=PixelLoss(config.loss, weights),
        metrics=[PixelAccuracy(), MeanIoU(len(weights))],
    )


def _taught(
    network: keras.Model, plan: SegmentPlan, class_count: int, fitted: Fitted, history: list[dict[str, Any]]
) -> Taught:
    if not history:
        return Taught(None, history, fitted.completed, fitted.error)
    if policy_of(plan.config.precision) != "float32":
        single = build(replace(plan, weights=None), class_count, precision="float32")
        copy_weights(network, single)
        network = single
    return Taught(network, history, fitted.completed, fitted.error)


def weigh_classes(config: SegmentConfig, train: StoredPairs) -> np.ndarray:
    """Return the weight of each class in the loss, float64 (k,); 1 on average over the pixels that count.

    Raises:
        DataError: no pixel to learn from has a class.
    """
    wanted, k = config.class_weights != "none", train.dataset.classes.k
    counts = np.zeros(IGNORED + 1, dtype=np.int64)
    for row in train.rows:
        counts += np.bincount(train.masks.read(np.array([row])).ravel(), minlength=len(counts))
        if not wanted and counts[:k].any():
            break  # That there is something to learn from is all that is to be known.
    counts = counts[:k]
    if not counts.any():
        raise DataError(
            "Expected pixels of classes to learn from; in the masks of the training pictures every pixel is ignored. "
            "Check what stands for ignored pixels (--ignore)."
        )
    if not wanted:
        return np.ones(k)
    weights = np.minimum(counts.max() / np.maximum(counts, 1), MOST_WEIGHT)
    return weights * counts.sum() / (weights * counts).sum()

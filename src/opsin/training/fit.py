"""One training from its checkpoint to its end: run Keras's loop, keep the best weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from opsin.augmentation.augmenter import Augmenter
from opsin.augmentation.policies import get_policy
from opsin.catalog import resolve
from opsin.data.store import StoredImages
from opsin.errors import TrainingError
from opsin.names import CHECKPOINT, TENSORBOARD
from opsin.pipeline import LEAST_WORKERS, TrainingBatches
from opsin.training.callbacks import DivergedError, EpochSeeds, Events, LearningRate, Memory
from opsin.training.checkpoint import load_best, load_last, save_best
from opsin.training.config import SCHEDULES, TrainConfig
from opsin.training.feature_batches import FeatureBatches
from opsin.training.plan import gpu_count
from opsin.training.quick_layers import quick_layers
from opsin.training.rate_finder import put_values, settle_rate, values_of
from opsin.training.run_folder import RunFolder
from opsin.training.schedules import growing_size, same_until
from opsin.training.state import TrainingState, score_of
from opsin.training.step_times import EpochEnd, StepTimes
from opsin.training.stopping import StoppedByUser, StopRequest

GPU_WORKERS = 4

LOWERING, MOST_LOWERINGS = 0.25, 3
"""What the learning rate is multiplied by when the loss becomes no number, and how often at most."""


@dataclass(frozen=True)
class Phase:
    """One training among those of a run.

    Args:
        checkpoint: the folder for what resuming it needs.
        name: what its rows in the history are called; empty where a run has one phase only.
        earlier: the history of the phases before it.
        keep_better: whether the weights that the network has already are to be beaten.
    """

    checkpoint: Path
    name: str = ""
    earlier: Sequence[dict[str, Any]] = ()
    keep_better: bool = False


@dataclass(frozen=True)
class Fitted:
    """How a training ended.

    Args:
        state: what it remembers; its best weights are in the network.
        completed: False if the user stopped it.
        error: why it could not go on; None if it could.
    """

    state: TrainingState
    completed: bool
    error: TrainingError | None = None


def fit(
    network: keras.Model,
    batches: TrainingBatches | FeatureBatches,
    val: keras.utils.PyDataset,
    *,
    config: TrainConfig,
    run: RunFolder,
    stop: StopRequest,
    phase: Phase | None = None,
) -> Fitted:
    """Train a compiled network from its checkpoint, if there is one, to its end; it keeps the best weights.

    Args:
        network: what the batches hold → logits (N, k) or (N, 1).
        batches: what to learn from.
        val: what tells the best epoch, batches of inputs and labels.
        config: settings without any `auto`.
        run: where events and history go.
        stop: is looked at after each step.
        phase: which of the run's trainings this is; None for the only one.
    """
    phase = phase or Phase(run / CHECKPOINT)
    state = load_last(phase.checkpoint, network)
    with quick_layers(network, config.precision):
        if phase.keep_better and not state.epoch:
            # Judged as epochs are, smoothing, penalties and rounding included.
            logs = network.evaluate(val, verbose=0, return_dict=True)
            state.best = score_of(config.monitor, {f"val_{name}": value for name, value in logs.items()})
            save_best(phase.checkpoint, network, state)
        try:
            config = settle_rate(network, batches, config, run=run, phase=phase, stop=stop)
        except StoppedByUser:
            fitted = Fitted(state, completed=False)
        else:
            fitted = _run(network, batches, val, config=config, run=run, stop=stop, phase=phase, state=state)
    state = fitted.state
    if state.best_epoch or phase.keep_better:
        load_best(phase.checkpoint, network, state)
    if state.best_epoch:
        best = state.history[state.best_epoch - 1]
        judged = {name: value for name, value in best.items() if name.startswith("val_")}
        run.emit("best_kept", epoch=state.best_epoch, **judged)
    return fitted


def _run(
    network: keras.Model,
    batches: TrainingBatches | FeatureBatches,
    val: keras.utils.PyDataset,
    *,
    config: TrainConfig,
    run: RunFolder,
    stop: StopRequest,
    phase: Phase,
    state: TrainingState,
) -> Fitted:
    """Run Keras's loop, from the last good epoch with a lower rate if the loss becomes no number; say how it ended."""
    beginning = values_of(network) if not state.epoch else []
    while state.epoch < config.epochs and not state.out_of_patience(config):
        # Keras looks at some batches before the epoch begins.
        batches.start_epoch(state.epoch)
        try:
            network.fit(
                batches,
                validation_data=val,
                initial_epoch=state.epoch,
                # TensorFlow takes batches of one shape in a call.
                epochs=same_until(getattr(batches, "size_at", None), state.epoch, config.epochs),
                shuffle=False,  # Keras's own shuffling uses Python's global random state.
                verbose=0,
                callbacks=_callbacks(batches, config, run, state, stop, phase),
            )
        except StoppedByUser:
            return Fitted(state, completed=False)
        except DivergedError as raised:
            if state.lowered == MOST_LOWERINGS:
                return Fitted(state, completed=True, error=raised)
            if state.epoch:
                lowered = state.lowered
                state = load_last(phase.checkpoint, network)
                state.lowered = lowered
            else:
                put_values(network, beginning)
            state.lower_rate(LOWERING)
            run.say(
                f"The loss became no number in epoch {state.epoch + 1}: that epoch begins anew, with {LOWERING:g} of "
                "the learning rate."
            )
        except TrainingError as raised:
            return Fitted(state, completed=True, error=raised)
    return Fitted(state, completed=True)


def training_batches(images: StoredImages, class_weights: np.ndarray, config: TrainConfig) -> TrainingBatches:
    """Return the shuffled, augmented batches that the settings ask for.

    Args:
        images: the pictures to learn from.
        class_weights: float (k,), the weight of each class in the loss.
        config: settings without any `auto`.
    """
    grows = config.start_size and config.start_size < config.image_size
    return TrainingBatches(
        images,
        Augmenter(get_policy(config.augment), config.seed, len(class_weights), color=config.color),
        config.batch_size,
        class_weights=class_weights,
        size_at=growing_size(config.start_size, config.image_size, config.epochs) if grows else None,
        # On a CPU the cores are the network's, and few threads keep ahead of it.
        workers=GPU_WORKERS if gpu_count() else LEAST_WORKERS,
    )


def _callbacks(
    batches: TrainingBatches | FeatureBatches,
    config: TrainConfig,
    run: RunFolder,
    state: TrainingState,
    stop: StopRequest,
    phase: Phase,
) -> list[keras.callbacks.Callback]:
    schedule = resolve(SCHEDULES[config.schedule])
    callbacks = [
        EpochSeeds(batches, config.seed),
        LearningRate(config, schedule, state, len(batches)),
        Events(run, config, batches, stop),
        Memory(run, config, state, phase),
    ]
    if config.ema:
        # The averages are judged: they are put in the weights' place while validating.
        callbacks.insert(0, keras.callbacks.SwapEMAWeights())
    if config.tensorboard:
        callbacks.append(keras.callbacks.TensorBoard(run / TENSORBOARD / phase.name, write_graph=False))
    if config.profile:
        times = StepTimes(run, batches)
        callbacks = [times, *callbacks, EpochEnd(times)]
    return callbacks

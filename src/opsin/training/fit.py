"""One training from its checkpoint to its end: run Keras's loop, keep the best weights."""

from dataclasses import dataclass

import keras
import numpy as np

from opsin.augmentation.augmenter import Augmenter
from opsin.augmentation.policies import get_policy
from opsin.catalog import resolve
from opsin.data.store import StoredImages
from opsin.errors import TrainingError
from opsin.names import CHECKPOINT, TENSORBOARD
from opsin.pipeline import LEAST_WORKERS, PlainBatches, TrainingBatches
from opsin.training.callbacks import EpochSeeds, Events, LearningRate, Memory
from opsin.training.checkpoint import load_best, load_last
from opsin.training.config import SCHEDULES, TrainConfig
from opsin.training.plan import gpu_count
from opsin.training.run_folder import RunFolder
from opsin.training.state import TrainingState
from opsin.training.stopping import StoppedByUser, StopRequest

GPU_WORKERS = 4


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
    batches: TrainingBatches,
    val: StoredImages,
    *,
    config: TrainConfig,
    run: RunFolder,
    stop: StopRequest,
) -> Fitted:
    """Train a compiled network from its checkpoint, if there is one, to its end; it keeps the best weights.

    Args:
        network: float32 (N, h, w, c), 0 to 255 → logits (N, k) or (N, 1).
        batches: the pictures to learn from.
        val: the pictures that tell the best epoch.
        config: settings without any `auto`.
        run: where events, history and checkpoints go.
        stop: is looked at after each step.
    """
    state = load_last(run / CHECKPOINT, network)
    batches.start_epoch(state.epoch)
    completed, error = True, None
    if state.epoch < config.epochs and not state.out_of_patience(config):
        try:
            network.fit(
                batches,
                validation_data=PlainBatches(val, config.batch_size),
                initial_epoch=state.epoch,
                epochs=config.epochs,
                shuffle=False,  # Keras's own shuffling uses Python's global random state.
                verbose=0,
                callbacks=_callbacks(batches, config, run, state, stop),
            )
        except StoppedByUser:
            completed = False
        except TrainingError as raised:
            error = raised
    if state.best_epoch:
        load_best(run / CHECKPOINT, network, state)
        best = state.history[state.best_epoch - 1]
        run.emit("best_kept", epoch=state.best_epoch, val_accuracy=best["val_accuracy"], val_loss=best["val_loss"])
    return Fitted(state, completed, error)


def training_batches(images: StoredImages, class_weights: np.ndarray, config: TrainConfig) -> TrainingBatches:
    """Return the shuffled, augmented batches that the settings ask for.

    Args:
        images: the pictures to learn from.
        class_weights: float (k,), the weight of each class in the loss.
        config: settings without any `auto`.
    """
    return TrainingBatches(
        images,
        Augmenter(get_policy(config.augment), config.seed, len(class_weights), color=config.color),
        config.batch_size,
        class_weights=class_weights,
        # On a CPU the cores are the network's, and few threads keep ahead of it.
        workers=GPU_WORKERS if gpu_count() else LEAST_WORKERS,
    )


def _callbacks(
    batches: TrainingBatches, config: TrainConfig, run: RunFolder, state: TrainingState, stop: StopRequest
) -> list[keras.callbacks.Callback]:
    schedule = resolve(SCHEDULES[config.schedule])
    callbacks = [
        EpochSeeds(batches, config.seed),
        LearningRate(config, schedule, state, len(batches)),
        Events(run, config, batches, stop),
        Memory(run, config, state),
    ]
    if config.tensorboard:
        callbacks.append(keras.callbacks.TensorBoard(run / TENSORBOARD, write_graph=False))
    return callbacks

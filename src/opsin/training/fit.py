"""One training from its checkpoint to its end: run Keras's loop, keep the best weights."""

import keras
import numpy as np

from opsin.augmentation.augmenter import Augmenter
from opsin.augmentation.policies import get_policy
from opsin.catalog import resolve
from opsin.data.store import StoredImages
from opsin.pipeline import LEAST_WORKERS, PlainBatches, TrainingBatches
from opsin.training.callbacks import (
    EpochSeeds,
    Events,
    LearningRate,
    Memory,
    StoppedByUser,
    StopRequest,
)
from opsin.training.checkpoint import load_best, load_last
from opsin.training.config import SCHEDULES, TrainConfig
from opsin.training.plan import gpu_count
from opsin.training.run_folder import CHECKPOINT, TENSORBOARD, RunFolder
from opsin.training.state import TrainingState

GPU_WORKERS = 4


def fit(
    network: keras.Model,
    train: StoredImages,
    val: StoredImages,
    *,
    class_weights: np.ndarray,
    config: TrainConfig,
    run: RunFolder,
) -> tuple[TrainingState, bool]:
    """Train a compiled network from its checkpoint, if there is one, to its end; it keeps the best weights.

    Args:
        network: float32 (N, h, w, c), 0 to 255 → logits (N, k) or (N, 1).
        train: the pictures to learn from.
        val: the pictures that tell the best epoch.
        class_weights: float (k,), the weight of each class in the loss.
        config: settings without any `auto`.
        run: where events, history and checkpoints go.

    Returns:
        The state at the end, and whether the training came to its end (False: the user stopped it).

    Raises:
        TrainingError: the loss became infinite or no number.
    """
    batches = _training_batches(train, class_weights, config)
    state = load_last(run / CHECKPOINT, network)
    batches.start_epoch(state.epoch)
    completed = True
    if state.epoch < config.epochs and not state.out_of_patience(config):
        with StopRequest(run).listening() as stop:
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
    if state.best_epoch:
        load_best(run / CHECKPOINT, network, state)
        best = state.history[state.best_epoch - 1]
        run.emit("best_kept", epoch=state.best_epoch, val_accuracy=best["val_accuracy"], val_loss=best["val_loss"])
    return state, completed


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


def _training_batches(train: StoredImages, class_weights: np.ndarray, config: TrainConfig) -> TrainingBatches:
    augmenter = Augmenter(get_policy(config.augment), config.seed, len(class_weights), color=config.color)
    return TrainingBatches(
        train,
        augmenter,
        config.batch_size,
        class_weights=class_weights,
        # On a CPU the cores are the network's, and few threads keep ahead of it.
        workers=GPU_WORKERS if gpu_count() else LEAST_WORKERS,
    )

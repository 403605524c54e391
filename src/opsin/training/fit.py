"""One training from its state to its end: compile, run Keras's loop, keep the best weights."""

import contextlib
from collections.abc import Iterator

import keras

from opsin.augmentation.augmenter import Augmenter
from opsin.augmentation.policies import get_policy
from opsin.catalog import resolve
from opsin.data.store import StoredImages
from opsin.pipeline import PlainBatches, TrainingBatches
from opsin.training.callbacks import (
    EpochSeeds,
    Events,
    LearningRate,
    Memory,
    StoppedByUser,
    StopRequest,
)
from opsin.training.checkpoint import load_best, load_last
from opsin.training.config import OPTIMIZERS, SCHEDULES, TrainConfig
from opsin.training.losses import CrossEntropy, accuracy
from opsin.training.plan import gpu_count, weigh_classes
from opsin.training.run_folder import CHECKPOINT, TENSORBOARD, RunFolder
from opsin.training.state import TrainingState

GPU_WORKERS = 4


@contextlib.contextmanager
def device_scope() -> Iterator[None]:
    """Make what is built inside live on all GPUs of the machine (TensorFlow's MirroredStrategy)."""
    if keras.backend.backend() != "tensorflow" or gpu_count() < 2:
        yield
        return
    import tensorflow

    with tensorflow.distribute.MirroredStrategy().scope():
        yield


def compile_network(network: keras.Model, config: TrainConfig) -> None:
    """Give a network its optimizer, loss and metric, inside the `device_scope` it was built in."""
    settings = {"weight_decay": config.weight_decay} if config.optimizer != "adam" else {}
    if config.optimizer == "sgd-nesterov":
        settings |= {"momentum": 0.9, "nesterov": True}
    optimizer = resolve(OPTIMIZERS[config.optimizer])(learning_rate=config.learning_rate, **settings)
    if settings:
        # Biases and the scales of normalisation are few and do not overfit: decay is for kernels.
        optimizer.exclude_from_weight_decay(var_list=[v for v in network.trainable_variables if len(v.shape) < 2])
    network.compile(
        optimizer=optimizer,
        loss=CrossEntropy(config.label_smoothing),
        metrics=[keras.metrics.MeanMetricWrapper(accuracy, name="accuracy")],
        jit_compile=_compile_just_in_time(),
    )
    # Keras would build it in the first step, outside the scope and too late for a checkpoint to be put back.
    network.optimizer.build(network.trainable_variables)


def fit(
    network: keras.Model, train: StoredImages, val: StoredImages, *, config: TrainConfig, run: RunFolder
) -> tuple[TrainingState, bool]:
    """Train a compiled network from its checkpoint, if there is one, to its end; it keeps the best weights.

    Returns:
        The state at the end, and whether the training came to its end (False: the user stopped it).

    Raises:
        TrainingError: the loss became infinite or no number.
    """
    batches = _training_batches(train, config)
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


def _training_batches(train: StoredImages, config: TrainConfig) -> TrainingBatches:
    class_count = len(train.dataset.class_names)
    augmenter = Augmenter(get_policy(config.augment), config.seed, class_count, color=config.color)
    return TrainingBatches(
        train,
        augmenter,
        config.batch_size,
        class_weights=weigh_classes(config, train.dataset.labels, class_count),
        # On a CPU the cores are the network's; one thread keeps ahead of it.
        workers=GPU_WORKERS if gpu_count() else 1,
    )


def _compile_just_in_time() -> bool | str:
    # XLA makes convolutions on a CPU several times slower under TensorFlow; JAX cannot do without it.
    if keras.backend.backend() == "tensorflow":
        return gpu_count() > 0
    return "auto"

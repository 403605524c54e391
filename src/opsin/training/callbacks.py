"""What happens around Keras's steps and epochs: the rate, the seeds, the memory, the events, stopping."""

import contextlib
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from opsin.errors import TrainingError
from opsin.pipeline import TrainingBatches
from opsin.training.checkpoint import save_best, save_last
from opsin.training.config import TrainConfig
from opsin.training.run_folder import RunFolder
from opsin.training.schedules import Schedule, rate_at
from opsin.training.state import TrainingState
from opsin.training.stopping import StoppedByUser, StopRequest

if TYPE_CHECKING:
    from opsin.training.fit import Phase

SECONDS_BETWEEN_STEP_EVENTS = 0.25
MEASURES = ("loss", "accuracy", "iou")
"""What a row of the history has; `iou` where pixels have classes."""


class DivergedError(TrainingError):
    """The loss became infinite or no number."""


class LearningRate(keras.callbacks.Callback):
    """Sets the optimizer's rate before each step, as a pure function of the step and the state."""

    def __init__(self, config: TrainConfig, schedule: Schedule, state: TrainingState, steps_per_epoch: int):
        super().__init__()
        self.config = config
        self.schedule = schedule
        self.state = state
        self.steps_per_epoch = steps_per_epoch
        warmup = 0 if config.schedule == "one-cycle" else round(config.warmup_epochs * steps_per_epoch)
        # At least half of the steps are left to the schedule itself.
        self.warmup_steps = min(warmup, config.epochs * steps_per_epoch // 2)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Remember which epoch the steps are of."""
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Set the rate of this step."""
        fraction = rate_at(
            self.epoch * self.steps_per_epoch + batch,
            steps=self.config.epochs * self.steps_per_epoch,
            warmup_steps=self.warmup_steps,
            schedule=self.schedule,
        )
        self.model.optimizer.learning_rate = self.config.learning_rate * fraction * self.state.rate_factor


class EpochSeeds(keras.callbacks.Callback):
    """Sets everything random to what (seed, epoch) says, so that an epoch does not depend on those before."""

    def __init__(self, batches: TrainingBatches, seed: int):
        super().__init__()
        self.batches = batches
        self.seed = seed

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Set the order of the pictures and the state of every random layer."""
        self.batches.start_epoch(epoch)
        generators = [v for v in self.model.variables if v.name == "seed_generator_state"]
        for number, variable in enumerate(generators):
            words = np.random.SeedSequence([self.seed, epoch, number]).generate_state(2)
            variable.assign(words.astype("uint32"))


class Events(keras.callbacks.Callback):
    """Tells the run folder how it goes, and stops when asked to or when the loss is no number."""

    def __init__(self, run: RunFolder, config: TrainConfig, batches: TrainingBatches, stop: StopRequest):
        super().__init__()
        self.run = run
        self.config = config
        self.batches = batches
        self.stop = stop

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Emit `epoch_started`."""
        self.epoch = epoch + 1
        self.started = self.last_event = time.monotonic()
        self.run.emit("epoch_started", epoch=self.epoch, epochs=self.config.epochs, steps=len(self.batches))

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Emit `step`, a few times a second."""
        self._leave_if_asked()
        now = time.monotonic()
        if now - self.last_event < SECONDS_BETWEEN_STEP_EVENTS:
            return
        self.last_event = now
        _require_finite(logs["loss"], self.epoch)
        pictures = self.batches.picture_count * (batch + 1) / len(self.batches)
        self.run.emit(
            "step",
            epoch=self.epoch,
            step=batch + 1,
            loss=float(logs["loss"]),
            accuracy=float(logs["accuracy"]),
            pictures_per_second=round(pictures / (now - self.started), 1),
        )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Tell whoever may ask for an end that there is something to keep."""
        self.stop.finish_epoch()

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Emit `validating`."""
        self.run.emit("validating", epoch=self.epoch)

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Leave in the middle of validation too, if asked to."""
        self._leave_if_asked()

    def _leave_if_asked(self) -> None:
        if self.stop.made:
            self.run.emit("stopping", text=self.stop.reason)
            raise StoppedByUser


class Memory(keras.callbacks.Callback):
    """Takes each finished epoch in: history, best weights, checkpoint, early stopping."""

    def __init__(self, run: RunFolder, config: TrainConfig, state: TrainingState, phase: "Phase"):
        super().__init__()
        self.run = run
        self.config = config
        self.state = state
        self.phase = phase

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write down the epoch, and stop if patience is at its end."""
        _require_finite(logs["loss"], epoch + 1)
        _require_finite(logs["val_loss"], epoch + 1)
        row = {
            "epoch": epoch + 1,
            "seconds": round(time.monotonic() - self.started, 3),
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            **{name: float(logs[name]) for name in (*MEASURES, *(f"val_{one}" for one in MEASURES)) if name in logs},
            **({"phase": self.phase.name} if self.phase.name else {}),
        }
        folder = self.phase.checkpoint
        improved = self.state.finish_epoch(row, self.config)
        if improved:
            with averaged(self.model) if self.config.ema else contextlib.nullcontext():
                save_best(folder, self.model, self.state)
        save_last(folder, self.model, self.state)
        self.run.write_history([*self.phase.earlier, *self.state.history])
        self.run.emit("epoch_ended", epochs=self.config.epochs, improved=improved, **row)
        if self.state.out_of_patience(self.config):
            self.run.say(f"Stopped early: no better epoch in the last {self.state.waited} (--patience).")
            self.model.stop_training = True


@contextlib.contextmanager
def averaged(network: keras.Model) -> Iterator[None]:
    """Put the moving averages that the optimizer keeps in the weights' place while the block runs."""
    kept = [keras.ops.convert_to_numpy(variable) for variable in network.trainable_variables]
    network.optimizer.finalize_variable_values(network.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(network.trainable_variables, kept, strict=True):
            variable.assign(value)


def _require_finite(loss: float, epoch: int) -> None:
    if not math.isfinite(float(loss)):
        raise DivergedError(
            f"Expected the loss to be a number; in epoch {epoch} it became {float(loss)}. Training was stopped. "
            "Try a learning rate ten times lower (--learning-rate), a longer --warmup-epochs, or "
            "--precision float32 on a GPU."
        )

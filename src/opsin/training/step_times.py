"""Callbacks that time the parts of each epoch, for `--profile`."""

import time
from collections.abc import Iterator
from typing import Any

import keras

from opsin.training.run_folder import RunFolder
from opsin.training.where_time_went import EPOCH_PARTS


class StepTimes(keras.callbacks.Callback):
    """Times each epoch's parts and emits them as the event `epoch_timed`; it has to be the first callback.

    What steps wait for data is told apart under TensorFlow on one device; elsewhere it is part of the steps.

    Args:
        run: where events go.
        batches: what is learned from; its `preparing` are the seconds that each batch took.
    """

    def __init__(self, run: RunFolder, batches: Any):
        super().__init__()
        self.run = run
        self.preparing = getattr(batches, "preparing", [])

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Have the step tell when its data came, where that can be done."""
        self.waited = 0.0
        if keras.backend.backend() == "tensorflow" and self.model.distribute_strategy.num_replicas_in_sync == 1:
            self.model.train_function = self._stepping_apart()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Leave the network with Keras's own step."""
        self.model.train_function = None

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the epoch's clocks."""
        self.began = time.perf_counter()
        self.seconds = dict.fromkeys(EPOCH_PARTS, 0.0)
        self.preparing.clear()

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Start the step's clock."""
        self.step_began, self.waited = time.perf_counter(), 0.0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Take in the step."""
        self.seconds["waiting"] += self.waited
        self.seconds["steps"] += time.perf_counter() - self.step_began - self.waited

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Start validation's clock."""
        self.test_began = time.perf_counter()

    def on_test_end(self, logs: dict | None = None) -> None:
        """Take in validation."""
        self.seconds["validation"] += time.perf_counter() - self.test_began

    def finish_epoch(self, epoch: int) -> None:
        """Emit the epoch's times; to be called when all other callbacks are done with it."""
        whole = time.perf_counter() - self.began
        self.seconds["callbacks"] = whole - sum(self.seconds.values())
        rounded = {name: round(seconds, 4) for name, seconds in self.seconds.items()}
        self.run.emit("epoch_timed", epoch=epoch + 1, **rounded, augmenting=round(sum(self.preparing), 4))

    def _stepping_apart(self) -> Any:
        import tensorflow

        step = tensorflow.function(self.model.train_step, jit_compile=self.model.jit_compile, reduce_retracing=True)

        def function(iterator: Iterator) -> Any:
            began = time.perf_counter()
            batch = next(iterator)
            self.waited += time.perf_counter() - began
            return step(batch)

        return function


class EpochEnd(keras.callbacks.Callback):
    """The last callback: lets `StepTimes` finish the epoch."""

    def __init__(self, times: StepTimes):
        super().__init__()
        self.times = times

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Finish the epoch's times."""
        self.times.finish_epoch(epoch)

"""`--learning-rate find`: a short trial with a rising rate (Smith 2015, arXiv 1506.01186, section 3.3)."""

import contextlib
import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from opsin.atomic import replacing, write_text
from opsin.evaluation.charts import rate_chart
from opsin.names import RATE_CHART
from opsin.training.config import FIND, TrainConfig
from opsin.training.run_folder import RunFolder
from opsin.training.stopping import StoppedByUser

if TYPE_CHECKING:
    from opsin.pipeline import TrainingBatches
    from opsin.training.feature_batches import FeatureBatches
    from opsin.training.fit import Phase
    from opsin.training.stopping import Deadline, StopRequest

STEPS = 100
LOWEST, HIGHEST = 1e-6, 1.0
SMOOTHING = 0.9
DIVERGED = 4.0
"""A smoothed loss that is so many times the lowest one ends the trial."""

SHARE = 0.1
"""Of the rate at which the smoothed loss is lowest: there it is about to rise, a tenth of it is safely below."""

FILE = "learning_rate.json"


def settle_rate(
    network: keras.Model,
    batches: "TrainingBatches | FeatureBatches",
    config: TrainConfig,
    *,
    run: RunFolder,
    phase: "Phase",
    stop: "StopRequest | Deadline",
) -> TrainConfig:
    """Return the settings with a learning rate that was found by a trial, if that is what they ask for.

    What was found is kept in the checkpoint, so that a run that is resumed goes on with it. The trial changes nothing:
    weights and optimizer are put back.

    Args:
        network: compiled.
        batches: what to learn from.
        config: settings; `learning_rate` may be `"find"`.
        run: where the plot goes.
        phase: the training that the rate is for.
        stop: is looked at after each step; a trial that a budget cuts short says what it has seen.

    Raises:
        StoppedByUser: they asked for it during the trial; nothing is kept of it.
    """
    if config.learning_rate != FIND:
        return config
    found = phase.checkpoint / FILE
    if found.is_file():
        return config.replace(learning_rate=json.loads(found.read_text())["learning_rate"])
    rates, losses = try_rates(network, batches, stop)
    if stop.by_user:
        run.emit("stopping", text=stop.reason)
        raise StoppedByUser
    rate = choose_rate(rates, losses)
    write_text(found, json.dumps({"learning_rate": rate}))
    name = f"{phase.name}-{RATE_CHART}" if phase.name else RATE_CHART
    _save_chart(run / name, rates, losses, rate)
    run.say(f"Found a learning rate of {rate:.2g} by a trial of {len(rates)} steps; {run / name} shows it.")
    return config.replace(learning_rate=rate)


def try_rates(
    network: keras.Model, batches: "TrainingBatches | FeatureBatches", stop: "StopRequest | Deadline"
) -> tuple[list[float], list[float]]:
    """Train for some steps with a rate that rises from step to step, and put everything back.

    Returns:
        The rates, and the smoothed loss at each.
    """
    batches.start_epoch(0)
    with unchanged(network):
        return _climb(network, batches, stop)


def _climb(
    network: keras.Model, batches: "TrainingBatches | FeatureBatches", stop: "StopRequest | Deadline"
) -> tuple[list[float], list[float]]:
    rates, losses, average = [], [], 0.0
    for step in range(STEPS):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1))
        network.optimizer.learning_rate = rate
        network.reset_metrics()
        inputs, targets, weights = batches[step % len(batches)]
        loss = float(network.train_on_batch(inputs, targets, sample_weight=weights, return_dict=True)["loss"])
        if not math.isfinite(loss):
            break
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        rates.append(rate)
        losses.append(average / (1 - SMOOTHING ** (step + 1)))
        if stop.made or losses[-1] > DIVERGED * min(losses):
            break
    return rates, losses


@contextlib.contextmanager
def unchanged(network: keras.Model) -> Iterator[None]:
    """Put a network's weights and its optimizer back as they were, after the block."""
    before = values_of(network)
    try:
        yield
    finally:
        put_values(network, before)


def values_of(network: keras.Model) -> list[np.ndarray]:
    """Return copies of a network's weights and of what its optimizer remembers, for `put_values`."""
    return [keras.ops.convert_to_numpy(v).copy() for v in (*network.weights, *network.optimizer.variables)]


def put_values(network: keras.Model, values: list[np.ndarray]) -> None:
    """Put back what `values_of` gave."""
    for variable, value in zip((*network.weights, *network.optimizer.variables), values, strict=True):
        variable.assign(value)


def choose_rate(rates: list[float], losses: list[float]) -> float:
    """Return a tenth of the rate at which the loss is lowest; the lowest rate where there is no loss at all.

    >>> choose_rate([0.001, 0.01, 0.1, 1.0], [2.0, 1.0, 0.5, 9.0])
    0.01
    """
    return float(f"{SHARE * rates[int(np.argmin(losses))]:.3g}") if losses else LOWEST


def _save_chart(path: Path, rates: list[float], losses: list[float], rate: float) -> None:
    with replacing(path) as temporary:
        rate_chart(rates, losses, rate).savefig(temporary, format="png", dpi=150)
    with replacing(path.with_suffix(".csv")) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["learning_rate", "loss"])
        writer.writerows(zip(rates, losses, strict=True))

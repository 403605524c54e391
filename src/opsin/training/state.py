"""What training remembers from epoch to epoch: the best so far, patience, the plateau, the history."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsin.training.config import TrainConfig

PLATEAU_FACTOR = 0.5


@dataclass
class TrainingState:
    """The memory of one training; a run that is resumed goes on from exactly this.

    Args:
        epoch: how many epochs are finished.
        best_epoch: the number, from 1, of the best epoch so far; 0 before the first.
        best: what it was judged by, larger is better: first value, then what breaks a tie.
        waited: epochs since the best one.
        plateau_waited: epochs since the best one or the last cut of the rate.
        rate_factor: what plateaus and losses that were no numbers have made of the learning rate.
        lowered: how often the loss was no number.
        history: a row for each finished epoch.
    """

    epoch: int = 0
    best_epoch: int = 0
    best: tuple[float, float] = (-math.inf, -math.inf)
    waited: int = 0
    plateau_waited: int = 0
    rate_factor: float = 1.0
    lowered: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    def finish_epoch(self, row: dict[str, Any], config: TrainConfig) -> bool:
        """Take in a finished epoch's row; return whether it is the best so far."""
        self.epoch += 1
        self.history.append(row)
        score = score_of(config.monitor, row)
        improved = score > self.best
        if improved:
            self.best, self.best_epoch = score, self.epoch
        self.waited = 0 if improved else self.waited + 1
        self.plateau_waited = 0 if improved else self.plateau_waited + 1
        if config.schedule == "reduce-on-plateau" and self.plateau_waited >= config.plateau_patience:
            self.rate_factor *= PLATEAU_FACTOR
            self.plateau_waited = 0
        return improved

    def lower_rate(self, factor: float) -> None:
        """Take in that the loss was no number: go on with a lower rate."""
        self.rate_factor *= factor
        self.lowered += 1

    def out_of_patience(self, config: TrainConfig) -> bool:
        """Return whether early stopping is due."""
        return 0 < config.patience <= self.waited

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` takes, fit for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "TrainingState":
        """Return the state that `to_dict` gave."""
        return cls(**{**document, "best": tuple(document["best"])})


def score_of(monitor: str, row: Mapping[str, Any]) -> tuple[float, float]:
    """Return how good a network is by what is monitored, larger is better: first value, then what breaks a tie.

    Args:
        monitor: `val_loss`, or another that is better the larger it is.
        row: what was measured, `val_loss` and `val_accuracy` among it.
    """
    if monitor == "val_loss":
        return -row["val_loss"], row["val_accuracy"]
    return row[monitor], -row["val_loss"]

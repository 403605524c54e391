"""`--profile`: where the time of a training went, summed up from its events."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from opsin.names import EVENTS
from opsin.training.run_folder import RunFolder

EPOCH_PARTS = ("waiting", "steps", "validation", "callbacks")
SAID = {
    "beginning": "Keras loaded, network built, pictures decoded",
    "waiting": "steps waiting for data",
    "steps": "steps: forward, backward, update",
    "validation": "validation",
    "callbacks": "checkpoints, history, events",
    "end": "model saved, calibration, report",
    "augmenting": "beside the steps, in threads: reading and augmenting",
}


def read_profile(events: Path) -> dict[str, float]:
    """Return the seconds of each part of the run that ended last, by the names of `SAID`.

    Args:
        events: the run's `events.jsonl`.
    """
    lines = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    last = max((i for i, event in enumerate(lines) if event["event"] == "run_started"), default=0)
    return sum_up(lines[last:])


def tell_where_time_went(run: RunFolder) -> None:
    """Emit the event `profiled` for a run that has just ended."""
    run.emit("profiled", seconds=read_profile(run / EVENTS))


def sum_up(events: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Return the seconds of each part of a run from its events.

    >>> events = [{"event": "run_started", "time": 0}, {"event": "epoch_started", "time": 5},
    ...           {"event": "epoch_timed", "time": 9, "waiting": 1, "steps": 2, "validation": 1, "callbacks": 0,
    ...            "augmenting": 2}, {"event": "epoch_ended", "time": 9}, {"event": "run_finished", "time": 12}]
    >>> sum_up(events)
    {'beginning': 5, 'waiting': 1, 'steps': 2, 'validation': 1, 'callbacks': 0, 'end': 3, 'augmenting': 2}
    """
    events = list(events)
    times = {kind: [event["time"] for event in events if event["event"] == kind] for kind in _KINDS}
    timed = [event for event in events if event["event"] == "epoch_timed"]
    inside = {name: sum(event[name] for event in timed) for name in (*EPOCH_PARTS, "augmenting")}
    seconds = {"beginning": _between(times["run_started"][:1], times["epoch_started"][:1]), **inside}
    seconds["end"] = _between(times["epoch_timed"][-1:], times["run_finished"][-1:])
    return {name: seconds[name] for name in SAID}


_KINDS = ("run_started", "epoch_started", "epoch_timed", "run_finished")


def _between(first: list[float], second: list[float]) -> float:
    return second[0] - first[0] if first and second else 0.0

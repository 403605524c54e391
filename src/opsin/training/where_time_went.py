"""`--profile`: where the time of a training went, summed up from its events."""

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from opsin.names import EVENTS
from opsin.training.run_folder import RunFolder

EPOCH_PARTS = ("waiting", "steps", "validation", "callbacks")
SAID = {
    "beginning": "Keras loaded, network built, pictures decoded",
    "features": "backbone converted, features computed",
    "head": "head solved and saved",
    "waiting": "steps waiting for data",
    "steps": "steps: forward, backward, update",
    "validation": "validation",
    "callbacks": "checkpoints, history, events",
    "end": "model saved, calibration, report",
    "augmenting": "beside the steps, in threads: reading and augmenting",
}


def read_profile(events: Path) -> dict[str, float]:
    """Return the seconds of each part that the run which ended last had, by the names of `SAID`.

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
    """Return the seconds of each part of a run that it had, from its events.

    >>> events = [{"event": "run_started", "time": 0}, {"event": "epoch_started", "time": 5},
    ...           {"event": "epoch_timed", "time": 9, "waiting": 1, "steps": 2, "validation": 1, "callbacks": 0,
    ...            "augmenting": 2}, {"event": "epoch_ended", "time": 9}, {"event": "run_finished", "time": 12}]
    >>> sum_up(events)
    {'beginning': 5, 'waiting': 1, 'steps': 2, 'validation': 1, 'callbacks': 0, 'end': 3, 'augmenting': 2}
    """
    events = [event for event in events if event["event"] in _BEFORE]
    seconds: dict[str, float] = {}
    for before, event in itertools.pairwise(events):
        for name, spent in _spent(before, event).items():
            seconds[name] = seconds.get(name, 0) + spent
    if any(event.get("weights") == "none" for event in events):
        seconds["end"] = seconds.get("end", 0) + seconds.pop("head", 0)
    return {name: seconds[name] for name in SAID if name in seconds}


_BEFORE = {
    "run_started": "beginning",
    "network_built": "beginning",
    "decoding": "beginning",
    "features": "features",
    "epoch_started": "beginning",
    "epoch_timed": "steps",
    "model_saved": "head",
    "run_finished": "end",
}
"""The part of a run that the time before an event belongs to."""


def _spent(before: dict[str, Any], event: dict[str, Any]) -> dict[str, float]:
    """Return the seconds between two events that follow each other, by part."""
    if event["event"] == "epoch_timed":
        return {name: event[name] for name in (*EPOCH_PARTS, "augmenting")}
    seconds = event["time"] - before["time"]
    if before["event"] != "epoch_timed":
        return {_BEFORE[event["event"]]: seconds}
    # What lies between two epochs is Keras's own.
    return {} if event["event"] == "epoch_started" else {"end": seconds}

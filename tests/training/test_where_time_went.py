import json
import time

import pytest

import opsin
from opsin.pipeline import TrainingBatches
from opsin.training.config import TrainConfig
from opsin.training.run_folder import RunFolder
from opsin.training.where_time_went import SAID, read_profile, sum_up

SETTINGS = TrainConfig(architecture="lenet5", color="rgb", image_size=16, epochs=2, batch_size=4, profile=True)


def train(colors, folder, settings=SETTINGS):
    splits = colors.split(0.2, 0.2, seed=0)
    return opsin.train(splits.train, splits.val, settings, test=splits.test, out=RunFolder.create(folder))


@pytest.fixture(scope="module")
def profiled(colors, tmp_path_factory):
    return train(colors, tmp_path_factory.mktemp("profiled") / "run")


def events_of(run, kind):
    lines = (run.folder / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def test_the_parts_of_a_run_add_up_to_it(profiled):
    seconds = read_profile(profiled.folder / "events.jsonl")

    assert list(seconds) == [name for name in SAID if name not in ("features", "head")]
    assert all(spent > 0 for spent in seconds.values())
    (finished,) = events_of(profiled, "run_finished")
    (started,) = events_of(profiled, "run_started")
    inside = sum(spent for name, spent in seconds.items() if name != "augmenting")
    # What is left is the time between epochs, and rounding.
    assert inside == pytest.approx(finished["time"] - started["time"], rel=0.1)


def test_on_pretrained_weights_features_and_head_have_parts_of_their_own():
    kinds = ["run_started", "network_built", "decoding", "features", "features", "note", "model_saved", "evaluated"]
    times = [10, 14, 15, 17, 25, 28, 29, 31]
    events = [{"event": kind, "time": time} for kind, time in zip(kinds, times, strict=True)]
    events[1]["weights"] = "imagenet"
    ended = {"event": "run_finished", "time": 32}
    tuned = [
        {"event": "epoch_started", "time": 34},
        {
            "event": "epoch_timed",
            "time": 38,
            "waiting": 1,
            "steps": 2,
            "validation": 1,
            "callbacks": 0,
            "augmenting": 2,
        },
        {"event": "epoch_ended", "time": 38},
        {"event": "model_saved", "time": 40},
        {"event": "run_finished", "time": 41},
    ]

    assert sum_up([*events, ended]) == {"beginning": 5, "features": 10, "head": 4, "end": 3}
    assert sum_up([*events[:-1], *tuned]) == {
        **{"beginning": 10, "features": 10, "head": 4, "waiting": 1, "steps": 2, "validation": 1, "callbacks": 0},
        **{"end": 3, "augmenting": 2},
    }


def test_the_terminal_tells_it_without_epochs_too(capsys):
    from rich.console import Console

    from opsin.training.progress import TerminalProgress

    seconds = {"beginning": 1.0, "features": 2.0, "head": 1.0, "end": 0.5}
    TerminalProgress(Console(width=120))({"event": "profiled", "time": 0.0, "seconds": seconds})

    said = capsys.readouterr().out
    assert [name for name in SAID if SAID[name] in said] == list(seconds)
    assert "Steps waited" not in said


def test_an_epochs_parts_add_up_to_what_history_has(profiled):
    timed = events_of(profiled, "epoch_timed")

    for event, row in zip(timed, profiled.history, strict=True):
        parts = event["waiting"] + event["steps"] + event["validation"] + event["callbacks"]
        assert parts == pytest.approx(row["seconds"], abs=0.5)


def test_being_timed_changes_nothing_in_what_is_learned(profiled, colors, tmp_path):
    plain = train(colors, tmp_path / "plain", SETTINGS.replace(profile=False))

    assert [row["loss"] for row in plain.history] == [row["loss"] for row in profiled.history]
    assert not events_of(plain, "epoch_timed")


def test_slow_batches_show_as_waiting_and_beside_the_steps(colors, tmp_path, monkeypatch):
    make = TrainingBatches._make

    def slowly(batches, number):
        time.sleep(0.5)
        return make(batches, number)

    monkeypatch.setattr(TrainingBatches, "_make", slowly)

    slow = train(colors, tmp_path / "slow", SETTINGS.replace(epochs=1))

    seconds = read_profile(slow.folder / "events.jsonl")
    # 9 batches of 0.5 s in two threads; the first steps may be built meanwhile.
    assert seconds["augmenting"] > 9 * 0.5
    assert seconds["waiting"] > 0.2


def test_the_terminal_tells_where_the_time_went(capsys):
    from rich.console import Console

    from opsin.training.progress import TerminalProgress

    progress = TerminalProgress(Console(width=120))
    seconds = dict.fromkeys(SAID, 1.0) | {"waiting": 0.1, "steps": 9.9}

    progress({"event": "profiled", "time": 0.0, "seconds": seconds})

    said = capsys.readouterr().out
    assert all(words in said for words in SAID.values())
    assert "Steps waited for data 1.0 % of their time." in said

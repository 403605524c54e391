import csv
import dataclasses
import json
import re
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from opsin.architectures import build_network
from opsin.data.dataset import ImageDataset
from opsin.errors import OpsinError
from opsin.evaluation.evaluate import evaluate
from opsin.features.speeds import remember_speed
from opsin.training import frozen
from opsin.training import search as searching
from opsin.training.config import TrainConfig, seconds_of
from opsin.training.fit import Fitted
from opsin.training.learned import Learned
from opsin.training.plan import make_plan
from opsin.training.run_folder import RunFolder
from opsin.training.state import TrainingState
from opsin.training.stopping import Deadline, StopRequest
from opsin.training.train import TrainingRun, train

SMALL, LARGE = "mobilenet_0.25", "mobilenet_0.5"


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Random weights of two widths of MobileNet, named as files of weights are."""
    folder = tmp_path_factory.mktemp("weights")
    for number, name in enumerate((SMALL, LARGE)):
        keras.utils.set_random_seed(number)
        network = build_network(name, (32, 32, 3), 3)
        network.save(folder / f"{name}_224_no_top.keras")
    return folder


@pytest.fixture(scope="module")
def shapes(tiny_data) -> ImageDataset:
    return ImageDataset.from_folder(tiny_data)


def run(shapes: ImageDataset, out: Path, weights: Path, **changes) -> TrainingRun:
    settings = {"weights": str(weights), "image_size": 32, "budget": "20m", "fine_tune_epochs": 3, "batch_size": 16}
    parts = shapes.split(0.2, 0.2, seed=0)
    config = TrainConfig(**{**settings, **changes})
    return train(parts.train, parts.val, config, test=parts.test, out=RunFolder.create(out))


def notes(finished: TrainingRun) -> list[str]:
    events = [json.loads(line) for line in (finished.folder / "events.jsonl").read_text().splitlines()]
    return [event["text"] for event in events if event["event"] == "note"]


@pytest.fixture(scope="module")
def searched(shapes, weights, tmp_path_factory) -> TrainingRun:
    with pytest.MonkeyPatch.context() as patch:
        # The pictures are too small for a photo's network to be chosen by itself.
        patch.setattr("opsin.training.plan.SMALL_PICTURE", 8)
        patch.setattr(searching, "FAILURES", 1)
        # Further blocks are as these two.
        return run(shapes, tmp_path_factory.mktemp("searched") / "run", weights, unfreeze_blocks=2)


@pytest.mark.slow
def test_it_begins_with_the_cheapest_backbone_and_goes_on_to_the_larger_one_and_its_blocks(searched):
    tried = [note for note in notes(searched) if note.startswith("Tried")]

    assert tried[0].startswith(f"Tried {SMALL}, linear head: val accuracy")
    assert tried[1].startswith(f"Tried {LARGE}, linear head")
    assert "top block trained" in tried[2]
    assert len(tried) <= 4
    assert all("95 % interval" in note and note.rstrip(".").split(" s. ")[0][-1].isdigit() for note in tried)


@pytest.mark.slow
def test_the_first_classifier_is_saved_at_once(searched):
    events = [json.loads(line) for line in (searched.folder / "events.jsonl").read_text().splitlines()]
    kinds = [event["event"] if event["event"] != "note" else event["text"] for event in events]
    first = next(number for number, kind in enumerate(kinds) if kind.startswith("Tried"))

    assert "model_saved" in kinds[:first]


@pytest.mark.slow
def test_what_is_kept_is_what_the_report_is_about(searched, shapes):
    test_part = shapes.split(0.2, 0.2, seed=0).test

    assert evaluate(searched.classifier, test_part).accuracy == searched.report.accuracy


@pytest.mark.slow
def test_the_history_says_of_each_row_what_was_tried(searched):
    with (searched.folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert [(row["architecture"], row["blocks"]) for row in rows[:2]] == [(SMALL, "0"), (LARGE, "0")]
    assert {row["phase"] for row in rows} == {"head", "fine-tune"}


@pytest.mark.slow
def test_its_settings_can_be_taken_again_and_leave_the_architecture_open(searched):
    config = TrainConfig.from_toml(searched.folder / "config.toml")

    assert (config.architecture, config.budget) == ("auto", "20m")


@pytest.mark.slow
def test_a_budget_that_is_too_short_gives_a_classifier_and_says_so(shapes, weights, tmp_path):
    finished = run(shapes, tmp_path / "run", weights, architecture=SMALL, budget="1s")

    assert finished.completed
    assert finished.report is not None
    assert any("The budget was too short: a first classifier takes about" in note for note in notes(finished))
    assert any(note.startswith(f"Not tried: {SMALL}, top block trained") for note in notes(finished))


@pytest.mark.slow
def test_from_scratch_a_budget_decides_the_epochs(shapes, tmp_path):
    finished = run(shapes, tmp_path / "run", "none", architecture="simple_cnn", budget="1s", epochs=500)

    assert any("of at most 500 are trained" in note for note in notes(finished))
    assert 1 <= len(finished.history) < 500
    assert finished.report is not None


def test_from_scratch_the_time_to_judge_the_network_is_kept_back(shapes, tmp_path, monkeypatch):
    """A step of 30 pictures takes 9 s here, so a picture that is only looked at 0.1 s."""
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(searching, "time", clock)
    monkeypatch.setattr("keras.Model.train_on_batch", lambda *given: setattr(clock, "now", clock.now + 9))
    parts = shapes.split(0.2, 0.2, seed=0)
    stored = dict(zip(("train", "val", "test"), parts, strict=True))
    plan = SimpleNamespace(config=make_plan(TrainConfig(architecture="simple_cnn", epochs=1000), parts.train).config)
    begun = SimpleNamespace(
        network=build_network("simple_cnn", (32, 32, 3), 3),
        stored=stored,
        plan=plan,
        run=RunFolder.create(tmp_path / "run"),
    )
    begun.network.compile("sgd")
    deadline = Deadline(StopRequest(), 10_000.0)

    config = searching.epochs_that_fit(begun, Batches(steps=7, pictures=30), deadline)

    held_out = len(parts.val) + len(parts.test)
    assert deadline.at == pytest.approx(10_000 - 0.1 * (len(parts.train) + held_out))
    epoch = 7 * 9 + 0.1 * len(parts.val)
    assert config.epochs == int((deadline.at - clock.now) / epoch)


def test_from_scratch_full_batches_alone_are_timed(shapes, tmp_path, monkeypatch):
    """A smaller one would have Keras trace the step anew, within the time."""
    seen = []
    monkeypatch.setattr("keras.Model.train_on_batch", lambda network, images, labels: seen.append(len(images)))
    parts = shapes.split(0.2, 0.2, seed=0)
    network = build_network("simple_cnn", (32, 32, 3), 3)
    network.compile("sgd")
    begun = SimpleNamespace(
        network=network,
        stored=dict(zip(("train", "val", "test"), parts, strict=True)),
        plan=make_plan(TrainConfig(architecture="simple_cnn"), parts.train),
        run=RunFolder.create(tmp_path / "run"),
    )

    searching.epochs_that_fit(begun, Batches(2, 30, last=29), Deadline(StopRequest(), time.monotonic() + 1000))

    assert set(seen) == {30}


def test_a_budget_begins_with_the_command_and_not_with_learning(shapes, tmp_path):
    parts = shapes.split(0.2, 0.2, seed=0)
    settings = TrainConfig(
        architecture="simple_cnn", image_size=24, batch_size=16, epochs=5, budget="1h", weights="none"
    )
    folder = RunFolder.create(tmp_path / "run", started=time.monotonic() - 3600)

    finished = train(parts.train, parts.val, settings, test=parts.test, out=folder)

    assert len(finished.history) == 1
    assert any("The budget is too short" in note for note in notes(finished))


def test_what_a_backbone_takes_beside_its_features_is_known_where_those_come_from_the_cache(
    shapes, weights, monkeypatch
):
    """Everything but the features takes 50 s here, and they take 100 s where they are computed."""
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(searching, "time", clock)

    def overhead(seconds_of_features):
        begun = SimpleNamespace(
            plan=make_plan(TrainConfig(architecture=SMALL, weights=str(weights), image_size=32), shapes), stored={}
        )
        search = searching._Search(begun, StopRequest(), end=1000.0)

        def try_head(begun):
            clock.now += 50 + seconds_of_features
            frozen = SimpleNamespace(seconds=seconds_of_features)
            search.best = searching._Standing(begun, frozen, None, None, 1.0, 0.5)

        monkeypatch.setattr(search, "_try_head", try_head)
        search.begin()
        return search.overhead

    assert overhead(100.0) == overhead(0.0) == 50.0


def test_the_settings_that_it_ends_with_are_those_of_what_is_kept(shapes, weights, tmp_path):
    configs = [
        make_plan(TrainConfig(architecture=name, weights=str(weights), image_size=32), shapes).config
        for name in (SMALL, LARGE)
    ]
    first, best = (SimpleNamespace(plan=SimpleNamespace(config=one), run=RunFolder(tmp_path)) for one in configs)
    search = searching._Search(first, StopRequest(), end=0.0)
    search.best = searching._Standing(best, None, None, Learned(None, [], {}), 1.0, 0.5)

    assert search.finish().config == configs[1]


@pytest.mark.slow
def test_the_page_shows_the_settings_of_what_is_kept(searched):
    page = (searched.folder / "report.html").read_text("utf-8")

    assert re.search(f"architecture</t[dh]><td[^>]*>{searched.classifier.card.provenance['architecture']}<", page)


@pytest.mark.slow
def test_blocks_whose_first_epoch_is_cut_short_are_not_said_to_have_been_tried(shapes, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(searching, "fine_tune", lambda *_, **__: Fitted(TrainingState(), completed=False))
    monkeypatch.setattr(searching._Search, "_cannot_be_told_better", lambda search: False)

    finished = run(shapes, tmp_path / "run", weights, architecture=SMALL, unfreeze_blocks=1)

    assert any(note.startswith(f"Not finished: {SMALL}, top block trained") for note in notes(finished))
    assert not any(note.startswith(f"Tried {SMALL}, top block") for note in notes(finished))


class Batches(list):
    """Batches that hold nothing."""

    def __init__(self, steps, pictures, last=None):
        sizes = [*[pictures] * (steps - 1), last or pictures]
        super().__init__([(np.zeros((size, 32, 32, 3)), np.zeros(size)) for size in sizes])

    def start_epoch(self, epoch):
        pass


def test_a_deadline_is_a_request_to_stop_that_nobody_made():
    stop = StopRequest()
    early, late = Deadline(stop, time.monotonic() + 1000), Deadline(stop, time.monotonic() - 1)

    assert (early.made, late.made) == (False, True)
    assert not late.by_user
    stop.made = True
    assert early.made
    assert early.by_user


@pytest.mark.parametrize(("budget", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("2 m", 120)])
def test_a_budget_is_a_number_and_a_unit(budget, seconds):
    assert seconds_of(budget) == seconds


def test_speeds_that_were_never_measured_are_guessed_by_what_a_network_costs(monkeypatch):
    assert searching._cost(LARGE) > searching._cost(SMALL) > 0
    assert np.isfinite(searching._cost("convnext_xlarge"))


def test_a_search_on_a_gpu_goes_by_what_the_gpu_did(tmp_path, monkeypatch):
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path))
    for module in (frozen, searching):
        monkeypatch.setattr(module, "gpu_count", lambda: 1)
    plan = SimpleNamespace(config=TrainConfig(architecture=SMALL), preprocess=SimpleNamespace(shape=(32, 32, 3)))
    run = SimpleNamespace(emit=lambda *event, **facts: None)
    outputs = SimpleNamespace(leave_if_asked=lambda: None, run=run, backbone=SimpleNamespace(plan=plan))
    search = SimpleNamespace(first=SimpleNamespace(settings=TrainConfig(image_size=32), plan=plan))
    remember_speed(SMALL, 32, 5.0)

    progress = frozen._Progress(outputs, "features", remember=True)
    for done in (64, 128):
        progress(done, 128)

    assert searching._Search._speed(search, SMALL) > 1000


@pytest.mark.slow
def test_patience_is_what_the_user_says_and_short_otherwise(shapes, weights, tmp_path, monkeypatch):
    seen = []

    def look_at_patience(*_, config, **others):
        seen.append(config.patience)
        raise OpsinError("enough was seen")

    monkeypatch.setattr(searching, "fine_tune", look_at_patience)

    for number, changes in enumerate(({}, {"patience": 2}, {"patience": 0})):
        run(shapes, tmp_path / str(number), weights, architecture=SMALL, unfreeze_blocks=1, **changes)

    assert seen == [searching.PATIENCE, 2, 0]


@pytest.mark.slow
def test_what_validation_cannot_tell_is_not_tried(shapes, weights, tmp_path, monkeypatch):
    try_head = searching._Search._try_head

    def all_right(search, begun):
        better = try_head(search, begun)
        search.best = dataclasses.replace(search.best, val_accuracy=1.0)
        return better

    monkeypatch.setattr(searching._Search, "_try_head", all_right)

    finished = run(shapes, tmp_path / "run", weights, architecture=SMALL)

    pictures = len(shapes.split(0.2, 0.2, seed=0).val)
    said = f"Not tried: training blocks of {SMALL}. It is right about all of {pictures} validation pictures"
    assert any(note.startswith(said) for note in notes(finished))
    assert not any(note.startswith(("Next: ", "Fine-tuning")) for note in notes(finished))


@pytest.mark.slow
def test_after_two_failures_it_gives_up_and_says_so(shapes, weights, tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr(searching._Search, "_try_blocks", lambda search, blocks: tried.append(len(blocks)) or True)

    finished = run(shapes, tmp_path / "run", weights, architecture=SMALL)

    assert tried == [1, 2]
    assert any(
        note.startswith("2 in a row were not better: no further blocks are tried, with ") for note in notes(finished)
    )

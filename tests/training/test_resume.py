import errno
import os
import shutil
import signal
from pathlib import Path

import keras
import numpy as np
import pytest

from opsin.classifier import Classifier
from opsin.data.dataset import ImageDataset
from opsin.errors import ModelError, SavingError, TrainingError, UsageError
from opsin.training.config import TrainConfig
from opsin.training.rate_finder import try_rates
from opsin.training.run_folder import RunFolder
from opsin.training.train import TrainingRun, train

SMALL = f"{Path(__file__).with_name('small_network.py')}:small"


def config(**settings) -> TrainConfig:
    """Everything that has a state: dropout, batch normalisation, augmentation, plateau, early stopping."""
    chosen = {"architecture": SMALL, "image_size": 24, "epochs": 4, "batch_size": 16, "augment": "strong"}
    chosen |= {"schedule": "reduce-on-plateau", "plateau_patience": 1, "warmup_epochs": 0.5, "patience": 9}
    return TrainConfig(**{**chosen, **settings})


def run(dataset: ImageDataset, out, settings: TrainConfig | None = None) -> TrainingRun:
    parts = dataset.split(0.2, 0.2, seed=0)
    return train(parts.train, parts.val, settings or config(), test=parts.test, out=out)


def interrupting(event: str, epoch: int, action):
    """Return a listener that acts when an event of an epoch comes."""

    def listen(document: dict) -> None:
        if document["event"] == event and document.get("epoch") == epoch:
            action()

    return listen


def die() -> None:
    raise KeyboardInterrupt


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def weights(run: TrainingRun) -> list[np.ndarray]:
    return keras.saving.load_model(run.folder / "model" / "model.keras").get_weights()


def without_times(history: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


@pytest.fixture(scope="module")
def whole(colors, tmp_path_factory) -> TrainingRun:
    return run(colors, RunFolder.create(tmp_path_factory.mktemp("whole") / "run"))


@pytest.mark.parametrize(("event", "epoch"), [("epoch_ended", 2), ("epoch_started", 4), ("epoch_started", 1)])
def test_a_run_that_was_killed_and_resumed_ends_bit_for_bit_as_one_that_was_not(colors, whole, tmp_path, event, epoch):
    with pytest.raises(KeyboardInterrupt):
        run(colors, RunFolder.create(tmp_path / "run", [interrupting(event, epoch, die)]))

    resumed = run(colors, RunFolder.resume(tmp_path / "run"))

    assert without_times(resumed.history) == without_times(whole.history)
    assert all(np.array_equal(a, b) for a, b in zip(weights(resumed), weights(whole), strict=True))


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "bfloat16_products"])
def test_runs_in_bfloat16_are_resumed_bit_for_bit_too(colors, tmp_path, precision):
    planned = config(architecture="speed_cnn_narrow", epochs=2, precision=precision)
    expected = run(colors, RunFolder.create(tmp_path / "whole"), planned)
    with pytest.raises(KeyboardInterrupt):
        run(colors, RunFolder.create(tmp_path / "run", [interrupting("epoch_started", 2, die)]), planned)

    resumed = run(colors, RunFolder.resume(tmp_path / "run"), planned)

    assert without_times(resumed.history) == without_times(expected.history)
    assert all(np.array_equal(a, b) for a, b in zip(weights(resumed), weights(expected), strict=True))


@pytest.mark.parametrize("units", [False, True])
def test_what_the_machine_settled_stays_when_a_run_is_resumed_on_another(colors, tmp_path, monkeypatch, units):
    def move_to(has_units: bool) -> None:
        monkeypatch.setattr("opsin.training.recipes.has_bfloat16_units", lambda: has_units)
        monkeypatch.setattr("opsin.training.precision.has_bfloat16_units", lambda: has_units)

    # So many pictures, for one of the speeds, that a larger network is too slow.
    monkeypatch.setattr("opsin.training.recipes.IN_BFLOAT16", 1e12)
    monkeypatch.setattr("opsin.training.recipes.MULTIPLY_ADDS_A_SECOND", 1.0)
    planned = TrainConfig(recipe="fast", image_size=16, epochs=2, budget="10m")
    move_to(units)
    with pytest.raises(KeyboardInterrupt):
        run(colors, RunFolder.create(tmp_path / "run", [interrupting("epoch_started", 2, die)]), planned)
    before = TrainConfig.from_toml(tmp_path / "run" / "config.toml")
    move_to(not units)

    run(colors, RunFolder.resume(tmp_path / "run"), planned)

    after = TrainConfig.from_toml(tmp_path / "run" / "config.toml")
    assert before.architecture == ("speed_cnn_wide" if units else "speed_cnn_narrow")
    assert before.precision == ("bfloat16_products" if units else "float32")
    assert (after.architecture, after.precision) == (before.architecture, before.precision)


def test_ctrl_c_keeps_the_best_model_and_the_run_can_be_resumed(colors, whole, tmp_path):
    stopped = run(colors, RunFolder.create(tmp_path / "run", [interrupting("epoch_started", 3, press_ctrl_c)]))

    assert not stopped.completed
    assert [row["epoch"] for row in stopped.history] == [1, 2]
    assert stopped.classifier.predict(colors.paths[0]).label in colors.class_names

    resumed = run(colors, RunFolder.resume(tmp_path / "run"))

    assert resumed.completed
    assert without_times(resumed.history) == without_times(whole.history)
    assert all(np.array_equal(a, b) for a, b in zip(weights(resumed), weights(whole), strict=True))


def test_a_disk_that_is_full_when_the_model_is_saved_costs_no_epoch(colors, whole, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("opsin.exporters.write_model.save_image", full)
        with pytest.raises(SavingError, match=r"disk is full.*--resume"):
            run(colors, RunFolder.create(tmp_path / "run"))

    resumed = run(colors, RunFolder.resume(tmp_path / "run"))

    assert without_times(resumed.history) == without_times(whole.history)
    assert all(np.array_equal(a, b) for a, b in zip(weights(resumed), weights(whole), strict=True))


def test_an_error_before_the_first_epoch_ends_leaves_no_folder(colors, tmp_path):
    def fail() -> None:
        raise SavingError("The disk is full.")

    with pytest.raises(SavingError, match=r"full\.$"):
        run(
            colors,
            RunFolder.create(tmp_path / "run", [interrupting("epoch_started", 1, fail)]),
            config(learning_rate="find", tensorboard=True),
        )
    assert not (tmp_path / "run").exists()


def test_a_second_ctrl_c_stops_at_once(colors, tmp_path):
    def press_twice():
        press_ctrl_c()
        press_ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        run(colors, RunFolder.create(tmp_path / "run", [interrupting("epoch_started", 2, press_twice)]))


def test_ctrl_c_before_the_first_epoch_ends_leaves_a_run_without_a_model_that_can_be_resumed(colors, whole, tmp_path):
    stopped = run(colors, RunFolder.create(tmp_path / "run", [interrupting("epoch_started", 1, press_ctrl_c)]))

    assert stopped.classifier is None
    assert not (tmp_path / "run" / "model").exists()
    assert without_times(run(colors, RunFolder.resume(tmp_path / "run")).history) == without_times(whole.history)


def test_a_run_under_a_budget_keeps_to_the_epochs_that_it_was_begun_with(colors, tmp_path, monkeypatch):
    planned = config(budget="10m", epochs=3, schedule="cosine")
    with pytest.raises(KeyboardInterrupt):
        run(colors, RunFolder.create(tmp_path / "run", [interrupting("epoch_started", 2, die)]), planned)
    # A machine that is so slow by now that one epoch would be all.
    monkeypatch.setattr("opsin.training.search.seconds_of", lambda budget: 0.0)

    resumed = run(colors, RunFolder.resume(tmp_path / "run"), planned)

    whole = run(colors, RunFolder.create(tmp_path / "whole"), config(epochs=3, schedule="cosine"))
    assert without_times(resumed.history) == without_times(whole.history[:2])


def test_ctrl_c_while_the_rate_is_searched_for_leaves_a_run_that_searches_anew(colors, tmp_path, monkeypatch):
    finding = config(learning_rate="find", epochs=1)

    def interrupted(*arguments):
        press_ctrl_c()
        return try_rates(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("opsin.training.rate_finder.try_rates", interrupted)
        stopped = run(colors, RunFolder.create(tmp_path / "run"), finding)

    assert not stopped.completed
    assert not (tmp_path / "run" / "checkpoint").exists()
    assert run(colors, RunFolder.resume(tmp_path / "run"), finding).history[0]["learning_rate"] > 1e-6


@pytest.mark.parametrize("event", ["run_started", "decoding"])
def test_a_new_run_that_fails_before_it_trains_leaves_nothing_and_can_be_begun_there_again(colors, tmp_path, event):
    with pytest.raises(KeyboardInterrupt):
        run(colors, RunFolder.create(tmp_path / "run", [interrupting(event, None, die)]), config(cache=False))

    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_survives_a_resume_that_fails_before_it_trains(colors, interrupted):
    before = sorted(path.name for path in interrupted.rglob("*"))

    with pytest.raises(KeyboardInterrupt):
        run(colors, RunFolder.resume(interrupted, [interrupting("run_started", None, die)]))

    assert sorted(path.name for path in interrupted.rglob("*")) == before


def test_the_signal_handlers_of_before_are_back_after_training(colors, tmp_path):
    before = signal.getsignal(signal.SIGINT)

    run(colors, RunFolder.create(tmp_path / "run"), config(epochs=1))

    assert signal.getsignal(signal.SIGINT) is before


def test_early_stopping_goes_on_counting_after_a_resume(colors, tmp_path):
    # A network without normalisation at a rate of 1e-12 does not change: patience runs out two epochs after the first.
    settings = config(architecture="simple_cnn", epochs=9, patience=2, learning_rate=1e-12)
    with pytest.raises(KeyboardInterrupt):
        run(colors, RunFolder.create(tmp_path / "run", [interrupting("epoch_ended", 2, die)]), settings)

    resumed = run(colors, RunFolder.resume(tmp_path / "run"), settings)

    assert [row["epoch"] for row in resumed.history] == [1, 2, 3]


@pytest.fixture(scope="module")
def stopped_after_one(colors, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(KeyboardInterrupt):
        run(colors, RunFolder.create(folder, [interrupting("epoch_ended", 1, die)]))
    return folder


@pytest.fixture
def interrupted(stopped_after_one, tmp_path):
    return shutil.copytree(stopped_after_one, tmp_path / "run")


def test_a_run_is_not_resumed_with_other_settings(colors, interrupted):
    with pytest.raises(UsageError, match=r"batch_size \(was 16, is 8\)"):
        run(colors, RunFolder.resume(interrupted), config(batch_size=8))


def test_a_run_is_not_resumed_with_another_split(colors, interrupted):
    parts = colors.split(0.2, 0.2, seed=0)

    with pytest.raises(UsageError, match="split that the run"):
        train(parts.test, parts.val, config(), test=parts.train, out=RunFolder.resume(interrupted))


def test_a_run_that_is_resumed_without_settings_takes_its_own(colors, whole, interrupted):
    parts = colors.split(0.2, 0.2, seed=0)

    resumed = train(parts.train, parts.val, test=parts.test, out=RunFolder.resume(interrupted))

    assert without_times(resumed.history) == without_times(whole.history)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half of it"])
def test_a_damaged_checkpoint_is_said(colors, interrupted, content):
    (interrupted / "checkpoint" / "last.npz").write_bytes(content)

    with pytest.raises(ModelError, match=r"cannot be read.*Start a new run"):
        run(colors, RunFolder.resume(interrupted))


def test_ctrl_c_while_the_model_is_saved_lets_it_be_saved(colors, tmp_path):
    stopped = run(
        colors, RunFolder.create(tmp_path / "run", [interrupting("best_kept", 1, press_ctrl_c)]), config(epochs=1)
    )

    assert not stopped.completed
    assert stopped.classifier is not None
    assert run(colors, RunFolder.resume(tmp_path / "run"), config(epochs=1)).report is not None


def test_a_loss_that_is_no_number_later_on_keeps_the_good_epochs(colors, tmp_path, monkeypatch):
    from opsin.training import callbacks

    real = callbacks._require_finite
    monkeypatch.setattr(callbacks, "_require_finite", lambda loss, epoch: real(np.nan if epoch == 3 else loss, epoch))

    with pytest.raises(TrainingError, match="The best network so far is in"):
        run(colors, RunFolder.create(tmp_path / "run"))
    assert Classifier.open(tmp_path / "run").class_names == colors.class_names


def test_a_finished_run_cannot_be_resumed(whole):
    with pytest.raises(UsageError, match="came to its end"):
        RunFolder.resume(whole.folder)


def test_the_checkpoint_is_gone_when_the_run_has_ended(whole):
    assert not (whole.folder / "checkpoint").exists()


def test_a_folder_that_holds_something_else_is_neither_overwritten_nor_resumed(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(UsageError, match="holds something"):
        RunFolder.create(tmp_path)
    with pytest.raises(UsageError, match="interrupted run"):
        RunFolder.resume(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_loss_that_is_no_number_stops_the_run_with_advice(colors, tmp_path):
    settings = config(learning_rate=100.0, optimizer="sgd-nesterov", architecture="simple_cnn", schedule="constant")

    with pytest.raises(TrainingError, match="learning rate ten times lower"):
        run(colors, RunFolder.create(tmp_path / "run"), settings.replace(epochs=30, warmup_epochs=0.0))
    # Whether an epoch was finished before decides whether there is a model; a run without one leaves nothing.
    assert (tmp_path / "run" / "model").exists() == (tmp_path / "run").exists()

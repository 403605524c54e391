"""`opsin train`: what it refuses before anything is lost, and what it leaves behind when it does."""

import time

import numpy as np
import pytest
from PIL import Image

from opsin.checks import quick
from opsin.data.account import account_of, read_account
from opsin.data.dataset import ImageDataset
from opsin.data.splits import SPLITS
from opsin.errors import DataError, ExitCode
from opsin.training.config import TrainConfig
from opsin.training.run_folder import RunFolder
from opsin.training.train import train

QUICK = ("--arch", "lenet5", "--image-size", 24, "--epochs", 1, "--batch-size", 8, "--augment", "none")


@pytest.fixture
def photos(pictures):
    return pictures({"cat": 10, "dog": 10})


@pytest.mark.parametrize("listed", [False, True])
def test_a_preview_replaces_none_of_the_pictures(opsin, photos, tmp_path, listed):
    picture = photos / "cat" / "1.png"
    before = picture.read_bytes()
    (tmp_path / "skip.csv").write_text("path,reason\ncat/1.png,blurred\n")

    skip = ["--skip", tmp_path / "skip.csv"] if listed else []
    answer = opsin("train", photos, "--preview-augment", picture, *skip)

    assert answer.code == ExitCode.USAGE
    assert "is one of the pictures. Choose another --preview-augment." in answer.err
    assert picture.read_bytes() == before


def test_a_preview_replaces_an_older_one(opsin, photos, tmp_path):
    (tmp_path / "sheet.png").write_bytes((photos / "cat" / "1.png").read_bytes())

    assert opsin("train", photos, "--preview-augment", tmp_path / "sheet.png").code == ExitCode.DONE
    assert Image.open(tmp_path / "sheet.png").width > 8


@pytest.mark.parametrize("out", [None, "run1", "cat/run1"])
def test_a_run_is_not_written_among_the_pictures(opsin, photos, monkeypatch, out):
    monkeypatch.chdir(photos)

    answer = opsin("train", ".", *QUICK, *([] if out is None else ["--out", out]))

    assert answer.code == ExitCode.USAGE
    assert f"outside of the data; received {str(out or 'runs/photos')!r}" in answer.err
    assert "--out ../runs/photos" in answer.err
    assert sorted(path.name for path in photos.iterdir()) == ["cat", "dog"]


def test_a_place_that_is_taken_is_refused_before_the_pictures_are_looked_at(opsin, photos, tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    monkeypatch.setattr(quick, "quick_check", lambda dataset: pytest.fail("It looked at the pictures first."))

    answer = opsin("train", photos, *QUICK, "--out", tmp_path / "run")

    assert answer.code == ExitCode.USAGE
    assert "Choose another --out" in answer.err
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_data_that_is_refused_leaves_no_folder_in_the_way_of_the_next_try(opsin, photos, tmp_path):
    copied = photos / "dog" / "a cat.png"
    copied.write_bytes((photos / "cat" / "0.png").read_bytes())
    command = ("train", photos, *QUICK, "--strict-data", "--out", tmp_path / "run")

    refused = opsin(*command)
    left = (tmp_path / "run").exists()
    copied.unlink()
    trained = opsin(*command)

    assert refused.code == ExitCode.GATE_FAILED
    assert "Data error" in refused.err
    assert not left
    assert trained.code == ExitCode.DONE


def test_the_clock_of_a_budget_runs_while_the_data_is_looked_at(opsin, photos, tmp_path, monkeypatch):
    times = []

    def look(dataset):
        times.append(time.monotonic())
        return quick.QuickLook(None, np.arange(len(dataset)))

    def learn(*parts, out, **more):
        times.append(out.started)
        raise DataError("enough was seen")

    monkeypatch.setattr(quick, "quick_check", look)
    monkeypatch.setattr("opsin.training.train.train", learn)

    opsin("train", photos, "--out", tmp_path / "run", "--budget", "10m")

    assert times[1] <= times[0]


@pytest.fixture
def unseen_copies(pictures, monkeypatch):
    """Data with a copy of each picture, too large to be looked at unasked, and an interrupted run on it."""
    root = pictures({"cat": 12, "dog": 12})
    for path in list(root.rglob("*.png")):
        path.with_stem(f"{path.stem} again").write_bytes(path.read_bytes())
    monkeypatch.setattr(quick, "MOST_UNSEEN", 10)
    dataset = ImageDataset.open(root)
    splits = dataset.split(seed=0)
    settings = TrainConfig(architecture="lenet5", image_size=24, epochs=2, batch_size=8, augment="none")

    def interrupt(event):
        if event["event"] == "epoch_ended":
            raise KeyboardInterrupt

    folder = RunFolder.create(root.parent / "run", [interrupt])
    with pytest.raises(KeyboardInterrupt):
        train(splits.train, splits.val, settings, test=splits.test, out=folder)
    return root, folder.path


def test_a_run_is_resumed_with_its_own_parts_after_the_check_that_was_advised(opsin, unseen_copies):
    root, run = unseen_copies
    dataset = ImageDataset.open(root)
    opsin("check", root)
    # What the check has found would part the pictures another way.
    together = quick.quick_check(dataset).together
    assert dataset.split(seed=0, together=together).train.names != dataset.split(seed=0).train.names

    resumed = opsin("train", root, "--out", run, "--resume")

    assert resumed.code == ExitCode.DONE, resumed.err
    assert {path: part for path, _, part, _ in account_of(dict(zip(SPLITS, dataset.split(seed=0), strict=True)))} == {
        row["path"]: row["split"] for row in read_account(run / "files.csv")
    }


@pytest.mark.parametrize("change", ["changed", "gone", "new"])
def test_a_run_is_not_resumed_on_other_pictures(opsin, unseen_copies, change):
    root, run = unseen_copies
    picture = root / "cat" / "1.png"
    if change == "changed":
        picture.write_bytes(picture.read_bytes() + b"more")
    elif change == "gone":
        picture.unlink()
    else:
        picture.with_stem("new").write_bytes(picture.read_bytes())

    resumed = opsin("train", root, "--out", run, "--resume")

    assert resumed.code == ExitCode.USAGE
    assert f"cat/{'new' if change == 'new' else '1'}.png" in resumed.err
    assert "Start a new run." in resumed.err

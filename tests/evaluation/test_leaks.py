"""Pictures that the model has learned from under another name."""

import shutil

import pytest

from opsin.checks.survey import survey
from opsin.classifier import Classifier
from opsin.data.dataset import ImageDataset
from opsin.evaluation.leaks import find_leaked
from opsin.names import FILES


@pytest.fixture
def leaking(tiny_run, tiny_data, tmp_path, monkeypatch):
    """The run's data with a held-out picture replaced by a copy of one that was trained on, and the run."""
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    run, data = shutil.copytree(tiny_run, tmp_path / "run"), shutil.copytree(tiny_data, tmp_path / "data")
    rows = [line.split(",") for line in (run / FILES).read_text().splitlines()]
    train, test = (next(row for row in rows if row[2] == part) for part in ("train", "test"))
    shutil.copyfile(data / train[0], data / test[0])
    # The account knows a picture by its size, too.
    size = str((data / test[0]).stat().st_size)
    text = "\r\n".join(",".join([*row[:4], size, *row[5:]] if row[0] == test[0] else row) for row in rows) + "\r\n"
    (run / FILES).write_bytes(text.encode())
    return Classifier.open(run, "litert"), ImageDataset.open(data), test[0]


def test_a_copy_of_a_training_picture_is_found_among_the_held_out_ones(leaking):
    classifier, data, name = leaking
    held_out = data.subset([row for row, one in enumerate(data.names) if one == name or one.endswith("/3.png")])
    # It is never remembered, and does not keep the rest from being known.
    (data.root / "discs" / "5.png").write_bytes(b"broken")
    survey(data)

    leaked = find_leaked(classifier, data, held_out)

    assert name in [one for one, found in zip(held_out.names, leaked, strict=True) if found]


def test_nothing_is_read_to_find_out(leaking):
    classifier, data, _ = leaking

    assert not find_leaked(classifier, data, data).any()

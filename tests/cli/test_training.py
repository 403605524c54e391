"""`opsin train`: what it refuses before anything is lost, and what it leaves behind when it does."""

import pytest
from PIL import Image

from opsin.errors import ExitCode

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

"""The look before training: copies stay together, and what would spoil the result is said."""

import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from opsin.checks import quick
from opsin.checks.quick import quick_check
from opsin.cli.main import make_app
from opsin.data.dataset import ImageDataset
from opsin.errors import GateError
from opsin.images.drawing import draw_picture, save_image


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two classes of 20 different pictures each."""
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    for label, name in enumerate(("a", "b")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(20):
            # Noise: each is another picture at a glance.
            image = draw_picture(5 * (20 * label + number) + 4, 40, 40)
            save_image(image, tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_copies_come_into_one_part_whatever_the_seed(folder):
    for number in range(8):
        shutil.copyfile(folder / "a" / f"{number}.png", folder / "a" / f"copy of {number}.png")
    dataset = ImageDataset.open(folder)

    together = quick_check(dataset).together

    for seed in range(5):
        parts = {}
        for name, part in zip(("train", "val", "test"), dataset.split(0.2, 0.2, seed, together=together), strict=True):
            parts |= dict.fromkeys(part.names, name)
        assert all(parts[f"a/{number}.png"] == parts[f"a/copy of {number}.png"] for number in range(8))
        assert set(parts.values()) == {"train", "val", "test"}
        assert len(parts) == len(dataset)
    alone = set(dataset.split(0.2, 0.2, 0).train.names)
    assert any((f"a/{n}.png" in alone) != (f"a/copy of {n}.png" in alone) for n in range(8))


def test_what_is_found_is_said_in_five_lines_at_most(folder):
    shutil.copyfile(folder / "a" / "0.png", folder / "b" / "also in b.png")
    (folder / "b" / "broken.png").write_bytes(b"")

    look = quick_check(ImageDataset.open(folder))
    lines = list(look.lines(folder))

    assert not look.is_clean
    assert 3 <= len(lines) <= 5
    assert any(line.startswith("Data error: 1 picture cannot be read") for line in lines)
    assert any("in more than one class" in line for line in lines)
    assert lines[-1] == f"Look at them: opsin check {folder} --html findings.html"


def test_clean_data_is_passed_without_a_word(folder):
    look = quick_check(ImageDataset.open(folder))

    assert look.is_clean
    assert list(look.lines(folder)) == []
    assert look.together.tolist() == list(range(40))


def test_large_data_is_looked_at_only_if_it_was_before(folder, monkeypatch):
    monkeypatch.setattr(quick, "MOST_UNSEEN", 10)
    dataset = ImageDataset.open(folder)

    unseen = quick_check(dataset)

    assert unseen.report is None
    assert unseen.is_clean
    assert "Do so once: opsin check" in next(unseen.lines(folder))
    quick.check_dataset(dataset)
    assert quick_check(dataset).report is not None


def test_groups_by_name_and_copies_are_joined(folder):
    shutil.copyfile(folder / "a" / "1.png", folder / "a" / "2 again.png")
    # 1 and 10 to 19 are one group; 2 and its copy by name, which is a copy of 1 by its pixels, are another.
    dataset = ImageDataset.open(folder).grouped_by(r"/([0-9])")

    for seed in range(4):
        split = dataset.split(0.2, 0.2, seed, together=quick_check(dataset).together)
        where = {name: i for i, part in enumerate(split) for name in part.names}
        assert len({where[name] for name in where if name.split("/")[1][0] in "12"}) == 1
        assert len(where) == 41


def test_the_train_command_leaves_out_what_a_list_says_and_stops_on_warnings_if_asked_to(folder, tmp_path):
    shutil.copyfile(folder / "a" / "0.png", folder / "b" / "also in b.png")
    (tmp_path / "skip.csv").write_text("path,reason\nb/also in b.png,conflicting-label\n")
    words = ["train", str(folder), "--arch", "lenet5", "--epochs", "1", "--strict-data", "--out"]

    stopped = CliRunner().invoke(make_app(), [*words, str(tmp_path / "stopped")])
    trained = CliRunner().invoke(make_app(), [*words, str(tmp_path / "trained"), "--skip", str(tmp_path / "skip.csv")])

    assert isinstance(stopped.exception, GateError)
    assert trained.exit_code == 0, trained.output
    rows = (tmp_path / "trained" / "files.csv").read_text().splitlines()
    (row,) = [row for row in rows if "also in b" in row]
    assert row.endswith("skipped,left out by a list: conflicting-label")
    with np.load(tmp_path / "trained" / "predictions.npz") as predictions:
        assert not any("also in b" in path for path in predictions["paths"])

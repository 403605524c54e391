"""Which part of some data a model is judged on."""

import csv
import shutil

import pytest

from opsin.classifier import Classifier
from opsin.data.dataset import ImageDataset
from opsin.errors import DataError, UsageError
from opsin.evaluation.choose_part import choose_part


@pytest.fixture(scope="module")
def trained(tiny_run):
    return Classifier.open(tiny_run)


@pytest.fixture
def alone(tiny_run, tmp_path):
    """The same model without its run folder."""
    return Classifier.open(shutil.copytree(tiny_run / "model", tmp_path / "copied" / "model"))


@pytest.fixture
def same(tiny_data):
    return ImageDataset.from_folder(tiny_data)


def account(tiny_run, part):
    with (tiny_run / "files.csv").open(newline="") as handle:
        return {row["path"] for row in csv.DictReader(handle) if row["split"] == part}


def test_on_its_training_data_a_model_is_judged_on_what_the_run_held_out(trained, same, tiny_run):
    part = choose_part(trained, same)
    assert part.name == "test"
    assert set(part.dataset.names) == account(tiny_run, "test")
    assert len(part.dataset) == 12
    assert part.notes == ("Evaluating on 12 of 72 pictures: the model never saw them. (--split chooses others.)",)


def test_the_runs_split_is_found_wherever_the_data_lies_now(trained, tiny_data, tiny_run, tmp_path):
    moved = ImageDataset.from_folder(shutil.copytree(tiny_data, tmp_path / "moved"))
    assert set(choose_part(trained, moved).dataset.names) == account(tiny_run, "test")


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_a_part_that_is_asked_for_is_the_runs(trained, same, tiny_run, name):
    part = choose_part(trained, same, name)
    assert part.name == name
    assert bool(part.notes) == (name == "train")
    assert set(part.dataset.names) == account(tiny_run, name)


def test_all_is_all(trained, same):
    part = choose_part(trained, same, "all")
    assert (part.name, len(part.dataset)) == ("all", 72)
    assert "learned from 48 of these pictures" in part.notes[0]


def test_pictures_added_since_the_training_do_not_make_the_learned_ones_count(trained, tiny_data, tiny_run, tmp_path):
    grown = shutil.copytree(tiny_data, tmp_path / "grown")
    picture = next(path for path in grown.rglob("*.png"))
    shutil.copy(picture, picture.with_name("new.png"))

    part = choose_part(trained, ImageDataset.from_folder(grown))

    assert set(part.dataset.names) == account(tiny_run, "test")
    assert "1 pictures are new since the training" in part.notes[1]


@pytest.mark.parametrize("wanted", ["auto", "all"])
def test_training_data_without_the_runs_account_is_warned_of(alone, same, wanted):
    part = choose_part(alone, same, wanted)
    assert (part.name, len(part.dataset)) == ("all", 72)
    assert part.notes[0].startswith("Warning: the model was trained on pictures of this data")


def test_the_account_is_found_from_inside_the_model_folder(tiny_run, same, monkeypatch):
    monkeypatch.chdir(tiny_run / "model")
    assert choose_part(Classifier.open("."), same).name == "test"


def test_other_data_is_judged_as_a_whole(trained, pictures):
    part = choose_part(trained, ImageDataset.from_folder(pictures({"discs": 2, "checks": 1})))
    assert (part.name, len(part.dataset), part.notes) == ("all", 3, ())


def test_a_few_files_that_are_called_alike_do_not_make_other_data_the_runs(trained, tiny_data, tiny_run, pictures):
    root = pictures({"discs": [f"new {number}.png" for number in range(100)]})
    for name in sorted(account(tiny_run, "train"))[:2] + sorted(account(tiny_run, "test"))[:3]:
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(tiny_data / name, root / name)

    part = choose_part(trained, ImageDataset.from_folder(root))

    assert (part.name, len(part.dataset)) == ("all", 105)
    assert part.notes == (
        "Warning: 2 of these pictures have the path and the size of ones that the model learned from: if they are "
        "those, the figures are too good.",
    )


def test_a_small_piece_of_the_runs_data_is_known(trained, tiny_data, tiny_run, tmp_path):
    for name in sorted(account(tiny_run, "train"))[:2] + sorted(account(tiny_run, "test"))[:3]:
        (tmp_path / "piece" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tiny_data / name, tmp_path / "piece" / name)

    assert len(choose_part(trained, ImageDataset.from_folder(tmp_path / "piece")).dataset) == 3


@pytest.mark.parametrize(("parts", "chosen"), [(("train", "val", "test"), "test"), (("train", "val"), "val")])
def test_other_data_is_judged_by_its_own_held_out_part(trained, pictures, parts, chosen):
    data = ImageDataset.from_folder(pictures({f"{part}/discs": 2 for part in parts}))
    part = choose_part(trained, data)
    assert part.name == chosen
    assert part.dataset.names == (f"{chosen}/discs/0.png", f"{chosen}/discs/1.png")
    assert part.notes == (
        f"Evaluating on 2 of {2 * len(parts)} pictures: its {chosen} part. (--split chooses others.)",
    )


def test_a_part_that_the_data_has_not_is_an_error(trained, pictures):
    with pytest.raises(DataError, match=r"Expected a val part .* it has none"):
        choose_part(trained, ImageDataset.from_folder(pictures({"discs": 2})), "val")


def test_a_part_of_an_unknown_name_lists_what_there_is(trained, same):
    with pytest.raises(UsageError, match=r"as split: auto, all, train, val, test.*Did you mean 'test'"):
        choose_part(trained, same, "tests")

"""Every check finds what was planted, says so in the same form, and finds nothing where there is nothing."""

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from opsin.checks import CHECKS, QUICK
from opsin.checks.classes import rare_class
from opsin.checks.finding import ERROR, FOUND, NOTE, PASSED, SEVERITIES, WARNING, Group
from opsin.data.dataset import ImageDataset
from opsin.errors import UsageError
from opsin.images.preprocess import Preprocess

RECIPE = Preprocess(128, 128)
FIRST = "train/cat/0.png"


@dataclasses.dataclass(frozen=True)
class Planted:
    """What is wrong with the clean data, and what has to be said of it."""

    spoil: Callable[[Path], set[str]]
    severity: str
    says: str
    leave_out: frozenset[str] = frozenset()


def changed(change: Callable[[Image.Image], Image.Image], name: str = FIRST, **options) -> Callable[[Path], set[str]]:
    """Put a changed copy of the first picture in the place of one."""

    def spoil(root: Path) -> set[str]:
        with Image.open(root / FIRST) as image:
            picture = change(image.convert("RGB"))
        (root / FIRST).unlink()
        picture.save(root / name, **options)
        return {name}

    return spoil


def copied(name: str, **options) -> Callable[[Path], set[str]]:
    def spoil(root: Path) -> set[str]:
        if options:
            with Image.open(root / FIRST) as image:
                image.save(root / name, **options)
        else:
            shutil.copy(root / FIRST, root / name)
        return {FIRST, name}

    return spoil


def scaled(factor: float, shift: float = 0.0) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.point(lambda value: value * factor + shift)


def cut_off(root: Path) -> set[str]:
    content = (root / FIRST).read_bytes()
    (root / FIRST).write_bytes(content[: len(content) // 2])
    return {FIRST}


def without_dogs_in_test(root: Path) -> set[str]:
    shutil.rmtree(root / "test/dog")
    return set()


def an_empty_folder(root: Path) -> set[str]:
    (root / "train/bird").mkdir()
    return {"train/bird/"}


def few_birds(root: Path) -> set[str]:
    for part in ("train", "test"):
        (root / part / "bird").mkdir()
        for number in (0, 1):
            shutil.move(root / part / "cat" / f"{number}.png", root / part / "bird")
    return {f"{part}/bird/{number}.png" for part in ("train", "test") for number in (0, 1)}


def two_dogs(root: Path) -> set[str]:
    for part in ("train", "test"):
        for number in range(1, 12):
            (root / part / f"dog/{number}.png").unlink()
    return {"train/dog/0.png", "test/dog/0.png"}


def dogs_as_jpeg(root: Path) -> set[str]:
    for path in sorted(root.glob("*/dog/*.png")):
        with Image.open(path) as image:
            image.save(path.with_suffix(".jpg"), quality=95)
        path.unlink()
    return {f"test/cat/{i}.png" for i in range(4)} | {f"test/dog/{i}.jpg" for i in range(4)}


def a_cat_among_dogs(root: Path) -> set[str]:
    shutil.move(root / FIRST, root / "train/dog/cat.png")
    return {"train/dog/cat.png"}


def notes_beside(root: Path) -> set[str]:
    (root / "train/cat/notes.txt").write_text("seen on Monday")
    return {"train/cat/notes.txt"}


def turned(root: Path) -> set[str]:
    exif = Image.Exif()
    exif[274] = 6
    return changed(lambda image: image, exif=exif)(root)


def moving(root: Path) -> set[str]:
    (root / FIRST).unlink()
    frames = [Image.open(root / f"train/cat/{number}.png") for number in (1, 2, 3)]
    frames[0].save(root / "train/cat/0.gif", save_all=True, append_images=frames[1:])
    return {"train/cat/0.gif"}


PLANTED = {
    "unreadable": Planted(cut_off, ERROR, "1 picture cannot be read", frozenset({FIRST})),
    "conflicting-label": Planted(
        copied("train/dog/copy.png"), ERROR, "more than one class", frozenset({FIRST, "train/dog/copy.png"})
    ),
    "leakage": Planted(copied("test/cat/copy.png"), ERROR, "1 of 25 held-out pictures (4.0%) is", frozenset({FIRST})),
    "class-mismatch": Planted(without_dogs_in_test, WARNING, "test lacks 'dog'"),
    "empty-class": Planted(an_empty_folder, WARNING, "'train/bird/'"),
    "rare-class": Planted(few_birds, WARNING, "'bird' (4)"),
    "imbalance": Planted(two_dogs, WARNING, "'cat' has 24 pictures, 12 times as many as 'dog' (2)"),
    "shortcut": Planted(dogs_as_jpeg, WARNING, "file format (100%)"),
    "label-suspect": Planted(a_cat_among_dogs, WARNING, "1 picture (2.1%) looks", frozenset({"train/dog/cat.png"})),
    "duplicate": Planted(
        copied("train/cat/copy.png"),
        WARNING,
        "1 picture is an exact copy of another",
        frozenset({"train/cat/copy.png"}),
    ),
    "near-duplicate": Planted(
        copied("train/cat/copy.jpg", quality=60),
        WARNING,
        "2 pictures are nearly the same as another one in the same class: 1 group of 2.",
    ),
    "blank": Planted(changed(scaled(0, 90)), WARNING, "below 2 of 255", frozenset({FIRST})),
    "tiny": Planted(changed(lambda image: image.resize((60, 63))), WARNING, "less than half the 128 × 128 pixels"),
    "odd-aspect": Planted(changed(lambda image: image.resize((300, 140))), NOTE, "stretching changes"),
    "huge": Planted(
        changed(lambda image: image.convert("1").resize((4001, 3000)), compress_level=1),
        NOTE,
        "12 million pixels, of which training makes 128 × 128",
    ),
    "dark": Planted(changed(scaled(0.15)), NOTE, "below 25 of 255"),
    "bright": Planted(changed(scaled(0.1, 230)), NOTE, "above 235 of 255"),
    "low-contrast": Planted(changed(scaled(0.15, 100)), NOTE, "below 15 of 255"),
    "blurred": Planted(changed(lambda image: image.filter(ImageFilter.GaussianBlur(9))), NOTE, "below 0.08"),
    "wrong-suffix": Planted(changed(lambda image: image, "train/cat/0.jpg", format="PNG"), NOTE, "another format"),
    "odd-mode": Planted(
        changed(lambda image: image.convert("CMYK"), "train/cat/0.tif"), NOTE, "not stored as plain 8-bit"
    ),
    "animated": Planted(moving, WARNING, "only the first is used"),
    "rotated": Planted(turned, NOTE, "turns them upright"),
    "ignored-file": Planted(notes_beside, NOTE, "not a picture's suffix (.txt)"),
}


def features_of(data: Path) -> np.ndarray:
    """What a model would see: cats at one place, dogs at another."""
    names = ImageDataset.open(data, patient=True).names
    random = np.random.default_rng(0)
    centers = np.array([[3.0, 0, 0, 1], [0, 3, 0, 1]])
    return centers[[int("cat" not in name) for name in names]] + random.normal(0, 0.2, (len(names), 4))


def check_all(check, data: Path, *codes: str):
    return check(data, *codes, preprocess=RECIPE, features=features_of(data))


def test_every_check_has_a_planted_case():
    assert PLANTED.keys() == CHECKS.keys()
    assert set(QUICK) <= CHECKS.keys()


@pytest.mark.parametrize("code", CHECKS)
def test_a_check_finds_what_was_planted(code, clean_data, check):
    planted = PLANTED[code]
    expected = planted.spoil(clean_data)

    report = check_all(check, clean_data, code)

    (finding,) = report.findings
    assert (finding.code, finding.severity, set(finding.paths)) == (code, planted.severity, expected)
    assert set(finding.leave_out) == planted.leave_out
    assert planted.says in finding.message
    assert finding.message.endswith(".")
    assert finding.advice.endswith(".")
    assert report.outcomes[0].status == FOUND


@pytest.fixture(scope="module")
def clean_outcomes(_clean_data, facts_folder):
    from opsin.checks.run import check_dataset

    dataset = ImageDataset.open(_clean_data, patient=True)
    report = check_dataset(dataset, preprocess=RECIPE, features=features_of(_clean_data), cache=facts_folder)
    return {outcome.code: outcome for outcome in report.outcomes}


@pytest.mark.parametrize("code", CHECKS)
def test_a_check_finds_nothing_in_clean_data(code, clean_outcomes):
    assert clean_outcomes[code].status == PASSED, clean_outcomes[code]


@pytest.mark.parametrize(
    "code", [code for code in CHECKS if code not in ("unreadable", "empty-class", "class-mismatch")]
)
def test_a_finding_is_about_the_pictures_that_it_names(code, clean_data, check):
    PLANTED[code].spoil(clean_data)

    (finding,) = check_all(check, clean_data, code).findings

    assert finding.paths
    assert all((clean_data / path).exists() for path in finding.paths)
    assert set(finding.leave_out) <= set(finding.paths)
    assert json.loads(json.dumps(finding.to_dict()))["paths"] == list(finding.paths)


@pytest.fixture
def every_code_alike(check):
    def outcomes(data: Path, **options) -> dict[str, tuple[str, str]]:
        return {one.code: (one.status, one.reason) for one in check(data, **options).outcomes}

    return outcomes


def test_what_cannot_be_told_is_not_applicable_and_says_why(clean_data, every_code_alike):
    shutil.rmtree(clean_data / "test")
    for path in clean_data.glob("train/*/*.png"):
        with Image.open(path) as image:
            image.resize((64, 64)).save(path)

    outcomes = every_code_alike(clean_data / "train")

    not_applicable = {code: reason for code, (status, reason) in outcomes.items() if status == "not applicable"}
    assert not_applicable == {
        "leakage": "the data comes as one part; Opsin splits it, and keeps copies together",
        "class-mismatch": "the data comes as one part",
        "label-suspect": "it takes a model that sees what the pictures show; give --model MODEL",
        "tiny": "the size that training will use is not known; give --image-size",
        "odd-aspect": "the size that training will use is not known; give --image-size",
        "blurred": "pictures of less than 128 pixels are too small to tell",
    }


def test_one_class_is_neither_imbalanced_nor_told_by_a_shortcut(clean_data, every_code_alike):
    shutil.rmtree(clean_data / "train/dog")

    outcomes = every_code_alike(clean_data / "train")

    assert outcomes["imbalance"] == ("not applicable", "there is one class only")
    assert outcomes["shortcut"] == ("not applicable", "it takes two classes of 5 different pictures or more")


def test_without_scikit_learn_two_checks_are_skipped_and_say_what_to_install(clean_data, check, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)

    outcomes = {one.code: one for one in check_all(check, clean_data).outcomes}

    skipped = {code for code, one in outcomes.items() if one.status == "skipped"}
    assert skipped == {"shortcut", "label-suspect"}
    assert all("pip install 'opsin[analysis]'" in outcomes[code].reason for code in skipped)


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_where_nothing_can_be_read_every_check_ends_all_the_same(content, clean_data, check):
    for path in clean_data.glob("*/*/*.png"):
        path.write_bytes(content)

    report = check_all(check, clean_data)

    assert [finding.code for finding in report.findings if finding.severity == ERROR] == ["unreadable"]
    assert len(report.outcomes) == len(CHECKS)


def test_one_picture_alone_passes_every_check_that_applies(tmp_path, texture, check):
    (tmp_path / "photos/cat").mkdir(parents=True)
    texture(1).save(tmp_path / "photos/cat/1.png")

    report = check(tmp_path / "photos", preprocess=RECIPE, features=np.ones((1, 3)))

    assert [finding.code for finding in report.findings] == ["rare-class"]


def test_findings_come_in_the_order_of_their_severity(clean_data, check):
    for code in ("rotated", "unreadable", "empty-class"):
        if (clean_data / FIRST).exists() or code == "empty-class":
            PLANTED[code].spoil(clean_data)
    notes_beside(clean_data)

    severities = [finding.severity for finding in check_all(check, clean_data).findings]

    assert severities == sorted(severities, key=SEVERITIES.index)
    assert len(set(severities)) == 3


def test_an_unknown_check_names_the_closest_one(clean_data, check):
    with pytest.raises(UsageError, match="Did you mean 'near-duplicate'"):
        check(clean_data, "near-duplicates")


def test_features_of_other_pictures_are_an_error(clean_data, check):
    with pytest.raises(UsageError, match=r"features of 48 pictures.*Received 3 rows"):
        check(clean_data, features=np.zeros((3, 4)))


def test_classes_that_train_lacks_are_an_error(clean_data, check):
    shutil.rmtree(clean_data / "train/dog")

    (finding,) = check(clean_data, "class-mismatch").findings

    assert (finding.severity, finding.message) == (ERROR, "The parts have different classes: train lacks 'dog'.")


def test_what_crop_cuts_off_is_said(clean_data, check):
    PLANTED["odd-aspect"].spoil(clean_data)

    (finding,) = check(clean_data, "odd-aspect", preprocess=Preprocess(128, 128, fit="crop")).findings

    assert finding.severity == WARNING
    assert "cuts off 53% of them on average, 53% at most" in finding.message
    assert finding.groups[0].note == "300 × 140 pixels, 53% cut off"


@pytest.mark.parametrize(
    ("mode", "name", "says"),
    [
        ("RGBA", "0.png", "RGBA with transparency"),
        ("1", "0.png", "1 bit"),
        ("I;16", "0.png", "the high byte is kept"),
        ("F", "0.tif", "0 to 1 become 0 to 255"),
        ("LAB", "0.tif", "turned into sRGB"),
    ],
)
def test_an_odd_mode_says_how_it_is_read(mode, name, says, clean_data, check):
    values = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    images = {"I;16": Image.fromarray((values * 65535).astype(np.uint16)), "F": Image.fromarray(values.astype("f4"))}
    (clean_data / FIRST).unlink()
    image = images.get(mode) or Image.new("RGB", (64, 64)).convert("RGB" if mode == "LAB" else mode)
    (Image.new("LAB", (64, 64)) if mode == "LAB" else image).save(clean_data / "train/cat" / name)

    (finding,) = check(clean_data, "odd-mode").findings

    assert says in finding.groups[0].note


def test_a_picture_of_three_copies_is_one_duplicate_case_and_no_near_one(clean_data, check):
    for name in ("a", "b"):
        shutil.copy(clean_data / FIRST, clean_data / f"train/cat/{name}.png")

    report = check(clean_data, "duplicate", "near-duplicate")

    assert [finding.code for finding in report.findings] == ["duplicate"]
    assert report.findings[0].leave_out == ("train/cat/a.png", "train/cat/b.png")


def test_other_bytes_of_the_same_pixels_are_a_duplicate(clean_data, check):
    with Image.open(clean_data / FIRST) as image:
        image.save(clean_data / "train/cat/copy.bmp")

    (finding,) = check(clean_data, "duplicate").findings

    assert set(finding.paths) == {FIRST, "train/cat/copy.bmp"}


def test_all_copies_of_a_picture_in_two_classes_are_in_the_conflict(clean_data, check):
    for name in ("cat/1a.png", "dog/copy.png"):
        shutil.copy(clean_data / FIRST, clean_data / "train" / name)

    (finding,) = check(clean_data, "conflicting-label").findings

    assert set(finding.leave_out) == {FIRST, "train/cat/1a.png", "train/dog/copy.png"}
    assert [group.note for group in finding.groups] == ["cat, dog"]


def test_of_a_copy_in_two_parts_one_is_left_to_use(clean_data, check):
    shutil.move(clean_data / "test", clean_data / "val")
    shutil.copy(clean_data / FIRST, clean_data / "val/cat/copy.png")

    report = check(clean_data, "duplicate", "leakage")

    assert [(finding.code, finding.leave_out) for finding in report.findings] == [("leakage", (FIRST,))]


def test_a_group_of_the_csv_in_two_parts_is_a_leak(clean_data, check):
    lines = [f"train/cat/{i}.png,cat,train,{i}" for i in range(5)] + ["test/cat/7.png,cat,test,3"]
    (clean_data / "data.csv").write_text("\n".join(["path,label,split,group", *lines]))

    (finding,) = check(clean_data / "data.csv", "leakage").findings

    assert set(finding.paths) == {"train/cat/3.png", "test/cat/7.png"}
    assert finding.groups[0].note == "the group 3: in test and train"


def test_pictures_of_a_named_group_are_on_one_side_of_a_cross_validation(clean_data, check):
    names = [f"train/cat/{number}.png" for number in range(8)]
    lines = [f"{name},cat,train,{'burst' if number in (1, 4) else ''}" for number, name in enumerate(names)]
    (clean_data / "data.csv").write_text("\n".join(["path,label,split,group", *lines]))

    together = check(clean_data / "data.csv", "blank").survey.kept_together

    assert together.tolist() == [0, 1, 2, 3, 1, 5, 6, 7]


def test_copies_of_few_pictures_end_no_cross_validation(clean_data, check):
    for path in clean_data.glob("*/cat/*.png"):
        shutil.copy(clean_data / FIRST, path) if path != clean_data / FIRST else None

    outcomes = {one.code: one.status for one in check_all(check, clean_data, "shortcut", "label-suspect").outcomes}

    assert outcomes == {"shortcut": "not applicable", "label-suspect": "not applicable"}


def test_a_suspect_is_shown_beside_its_neighbours_which_are_not_suspected(clean_data, check):
    a_cat_among_dogs(clean_data)

    (finding,) = check_all(check, clean_data, "label-suspect").findings

    (group,) = finding.groups
    assert [path.split("/")[1] for path in group.beside] == ["dog"] * 3 + ["cat"] * 3
    assert not set(group.beside) & set(finding.paths)
    assert group.note.startswith("labelled dog (")


class Counted(list):
    """Labels that count how often one is read."""

    reads = 0

    def __getitem__(self, row):
        self.reads += 1
        return super().__getitem__(row)


def test_pictures_are_not_gone_through_anew_for_each_rare_class():
    labels = Counted(list(range(100)) * 3)
    names, classes = tuple(f"{row}.png" for row in range(300)), tuple(f"class {index}" for index in range(100))
    dataset = SimpleNamespace(names=names, labels=labels, class_names=classes)

    finding = rare_class(SimpleNamespace(dataset=dataset, readable=np.arange(300)))

    assert len(finding.groups) == 100
    assert finding.groups[7] == Group(("7.png", "107.png", "207.png"), "class 7: 3 pictures")
    assert labels.reads <= 2 * len(names)

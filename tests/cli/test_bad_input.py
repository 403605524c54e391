"""What a user can get wrong: one clear message on stderr, the named exit code, nothing lost, no traceback."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.errors import ExitCode


def picture(path: Path, color: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((24, 24, 3), color, dtype=np.uint8)).save(path)
    return path


def two_classes(root: Path, count: int = 6) -> Path:
    for number in range(count):
        picture(root / "cat" / f"{number}.png", 20 * number)
        picture(root / "dog" / f"{number}.png", 255 - 20 * number)
    return root


def expect(answer, code: ExitCode, *words: str) -> None:
    assert answer.code == code
    assert answer.out == ""
    assert answer.err.startswith(("Error: ", "Usage: "))
    assert "Traceback" not in answer.err
    for word in words:
        assert word in answer.err


def test_no_such_data(opsin, tmp_path):
    expect(opsin("train", tmp_path / "nowhere"), ExitCode.USAGE, "nowhere", "Check the path")


def test_a_file_where_a_folder_is_expected(opsin, tmp_path):
    (tmp_path / "notes.txt").write_text("no pictures")

    expect(opsin("train", tmp_path / "notes.txt"), ExitCode.USAGE, "notes.txt", ".csv")


def test_an_empty_folder(opsin, tmp_path):
    expect(opsin("train", tmp_path), ExitCode.UNUSABLE, "no pictures", "folder for each class")


def test_pictures_without_class_folders(opsin, tmp_path):
    picture(tmp_path / "1.png")

    expect(opsin("train", tmp_path), ExitCode.UNUSABLE, "1 pictures that are in no class folder")


def test_a_single_class(opsin, tmp_path):
    picture(tmp_path / "cat" / "1.png")
    picture(tmp_path / "cat" / "2.png")

    expect(opsin("train", tmp_path), ExitCode.UNUSABLE, "at least two classes", "'cat'")


def test_a_class_with_one_picture(opsin, tmp_path):
    picture(two_classes(tmp_path) / "bird" / "1.png")

    expect(opsin("train", tmp_path), ExitCode.UNUSABLE, "only one of 'bird'")


def test_every_picture_unreadable(opsin, tmp_path):
    for name in ("cat", "dog"):
        for number in range(4):
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / name / f"{number}.jpg").write_bytes(b"")

    answer = opsin("train", tmp_path / "data", "--out", tmp_path / "run")

    assert answer.code == ExitCode.UNUSABLE
    assert "none of the" in answer.err
    assert "the file is empty" in answer.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--arch", "resnet19"], ["Did you mean 'resnet18'"]),
        (["--augment", "storng"], ["Did you mean 'strong'"]),
        (["--image-size", "0"], ["image_size from 1 to 8192", "received 0"]),
        (["--image-size", "4", "--arch", "lenet5"], ["at least 16", "received 4"]),
        (["--epochs", "-1"], ["epochs of at least 1"]),
        (["--epoch", "3"], ["No such option: --epoch", "--epochs"]),
        (["--arch", "mine.py:small"], ["mine.py"]),
        (["--val", "0.6", "--test", "0.6"], ["together below 1"]),
    ],
)
def test_an_option_that_cannot_be(opsin, tmp_path, arguments, words):
    data = two_classes(tmp_path / "data")

    answer = opsin("train", data, "--out", tmp_path / "run", *arguments)

    assert answer.code == ExitCode.USAGE
    assert answer.out == ""
    for word in words:
        assert word in answer.err


def test_an_unknown_command_names_the_closest_one(opsin):
    answer = opsin("trian", "x")

    assert answer.code == ExitCode.USAGE
    assert "'train'" in answer.err


def test_a_run_folder_that_holds_something_is_left_alone(opsin, tmp_path):
    data = two_classes(tmp_path / "data")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")

    expect(opsin("train", data, "--out", tmp_path / "run"), ExitCode.USAGE, "holds something", "another --out")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_a_csv_without_a_column(opsin, tmp_path):
    (tmp_path / "data.csv").write_text("path,class\na.png,cat\n")

    expect(opsin("train", tmp_path / "data.csv"), ExitCode.UNUSABLE, "missing: label", "path, class")


def test_a_csv_whose_pictures_do_not_exist(opsin, tmp_path):
    (tmp_path / "data.csv").write_text("path,label\na.png,cat\nb.png,dog\n")

    expect(opsin("train", tmp_path / "data.csv"), ExitCode.UNUSABLE, "none exists", "relative to the CSV's own folder")


def test_no_such_model(opsin, tmp_path):
    expect(opsin("predict", tmp_path / "run", "cat.jpg"), ExitCode.USAGE, "nothing at")


def test_a_folder_that_is_no_model(opsin, tmp_path):
    expect(opsin("predict", tmp_path, "cat.jpg"), ExitCode.UNUSABLE, "neither", "opsin train")


def test_resuming_what_is_no_run(opsin, tmp_path):
    data = two_classes(tmp_path / "data")

    expect(opsin("train", data, "--out", tmp_path / "run", "--resume"), ExitCode.USAGE, "interrupted run")


def test_resuming_without_saying_what(opsin, tmp_path):
    expect(opsin("train", two_classes(tmp_path), "--resume"), ExitCode.USAGE, "--out with --resume")


def test_a_debug_run_has_a_traceback(opsin, tmp_path, monkeypatch):
    from opsin.cli import main as door
    from opsin.errors import UsageError

    monkeypatch.setattr("sys.argv", ["opsin", "train", str(tmp_path / "nowhere"), "--debug"])
    with pytest.raises(UsageError):
        door.main()

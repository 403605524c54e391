"""`opsin detect`: what it prints, what it draws, how it ends."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from opsin.detection.drawing import COLORS
from opsin.errors import ExitCode

CLASSES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "a=b"}]


@pytest.fixture
def files(tmp_path):
    """Write two pictures, true boxes, and predictions of which two are right: of the cats all, of the others none."""
    (tmp_path / "photos").mkdir()
    for name in ("1.png", "2.jpg"):
        Image.new("RGB", (80, 60)).save(tmp_path / "photos" / name)
    truth = {
        "images": [
            {"id": 1, "file_name": "1.png", "height": 60, "width": 80},
            {"id": 2, "file_name": "2.jpg", "height": 60, "width": 80},
        ],
        "categories": CLASSES,
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]},
            {"id": 2, "image_id": 2, "category_id": 1, "bbox": [10, 10, 20, 20]},
            {"id": 3, "image_id": 2, "category_id": 2, "bbox": [40, 30, 20, 20]},
        ],
    }
    found = [
        {"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20], "score": 0.9},
        {"image_id": 2, "category_id": 1, "bbox": [10, 10, 20, 20], "score": 0.8},
        {"image_id": 2, "category_id": 1, "bbox": [40, 30, 20, 20], "score": 0.3},
    ]
    write(tmp_path / "truth.json", truth)
    write(tmp_path / "found.json", found)
    return tmp_path


def write(path, document):
    path.write_text(json.dumps(document))


def change(path, edit):
    document = json.loads(path.read_text())
    edit(document)
    write(path, document)


def test_it_says_what_was_found_and_what_was_taken_for_what(opsin, files):
    answer = opsin("detect", "evaluate", files / "truth.json", files / "found.json")

    assert (answer.code, answer.err) == (ExitCode.DONE, "")
    lines = answer.out.splitlines()
    assert lines[0] == "2 pictures, 3 boxes to find, 3 found"
    assert re.match(r"average precision +0\.500 +0\.500 +0\.500 +0\.500 +- +-$", lines[3])
    assert re.match(r"cat +2 +3 +1\.000 +1\.000 +1\.000 +1\.000 +1\.000 +0\.800$", lines[9])
    assert re.match(r"a=b +1 +0 +0\.000", lines[10])
    assert [line.split() for line in lines[-2:]] == [["2", "right"], ["1", "a=b", "taken", "for", "cat"]]


def test_json_is_one_document_with_curves_and_nothing_else_on_stdout(opsin, files):
    answer = opsin(
        "detect", "evaluate", files / "truth.json", files / "found.json", "--json", "--min", "ap=0.4", "--score", "0.5"
    )

    document = json.loads(answer.out)
    assert (answer.code, answer.err) == (ExitCode.DONE, "")
    assert (document["ap"], document["ap_large"], document["ar_1"], document["voc_ap"]) == (0.5, None, 0.5, 0.5)
    assert document["per_class"][0]["best_f1"] == {"f1": 1.0, "score": 0.8}
    assert document["per_class"][0]["curve"]["recall"] == [0.5, 1.0, 1.0]
    assert document["per_class"][1]["best_f1"] is None
    assert document["confusion"]["names"] == ["cat", "a=b", "background"]
    assert document["confusion"]["matrix"] == [[2, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert document["gates"] == [{"name": "ap", "wanted": 0.4, "measured": 0.5, "held": True}]


@pytest.mark.parametrize(
    ("gate", "code", "said"),
    [
        ("ap50=0.5", ExitCode.DONE, ""),
        ("ap.cat=1", ExitCode.DONE, ""),
        ("ap50=0.6", ExitCode.GATE_FAILED, "FAILED: ap50: wanted at least 0.6, measured 0.5000."),
        ("voc_ap.a=b=0.1", ExitCode.GATE_FAILED, "FAILED: voc_ap.a=b: wanted at least 0.1, measured 0.0000."),
        ("ap_large=0", ExitCode.GATE_FAILED, "nothing to measure it on"),
        ("ap_50=0.5", ExitCode.USAGE, "Did you mean 'ap50'"),
        ("ap.dog=0.5", ExitCode.USAGE, "Expected one of these as class: cat, a=b. Received 'dog'"),
        ("ap50", ExitCode.USAGE, "NAME=NUMBER"),
        ("ap50=80", ExitCode.USAGE, "from 0 to 1"),
        ("ap50=nan", ExitCode.USAGE, "from 0 to 1"),
    ],
)
def test_gates_decide_the_exit_code(gate, code, said, opsin, files):
    answer = opsin("detect", "evaluate", files / "truth.json", files / "found.json", "--min", gate)

    assert answer.code == code
    assert said in answer.err


def test_no_predictions_are_zeros_and_a_note(opsin, files):
    write(files / "found.json", [])

    answer = opsin("detect", "evaluate", files / "truth.json", files / "found.json", "--json")

    assert answer.code == ExitCode.DONE
    assert json.loads(answer.out)["ap"] == 0
    assert (
        answer.err
        == "Note: Nothing was found: there is no prediction, and all that there is to find counts as missed.\n"
    )


def test_the_id_0_is_said_and_can_be_renumbered(opsin, files):
    change(files / "truth.json", lambda document: document["annotations"][0].update(id=0))
    arguments = ("detect", "evaluate", files / "truth.json", files / "found.json", "--json")

    as_there, renumbered = opsin(*arguments), opsin(*arguments, "--renumber")

    assert "id 0" in as_there.err
    assert json.loads(as_there.out)["per_class"][0]["ap"] < 0.7
    assert renumbered.err == ""
    assert json.loads(renumbered.out)["per_class"][0]["ap"] == 1


@pytest.mark.parametrize(
    ("spoil", "code", "said"),
    [
        (lambda files: (files / "truth.json").unlink(), ExitCode.USAGE, "there is nothing at"),
        (lambda files: (files / "truth.json").write_text("{"), ExitCode.UNUSABLE, "Expected JSON"),
        (lambda files: write(files / "found.json", {"images": []}), ExitCode.UNUSABLE, "the other of the two files"),
        (
            lambda files: change(files / "found.json", lambda rows: rows[0].update(image_id=77)),
            ExitCode.UNUSABLE,
            "received 77, in 1 of 3 entries",
        ),
        (
            lambda files: change(files / "truth.json", lambda one: one["annotations"][0].update(bbox=[9, 9, -1, 5])),
            ExitCode.UNUSABLE,
            "negative",
        ),
    ],
)
def test_files_that_cannot_be_used_are_one_message(spoil, code, said, opsin, files):
    spoil(files)

    answer = opsin("detect", "evaluate", files / "truth.json", files / "found.json")

    assert (answer.code, answer.out) == (code, "")
    assert answer.err.startswith("Error: ")
    assert answer.err.count("\n") == 1
    assert said in answer.err


def test_boxes_are_drawn_under_the_names_of_their_pictures(opsin, files):
    answer = opsin("detect", "draw", files / "truth.json", files / "photos", "--out", files / "drawn")

    assert answer.code == ExitCode.DONE
    assert sorted(path.name for path in (files / "drawn").iterdir()) == ["1.png", "2.jpg"]
    drawn = np.array(Image.open(files / "drawn/1.png"))
    assert tuple(drawn[20, 10]) == tuple(drawn[29, 20]) == COLORS[0]
    assert not drawn[28, 15].any()
    assert not np.array(Image.open(files / "photos/1.png")).any()


def test_found_boxes_are_solid_true_ones_dashed_and_doubtful_ones_left_out(opsin, files):
    options = ("--predictions", files / "found.json", "--score", "0.85", "--first", "1")
    change(files / "found.json", lambda rows: rows[0].update(bbox=[50, 30, 20, 20]))

    answer = opsin("detect", "draw", files / "truth.json", files / "photos", "--out", files / "drawn", *options)

    drawn = np.array(Image.open(files / "drawn/1.png"))
    assert answer.code == ExitCode.DONE
    assert [path.name for path in (files / "drawn").iterdir()] == ["1.png"]
    assert drawn[30:50, 50].any(axis=1).all()
    assert 5 < drawn[10:30, 10].any(axis=1).sum() < 15


def test_boxes_of_a_lying_phone_picture_turn_with_it(opsin, files):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 60)).save(files / "photos/1.png", exif=exif)

    opsin("detect", "draw", files / "truth.json", files / "photos", "--out", files / "drawn")

    drawn = np.array(Image.open(files / "drawn/1.png"))
    assert drawn.shape == (80, 60, 3)
    # Left 10 to 30 and top 10 to 30 of the lying one are top 10 to 30 and right 10 to 30 of the upright one.
    assert tuple(drawn[29, 40]) == tuple(drawn[20, 49]) == tuple(drawn[20, 30]) == COLORS[0]


@pytest.mark.parametrize(
    ("name", "said"),
    [("3.png", "there is no such file"), ("../truth.json", "within the folder"), ("/etc/passwd", "within the folder")],
)
def test_a_picture_that_cannot_be_had_is_said_and_the_others_are_drawn(name, said, opsin, files):
    change(files / "truth.json", lambda document: document["images"][0].update(file_name=name))

    answer = opsin("detect", "draw", files / "truth.json", files / "photos", "--out", files / "drawn")

    assert answer.code == ExitCode.UNUSABLE
    assert said in answer.err
    assert "1 picture drawn" in answer.err
    assert [path.name for path in (files / "drawn").iterdir()] == ["2.jpg"]


def test_pictures_are_never_drawn_over(opsin, files):
    answer = opsin("detect", "draw", files / "truth.json", files / "photos", "--out", files / "photos")

    assert answer.code == ExitCode.USAGE
    assert "another folder" in answer.err
    assert not np.array(Image.open(files / "photos/1.png")).any()


def test_help_of_a_command_in_a_group_has_its_usage_and_examples_and_loads_no_numpy(opsin):
    answer = opsin("detect", "evaluate", "--help")

    assert " opsin detect evaluate [OPTIONS] GT.json PREDICTIONS.json " in answer.out
    assert "opsin detect evaluate annotations.json predictions.json --json > measures.json" in answer.out
    code = (
        "import sys, contextlib; sys.argv = ['opsin', 'detect', '--help']\n"
        "from opsin.cli import main\n"
        "with contextlib.suppress(SystemExit): main.app()\n"
        "sys.exit(bool({'numpy', 'PIL', 'tensorflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0

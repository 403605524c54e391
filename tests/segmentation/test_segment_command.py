"""`opsin segment`: the commands, from the words of a command line to files and exit codes."""

import dataclasses
import inspect
import json
import sys

import numpy as np
import pytest
from PIL import Image

from opsin.cli import main as door
from opsin.cli.segment import train as train_command
from opsin.segmentation.classes import IGNORED
from opsin.segmentation.config import SegmentConfig
from opsin.segmentation.segmenter import Segmenter

NOT_SETTINGS = {"context", "data", "out", "names", "ignore", "colors", "config", "resume", "as_json"}


def _run(capsys, monkeypatch, *arguments):
    monkeypatch.setattr(door, "_hush_native_libraries", lambda: None)
    monkeypatch.setattr(sys, "argv", ["opsin", *map(str, arguments)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        door.main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


@pytest.fixture
def opsin(capsys, monkeypatch):
    return lambda *arguments: _run(capsys, monkeypatch, *arguments)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """12 pictures of 40×48 pixels; masks hold 10 for ground, 20 for a bright square and 30 for its border."""
    root, random = tmp_path_factory.mktemp("squares"), np.random.default_rng(0)
    for kind in ("images", "masks"):
        (root / kind).mkdir()
    for number in range(12):
        mask = np.full((40, 48), 10, np.uint8)
        top, left = random.integers(2, 16, 2)
        mask[top - 1 : top + 19, left - 1 : left + 25] = 30
        mask[top : top + 18, left : left + 24] = 20
        image = (random.integers(0, 80, (40, 48, 3)) + 120 * (mask == 20)[..., None]).astype(np.uint8)
        Image.fromarray(image).save(root / "images" / f"{number}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(door, "_hush_native_libraries", lambda: None)
    words = ["--names", "ground,square", "--ignore", "30", "--arch", "unet", "--width", "8", "--image-size", "32"]
    words += ["--epochs", "2", "--batch-size", "4", "--lr", "0.02", "--augment", "none", "--no-cache"]
    monkeypatch.setattr(sys, "argv", ["opsin", "segment", "train", str(data), "--out", str(folder), *words])
    with pytest.raises(SystemExit) as ended:
        door.main()
    monkeypatch.undo()
    assert not ended.value.code
    return folder


def test_the_command_line_has_every_setting_with_the_same_default():
    options = {
        "architecture" if name == "arch" else name: parameter.default.default
        for name, parameter in inspect.signature(train_command).parameters.items()
        if name not in NOT_SETTINGS
    }

    assert options == dataclasses.asdict(SegmentConfig())


def test_what_was_said_of_the_classes_is_in_the_model(run):
    classes = Segmenter.open(run).classes

    assert (classes.names, classes.values, classes.ignore) == (("ground", "square"), (10, 20), (30,))


def test_evaluate_judges_what_was_held_out_and_says_so(opsin, run, data):
    code, out, err = opsin("segment", "evaluate", run, data, "--json")

    report = json.loads(out)
    assert code == 0
    assert report["split"] == "test"
    assert "the model never saw them" in err
    assert [one["name"] for one in report["per_class"]] == ["ground", "square"]
    # Borders are not judged.
    masks = [np.asarray(Image.open(data / name.replace("images", "masks"))) for name in report["pictures"]]
    assert report["pixels"] == sum(np.count_nonzero(mask != 30) for mask in masks)


def test_the_page_shows_the_judged_pictures(opsin, run, data, tmp_path):
    code, _, err = opsin("segment", "evaluate", run, data, "--html", tmp_path / "report.html", "--split", "val")

    page = (tmp_path / "report.html").read_text()
    assert code == 0
    assert "Page:" in err
    assert "mean IoU" in page
    assert "images/" in page


def test_a_gate_that_does_not_hold_ends_with_1(opsin, run, data):
    code, out, err = opsin("segment", "evaluate", run, data, "--min", "iou.square=0.999999", "--json")

    assert code == 1
    assert "FAILED: iou.square" in err
    assert json.loads(out)["gates"][0]["held"] is False


@pytest.mark.parametrize("gate", ["iou.squire=0.5", "mean_iou", "mean_iou=2", "accuracy=0.5"])
def test_a_gate_that_cannot_be_measured_is_wrong_usage(opsin, run, data, gate):
    code, _, err = opsin("segment", "evaluate", run, data, "--min", gate)

    assert code == 2
    assert err.startswith("Error: Expected") or "xpected" in err


def test_predict_writes_masks_overlays_areas_and_polygons(opsin, run, data, tmp_path):
    code, out, _ = opsin(
        *("segment", "predict", run, data / "images", "--out", tmp_path / "out", "--background", "ground", "--json")
    )

    document = json.loads(out)
    coco = json.loads((tmp_path / "out" / "polygons.json").read_text())
    masks = {path.name: np.asarray(Image.open(path)) for path in (tmp_path / "out" / "masks").iterdir()}
    assert code == 0
    assert len(document["pictures"]) == len(masks) == len(coco["images"]) == 12
    assert {path.name for path in (tmp_path / "out" / "overlays").iterdir()} == set(masks)
    assert all(mask.shape == (40, 48) and set(np.unique(mask)) <= {0, 1, IGNORED} for mask in masks.values())
    assert Image.open(tmp_path / "out" / "masks" / "0.png").mode == "P"
    rows = (tmp_path / "out" / "areas.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 12
    assert document["polygons"] == len(coco["annotations"])
    assert sum(one["area"] for one in coco["annotations"]) == sum(np.count_nonzero(m == 1) for m in masks.values())


@pytest.mark.parametrize("tiles", [(), ("--tiles",)])
def test_masks_and_polygons_lie_as_the_picture_is_seen_or_as_its_file_has_it(opsin, run, data, tmp_path, tiles):
    upright = Image.open(data / "images" / "0.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "photos").mkdir()
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "photos" / "0.png", exif=exif)

    found = {}
    for orientation in ("upright", "file"):
        words = ("--out", tmp_path / orientation, "--orientation", orientation, *tiles)
        assert opsin("segment", "predict", run, tmp_path / "photos", *words)[0] == 0
        coco = json.loads((tmp_path / orientation / "polygons.json").read_text())["images"][0]
        mask = np.asarray(Image.open(tmp_path / orientation / "masks" / "0.png"))
        assert mask.shape == (coco["height"], coco["width"])
        assert Image.open(tmp_path / orientation / "overlays" / "0.png").width == 48
        found[orientation] = mask

    assert found["upright"].shape == (40, 48)
    assert set(np.unique(found["upright"])) == {0, 1}
    assert found["file"].tolist() == np.rot90(found["upright"]).tolist()


def test_an_orientation_that_is_none_is_wrong_usage(opsin, run, data, tmp_path):
    code, _, err = opsin("segment", "predict", run, data / "images", "--out", tmp_path / "out", "--orientation", "up")

    assert code == 2
    assert "upright" in err


def test_a_picture_that_cannot_be_read_does_not_stop_the_others(opsin, run, data, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    code, _, err = opsin(
        *("segment", "predict", run, tmp_path / "broken.png", data / "images" / "0.png", "--out", tmp_path / "out")
    )

    assert code == 3
    assert "broken.png" in err
    assert [path.name for path in (tmp_path / "out" / "masks").iterdir()] == ["0.png"]


def test_predict_overwrites_nothing(opsin, run, data, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")

    code, _, err = opsin("segment", "predict", run, data / "images" / "0.png", "--out", tmp_path)

    assert code == 2
    assert "new or an empty folder" in err


def test_check_says_what_is_in_the_masks(opsin, data):
    code, out, _ = opsin("segment", "check", data, "--names", "ground,square", "--ignore", "30")

    assert code == 0
    assert "12 pictures with masks, 2 classes: ground" in out


def test_summary_takes_a_run(opsin, run):
    code, out, _ = opsin("summary", run)

    assert code == 0
    assert "up_1_skip" in out


def test_an_export_segments_as_its_run_does(opsin, run, data, tmp_path):
    code, out, _ = opsin("segment", "export", run, "--format", "litert", "--out", tmp_path / "export")
    codes = [
        opsin("segment", "predict", model, data / "images" / "0.png", "--out", tmp_path / name)[0]
        for name, model in (("a", run), ("b", tmp_path / "export"))
    ]

    assert (code, codes) == (0, [0, 0])
    assert out.strip() == str(tmp_path / "export")
    first, second = ((tmp_path / name / "masks" / "0.png").read_bytes() for name in "ab")
    assert first == second


def test_verify_takes_a_run(opsin, run):
    code, out, _ = opsin("verify", run)

    assert code == 0
    assert "give the same probabilities" in out


def test_a_classifiers_command_says_that_this_is_a_segmenter(opsin, run, data):
    code, _, err = opsin("predict", run, data / "images" / "0.png")

    assert code == 3
    assert "opsin segment predict" in err


def test_words_for_ignored_values_are_wrong_usage(opsin, data, tmp_path):
    code, _, err = opsin("segment", "train", data, "--ignore", "border", "--out", tmp_path / "run")

    assert code == 2
    assert "--ignore as whole numbers" in err

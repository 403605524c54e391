"""`opsin explain` from the outside."""

import gc
import json
import sys
from importlib.util import find_spec

import keras
import pytest
from PIL import Image

from opsin.cli import explain as command
from opsin.cli import keras_alone
from opsin.cli.explaining import ALL, TOP
from opsin.images.drawing import draw_picture, save_image


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, with a picture."""
    monkeypatch.chdir(tmp_path)
    save_image(draw_picture(3, 40, 60), "picture.png")
    return tmp_path


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "picture.png")


def test_it_draws_a_sheet_here_and_says_what_and_where(opsin, tiny_run, here):
    answer = opsin("explain", tiny_run, "picture.png")

    assert answer.code == 0, answer.err
    assert answer.out.startswith("picture.png: ")
    assert "Grad-CAM, layer" in answer.out
    assert answer.out.endswith("drawn in picture-why.png\n")
    assert files(here) == ["picture-why.png"]
    assert Image.open("picture-why.png").size[0] > 500


def test_it_never_takes_a_name_that_is_taken(opsin, tiny_run, here):
    (here / "picture-why.png").write_text("mine")

    opsin("explain", tiny_run, "picture.png")

    assert (here / "picture-why.png").read_text() == "mine"
    assert (here / "picture-why-2.png").is_file()
    refused = opsin("explain", tiny_run, "picture.png", "--out", "picture.png")
    assert refused.code == 2
    assert "is the picture" in refused.err


def test_boxes_lie_around_what_is_hot_and_are_drawn(opsin, tiny_run, here):
    plain = opsin("explain", tiny_run, "picture.png", "--json", "--out", "plain.png")
    boxed = opsin("explain", tiny_run, "picture.png", "--json", "--out", "boxed.png", "--boxes")
    said = opsin("explain", tiny_run, "picture.png", "--out", "again.png", "--boxes")

    (row,) = json.loads(boxed.out)[0]["explanations"]
    left, top, right, bottom = row["box_xyxy"]
    assert 0 <= left < right <= 60
    assert 0 <= top < bottom <= 40
    assert f"box from {left:.0f}, {top:.0f} to {right:.0f}, {bottom:.0f}" in said.out
    assert "box_xyxy" not in plain.out
    assert (here / "plain.png").read_bytes() != (here / "boxed.png").read_bytes()


def test_several_classes_and_methods_stand_side_by_side(opsin, tiny_run, here):
    options = ("--class", "all", "--method", "grad_cam", "--method", "occlusion", "--out", "why.jpg", "--json")

    answer = opsin("explain", tiny_run, "picture.png", *options)

    (document,) = json.loads(answer.out)
    assert document["file"] == "why.jpg"
    rows = document["explanations"]
    assert [row["method"] for row in rows] == ["grad_cam"] * 3 + ["occlusion"] * 3
    assert {row["class"] for row in rows} == {"checks", "discs", "stripes"}
    assert sum(row["probability"] for row in rows[:3]) == pytest.approx(1, abs=1e-5)
    assert rows[0]["probability"] == max(row["probability"] for row in rows)
    assert rows[3]["layer"] is None
    assert all(row["peak"] >= 0 for row in rows)


def test_a_picture_that_cannot_be_read_is_an_error_of_its_own(opsin, tiny_run, here):
    (here / "broken.png").write_bytes(b"no picture")

    answer = opsin("explain", tiny_run, "broken.png", "picture.png", "--out", "whys")

    assert answer.code == 3
    assert "broken.png  error: " in answer.err
    assert files(here / "whys") == ["picture-why.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.png"], "nothing is there at 'missing.png'"),
        (["picture.png", "--class", "disks"], "Did you mean 'discs'"),
        (["picture.png", "--method", "gradcam"], "Did you mean 'grad_cam'"),
        (["picture.png", "--layer", "convx"], "Closest: "),
        (["picture.png", "--colors", "rainbow"], "inferno"),
        (["picture.png", "--out", "why.bmp"], "suffix of --out"),
        (["picture.png", "--classes", "names.txt"], "a model folder knows its own"),
        (["picture.png", "--method", "occlusion", "--layer", "conv1"], "works on pixels"),
        (["picture.png", "--maps", "--filters"], "Expected one of"),
        (["picture.png", "--filters"], "Expected no picture with --filters"),
        (["picture.png", "--data", "."], "only with --filters or --channel"),
        (["--channel", "9999"], "received 9999"),
        (["picture.png", "--maps", "--method", "grad_cam"], "Expected --method only for heat maps, not with --maps"),
        (["picture.png", "--maps", "--faithful", "--boxes"], "Expected --faithful, --boxes only for heat maps"),
        (["--filters", "--sanity"], "Expected --sanity only for heat maps, not with --filters"),
        (["--filters", "--layer", "conv1"], "Expected no --layer with --filters"),
        (["--channel", "1", "--class", "discs"], "Expected --class only for heat maps, not with --channel"),
        ([], "Expected pictures"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_said_and_nothing_is_written(opsin, tiny_run, here, arguments, said):
    answer = opsin("explain", tiny_run, *arguments)

    assert answer.code == 2
    assert said in answer.err
    assert files(here) == []


def test_how_far_a_map_can_be_believed_is_measured_where_asked(opsin, tiny_run, here):
    answer = opsin("explain", tiny_run, "picture.png", "--class", "discs", "--faithful", "--sanity", "--json")

    checks = json.loads(answer.out)[0]["checks"]
    if checks:  # Without evidence for the class there is nothing to measure.
        assert set(checks[0]["faithfulness"]) == {"deletion", "insertion", "random_deletion", "random_insertion"}
        assert checks[1]["sanity"][-1]["layers"] >= 3
    else:
        assert json.loads(answer.out)[0]["explanations"][0]["peak"] == 0


def test_maps_of_a_layer_are_drawn(opsin, tiny_run, here):
    answer = opsin("explain", tiny_run, "picture.png", "--maps", "--json")

    (document,) = json.loads(answer.out)
    assert document["shape"] == [document["shape"][0], document["shape"][0], 64]
    assert files(here) == ["picture-maps.png"]


def test_filters_are_drawn_and_channels_counted(opsin, tiny_run, tiny_data, here):
    answer = opsin("explain", tiny_run, "--filters", "--data", tiny_data)

    assert "32 filters of 3 × 3" in answer.out
    assert "channels in 3 layers, over 72 pictures" in answer.out
    assert files(here) == ["filters.png"]


def test_what_a_channel_likes_is_drawn(opsin, tiny_run, tiny_data, here):
    answer = opsin("explain", tiny_run, "--channel", "5", "--data", tiny_data, "--json")

    (document,) = json.loads(answer.out)
    values = [row["value"] for row in document["excited_by"]]
    assert len(values) == 12
    assert values == sorted(values, reverse=True)
    assert files(here) == ["channel-5.png"]


def test_a_keras_file_that_opsin_did_not_make_is_explained(opsin, here):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(4, 3, activation="relu", name="conv"), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input((16, 16, 3)), *layers, keras.layers.Dense(1, activation="sigmoid")])
    model.save("my.keras")
    (here / "labels.txt").write_text("no\nyes\n")
    said = ("--classes", "labels.txt", "--preprocess", "zero_one")

    both = opsin("explain", "my.keras", "picture.png", *said, "--class", "all", "--json")
    unsaid = opsin("explain", "my.keras", "picture.png")

    assert [row["layer"] for row in json.loads(both.out)[0]["explanations"]] == ["conv", "conv"]
    assert unsaid.code == 2
    assert "Give --classes FILE" in unsaid.err


def test_an_engine_without_gradients_is_refused_with_the_way_out(opsin, tiny_run, here):
    (here / "labels.txt").write_text("a\nb\nc\n")

    answer = opsin("explain", tiny_run / "model/engines/model.tflite", "picture.png", "--classes", "labels.txt")

    assert answer.code == 3
    assert "model.keras" in answer.err


def test_the_words_for_several_classes_are_those_of_the_help():
    assert (command.ALL, command.TOP) == (ALL, TOP)


def test_keras_is_imported_as_if_what_it_makes_offers_for_were_not_installed(monkeypatch):
    for name in ("keras", "sklearn"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "pydot", json)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    during = {}

    def require(package, purpose):
        during.update({name: sys.modules[name] for name in ("sklearn", "pydot")}, collecting=gc.isenabled())

    monkeypatch.setattr(keras_alone, "require", require)
    keras_alone.import_keras("a test")

    # What is there already stays.
    assert during == {"sklearn": None, "pydot": json, "collecting": False}
    assert gc.isenabled()
    assert find_spec("sklearn") is not None
    assert sys.modules["pydot"] is json


def test_what_is_wrong_with_the_command_is_said_before_keras_starts(opsin, tiny_run, here, monkeypatch):
    monkeypatch.setattr(command, "import_keras", None)

    assert "none. Name them after the model" in opsin("explain", tiny_run).err
    assert "grad_cam" in opsin("explain", tiny_run, "picture.png", "--method", "grad").err

"""`opsin similar`: the nearest pictures, by the model that made the index and by no other."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import opsin as package
from opsin.errors import ExitCode
from opsin.features.index import FeatureIndex


@pytest.fixture(scope="module")
def index(tiny_run, tiny_data, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("index") / "v.npz"
    package.embed(tiny_run, tiny_data).save(path)
    return path


def test_a_picture_of_the_index_is_most_similar_to_itself_and_then_to_its_class(opsin, index, tiny_data):
    picture = (tiny_data / "discs" / "3.png").resolve()

    answer = opsin("similar", index, picture, "--top", 4)

    heading, first, *others = answer.out.splitlines()
    assert (answer.code, answer.err) == (ExitCode.DONE, "")
    assert heading == f"Most similar to {picture}:"
    assert first.split() == ["1.000", str(picture), "discs"]
    assert [line.split()[2] for line in others] == ["discs"] * 3


def test_several_pictures_are_answered_in_their_order(opsin, index, tiny_data, monkeypatch):
    monkeypatch.chdir(tiny_data)
    pictures = ["stripes/1.png", "checks/2.png", "stripes/1.png"]

    documents = json.loads(opsin("similar", index, *pictures, "--top", 2, "--json").out)

    assert [document["picture"] for document in documents] == pictures
    for document in documents:
        assert document["similar"][0]["path"] == str(Path(document["picture"]).resolve())
        assert document["similar"][0]["similarity"] == pytest.approx(1, abs=1e-5)
        assert document["similar"][0]["label"] == Path(document["picture"]).parent.name
        assert len(document["similar"]) == 2


def test_a_picture_that_cannot_be_read_is_named_and_the_rest_are_answered(opsin, index, tiny_data, tmp_path):
    (tmp_path / "broken.png").touch()
    arguments = ("similar", index, tmp_path / "broken.png", tiny_data / "discs" / "0.png", "--top", 1)

    plain, as_json = opsin(*arguments), opsin(*arguments, "--json")

    assert plain.code == as_json.code == ExitCode.UNUSABLE
    assert plain.err == f"{tmp_path / 'broken.png'}  error: the file is empty\n"
    assert plain.out.count("Most similar to") == 1
    found, broken = json.loads(as_json.out)
    assert found["similar"][0]["label"] == "discs"
    assert broken == {"picture": str(tmp_path / "broken.png"), "error": "the file is empty"}


def test_what_is_found_is_drawn(opsin, index, tiny_data, tmp_path):
    sheet = tmp_path / "s.png"

    answer = opsin("similar", index, tiny_data / "discs" / "0.png", "--top", 10, "--sheet", sheet)

    drawn = np.array(Image.open(sheet))
    assert answer.code == ExitCode.DONE
    assert drawn.shape == (6 + 2 * 182, 6 + 6 * 166, 3)
    assert np.array_equal(drawn[6:166, 6:166], drawn[6:166, 172:332])


def test_pictures_without_labels_have_none(opsin, tiny_run, tiny_data, tmp_path):
    package.embed(tiny_run, tiny_data / "discs").save(tmp_path / "v.parquet")

    answer = opsin("similar", tmp_path / "v.parquet", tiny_data / "discs" / "0.png", "--top", 1)

    assert answer.out.splitlines()[1] == f"   1.000  {(tiny_data / 'discs' / '0.png').resolve()}"


def test_a_backbone_finds_similar_pictures_with_weights_that_were_moved(opsin, tiny_data, tmp_path):
    weights = tmp_path / "digit_cnn.weights.h5"
    package.build_network("digit_cnn", (28, 28, 1), 2).save_weights(weights)
    picture = (tiny_data / "discs" / "0.png").resolve()

    made = opsin("embed", "digit_cnn", tiny_data, "--weights", weights, "--out", tmp_path / "v.npz")
    weights = weights.rename(tmp_path / "moved.weights.h5")
    lost = opsin("similar", tmp_path / "v.npz", picture)
    found = opsin("similar", tmp_path / "v.npz", picture, "--weights", weights, "--top", 1, "--json")

    assert made.code == ExitCode.DONE
    assert "left out" in made.err.lower()
    assert (lost.code, "--weights PATH" in lost.err) == (ExitCode.USAGE, True)
    assert json.loads(found.out)[0]["similar"][0]["path"] == str(picture)


# What is wrong


def test_a_model_that_was_moved_is_found_where_one_says(opsin, tiny_run, tiny_data, tmp_path):
    model, picture = tmp_path / "model", tiny_data / "discs" / "0.png"
    shutil.copytree(tiny_run / "model", model)
    package.embed(model, [picture]).save(tmp_path / "v.npz")
    model.rename(tmp_path / "moved")

    lost = opsin("similar", tmp_path / "v.npz", picture)
    told = opsin("similar", tmp_path / "v.npz", picture, "--model", tmp_path / "moved")

    assert (lost.code, lost.out) == (ExitCode.USAGE, "")
    assert "any more. Say where it is now: --model RUN" in lost.err
    assert told.code == ExitCode.DONE


def test_another_model_is_refused(opsin, index, tiny_run, tiny_data, tmp_path):
    from opsin.features.index import Origin

    made = FeatureIndex.load(index)
    origin = Origin(**{**made.origin.__dict__, "sha256": "f" * 64})
    FeatureIndex(made.vectors, made.paths, origin).save(tmp_path / "v.npz")

    answer = opsin("similar", tmp_path / "v.npz", tiny_data / "discs" / "0.png", "--model", tiny_run)

    assert (answer.code, answer.out) == (ExitCode.UNUSABLE, "")
    assert f"with the hash ffffffffffff; '{tiny_run / 'model'}' is another one" in answer.err
    assert "opsin embed" in answer.err


@pytest.mark.parametrize("name", ["no.npz", "v.txt"])
def test_no_such_index(opsin, tiny_data, tmp_path, name):
    (tmp_path / "v.txt").touch()

    answer = opsin("similar", tmp_path / name, tiny_data / "discs" / "0.png")

    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert answer.err.startswith("Error: Expected")


def test_a_damaged_index(opsin, index, tiny_data, tmp_path):
    (tmp_path / "v.npz").write_bytes(index.read_bytes()[:-100])

    answer = opsin("similar", tmp_path / "v.npz", tiny_data / "discs" / "0.png")

    assert (answer.code, answer.out) == (ExitCode.UNUSABLE, "")
    assert "is none, or is damaged" in answer.err


def test_a_picture_that_is_not_there(opsin, index, tiny_data, tmp_path):
    answer = opsin("similar", index, tiny_data / "discs" / "0.png", tmp_path / "no.png")

    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert "no.png" in answer.err


def test_no_picture_is_replaced_by_the_sheet(opsin, index, tiny_data, tmp_path):
    question = tmp_path / "q.png"
    shutil.copy(tiny_data / "discs" / "0.png", question)
    inside = tiny_data / "discs" / "5.png"
    before = [question.read_bytes(), inside.read_bytes()]

    for sheet in (question, inside):
        answer = opsin("similar", index, question, "--sheet", sheet)
        assert (answer.code, answer.out) == (ExitCode.USAGE, "")
        assert "is one of the pictures" in answer.err
    assert [question.read_bytes(), inside.read_bytes()] == before


def test_a_sheet_with_too_many_pictures(opsin, index, tiny_data, tmp_path):
    pictures = [tiny_data / "discs" / "0.png"] * 50

    answer = opsin("similar", index, *pictures, "--sheet", tmp_path / "s.png")

    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert "at most 80 rows" in answer.err

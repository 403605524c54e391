"""What `verify` finds."""

import json
import re
import shutil
from dataclasses import replace

import pytest

import opsin
from opsin.errors import ModelError, UsageError
from opsin.exporters import FORMATS, IN_INT8
from opsin.model_folder import ModelCard, hash_files, sign

ENGINES = (*FORMATS, *(f"{format}-int8" for format in IN_INT8))


@pytest.fixture
def folder(exported_run, tmp_path):
    """An export to spoil."""
    shutil.copytree(exported_run / "exports" / "onnx", tmp_path / "onnx")
    return tmp_path / "onnx"


def failures(found) -> list[tuple[str, str]]:
    assert not found.passed
    return [(check.what, check.detail) for check in found.checks if not check.passed]


def sign_again(folder) -> None:
    """Write the card as one would who covers up a change of the other files."""
    replace(ModelCard.read(folder), files=hash_files(folder)).save(folder)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_export_is_what_was_written(exported_run, engine):
    found = opsin.verify(exported_run / "exports" / engine)

    files, golden = found.checks
    assert found.passed
    assert re.fullmatch(r"all 1\d have the sha256 that opsin.json says", files.detail)
    assert golden.detail.startswith("8 give the same probabilities, to ")
    assert found.notes == ()


def test_a_run_is_verified_through_its_twin(exported_run):
    found = opsin.verify(exported_run)

    assert found.passed
    assert found.folder == exported_run / "model"
    assert found.checks[1].what == "golden pictures in LiteRTRuntime"


def test_a_run_with_the_runtime_of_an_export_stands_for_that_export(exported_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(exported_run, run)
    (run / "exports" / "onnx" / "golden" / "0.png").write_bytes(b"other")

    assert opsin.verify(run).passed
    assert opsin.verify(run, runtime="openvino").checks[1].what == "golden pictures in OpenVinoRuntime"
    assert [what for what, _ in failures(opsin.verify(run, runtime="onnx"))] == ["golden/0.png"]


def test_an_altered_file_is_named_with_both_hashes(folder):
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(content)

    ((what, detail),) = failures(opsin.verify(folder))

    assert what == "model.onnx"
    assert re.search(r"to have the sha256 [0-9a-f]{64}; it has [0-9a-f]{64}: it was altered or damaged", detail)


def test_a_truncated_file_and_a_missing_one_are_both_named(folder):
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:-100])
    (folder / "golden" / "2.png").unlink()

    found = dict(failures(opsin.verify(folder)))

    assert list(found) == ["golden/2.png", "model.onnx"]
    assert "it is missing" in found["golden/2.png"]
    assert "altered or damaged" in found["model.onnx"]


def test_a_file_that_is_not_of_the_model_is_said_and_no_fault(folder):
    (folder / "notes.txt").write_text("mine")

    found = opsin.verify(folder)

    assert found.passed
    assert found.notes == ("Not of the model, and not looked at: notes.txt.",)


def test_other_answers_are_a_fault_though_every_hash_fits(folder):
    path = folder / "golden" / "probabilities.json"
    document = json.loads(path.read_text())
    document["probabilities"][3] = document["probabilities"][3][::-1]
    path.write_text(json.dumps(document))
    sign_again(folder)

    found = opsin.verify(folder)

    assert found.checks[0].passed
    ((what, detail),) = failures(found)
    assert what == "golden pictures in OnnxRuntime"
    assert re.match(r"a probability of 3\.png differs by 0\.\d+ .* at most 0\.001 is allowed; it said ", detail)


@pytest.mark.parametrize(
    "document",
    ["[]", "{}", "none", '{"pictures": [], "probabilities": []}', '{"pictures": ["0.png"], "probabilities": [[1]]}'],
)
def test_golden_answers_that_make_no_sense_are_a_fault(folder, document):
    (folder / "golden" / "probabilities.json").write_text(document)
    sign_again(folder)

    assert [what for what, _ in failures(opsin.verify(folder))] == ["golden pictures in OnnxRuntime"]


def test_golden_pictures_that_lie_elsewhere_are_not_read(folder, tmp_path):
    path = folder / "golden" / "probabilities.json"
    shutil.copy(folder / "golden" / "0.png", tmp_path / "elsewhere.png")
    path.write_text(path.read_text().replace('"0.png"', json.dumps(str(tmp_path / "elsewhere.png"))))
    sign_again(folder)

    ((what, detail),) = failures(opsin.verify(folder))

    assert what == "golden pictures in OnnxRuntime"
    assert "Expected golden pictures of the model" in detail


def test_an_altered_manifest_is_refused(folder):
    path = folder / "opsin.json"
    path.write_text(path.read_text().replace('"discs"', '"disks"'))

    with pytest.raises(ModelError, match=r"opsin\.json.* was altered"):
        opsin.verify(folder)


def test_a_format_of_another_time_says_which_version_wrote_it(folder):
    path = folder / "opsin.json"
    document = json.loads(path.read_text())
    document["format"], document["provenance"]["opsin"] = 0, "0.0.7"
    document.pop("sha256")
    path.write_text(json.dumps({**document, "sha256": sign(document)}))

    with pytest.raises(ModelError, match=r"of format 0\. opsin 0\.0\.7 wrote it"):
        opsin.verify(folder)


@pytest.mark.parametrize(
    ("engine", "file"),
    [
        ("onnx", "model.onnx"),
        ("openvino", "model.xml"),
        ("litert", "model.tflite"),
        ("saved_model/1", "saved_model.pb"),
    ],
)
def test_a_network_that_does_not_open_is_an_error_though_every_hash_fits(exported_run, tmp_path, engine, file):
    folder = tmp_path / "folder"
    shutil.copytree(exported_run / "exports" / engine, folder)
    (folder / file).write_bytes((folder / file).read_bytes()[:-500])
    sign_again(folder)

    with pytest.raises(ModelError, match="Expected a "):
        opsin.verify(folder)


def test_a_runtime_that_there_is_not_is_refused_whatever_the_files_are(folder):
    (folder / "model.onnx").unlink()

    with pytest.raises(UsageError, match=r"as runtime: .* Received 'tensorrt'"):
        opsin.verify(folder, runtime="tensorrt")


def test_what_was_found_reads_as_a_list_and_as_plain_values(folder):
    (folder / "golden" / "2.png").unlink()

    found = opsin.verify(folder)

    assert str(found).splitlines()[0] == str(folder)
    assert str(found).splitlines()[1].startswith("FAILED  golden/2.png: Expected 'golden/2.png' in ")
    assert json.loads(json.dumps(found.to_dict()))["checks"][0]["what"] == "golden/2.png"
    assert found.to_dict()["passed"] is False

"""`opsin export` and `opsin verify`: what they print, and their exit codes."""

import importlib
import json
import shutil

import pytest

from opsin.exporters import litert_file, onnx


@pytest.fixture
def run(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    """An export in ONNX's format, made from the command line's own code: read it, never write to it."""
    import opsin

    return opsin.export(opsin.Classifier.open(tiny_run), tmp_path_factory.mktemp("out") / "onnx", format="onnx").folder


def test_the_folder_is_all_that_stdout_gets(opsin, run):
    answer = opsin("export", run, "--format", "litert")

    assert (answer.code, answer.out) == (0, f"{run}/exports/litert\n")
    assert "writing litert" in answer.err
    assert "64 pictures compared: 100.0% of " in answer.err


def test_8_bit_integers_are_calibrated_on_the_training_data(opsin, run, tmp_path):
    answer = opsin("export", run, "--format", "openvino", "--int8", "--out", tmp_path / "out", "--json")

    # NNCF's own bars would be in the way.
    document = json.loads(answer.out)
    assert answer.code == 0
    assert document["folder"] == str(tmp_path / "out")
    assert (document["artefact"]["format"], document["artefact"]["int8"]) == ("openvino", True)
    assert "ranges from 48 pictures" in answer.err


def test_notes_are_said(opsin, run):
    answer = opsin("export", run, "--format", "onnx")

    assert "ONNX operator set 17." in answer.err


def test_an_export_that_does_not_agree_is_exit_code_1_with_its_pictures(opsin, run, monkeypatch):
    write = onnx.write

    def other(folder, network, request):
        for weight in network.trainable_weights:
            weight.assign(-weight)
        return write(folder, network, request)

    monkeypatch.setattr(onnx, "write", other)

    answer = opsin("export", run, "--format", "onnx")

    assert (answer.code, answer.out) == (1, "")
    assert "Error: Expected the onnx export to give the model's answers; of 64 pictures, " in answer.err
    assert "\n  drawn picture " in answer.err
    assert not (run / "exports").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "tflite"), "Expected one of these as format: saved_model, litert, onnx, openvino, browser."),
        (("--format", "saved_model", "--int8"), "as format of 8-bit integers: litert, onnx, openvino."),
        (("--format", "onnx", "--out", "."), "Expected an empty place for the export"),
        (("--format", "onnx", "--data", "/none"), "/none"),
    ],
)
def test_wrong_usage_is_exit_code_2(opsin, run, monkeypatch, arguments, message):
    monkeypatch.chdir(run)

    answer = opsin("export", run, *arguments)

    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err


OF_A_KERAS_FILE = (
    ("--classes", "names.txt"),
    ("--preprocess", "zero_one"),
    ("--fit", "stretch"),
    ("--image-size", "24"),
    ("--trust",),
)


@pytest.mark.parametrize("option", OF_A_KERAS_FILE)
@pytest.mark.parametrize("command", ["export", "explain"])
def test_what_is_said_of_a_keras_file_is_refused_of_a_run(opsin, run, command, option):
    more = ("--format", "litert") if command == "export" else (run / "model" / "golden" / "0.png",)

    answer = opsin(command, run, *more, *option)

    assert (answer.code, answer.out) == (2, "")
    assert f"Expected {option[0]} only with a .keras file: a model folder knows its own" in answer.err


def test_an_export_of_a_keras_file_called_model_is_called_so(opsin, run, tmp_path, monkeypatch):
    shutil.copy(run / "model" / "model.keras", tmp_path / "model.keras")
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    write, called = litert_file.write, []

    def noting(folder, network, request):
        called.append(request.name)
        return write(folder, network, request)

    monkeypatch.setattr(litert_file, "write", noting)

    answer = opsin("export", tmp_path / "model.keras", "--classes", tmp_path / "names.txt", "--format", "litert")

    assert (answer.code, answer.out) == (0, f"{tmp_path}/model-litert\n")
    assert called == ["model"]


def test_a_missing_package_is_exit_code_4_with_the_install_line(opsin, run, monkeypatch):
    load = importlib.import_module

    def without_tf2onnx(name, package=None):
        if name == "tf2onnx":
            raise ModuleNotFoundError("No module named 'tf2onnx'", name="tf2onnx")
        return load(name, package)

    monkeypatch.setattr(importlib, "import_module", without_tf2onnx)

    answer = opsin("export", run, "--format", "onnx")

    assert (answer.code, answer.out) == (4, "")
    assert "pip install 'opsin[onnx]'" in answer.err


def test_a_runtime_that_is_not_installed_is_exit_code_4_with_the_install_line(opsin, exported, monkeypatch):
    load = importlib.import_module

    def without_onnxruntime(name, package=None):
        if name == "onnxruntime":
            raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")
        return load(name, package)

    monkeypatch.setattr(importlib, "import_module", without_onnxruntime)

    answer = opsin("verify", exported)

    assert (answer.code, answer.out) == (4, "")
    assert "pip install 'opsin[onnx]'" in answer.err


def test_verify_shows_each_check(opsin, exported):
    answer = opsin("verify", exported)

    folder, files, golden = answer.out.splitlines()
    assert (answer.code, folder) == (0, str(exported))
    assert files.startswith("ok      files: all 10 ")
    assert golden.startswith("ok      golden pictures in OnnxRuntime: 8 give ")


def test_verify_is_exit_code_1_where_something_differs(opsin, exported, tmp_path):
    shutil.copytree(exported, tmp_path / "onnx")
    path = tmp_path / "onnx" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1])

    answer = opsin("verify", tmp_path / "onnx", "--json")

    document = json.loads(answer.out)
    assert (answer.code, document["passed"]) == (1, False)
    assert [check["what"] for check in document["checks"]] == ["model.onnx"]


def test_verify_of_an_altered_manifest_is_exit_code_3(opsin, exported, tmp_path):
    shutil.copytree(exported, tmp_path / "onnx")
    path = tmp_path / "onnx" / "opsin.json"
    path.write_text(path.read_text().replace('"discs"', '"disks"'))

    answer = opsin("verify", tmp_path / "onnx")

    assert (answer.code, answer.out) == (3, "")
    assert "so it was altered" in answer.err


def test_a_file_that_is_not_there_is_missing_whatever_is_said_of_it(opsin, tmp_path):
    answer = opsin("export", tmp_path / "gone.keras", "--format", "onnx", "--classes", tmp_path / "names.txt")

    assert answer.code == 2
    assert "there is nothing at" in answer.err

"""`benchmark`: each engine in a process of its own, and the fastest remembered."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

import opsin
from opsin.deciding import FROM_CARD
from opsin.errors import UsageError
from opsin.evaluation import benchmark as module
from opsin.evaluation.background import read_background
from opsin.evaluation.benchmark import benchmark
from opsin.evaluation.choose_part import choose_part
from opsin.evaluation.engine_results import EngineResult
from opsin.evaluation.intervals import estimate
from opsin.exporters.export import export
from opsin.exporters.verify import verify
from opsin.features.embedders import open_embedder
from opsin.runtimes import engines


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    return shutil.copytree(tiny_run, tmp_path_factory.mktemp("benchmark") / "run")


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    own = shutil.copytree(tiny_run, tmp_path_factory.mktemp("exported") / "run")
    export(opsin.Classifier.open(own, "litert"), format="onnx")
    return own


def result(engine, speed, agreement=1.0):
    return EngineResult(engine, 1.0, 1.0, 1.0, 1.0, speed, None, agreement, estimate(9, 10))


def test_an_engine_is_measured_on_labelled_pictures_and_an_export_is_made_where_there_is_none(run, tiny_data, cache):
    data = opsin.ImageDataset.open(tiny_data)

    found = benchmark(run, data, engines=["litert", "onnx"], seconds=0.05)

    assert {one.engine for one in found.results} == {"litert", "onnx"}
    assert not found.left_out
    assert (run / "exports" / "onnx" / "opsin.json").is_file()
    expected = opsin.evaluate(opsin.Classifier.open(run, "litert"), data).accuracy.value
    for one in found.results:
        assert one.accuracy.value == pytest.approx(expected)
        assert one.agreement == 1.0
        assert one.latency_ms <= one.latency_p95_ms
        assert 0 < one.latency_ms < 1000
        assert one.pictures_per_second > 1
        assert one.megabytes > 0.001
    assert found.pictures == 72
    json.dumps(found.to_dict())


def test_an_engine_that_is_not_installed_is_left_out_with_its_install_line(run, tiny_data, cache, monkeypatch):
    monkeypatch.setitem(module.PACKAGES, "openvino", ("no_such_package",))
    monkeypatch.setitem(opsin.catalog.EXTRAS, "no_such_package", "openvino")

    found = benchmark(run, opsin.ImageDataset.open(tiny_data), engines=["litert", "openvino"], seconds=0.01)

    assert [one.engine for one in found.results] == ["litert"]
    assert "pip install 'opsin[openvino]'" in found.left_out["openvino"]


def test_an_unknown_engine_and_an_export_are_refused(run, tiny_data, cache):
    data = opsin.ImageDataset.open(tiny_data)
    with pytest.raises(UsageError, match="Did you mean 'litert'"):
        benchmark(run, data, engines=["litter"])

    exported = export(opsin.Classifier.open(run), format="litert")
    with pytest.raises(UsageError, match="is an export"):
        benchmark(exported.folder, data, engines=["litert"])


def test_the_fastest_of_those_that_start_quickly_and_keep_the_answers_wins():
    results = [result("litert-int8", 400, 0.98), result("keras", 300), result("openvino", 200), result("litert", 100)]

    winner, reason = module._choose(results)

    assert winner == "openvino"
    assert "litert-int8 is 2.0 times as fast and says the same of 98.0% of the pictures" in reason


def test_an_engine_that_is_hardly_faster_does_not_take_the_place_of_litert():
    assert module._choose([result("onnx", 102), result("litert", 100)])[0] == "litert"


def test_what_is_remembered_is_what_prediction_takes_while_it_is_there(run, cache):
    model = opsin.Classifier.open(run, "litert")
    export(model, format="onnx")

    engines.remember_engine(model.card.sha256, "onnx")

    assert opsin.Classifier.open(run).card.artefact.format == "onnx"
    assert opsin.Classifier.open(run, "litert").card.artefact is None
    picture = np.zeros((24, 24, 3), np.uint8)
    np.testing.assert_allclose(
        opsin.Classifier.open(run).predict(picture).probabilities, model.predict(picture).probabilities, atol=1e-4
    )
    (run / "exports" / "onnx" / "opsin.json").unlink()
    assert opsin.Classifier.open(run).card.artefact is None


class TestWhereAnExportIsFastest:
    """What wants the model itself, its run or its gradients finds them all the same."""

    @pytest.fixture
    def fastest(self, exported, cache):
        model = opsin.Classifier.open(exported, "litert")
        engines.remember_engine(model.card.sha256, "onnx")
        opened = opsin.Classifier.open(exported)
        assert opened.card.artefact.format == "onnx"
        return opened

    def test_it_is_judged_on_what_it_never_saw(self, fastest, tiny_data):
        part = choose_part(fastest, opsin.ImageDataset.open(tiny_data))

        assert part.name == "test"
        assert "the model never saw them" in part.notes[0]
        assert read_background(fastest.deciding(threshold=0.5), set()).train_counts

    def test_it_is_exported_to_other_formats(self, fastest, exported):
        made = export(fastest, format="litert")

        assert made.folder == exported / "exports" / "litert"

    def test_it_is_explained(self, fastest):
        picture = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)

        assert opsin.explain(fastest, picture).heat_map.shape == (24, 24)

    def test_it_gives_features(self, fastest, exported):
        images = np.zeros((2, 24, 24, 3), np.uint8)

        expected = open_embedder(exported).run(images)

        np.testing.assert_array_equal(open_embedder(fastest).run(images), expected)

    def test_pictures_of_other_kinds_are_told_by_the_model_whose_features_tell_their_distance(self, fastest, exported):
        opened = opsin.Classifier.open(exported, threshold=FROM_CARD)

        assert opened.card.artefact is None
        assert opened.decision.references is not None
        assert opsin.Classifier.open(exported, threshold=0.5).card.artefact.format == "onnx"
        assert opsin.Classifier.open(exported, "onnx", threshold=FROM_CARD).decision.references is None

    def test_the_model_is_what_is_saved_and_verified(self, fastest, exported, tmp_path):
        saved = fastest.save(tmp_path / "saved")

        assert (saved / "model.keras").is_file()
        assert [check.what for check in verify(exported).checks] == ["files", "golden pictures in LiteRTRuntime"]


def test_another_model_or_a_damaged_memory_remembers_nothing(cache):
    engines.remember_engine("a" * 64, "onnx")
    assert engines.recall_engine("a" * 64) == "onnx"
    assert engines.recall_engine("b" * 64) is None

    (cache / engines.FILE).write_text("{")
    assert engines.recall_engine("a" * 64) is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not count what started a process")
def test_the_peak_of_a_process_is_its_own_however_large_the_one_that_started_it_was():
    ballast = np.ones(75_000_000)

    code = "from opsin.evaluation.engine_speed import _peak_megabytes as peak; print(peak())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ballast.nbytes / 1e6 > 2 * float(found.stdout) > 20

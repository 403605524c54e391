import keras
import pytest

from opsin.architectures import build_network
from opsin.errors import ModelError
from opsin.exporters import write_model as module
from opsin.exporters.litert import convert
from opsin.exporters.write_model import write_model
from opsin.images.preprocess import Preprocess
from opsin.model_folder import ModelCard
from opsin.names import TWIN
from opsin.runtimes.litert import LiteRTRuntime

CARD = ModelCard(("a", "b", "c"), Preprocess(32, 32, color="gray"))


@pytest.fixture
def network() -> keras.Model:
    return build_network("lenet5", (32, 32, 1), 3)


def test_a_twin_that_does_not_agree_is_left_out_and_said(network, tmp_path, monkeypatch):
    other = build_network("lenet5", (32, 32, 1), 3)
    monkeypatch.setattr(module, "convert", lambda _: convert(other))

    (remark,) = write_model(tmp_path / "model", network, CARD)

    assert "differ" in remark
    assert not (tmp_path / "model" / TWIN).exists()
    assert TWIN not in ModelCard.read(tmp_path / "model").files


def _no_operation(*_):
    raise ModelError("Expected operations that LiteRT has.")


def _no_memory(*_):
    raise RuntimeError("failed to allocate tensors")


@pytest.mark.parametrize(
    ("owner", "name", "substitute", "said"),
    [
        (module, "convert", _no_operation, "operations that LiteRT has"),
        (module, "convert", lambda _: b"not a network", "cannot be opened"),
        (LiteRTRuntime, "run", _no_memory, "failed to allocate tensors"),
    ],
    ids=["converted", "opened", "run"],
)
def test_a_twin_that_cannot_be_made_is_left_out_and_the_rest_is_written(
    owner, name, substitute, said, network, tmp_path, monkeypatch
):
    monkeypatch.setattr(owner, name, substitute)

    (remark,) = write_model(tmp_path / "model", network, CARD)

    assert remark.startswith(f"{TWIN} was left out. ")
    assert said in remark
    files = ModelCard.read(tmp_path / "model").files
    assert TWIN not in files
    assert {"model.keras", "layers.json", "golden/logits.json", "golden/7.png"} <= set(files)


def test_a_network_with_silu_is_written_with_its_twin(tmp_path):
    image = keras.Input((32, 32, 1))
    x = keras.layers.Conv2D(4, 3, activation="silu")(image)
    network = keras.Model(image, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))

    assert write_model(tmp_path / "model", network, CARD) == []
    assert TWIN in ModelCard.read(tmp_path / "model").files


def test_a_network_that_was_compiled_is_saved_without_its_optimizer(network, tmp_path):
    network.compile(optimizer="adam", loss="mse")

    assert write_model(tmp_path / "model", network, CARD) == []
    assert not keras.saving.load_model(tmp_path / "model" / "model.keras").compiled


def test_a_model_of_before_is_replaced_as_a_whole(network, tmp_path):
    write_model(tmp_path / "model", network, CARD)
    (tmp_path / "model" / "leftover").touch()

    write_model(tmp_path / "model", network, CARD)

    assert not (tmp_path / "model" / "leftover").exists()


def test_a_failure_leaves_the_model_of_before(network, tmp_path, monkeypatch):
    write_model(tmp_path / "model", network, CARD)
    before = ModelCard.read(tmp_path / "model").files
    monkeypatch.setattr(module, "convert", lambda _: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        write_model(tmp_path / "model", build_network("lenet5", (32, 32, 1), 3), CARD)

    assert ModelCard.read(tmp_path / "model").files == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]

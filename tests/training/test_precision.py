import keras
import pytest

from opsin.data.dataset import ImageDataset
from opsin.images.drawing import draw_picture, save_image
from opsin.training import precision, processor, quick_layers
from opsin.training.config import TrainConfig
from opsin.training.plan import make_plan
from opsin.training.precision import quickest_precision, settle_precision
from opsin.training.processor import has_bfloat16_units


@pytest.fixture
def dataset(tmp_path):
    for number in range(4):
        path = tmp_path / "data" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(draw_picture(number, 32, 32), path)
    return ImageDataset.from_folder(tmp_path / "data")


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Make this a machine with so many GPUs and a processor with such flags."""

    def make(flags="", gpus=0):
        cpuinfo = tmp_path / "cpuinfo"
        cpuinfo.write_text(f"processor\t: 0\nflags\t\t: fpu vme{flags}\nbugs\t\t: spectre\n\nprocessor\t: 1\n")
        monkeypatch.setattr(processor, "_FLAGS", cpuinfo)
        monkeypatch.setattr(precision, "gpu_count", lambda: gpus)
        monkeypatch.setattr(quick_layers, "gpu_count", lambda: gpus)
        for name in ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA"):
            monkeypatch.delenv(name, raising=False)
        has_bfloat16_units.cache_clear()

    yield make
    has_bfloat16_units.cache_clear()


def settled(dataset, **settings):
    return settle_precision(make_plan(TrainConfig(**settings), dataset), 2).config.precision


@pytest.mark.parametrize(
    ("flags", "gpus", "architecture", "expected"),
    [
        ("", 0, "simple_cnn", "float32"),
        (" avx512_bf16 amx_int8", 0, "simple_cnn", "float32"),
        (" amx_bf16", 0, "simple_cnn", "mixed_bfloat16"),
        (" amx_bf16 avx512f", 0, "resnet20", "mixed_bfloat16"),
        (" amx_bf16", 0, "inverted_cnn", "float32"),
        (" amx_bf16", 0, "separable_cnn", "float32"),
        (" amx_bf16", 1, "simple_cnn", "mixed_float16"),
        ("", 1, "inverted_cnn", "mixed_float16"),
    ],
)
def test_networks_train_in_what_the_machine_is_quickest_in(dataset, machine, flags, gpus, architecture, expected):
    machine(flags, gpus)

    assert settled(dataset, architecture=architecture) == expected


@pytest.mark.parametrize(("flags", "expected"), [("", "float32"), (" amx_bf16", "bfloat16_products")])
def test_what_muon_trains_keeps_its_gradients_in_float32(dataset, machine, flags, expected):
    machine(flags)

    assert settled(dataset, recipe="fast") == expected
    assert settled(dataset, architecture="inverted_cnn", optimizer="muon") == expected


def test_a_precision_that_was_asked_for_stands(dataset, machine):
    machine(" amx_bf16")

    assert settled(dataset, architecture="simple_cnn", precision="float32") == "float32"


def test_convolutions_in_groups_and_in_inner_networks_count(machine):
    machine(" amx_bf16")
    image = keras.Input((8, 8, 4))
    inner = keras.Sequential([keras.Input((8, 8, 4)), keras.layers.Conv2D(4, 3, groups=2)])
    normalized = keras.layers.GroupNormalization(groups=2)(image)

    assert quickest_precision(lambda: keras.Model(image, normalized), "adamw") == "mixed_bfloat16"
    assert quickest_precision(lambda: keras.Model(image, inner(normalized)), "adamw") == "float32"


def test_where_the_processor_is_not_told_it_is_float32(machine, monkeypatch, tmp_path):
    machine()
    monkeypatch.setattr(processor, "_FLAGS", tmp_path / "nothing")

    assert not has_bfloat16_units()


@pytest.mark.parametrize(
    "setting",
    [("TF_ENABLE_ONEDNN_OPTS", "0"), ("TF_ENABLE_ONEDNN_OPTS", "False"), ("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")],
)
def test_units_that_tensorflow_is_told_not_to_use_do_not_count(machine, monkeypatch, setting):
    machine(" amx_bf16")
    assert has_bfloat16_units()
    has_bfloat16_units.cache_clear()
    monkeypatch.setenv(*setting)

    assert not has_bfloat16_units()


@pytest.mark.parametrize(
    ("last", "flags", "gpus", "expected"),
    [
        ("", " amx_bf16", 0, "float32"),
        ("", "", 1, "float32"),
        (", dtype='float32'", "", 1, "mixed_float16"),
    ],
)
def test_networks_of_ones_own_are_trained_as_they_end(dataset, machine, tmp_path, last, flags, gpus, expected):
    machine(flags, gpus)
    (tmp_path / "mine.py").write_text(
        "import keras\n"
        "def net(shape, count):\n"
        "    image = keras.Input(shape)\n"
        "    x = keras.layers.Flatten()(keras.layers.Conv2D(2, 3)(image))\n"
        f"    return keras.Model(image, keras.layers.Dense(count{last})(x))\n"
    )

    assert settled(dataset, architecture=f"{tmp_path / 'mine.py'}:net") == expected

"""Weights from files: every format fills every layer, no answer changes on the way, what does not fit is refused."""

from http.client import IncompleteRead
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError, URLError

import h5py
import keras
import numpy as np
import pytest

from opsin.architectures import build_network
from opsin.architectures import pretrained as pretrained_module
from opsin.architectures.pretrained import flatten
from opsin.architectures.weights import copy_weights, load_weights, put_weights
from opsin.errors import ModelError, UsageError

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
WAYS_OUT = (
    "Go online once (they are then kept), give a file with --weights PATH, or train from scratch with --weights none."
)


# What the tests are made of


def scramble(network, seed=0):
    """Give a network weights that no two layers share, and outputs of the size of one."""
    random = np.random.default_rng(seed)
    for weight in network.weights:
        if weight.dtype == "float32":
            several = len(weight.shape) > 1
            scale = 1 / np.sqrt(np.prod(weight.shape[:-1]))
            weight.assign(random.normal(0, scale, weight.shape) if several else random.uniform(0.5, 1.5, weight.shape))
    for layer in network.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return network


def small(prefix="", *, class_count=None, width=4, between=False):
    """Seven pixels square to five features: a layer with each kind of weights; a head if it has classes."""
    image = keras.Input((7, 7, 3), name=f"{prefix}image")
    x = keras.layers.Normalization(name=f"{prefix}colors")(image)
    x = keras.layers.Conv2D(width, 3, name=f"{prefix}conv")(x)
    x = keras.layers.BatchNormalization(name=f"{prefix}norm")(x)
    if between:
        x = keras.layers.Conv2D(width, 1, name=f"{prefix}between")(x)
    x = keras.layers.SeparableConv2D(5, 3, name=f"{prefix}separable")(x)
    x = keras.layers.GlobalAveragePooling2D(name=f"{prefix}features")(x)
    if class_count is not None:
        x = keras.layers.Dense(class_count, name=f"{prefix}logits")(x)
    return keras.Model(image, x)


def with_nested(class_count=None):
    """Two nested Sequential models, as ConvNeXt has them, and a convolution between."""
    image = keras.Input((7, 7, 3))
    stem = [keras.layers.Conv2D(4, 2, name="stem_conv"), keras.layers.BatchNormalization(name="stem_norm")]
    x = y = keras.Sequential(stem, name="stem")(image)
    y = keras.layers.Conv2D(4, 1, name="block_conv")(y)
    x = keras.layers.Add()([x, y])
    down = [keras.layers.BatchNormalization(name="down_norm"), keras.layers.Conv2D(4, 1, name="down_conv")]
    x = keras.layers.GlobalAveragePooling2D()(keras.Sequential(down, name="down")(x))
    return keras.Model(image, x if class_count is None else keras.layers.Dense(class_count, name="logits")(x))


def as_one_layer_of(network, class_count):
    """A user's classifier that has a network as one of its layers."""
    image = keras.Input(network.input_shape[1:])
    return keras.Model(image, keras.layers.Dense(class_count, name="logits")(network(image)))


def write_legacy(path, network, *, root="/", parts=1, backwards=False):
    """Write what Keras 2 wrote as `.h5`; long lists of names are in parts there."""
    with h5py.File(path, "w") as file:
        layers = network.layers[::-1] if backwards else network.layers
        group = file.require_group(root)
        set_texts(group, "layer_names", [layer.name for layer in layers], parts)
        for layer in layers:
            weights = [*layer.trainable_weights, *layer.non_trainable_weights]
            inner = group.create_group(layer.name)
            set_texts(inner, "weight_names", [f"{weight.path}:0" for weight in weights], parts)
            for weight in weights:
                inner[f"{weight.path}:0"] = keras.ops.convert_to_numpy(weight)


def set_texts(group, name, texts, parts):
    content = np.array([text.encode() for text in texts])
    for number, part in enumerate(np.array_split(content, parts)):
        group.attrs[name if parts == 1 else f"{name}{number}"] = part


def write_old_weights(path, network):
    """Write `.weights.h5` as the first versions of that format called its group."""
    network.save_weights(path)
    with h5py.File(path, "a") as file:
        file.move("layers", "_layer_checkpoint_dependencies")


FORMATS = {
    "legacy.h5": write_legacy,
    "whole.h5": lambda path, network: write_legacy(path, network, root="model_weights"),
    "parts.h5": lambda path, network: write_legacy(path, network, parts=3),
    "keras3.weights.h5": lambda path, network: network.save_weights(path),
    "keras2.weights.h5": write_old_weights,
    "network.keras": lambda path, network: network.save(path),
}


@pytest.fixture(params=FORMATS)
def save(request, tmp_path):
    """Write a network in one of the formats: `save(network)` gives the file's path."""

    def write(network):
        FORMATS[request.param](tmp_path / request.param, network)
        return tmp_path / request.param

    return write


def assert_same_weights(network, other):
    for weight, expected in zip(network.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def features_of(network, images=IMAGES):
    return keras.Model(network.input, network.get_layer("features").output)(images)


# Every format


def test_a_file_fills_every_layer_and_the_network_answers_as_the_one_that_was_saved(save):
    source, target = scramble(small()), small()

    assert load_weights(target, save(source), called="small") == ""

    assert_same_weights(target, source)
    images = IMAGES[:, :7, :7]
    np.testing.assert_array_equal(target(images), source(images))


def test_where_names_differ_layers_are_matched_by_their_order(save):
    source, target = scramble(small("a_")), small("b_")
    assert load_weights(target, save(source), called="small") == ""
    assert_same_weights(target, source)


def test_where_names_agree_the_order_does_not_matter(tmp_path):
    source, target = scramble(small()), small()
    write_legacy(tmp_path / "backwards.h5", source, backwards=True)
    assert load_weights(target, tmp_path / "backwards.h5", called="small") == ""
    assert_same_weights(target, source)


@pytest.mark.parametrize("prefix", ["", "other_"])
def test_a_head_is_left_out_and_that_is_said(save, prefix):
    source, target = scramble(small(prefix, class_count=3)), small()
    path = save(source)

    remark = load_weights(target, path, called="small")

    # .weights.h5 knows only what kind of layer it was.
    head = "dense" if path.name.endswith(".weights.h5") else f"{prefix}logits"
    assert remark == f"Left out of {path.name!r}, since it comes after the features: {head}."
    assert_same_weights(target, keras.Model(source.input, source.get_layer(f"{prefix}features").output))


@pytest.mark.parametrize("name", ["keras3.weights.h5", "network.keras"])
def test_a_network_that_was_one_layer_of_a_classifier_is_found_in_it(tmp_path, name):
    source, target = scramble(small()), small()
    FORMATS[name](tmp_path / name, as_one_layer_of(source, 3))

    remark = load_weights(target, tmp_path / name, called="small")

    assert_same_weights(target, source)
    head = "logits" if name.endswith(".keras") else "dense"
    assert remark == f"Left out of {name!r}, since it comes after the features: {head}."


@pytest.mark.parametrize("flat", [False, True])
def test_nested_layers_are_filled_from_a_network_that_has_them_nested_or_flat(save, flat):
    """The published files of ConvNeXt have them nested, Opsin's own networks flat."""
    nested, target = scramble(with_nested(class_count=3)), with_nested()
    path = save(flatten(nested) if flat else nested)

    remark = load_weights(target, path, called="nested")

    assert_same_weights(target, keras.Model(nested.input, nested.layers[-2].output))
    assert remark.endswith((": logits.", ": dense."))


# What does not fit


def test_weights_of_another_width_are_refused_with_the_first_layer_and_both_shapes(tmp_path):
    source, target = small("wide_", width=8), small()
    write_legacy(tmp_path / "wide.h5", source)

    with pytest.raises(ModelError) as caught:
        load_weights(target, tmp_path / "wide.h5", called="small")

    assert str(caught.value) == (
        f"Expected the weights of small; those in {str(tmp_path / 'wide.h5')!r} are of another network or width: "
        "layer 2 with weights, 'conv', has the shapes [(3, 3, 3, 4), (4,)], the file's 'wide_conv' "
        "[(3, 3, 3, 8), (8,)]. Give the weights of this architecture (--weights), or the architecture of these weights "
        "(--arch)."
    )


def test_weights_of_another_width_are_refused_in_every_format_and_change_nothing(save):
    target = scramble(small())
    before = target.get_weights()
    with pytest.raises(ModelError, match=r"'conv', has the shapes \[\(3, 3, 3, 4\), \(4,\)\].* \[\(3, 3, 3, 8\), \(8,"):
        load_weights(target, save(small(width=8)), called="small")
    for weight, expected in zip(target.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_weights_of_a_shorter_network_are_refused_with_the_layer_that_has_none(save):
    source, target = small(), small(class_count=3)
    path = save(source)

    with pytest.raises(ModelError) as caught:
        load_weights(target, path, called="small")

    assert str(caught.value) == (
        f"Expected the weights of small, which has 5 layers with weights; {str(path)!r} has 4: there are none for "
        "'logits'. Give the weights of this architecture (--weights), or the architecture of these weights (--arch)."
    )


@pytest.mark.parametrize("name", ["legacy.h5", "network.keras"])
def test_weights_of_a_deeper_network_that_has_all_the_names_are_refused(tmp_path, name):
    """VGG19 has the names and shapes of all layers of VGG16, ResNet-101 those of ResNet-50."""
    FORMATS[name](tmp_path / name, small(between=True))

    with pytest.raises(ModelError) as caught:
        load_weights(small(), tmp_path / name, called="small")

    assert str(caught.value) == (
        f"Expected the weights of small; those in {str(tmp_path / name)!r} are of another network: 'between', which "
        "small does not have, comes before the last of its layers there. Give the weights of this architecture "
        "(--weights), or the architecture of these weights (--arch)."
    )


# Files that cannot be read


@pytest.mark.parametrize("left", [0.0, 0.5, 0.99])
def test_a_file_that_was_cut_short_is_said_to_be(save, left):
    path = save(small())
    path.write_bytes(path.read_bytes()[: int(left * path.stat().st_size)])
    with pytest.raises(ModelError) as caught:
        load_weights(small(), path, called="small")
    start = f"Expected weights, a .h5, .weights.h5 or .keras file; {str(path)!r} cannot be read: "
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith(
        ". It may be cut short: compare its size with where it comes from, and fetch it again."
    )


@pytest.mark.parametrize("name", ["page.h5", "page.weights.h5", "page.keras", "page"])
def test_a_file_that_is_something_else_cannot_be_read(tmp_path, name):
    (tmp_path / name).write_text("<!DOCTYPE html><title>Log in</title>")
    with pytest.raises(ModelError, match="cannot be read"):
        load_weights(small(), tmp_path / name, called="small")


@pytest.mark.parametrize(("content", "named"), [(["images", "labels"], "images, labels"), ([], "nothing")])
def test_a_file_of_other_data_says_what_it_holds(tmp_path, content, named):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        for name in content:
            file[name] = np.zeros(3)
    with pytest.raises(ModelError, match=f"cannot be read: it holds {named}, and no layers"):
        load_weights(small(), tmp_path / "data.h5", called="small")


@pytest.mark.parametrize("name", ["", "missing.h5"], ids=["a folder", "nothing"])
def test_where_there_is_no_file_the_path_is_named(tmp_path, name):
    with pytest.raises(UsageError) as caught:
        load_weights(small(), tmp_path / name, called="small")
    assert str(caught.value) == (
        f"Expected weights, a .h5, .weights.h5 or .keras file; there is none at {str(tmp_path / name)!r}. "
        "Check the path."
    )


# Without a file


def test_a_normalization_works_with_the_numbers_that_it_is_given():
    layer = keras.layers.Normalization()
    layer.build((None, 2))
    put_weights(layer, [np.array([10.0, 20.0]), np.array([4.0, 25.0]), np.array(0)])
    np.testing.assert_allclose(layer(np.array([[12.0, 10.0]], dtype="float32")), [[1, -2]], rtol=1e-6)


@pytest.mark.parametrize("build", [small, with_nested])
def test_weights_are_copied_from_network_to_network(build):
    source, target = scramble(build()), build()
    copy_weights(source, target)
    assert_same_weights(target, source)
    images = IMAGES[:, :7, :7]
    np.testing.assert_array_equal(target(images), source(images))


# Networks of the catalogue


@pytest.fixture(scope="module")
def mobilenet():
    """MobileNet of keras.applications as it was published: with a head of 1000 classes."""
    return scramble(keras.applications.MobileNet(weights=None, input_shape=(32, 32, 3), alpha=0.25))


def own_features(mobilenet):
    """What Keras's own network makes of `IMAGES`: the features come before its head."""
    pooled = next(layer for layer in mobilenet.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D))
    return keras.Model(mobilenet.input, pooled.output)(IMAGES / 127.5 - 1)[:, 0, 0]


@pytest.mark.parametrize("name", ["legacy.h5", "keras3.weights.h5", "network.keras"])
def test_a_network_with_kerass_weights_has_kerass_features_and_a_head_of_its_own(mobilenet, tmp_path, name):
    FORMATS[name](tmp_path / name, mobilenet)
    said = []

    network = build_network("mobilenet_0.25", (32, 32, 3), 3, weights=str(tmp_path / name), say=said.append)

    np.testing.assert_allclose(features_of(network), own_features(mobilenet), rtol=1e-5, atol=1e-5)
    assert network.output_shape == (None, 3)
    head = "conv2d_14" if name.endswith(".weights.h5") else "conv_preds"
    assert said == [f"Left out of {name!r}, since it comes after the features: {head}."]


def test_weights_of_another_width_name_the_architecture_with_its_width(mobilenet, tmp_path):
    write_legacy(tmp_path / "quarter.h5", mobilenet)
    with pytest.raises(ModelError, match=r"^Expected the weights of MobileNet_0\.5; .* 'conv1', has the shapes"):
        build_network("mobilenet_0.5", (32, 32, 3), 3, weights=str(tmp_path / "quarter.h5"))


def test_a_network_of_our_own_takes_a_file_up_to_its_features(tmp_path):
    source = scramble(build_network("simple_cnn", (24, 24, 3), 3))
    source.save(tmp_path / "run.keras")
    said = []

    network = build_network("simple_cnn", (24, 24, 3), 5, weights=str(tmp_path / "run.keras"), say=said.append)

    images = IMAGES[:, :24, :24]
    np.testing.assert_array_equal(features_of(network, images), features_of(source, images))
    assert network.output_shape == (None, 5)
    assert said == ["Left out of 'run.keras', since it comes after the features: logits."]


def test_with_random_weights_nothing_is_said():
    build_network("simple_cnn", (24, 24, 3), 2, say=pytest.fail)


def test_a_network_that_nobody_published_has_no_imagenet_weights():
    with pytest.raises(UsageError) as caught:
        build_network("simple_cnn", (24, 24, 3), 2, weights="imagenet")
    assert str(caught.value) == (
        "Expected an architecture of keras.applications for the weights 'imagenet'; received simple_cnn. Give a file "
        "with --weights PATH, or train from scratch with --weights none."
    )


def test_with_weights_a_wide_head_gives_way_to_a_pooled_one(monkeypatch):
    monkeypatch.setattr(pretrained_module, "load_weights", lambda network, path, called: "")
    network = build_network("vgg16", (32, 32, 3), 2, weights="vgg16.h5")
    # FACTS.md: VGG16 without its head; 512 features and a bias for each of two classes.
    assert network.count_params() == 14_714_688 + 2 * 513


# Published weights


DEFAULT_SIZE = pytest.mark.filterwarnings("ignore:.*Weights for input shape:UserWarning")


@pytest.fixture
def keras_home(monkeypatch, tmp_path):
    """An empty folder of Keras's downloads, without a connection; patch `fetch` for another server."""
    server = SimpleNamespace(folder=tmp_path / "models", fetch=refuse(URLError("no route to host")))
    server.folder.mkdir()
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", lambda *arguments: server.fetch(*arguments))
    return server


def refuse(error):
    def fetch(*arguments):
        raise error

    return fetch


@DEFAULT_SIZE
def test_published_weights_that_keras_has_downloaded_are_used_without_a_connection(mobilenet, keras_home):
    headless = keras.applications.MobileNet(weights=None, include_top=False, input_shape=(32, 32, 3), alpha=0.25)
    headless.set_weights(mobilenet.get_weights()[: len(headless.weights)])
    write_legacy(keras_home.folder / "mobilenet_2_5_224_tf_no_top.h5", headless)

    network = build_network("mobilenet_0.25", (32, 32, 3), 3, weights="imagenet", say=pytest.fail)

    np.testing.assert_allclose(features_of(network), own_features(mobilenet), rtol=1e-5, atol=1e-5)


@DEFAULT_SIZE
@pytest.mark.parametrize(
    "error",
    [
        URLError("no route to host"),
        HTTPError("https://storage.googleapis.com", 503, "Service Unavailable", None, None),
        ConnectionResetError("reset by peer"),
        IncompleteRead(b"half"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_download_that_fails_names_the_ways_out(keras_home, capsys, error):
    keras_home.fetch = refuse(error)

    with pytest.raises(ModelError) as caught:
        build_network("mobilenet_0.25", (32, 32, 3), 2, weights="imagenet")

    start = "Expected to have, or to be able to download, the ImageNet weights of MobileNet: "
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith(f". {WAYS_OUT}")
    assert capsys.readouterr().out == ""


@DEFAULT_SIZE
def test_a_download_that_arrives_damaged_names_the_ways_out(keras_home):
    keras_home.fetch = lambda origin, path, *rest: Path(path).write_text("<title>Log in</title>")
    with pytest.raises(ModelError, match=r"weights of MobileNetV3Small: Incomplete or corrupted file.*Go online once"):
        build_network("mobilenet_v3_small", (32, 32, 3), 2, weights="imagenet")


@DEFAULT_SIZE
def test_our_own_bugs_are_not_taken_for_a_failed_download(keras_home):
    keras_home.fetch = refuse(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        build_network("mobilenet_0.25", (32, 32, 3), 2, weights="imagenet")


# EfficientNet, whose published weights need their pictures scaled once more

MEAN = np.array([0.485, 0.456, 0.406], "float32")
DEVIATION = np.array([0.229, 0.224, 0.225], "float32")


def with_published_colors(network):
    (normalization,) = (layer for layer in network.layers if isinstance(layer, keras.layers.Normalization))
    normalization.set_weights([MEAN, DEVIATION**2, np.array(0)])
    normalization.finalize_state()
    return network


@pytest.fixture(scope="module")
def efficientnet(tmp_path_factory):
    """A file as published, and what keras.applications itself makes of `IMAGES` when it has downloaded it."""
    home = tmp_path_factory.mktemp("keras")
    path = home / "models" / "efficientnetb0_notop.h5"
    path.parent.mkdir()
    options = {"include_top": False, "input_shape": (32, 32, 3), "pooling": "avg"}
    keras.utils.set_random_seed(0)
    published = with_published_colors(keras.applications.EfficientNetB0(weights=None, **options))
    write_legacy(path, published)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras.src.backend.config._KERAS_DIR", str(home))
        # Keras knows the checksum of the real file.
        patch.setattr("keras.src.utils.file_utils.validate_file", lambda *arguments, **options: True)
        patch.setattr("keras.src.utils.file_utils.urlretrieve", refuse(URLError("no network in tests")))
        downloaded = np.asarray(keras.applications.EfficientNetB0(weights="imagenet", **options)(IMAGES))
        # Without Keras's extra layer the answers are others: a network that misses the scaling would be noticed.
        assert np.abs(downloaded - published(IMAGES)).mean() > 0.2 * downloaded.std()
        yield SimpleNamespace(path=path, features=downloaded)


@pytest.mark.parametrize("download", [False, True], ids=["file", "imagenet"])
def test_efficientnet_with_published_weights_answers_as_the_one_that_keras_downloads(efficientnet, download):
    weights = "imagenet" if download else str(efficientnet.path)
    network = build_network("efficientnet_b0", (32, 32, 3), 2, weights=weights, say=pytest.fail)
    # Networks that nobody trained answer in millionths.
    size = efficientnet.features.std()
    np.testing.assert_allclose(features_of(network) / size, efficientnet.features / size, rtol=1e-3, atol=1e-3)


@pytest.fixture
def colors_only(monkeypatch):
    """In the place of EfficientNet-B0: the layers before its first convolution, whose answers paper can give."""

    def build(weights, include_top, input_tensor, pooling):
        x = keras.layers.Normalization()(keras.layers.Rescaling(1 / 255)(input_tensor))
        return keras.Model(input_tensor, x)

    monkeypatch.setattr(keras.applications, "EfficientNetB0", build)
    return build(None, False, keras.Input((32, 32, 3)), None)


@pytest.mark.parametrize("name", ["legacy.h5", "keras3.weights.h5", "network.keras"])
def test_efficientnet_that_was_scaled_already_is_not_scaled_a_second_time(colors_only, tmp_path, name):
    write_legacy(tmp_path / "published.h5", with_published_colors(colors_only))
    network = build_network("efficientnet_b0", (32, 32, 3), 2, weights=str(tmp_path / "published.h5"))
    FORMATS[name](tmp_path / name, network)

    again = build_network("efficientnet_b0", (32, 32, 3), 4, weights=str(tmp_path / name))

    on_paper = (IMAGES.mean((1, 2)) / 255 - MEAN) / DEVIATION / np.sqrt(DEVIATION)
    np.testing.assert_allclose(features_of(network), on_paper, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(features_of(again), features_of(network))


def test_efficientnet_that_never_saw_the_published_weights_is_not_scaled(colors_only, tmp_path):
    network = build_network("efficientnet_b0", (32, 32, 3), 2)
    network.save(tmp_path / "run.keras")

    again = build_network("efficientnet_b0", (32, 32, 3), 2, weights=str(tmp_path / "run.keras"))

    np.testing.assert_allclose(features_of(again), IMAGES.mean((1, 2)) / 255, rtol=1e-4)


def test_a_network_that_brings_code_along_is_not_opened_for_its_weights(tmp_path):
    image = keras.Input((8, 8, 3))
    network = keras.Model(image, keras.layers.Dense(2)(image))
    keras.Model(image, keras.layers.Lambda(lambda x: x * 2)(image)).save(tmp_path / "code.keras")

    with pytest.raises(ModelError, match="Lambda"):
        load_weights(network, tmp_path / "code.keras", called="small")

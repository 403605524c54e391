"""Which file holds which network's weights: by Keras's own names, by ours, and what is said where there is none."""

from pathlib import Path

import pytest

from opsin.architectures import ARCHITECTURES
from opsin.architectures.weight_files import architectures_of, find_weights, keras_folder, resolve_weights
from opsin.errors import ModelError, UsageError

PUBLISHED = {
    "mobilenet_1_0_224_tf_no_top.h5": "mobilenet",
    "mobilenet_7_5_224_tf_no_top.h5": "mobilenet_0.75",
    "mobilenet_5_0_128_tf_no_top.h5": "mobilenet_0.5",
    "mobilenet_2_5_224_tf.h5": "mobilenet_0.25",
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5": "mobilenet_v2",
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5": "mobilenet_v2_0.35",
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.4_224.h5": "mobilenet_v2_1.4",
    "mobilenet_v2_1.0_224_no_top.h5": "mobilenet_v2",
    "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5": "mobilenet_v3_small",
    "weights_mobilenet_v3_small_224_0.75_float_no_top_v2.h5": "mobilenet_v3_small_0.75",
    "weights_mobilenet_v3_large_224_1.0_float.h5": "mobilenet_v3_large",
    "efficientnetb0_notop.h5": "efficientnet_b0",
    "efficientnetb7.h5": "efficientnet_b7",
    "efficientnetv2-b0_notop.h5": "efficientnet_v2_b0",
    "efficientnetv2-l_notop.h5": "efficientnet_v2_l",
    "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5": "resnet50",
    "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5": "resnet50_v2",
    "resnet101_weights_tf_dim_ordering_tf_kernels.h5": "resnet101",
    "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5": "densenet121",
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5": "vgg16",
    "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5": "inception_v3",
    "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5": "inception_resnet_v2",
    "xception_weights_tf_dim_ordering_tf_kernels_notop.h5": "xception",
    "NASNet-mobile-no-top.h5": "nasnet_mobile",
    "nasnet_large_no_top.h5": "nasnet_large",
    "convnext_tiny_notop.h5": "convnext_tiny",
    "convnext_xlarge.h5": "convnext_xlarge",
}


def everything_found(folder):
    """The names of the files that are found, by architecture."""
    found = {name: find_weights(folder, name, ARCHITECTURES) for name in ARCHITECTURES}
    return {name: path.name for name, path in found.items() if path is not None}


# Finding


@pytest.mark.parametrize("file_name", PUBLISHED)
def test_a_published_file_belongs_to_its_own_network_and_to_no_other(tmp_path, file_name):
    (tmp_path / file_name).touch()
    assert everything_found(tmp_path) == {PUBLISHED[file_name]: file_name}


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras", "_flowers.keras"])
def test_among_files_that_are_named_after_architectures_each_finds_its_own(tmp_path, suffix):
    for name in ARCHITECTURES:
        (tmp_path / f"{name}{suffix}").touch()
    assert everything_found(tmp_path) == {name: f"{name}{suffix}" for name in ARCHITECTURES}


@pytest.mark.parametrize("headless", ["resnet50_notop.h5", "resnet50_no_top.h5", "resnet50-no-top.h5"])
def test_weights_without_a_head_come_first(tmp_path, headless):
    for file_name in ("resnet50.h5", "resnet50_a.h5", headless, "resnet50_z.keras"):
        (tmp_path / file_name).touch()
    assert everything_found(tmp_path) == {"resnet50": headless}


def test_of_files_that_fit_equally_the_first_by_name_is_taken_every_time(tmp_path):
    for file_name in ("vgg16_b.h5", "vgg16_c.h5", "vgg16_a.h5"):
        (tmp_path / file_name).touch()
    assert everything_found(tmp_path) == {"vgg16": "vgg16_a.h5"}


def test_other_files_and_folders_within_are_not_looked_into(tmp_path):
    (tmp_path / "resnet50").mkdir()
    for file_name in ("resnet50.json", "resnet50.h5.part", "resnet50/resnet50.h5", "my_resnet50.h5", "notes.h5"):
        (tmp_path / file_name).touch()
    assert everything_found(tmp_path) == {}


def test_where_there_is_no_folder_nothing_is_found(tmp_path):
    assert find_weights(tmp_path / "models", "resnet50", ARCHITECTURES) is None


@pytest.mark.parametrize("file_name", [*PUBLISHED, "mobilenet_0.25.keras"])
def test_a_files_name_says_whose_weights_it_holds_and_a_folder_whose_all_its_files_do(tmp_path, file_name):
    owner = PUBLISHED.get(file_name, "mobilenet_0.25")
    for name in (file_name, "vgg19.h5", "notes.h5"):
        (tmp_path / name).touch()
    assert architectures_of(tmp_path / file_name, ARCHITECTURES) == [owner]
    assert sorted(architectures_of(str(tmp_path), ARCHITECTURES)) == sorted([owner, "vgg19"])
    assert architectures_of(tmp_path / "notes.h5", ARCHITECTURES) == []


# Where Keras keeps them


def test_kerass_folder_is_where_its_environment_says_and_otherwise_at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "own"))
    assert keras_folder() == tmp_path / "own" / "models"
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert keras_folder() == tmp_path / ".keras" / "models"


# What the user asks for


@pytest.fixture
def downloaded(monkeypatch, tmp_path):
    """Keras's folder, still empty."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "keras" / "models").mkdir(parents=True)
    return tmp_path / "keras" / "models"


def resolve(weights, name="mobilenet_v2_0.35", **options):
    return resolve_weights(str(weights), name, ARCHITECTURES, **options)


@pytest.mark.parametrize("offline", [False, True])
def test_none_is_random_weights(offline):
    assert resolve("none", offline=offline) is None


def test_online_published_weights_are_left_to_keras_to_find(downloaded):
    (downloaded / "mobilenet_v2_0.35_224_no_top.h5").touch()
    assert resolve("imagenet") == "imagenet"


def test_offline_published_weights_are_the_file_that_was_downloaded(downloaded):
    for width in ("0.35", "0.5", "1.0"):
        kept = downloaded / f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{width}_224_no_top.h5"
        kept.touch()
    assert resolve("imagenet", offline=True) == str(kept).replace("1.0", "0.35")


def test_offline_without_a_download_the_ways_out_are_named(downloaded):
    (downloaded / "mobilenet_v2_1.0_224_no_top.h5").touch()
    with pytest.raises(ModelError) as caught:
        resolve("imagenet", offline=True)
    assert str(caught.value) == (
        "Expected the ImageNet weights of mobilenet_v2_0.35 on this machine, as --offline says; there are none in "
        f"{str(downloaded)!r}. Go online once (they are then kept), give a file with --weights PATH, or train from "
        "scratch with --weights none."
    )


@pytest.mark.parametrize("file_name", ["mine.h5", "mine.weights.h5", "resnet50.keras", "no_suffix"])
def test_a_file_is_taken_whatever_it_is_called(tmp_path, file_name):
    (tmp_path / file_name).touch()
    assert resolve(tmp_path / file_name, offline=True) == str(tmp_path / file_name)


def test_of_a_folder_the_file_of_the_architecture_is_taken(tmp_path):
    for file_name in ("mobilenet_v2_0.35.weights.h5", "mobilenet_v2.weights.h5", "mobilenet_0.5.keras"):
        (tmp_path / file_name).touch()
    assert resolve(tmp_path) == str(tmp_path / "mobilenet_v2_0.35.weights.h5")


@pytest.mark.parametrize(
    ("file_names", "there"),
    [
        (["mobilenet_v2.h5", "vgg16_notop.h5", "notes.txt"], "mobilenet_v2, vgg16"),
        (["notes.txt"], "no architecture"),
    ],
)
def test_a_folder_without_the_architecture_says_whose_weights_it_has(tmp_path, file_names, there):
    for file_name in file_names:
        Path(tmp_path / file_name).touch()
    with pytest.raises(UsageError) as caught:
        resolve(tmp_path)
    assert str(caught.value) == (
        f"Expected weights of mobilenet_v2_0.35 in the folder {str(tmp_path)!r}, in a file that is named after it; "
        f"there are those of {there}. Give the file itself, or another --arch."
    )


def test_a_path_where_nothing_is_says_what_is_taken(tmp_path):
    with pytest.raises(UsageError) as caught:
        resolve(tmp_path / "imagnet")
    assert str(caught.value) == (
        "Expected none, imagenet, or a file or folder of weights; there is nothing at "
        f"{str(tmp_path / 'imagnet')!r}. Check the path."
    )

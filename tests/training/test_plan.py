from pathlib import Path

import keras
import pytest

from opsin.data.dataset import ImageDataset
from opsin.data.readers import Entry, Listing
from opsin.errors import DataError, ModelError, UsageError
from opsin.images.drawing import draw_picture, save_image
from opsin.training.config import TrainConfig
from opsin.training.plan import make_plan, settings_of, weigh_classes
from opsin.training.precision import settle_precision


@pytest.fixture
def dataset_of(tmp_path):
    def make(height: int, width: int) -> ImageDataset:
        for number in range(4):
            path = tmp_path / f"class{number % 2}" / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            save_image(draw_picture(number, height, width), path)
        return ImageDataset.from_folder(tmp_path)

    return make


def labelled(labels: list[int], class_count: int) -> ImageDataset:
    entries = tuple(Entry(f"{number}.png", f"class{label}") for number, label in enumerate(labels))
    return ImageDataset(Listing(Path(), entries, tuple(f"class{i}" for i in range(class_count)), ()))


def test_small_pictures_keep_their_size(dataset_of):
    plan = make_plan(TrainConfig(), dataset_of(28, 40))

    assert plan.config.architecture == "cifar_cnn"
    assert plan.preprocess.shape == (40, 40, 3)


def test_photos_get_a_pretrained_network_in_the_size_it_was_drawn_for(dataset_of):
    plan = make_plan(TrainConfig(), dataset_of(300, 200))

    assert (plan.config.architecture, plan.weights, plan.preprocess.shape) == (
        "mobilenet_v2",
        "imagenet",
        (224, 224, 3),
    )


def test_photos_without_pretrained_weights_are_made_small_and_trained_from_scratch(dataset_of):
    plan = make_plan(TrainConfig(weights="none"), dataset_of(300, 200))

    assert (plan.config.architecture, plan.weights, plan.preprocess.shape) == ("cifar_cnn", None, (64, 64, 3))


def test_an_architecture_brings_its_own_size_and_colour(dataset_of):
    assert make_plan(TrainConfig(architecture="lenet5"), dataset_of(300, 200)).preprocess.shape == (32, 32, 1)


def test_what_the_user_says_stands(dataset_of):
    settings = TrainConfig(architecture="lenet5", image_size=48, color="rgb", fit="crop", learning_rate=0.5)

    plan = make_plan(settings, dataset_of(30, 30))

    assert (plan.preprocess.shape, plan.preprocess.fit) == ((48, 48, 3), "crop")
    assert plan.config.learning_rate == 0.5


def test_a_users_network_decides_size_and_colour(dataset_of):
    network = keras.Sequential([keras.Input((20, 30, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])

    assert make_plan(TrainConfig(), dataset_of(64, 64), network).preprocess.shape == (20, 30, 1)


def test_a_network_and_an_architecture_are_too_much(dataset_of):
    network = keras.Sequential([keras.Input((20, 30, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])

    with pytest.raises(UsageError, match="Leave one of them out"):
        make_plan(TrainConfig(architecture="lenet5"), dataset_of(64, 64), network)


def test_settings_of_a_network_that_was_given_need_it_again(dataset_of):
    with pytest.raises(UsageError, match="model=YOUR_NETWORK"):
        make_plan(TrainConfig(architecture="own"), dataset_of(64, 64))


def test_a_plan_leaves_nothing_open(dataset_of):
    settings = settle_precision(make_plan(TrainConfig(), dataset_of(28, 28)), 2).config

    assert settings.learning_rate == 1e-3
    assert "auto" not in (settings.architecture, settings.weights, settings.color, settings.augment, settings.precision)
    assert make_plan(settings, dataset_of(28, 28)).config == settings


def test_imbalanced_classes_weigh_against_their_frequency_and_average_to_one():
    dataset = labelled([0] * 6 + [1] * 2, 2)

    weights = weigh_classes(TrainConfig(), dataset)

    assert weights.tolist() == [8 / (2 * 6), 8 / (2 * 2)]
    assert weights[dataset.labels].mean() == pytest.approx(1.0)


def test_classes_in_balance_or_without_weights_all_weigh_one():
    assert weigh_classes(TrainConfig(), labelled([0, 0, 0, 0, 1, 1, 1], 2)).tolist() == [1, 1]
    assert weigh_classes(TrainConfig(class_weights="none"), labelled([0] * 9 + [1], 2)).tolist() == [1, 1]


def test_a_class_without_training_pictures_is_an_error():
    with pytest.raises(DataError, match="none that can be read of 'class1'"):
        weigh_classes(TrainConfig(), labelled([0, 0, 2], 3))


@pytest.fixture
def weights_folder(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("mobilenet_v2_1.0_224_no_top.h5", "mobilenet_v2_0.35_224_no_top.h5", "resnet50_notop.h5"):
        (folder / name).touch()
    return folder


def test_a_folder_of_weights_offers_the_usual_network_and_under_a_budget_the_cheapest(dataset_of, weights_folder):
    settings = TrainConfig(weights=str(weights_folder))

    assert make_plan(settings, dataset_of(300, 200)).weights.endswith("mobilenet_v2_1.0_224_no_top.h5")
    assert make_plan(settings.replace(budget="5m"), dataset_of(300, 200)).weights.endswith("v2_0.35_224_no_top.h5")


def test_small_pictures_are_trained_from_scratch_under_a_budget_too(dataset_of):
    assert make_plan(TrainConfig(budget="5m"), dataset_of(28, 28)).config.architecture == "cifar_cnn"


def test_under_a_budget_the_settings_keep_the_architecture_open(dataset_of, weights_folder):
    settings = TrainConfig(weights=str(weights_folder), budget="5m")

    known = settings_of(make_plan(settings, dataset_of(300, 200)), settings)

    assert (known.architecture, known.image_size) == ("auto", None)


def test_weights_that_are_not_there_are_said_before_their_name_is_read(dataset_of, tmp_path):
    with pytest.raises(UsageError, match="there is nothing at"):
        make_plan(TrainConfig(weights=str(tmp_path / "nothing.h5")), dataset_of(300, 200))


def test_weights_whose_name_says_nothing_need_an_architecture(dataset_of, tmp_path):
    (tmp_path / "mine.h5").touch()

    with pytest.raises(UsageError, match="Give it with --arch"):
        make_plan(TrainConfig(weights=str(tmp_path / "mine.h5")), dataset_of(300, 200))


@pytest.mark.parametrize("setting", [{"unfreeze_blocks": 1}, {"unfreeze": "all"}, {"head": "dense"}, {"views": 2}])
def test_settings_of_pretrained_weights_are_refused_from_scratch(dataset_of, setting):
    with pytest.raises(UsageError, match=f"Expected {next(iter(setting))} only with pretrained weights"):
        make_plan(TrainConfig(weights="none", **setting), dataset_of(30, 30))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("start_size", 96),
        ("whiten", True),
        ("identity_init", True),
        ("activation", "gelu"),
        ("norm_momentum", 0.9),
        ("logit_scale", 0.5),
        ("bias_rate", 8.0),
        ("momentum", 0.5),
    ],
)
def test_settings_of_training_from_scratch_are_refused_with_pretrained_weights(
    dataset_of, weights_folder, setting, value
):
    settings = TrainConfig(weights=str(weights_folder), **{setting: value})

    with pytest.raises(UsageError, match=rf"Expected {setting} only .* from scratch.* --weights none"):
        make_plan(settings, dataset_of(300, 200))


def test_the_settings_that_a_run_on_pretrained_weights_wrote_can_be_given_again(dataset_of, weights_folder):
    settings = make_plan(TrainConfig(weights=str(weights_folder)), dataset_of(300, 200)).config

    assert make_plan(settings, dataset_of(300, 200)).config == settings


@pytest.mark.parametrize("color", ["hsv", "lab"])
def test_pretrained_weights_take_pictures_in_the_colours_that_they_were_learned_on(dataset_of, weights_folder, color):
    with pytest.raises(UsageError, match=f"Expected rgb with pretrained weights.*received the colour space '{color}'"):
        make_plan(TrainConfig(weights=str(weights_folder), color=color), dataset_of(300, 200))

    assert make_plan(TrainConfig(weights="none", color=color), dataset_of(300, 200)).preprocess.color == color


def test_fine_tuning_has_a_tenth_of_the_rate_and_views_of_its_own(dataset_of, weights_folder):
    settings = TrainConfig(weights=str(weights_folder), unfreeze_blocks=1)

    config = make_plan(settings, dataset_of(300, 200)).config

    assert (config.fine_tune_rate, config.views, config.augment) == (pytest.approx(1e-4), 4, "light")
    assert make_plan(settings.replace(unfreeze_blocks=0), dataset_of(300, 200)).config.views == 0


def test_published_weights_that_were_never_downloaded_are_an_error_offline(dataset_of, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    with pytest.raises(ModelError, match=r"--offline says.*Go online once.*--weights none"):
        make_plan(TrainConfig(offline=True), dataset_of(300, 200))

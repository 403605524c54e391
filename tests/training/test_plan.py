from pathlib import Path

import keras
import pytest

from opsin.data.dataset import ImageDataset
from opsin.data.readers import Entry, Listing
from opsin.errors import DataError, UsageError
from opsin.images.drawing import draw_picture, save_image
from opsin.training.config import TrainConfig
from opsin.training.plan import make_plan, settle_precision, weigh_classes


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
    settings = settle_precision(make_plan(TrainConfig(), dataset_of(28, 28))).config

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

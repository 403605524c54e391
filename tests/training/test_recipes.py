import keras
import numpy as np
import pytest

import opsin
from opsin.architectures import build_network
from opsin.errors import UsageError
from opsin.images.drawing import save_image
from opsin.training import recipes
from opsin.training.config import TrainConfig
from opsin.training.network import make_network
from opsin.training.plan import make_plan
from opsin.training.precision import settle_precision
from opsin.training.recipes import DataSize, describe_fast, epochs_for, fast, standard
from opsin.training.run_folder import RunFolder


def test_what_is_left_open_is_what_the_standard_recipe_says(colors):
    config = make_plan(TrainConfig(weights="none"), colors).config

    assert (config.epochs, config.batch_size, config.optimizer, config.schedule) == (30, 64, "adamw", "cosine")
    assert (config.weight_decay, config.label_smoothing, config.patience, config.learning_rate) == (1e-4, 0, 10, 1e-3)
    assert (config.whiten, config.identity_init, config.start_size, config.logit_scale) == (False, False, 0, 1)


def test_the_fast_recipe_decides_network_schedule_and_augmentation(colors):
    config = make_plan(TrainConfig(recipe="fast"), colors).config

    assert (config.architecture, config.weights, config.augment) == ("speed_cnn_narrow", "none", "fast")
    assert (config.optimizer, config.schedule, config.image_size) == ("muon", "one-cycle", 24)
    assert config.whiten
    assert config.patience == 0


def test_what_the_recipe_came_to_is_said_in_a_line(colors):
    config = make_plan(TrainConfig(recipe="fast", start_size=16), colors).config

    assert describe_fast(config) == (
        "21 epochs of batches of 16; muon up to 0.0234, one-cycle; labels smoothed by 0.2; pictures grow from 16 to 24 "
        "pixels; the first convolution whitens"
    )


def test_what_the_user_says_stands_against_the_recipe_even_if_it_is_the_usual(colors):
    given = TrainConfig(recipe="fast", epochs=30, batch_size=64, optimizer="adamw", whiten=False, label_smoothing=0.0)

    config = make_plan(given, colors).config

    assert (config.epochs, config.batch_size, config.optimizer) == (30, 64, "adamw")
    assert (config.whiten, config.label_smoothing, config.learning_rate) == (False, 0.0, 1e-3)


def test_resolved_settings_resolve_to_themselves(colors):
    config = make_plan(TrainConfig(recipe="fast"), colors).config

    assert make_plan(config, colors).config == config


def test_an_architecture_of_the_users_is_trained_by_the_recipe_too(colors):
    config = make_plan(TrainConfig(recipe="fast", architecture="resnet20"), colors).config

    assert (config.architecture, config.start_size, config.optimizer) == ("resnet20", 0, "muon")


def test_pretrained_weights_and_the_fast_recipe_exclude_each_other():
    with pytest.raises(UsageError, match="no weights with the recipe 'fast'"):
        fast(TrainConfig(recipe="fast", weights="imagenet"), DataSize(100, 32, 10))


def test_rate_and_decay_of_the_paper_are_those_of_its_listing():
    """For sums over 1024 pictures, momentum 0.85: 11.5 and 0.0153, both over 1 + 1 / (1 - 0.85)."""
    says = fast(TrainConfig(recipe="fast", batch_size=1024), DataSize(50_000, 32, 10))

    assert says["learning_rate"] == pytest.approx(11.5 / (1 + 1 / 0.15))
    # What a step takes off a weight in the end, momentum included.
    assert says["learning_rate"] * says["weight_decay"] == pytest.approx(0.0153 / (1 + 1 / 0.15) / 0.15)


def test_smaller_batches_have_smaller_steps_in_the_same_ratio():
    small, large = (fast(TrainConfig(batch_size=size), DataSize(50_000, 32, 10)) for size in (128, 512))

    assert 4 * small["learning_rate"] == pytest.approx(large["learning_rate"])


def test_more_pictures_have_fewer_epochs_and_larger_batches_but_never_no_step():
    counts = (10, 100, 1_000, 10_000, 100_000)
    says = [fast(TrainConfig(), DataSize(count, 32, 10)) for count in counts]

    assert sorted((one["epochs"] for one in says), reverse=True) == [one["epochs"] for one in says]
    assert sorted(one["batch_size"] for one in says) == [one["batch_size"] for one in says]
    assert epochs_for(10**9, 10) >= 1


def test_many_classes_have_more_epochs_and_the_larger_network_and_two_have_those_of_ten():
    two, ten, hundred, thousand = (fast(TrainConfig(), DataSize(18_000, 32, count)) for count in (2, 10, 100, 1_000))

    assert two == ten
    assert ten["epochs"] < hundred["epochs"] < thousand["epochs"]
    assert [one["architecture"] for one in (ten, hundred)] == ["speed_cnn_narrow", "speed_cnn"]


@pytest.mark.parametrize(
    ("budget", "pictures", "side", "bfloat16", "network"),
    [
        (None, 50_000, 32, False, "speed_cnn"),
        (None, 50_000, 32, True, "speed_cnn"),
        (None, 5_000, 32, False, "speed_cnn_narrow"),
        ("10s", 50_000, 32, False, "speed_cnn_narrow"),
        ("10m", 50_000, 32, False, "speed_cnn"),
        ("10m", 50_000, 64, False, "speed_cnn_narrow"),
        ("10m", 50_000, 32, True, "speed_cnn_wide"),
        ("30m", 50_000, 32, False, "speed_cnn_wide"),
        ("3m", 2_000, 32, False, "speed_cnn_wide"),
    ],
)
def test_a_budget_decides_how_large_the_network_is(monkeypatch, budget, pictures, side, bfloat16, network):
    monkeypatch.setattr(recipes, "has_bfloat16_units", lambda: bfloat16)

    assert fast(TrainConfig(budget=budget), DataSize(pictures, side, 10))["architecture"] == network


def test_a_budget_counts_on_bfloat16_only_where_it_is_trained_in(monkeypatch):
    monkeypatch.setattr(recipes, "has_bfloat16_units", lambda: True)

    assert fast(TrainConfig(budget="10m", precision="float32"), DataSize(50_000, 32, 10))["architecture"] == "speed_cnn"


def test_a_budget_may_be_used_for_more_epochs():
    size = DataSize(50_000, 32, 10)

    assert fast(TrainConfig(budget="30m"), size)["epochs"] == 6 * fast(TrainConfig(), size)["epochs"]


def test_both_recipes_speak_of_settings_that_there_are():
    for recipe in (standard, fast):
        TrainConfig().replace(**recipe(TrainConfig(), DataSize(100, 32, 10)))


def test_scaled_logits_are_smaller_weights_that_learn_slower_by_the_square(colors):
    plan = make_plan(TrainConfig(recipe="fast", start_size=0, logit_scale=0.5, bias_rate=1.0), colors)
    plain = make_plan(TrainConfig(recipe="fast", start_size=0, logit_scale=1.0, bias_rate=1.0), colors)

    def before_and_after(one):
        network = make_network(settle_precision(one, 3), 3)
        kernel = network.get_layer("logits").kernel
        first = kernel.numpy()
        network.optimizer.learning_rate = 0.1
        network.optimizer.exclude_from_weight_decay(var_list=network.trainable_variables)
        gradients = [np.ones(v.shape, np.float32) for v in network.trainable_variables]
        network.optimizer.apply([*map(np.asarray, gradients)], network.trainable_variables)
        return first, kernel.numpy() - first

    (scaled, slow), (unscaled, step) = before_and_after(plan), before_and_after(plain)
    np.testing.assert_allclose(scaled, 0.5 * unscaled, rtol=1e-5)
    np.testing.assert_allclose(slow, 0.25 * step, rtol=1e-4)


def test_biases_learn_faster_by_what_the_settings_say(colors):
    config = TrainConfig(recipe="fast", optimizer="sgd-nesterov", whiten=False, logit_scale=1.0, bias_rate=8.0)
    plan = make_plan(config, colors)
    network = make_network(settle_precision(plan, 3), 3)
    before = {v.path: v.numpy() for v in network.trainable_variables}
    network.optimizer.learning_rate = 0.1
    network.optimizer.exclude_from_weight_decay(var_list=network.trainable_variables)

    network.optimizer.apply([np.ones(v.shape, np.float32) for v in network.trainable_variables])

    moved = {v.path: float(np.abs(v.numpy() - before[v.path]).mean()) for v in network.trainable_variables}
    kernels = {round(step, 4) for path, step in moved.items() if path.endswith("kernel")}
    biases = {round(step / 8, 4) for path, step in moved.items() if path.endswith(("bias", "beta"))}
    assert len(kernels) == 1
    assert kernels == biases


@pytest.fixture(scope="module")
def fast_run(colors, tmp_path_factory):
    splits = colors.split(0.2, 0.2, seed=0)
    config = TrainConfig(recipe="fast", architecture="speed_cnn_narrow", epochs=8, start_size=16, batch_size=8)
    folder = tmp_path_factory.mktemp("fast") / "run"
    return opsin.train(splits.train, splits.val, config, test=splits.test, out=RunFolder.create(folder))


def test_the_fast_recipe_learns_and_saves_a_network_of_one_size(fast_run):
    assert fast_run.completed
    assert fast_run.report.metrics.accuracy.value > 0.6
    assert tuple(fast_run.classifier.runtime.input_shape) == (24, 24, 3)


def test_the_first_layer_of_a_fast_run_is_what_whitening_made_of_it(fast_run, colors):
    """Training leaves it alone."""
    from opsin.runtimes.keras import load_network
    from opsin.training.beginnings import first_convolution

    saved = load_network(fast_run.folder / "model" / "model.keras")
    kernel = first_convolution(saved).kernel.numpy()
    half = kernel.shape[-1] // 2
    np.testing.assert_allclose(kernel[..., half:], -kernel[..., :half], rtol=1e-6)
    assert not np.allclose(kernel, first_convolution(build_network("speed_cnn_narrow", (24, 24, 3), 3)).kernel.numpy())


def test_a_network_of_ones_own_cannot_be_built_anew(colors):
    network = build_network("speed_cnn_narrow", (24, 24, 3), 3)
    splits = colors.split(0.2, 0.2, seed=0)

    with pytest.raises(UsageError, match="start_size only with a network that is built here"):
        opsin.train(splits.train, splits.val, TrainConfig(start_size=16), model=network)


@pytest.mark.parametrize(
    ("side", "channels", "classes"), [(8, 3, 2), (8, 1, 2), (28, 1, 10), (64, 3, 1000), (512, 3, 5)]
)
def test_the_network_of_the_recipe_fits_any_size_colour_and_number_of_classes(side, channels, classes):
    network = build_network("speed_cnn_narrow", (side, side, channels), classes)

    assert network.output_shape == (None, classes)
    maps = [layer.output.shape[1] for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert maps[0] <= max(side / 4, 31)
    assert 1 <= maps[-1] <= 7


def test_a_few_tiny_grey_pictures_and_a_batch_larger_than_all_of_them_are_learned_from(tmp_path):
    random = np.random.default_rng(0)
    for name, mean in (("dark", 60), ("light", 190)):
        for number in range(12):
            pixels = random.normal(mean, 30, (8, 8)).clip(0, 255).astype(np.uint8)
            save_image(pixels[..., None], tmp_path / "pictures" / name / f"{number}.png")
    splits = opsin.ImageDataset.from_folder(tmp_path / "pictures").split(0.25, 0.25, seed=0)
    config = TrainConfig(recipe="fast", color="gray", batch_size=64, epochs=6)

    run = opsin.train(splits.train, splits.val, config, test=splits.test, out=RunFolder.create(tmp_path / "run"))

    assert run.completed
    assert tuple(run.classifier.runtime.input_shape) == (8, 8, 1)


def test_a_budget_of_seconds_gives_a_classifier(colors, tmp_path):
    splits = colors.split(0.2, 0.2, seed=0)

    run = opsin.train(
        splits.train,
        splits.val,
        TrainConfig(recipe="fast", budget="4s"),
        test=splits.test,
        out=RunFolder.create(tmp_path / "run"),
    )

    assert run.classifier is not None
    assert run.report is not None


def test_a_network_that_ends_in_no_layer_with_weights_has_no_logits_to_scale(colors):
    image = keras.Input((24, 24, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(3, 3)(image))
    plan = make_plan(TrainConfig(logit_scale=0.5), colors, keras.Model(image, x))

    with pytest.raises(UsageError, match="last layer with weights for logit_scale"):
        make_network(settle_precision(plan, 3), 3, keras.Model(image, x))


def test_a_budget_is_shared_out_by_what_the_largest_pictures_take(colors, tmp_path, monkeypatch):
    sides = []
    monkeypatch.setattr("keras.Model.train_on_batch", lambda network, images, *rest: sides.append(images.shape[1]))
    splits = colors.split(0.2, 0.2, seed=0)
    config = TrainConfig(recipe="fast", architecture="speed_cnn_narrow", start_size=16, epochs=3, budget="1s")

    opsin.train(splits.train, splits.val, config, test=splits.test, out=RunFolder.create(tmp_path / "run"))

    assert set(sides) == {24}


@pytest.mark.parametrize(("image_size", "side"), [(64, 64), (None, 24)])
def test_the_recipe_knows_how_large_pictures_are_seen(monkeypatch, colors, image_size, side):
    seen = []
    monkeypatch.setattr(recipes, "_batch_size", lambda pictures, side: seen.append(side) or 16)

    make_plan(TrainConfig(recipe="fast", image_size=image_size), colors)

    assert seen == [side]

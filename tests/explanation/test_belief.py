"""How far a heat map can be believed: known answers for deletion, insertion and random weights."""

import keras
import numpy as np
import pytest

from opsin.explanation.faithfulness import STEPS, area, measure_faithfulness
from opsin.explanation.opening import open_network
from opsin.explanation.sanity import check_sanity, rank_correlation, verdict
from opsin.exporters.foreign import Description

BRIGHT = np.full((8, 8, 1), 255, np.uint8)


def left_half():
    """A network whose class "left" is as bright as the left half of the picture."""
    image = keras.Input((8, 8, 1))
    weights = np.zeros((8, 8, 2))
    weights[:, :4, 1] = 4 / 32 / 127.5
    model = keras.Model(image, keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(image)))
    model.get_layer("logits").set_weights([weights.reshape(-1, 2), np.array([0, -4.0])])
    return open_network(model, Description(("right", "left"), "none"))


def test_a_map_of_what_matters_is_better_than_random_ones():
    evidence = np.zeros((4, 4))
    evidence[:, :2] = 1

    found = measure_faithfulness(left_half(), BRIGHT, 1, evidence)

    sigmoid = 1 / (1 + np.exp(-4)), 0.5
    assert found.deletion[0] == pytest.approx(sigmoid[0])
    # Half of the pixels are those that matter; after them nothing changes.
    np.testing.assert_allclose(found.deletion[STEPS // 2 :], sigmoid[1], atol=0.1)
    assert found.areas["deletion"] < found.areas["random_deletion"]
    assert "better than every random one" in found.verdict


def test_a_map_of_what_does_not_matter_is_no_better_than_random_ones():
    evidence = np.zeros((4, 4))
    evidence[:, 2:] = 1

    found = measure_faithfulness(left_half(), BRIGHT, 1, evidence)

    assert found.areas["deletion"] > found.areas["random_deletion"]
    assert "no better than random" in found.verdict


def test_areas_are_those_of_trapezoids():
    assert area(np.array([1, 1, 0])) == 0.75


def test_rank_correlation_is_spearmans():
    stats = pytest.importorskip("scipy.stats")
    first, second = np.random.default_rng(0).integers(0, 9, (2, 5, 6))

    assert rank_correlation(first, second) == pytest.approx(stats.spearmanr(first, second, axis=None)[0], abs=1e-6)
    assert rank_correlation(first, np.ones((5, 6))) is None


def small():
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, activation="relu", name="conv1"),
            keras.layers.BatchNormalization(name="normal"),
            keras.layers.Conv2D(8, 3, activation="relu", name="conv2"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, name="logits"),
        ]
    )
    return open_network(model, Description(("a", "b", "c")))


def test_weights_become_random_from_the_top_down_and_are_there_again_afterwards():
    network = small()
    image = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    before = [weight.numpy() for weight in network.model.weights]

    steps = check_sanity(network, image, 0, method="hires_cam")

    assert [step.layers for step in steps] == [1, 2, 3, 4]
    assert [step.layer for step in steps] == ["logits", "conv2", "normal", "conv1"]
    assert steps[-1].correlation is None or abs(steps[-1].correlation) < 0.9
    for weight, value in zip(network.model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_a_map_that_does_not_depend_on_the_weights_is_said_to():
    from opsin.explanation.sanity import SanityStep

    assert "edges" in verdict([SanityStep("conv1", 4, 0.9)])
    assert "has learned" in verdict([SanityStep("conv1", 4, 0.1)])
    assert "has learned" in verdict([SanityStep("conv1", 4, None)])

"""A network of four pixels whose heat maps are computed on paper.

Picture x = [[1, 2], [3, 4]]. The layer's two maps are A0 = x and A1 = -2x; class "yes" has the score
sum(g0 A0) + sum(g1 A1) + 5 with g0 = [[3, 0], [0, -1]] and g1 = [[0, 1], [-1, 0]], so g0 and g1 are the gradients.
"""

import keras
import numpy as np
import pytest

from opsin.errors import ModelError
from opsin.explanation.heat_maps import heat_maps
from opsin.explanation.opening import open_network
from opsin.explanation.pixel_gradients import attributions
from opsin.exporters.foreign import Description

PICTURE = np.array([[[[1], [2]], [[3], [4]]]], dtype=np.float32)
X = PICTURE[0, :, :, 0]
G0, G1 = np.array([[3, 0], [0, -1]]), np.array([[0, 1], [-1, 0]])


def on_paper(*, classes=("no", "yes"), scores=None):
    """The network; `scores` are the dense layer's weights (2, 2, 2 maps, classes)."""
    if scores is None:
        scores = np.stack([np.zeros((2, 2, 2)), np.stack([G0, G1], axis=-1)], axis=-1)
    image = keras.Input((2, 2, 1))
    maps = keras.layers.Conv2D(2, 1, name="maps")(image)
    logits = keras.layers.Dense(scores.shape[-1], name="logits")(keras.layers.Flatten()(maps))
    model = keras.Model(image, logits)
    model.get_layer("maps").set_weights([np.array([[[[1.0, -2.0]]]]), np.zeros(2)])
    model.get_layer("logits").set_weights([scores.reshape(8, -1), np.full(scores.shape[-1], 5.0)])
    return open_network(model, Description(classes, "none"))


@pytest.mark.parametrize(
    ("method", "evidence"),
    [
        # The mean gradients are 0.5 and 0.
        ("grad_cam", 0.5 * X),
        # g0 A0 + g1 A1 = [[3, -4], [6, -4]].
        ("hires_cam", [[3, 0], [6, 0]]),
        # Positive gradients alone: [[3, 0], [0, 0]] A0 + [[0, 1], [0, 0]] A1 = [[3, -4], [0, 0]].
        ("layer_cam", [[3, 0], [0, 0]]),
        # sum(A0) = 10 and sum(A1) = -20. alpha = g^2 / (2 g^2 + sum(A) g^3): 9 / (18 + 270) and 1 / (2 - 20) where the
        # gradients, 3 and 1, are positive. The weights are 3/32 and -1/18.
        ("grad_cam_plus_plus", (3 / 32 + 2 / 18) * X),
        # The network is linear: the gradient, g0 - 2 g1 = [[3, -2], [2, -1]], times the picture.
        ("integrated_gradients", [[3, 0], [6, 0]]),
        ("smooth_grad", [[3, 2], [2, 1]]),
    ],
)
def test_a_heat_map_is_the_one_computed_on_paper(method, evidence):
    maps, peaks = heat_maps(on_paper(), PICTURE, [1], method=method)

    np.testing.assert_allclose(maps[0] * peaks[0], evidence, atol=1e-5)
    assert peaks[0] == pytest.approx(np.max(evidence), abs=1e-5)
    assert maps.max() == 1


def test_score_cam_weighs_maps_by_the_scores_of_what_they_show():
    # Class "yes" is 0.01 times the sum of A0; the maps, scaled to 0...1, show the picture against grey.
    scores = np.zeros((2, 2, 2, 2))
    scores[:, :, 0, 1] = 0.01
    mask_0, mask_1 = (X - 1) / 3, (4 - X) / 3
    shown = [0.01 * (X * mask + 127.5 * (1 - mask)).sum() for mask in (mask_0, mask_1)]
    weights = np.exp(shown) / np.exp(shown).sum()

    maps, peaks = heat_maps(on_paper(scores=scores), PICTURE, [1], method="score_cam")

    np.testing.assert_allclose(maps[0] * peaks[0], np.maximum((weights[0] - 2 * weights[1]) * X, 0), atol=1e-4)


def test_occlusion_says_how_much_of_the_score_each_patch_takes_away():
    # The score is the mean of the left half; a grey patch takes 100 from each pixel of 227.5 that it covers.
    left = np.zeros((28, 28, 1, 2))
    left[:, :14, 0, 1] = 1 / (28 * 14)
    image = keras.Input((28, 28, 1))
    logits = keras.layers.Dense(2, use_bias=False, name="logits")(keras.layers.Flatten()(image))
    model = keras.Model(image, logits)
    model.get_layer("logits").set_weights([left.reshape(-1, 2)])
    network = open_network(model, Description(("right", "left"), "none"))

    maps, peaks = heat_maps(network, np.full((1, 28, 28, 1), 227.5), [1], method="occlusion")

    # 14 cells of 2 pixels; the patch is 4 wide, 3 at the border, and half of it lies on the left in column 7.
    assert maps.shape == (1, 14, 14)
    assert peaks[0] == pytest.approx(100 * 16 / (28 * 14), rel=1e-4)
    np.testing.assert_allclose(maps[0, 7, [0, 3, 6, 7, 8, 13]], [0.75, 1, 0.75, 0.25, 0, 0], atol=1e-4)


def test_integrated_gradients_add_up_to_the_difference_of_the_scores():
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    network = open_network(model, Description(("a", "b", "c")))
    image = np.random.default_rng(0).uniform(0, 255, (12, 12, 3)).astype(np.float32)
    black, seen = network.logits(np.stack([np.zeros_like(image), image])).numpy()

    for index in range(3):
        total = attributions(network, image, index).sum()

        assert total == pytest.approx(seen[index] - black[index], rel=0.01)


def test_no_evidence_is_a_peak_of_zero_and_nothing_is_divided_by_it():
    # Nothing but what speaks against class "yes".
    scores = np.zeros((2, 2, 2, 2))
    scores[:, :, 0, 1] = -1

    maps, peaks = heat_maps(on_paper(scores=scores), PICTURE, [1])

    assert peaks.tolist() == [0]
    assert not maps.any()


def test_one_sigmoid_unit_explains_both_sides():
    scores = np.stack([G0, np.zeros((2, 2))], axis=-1)[..., None]
    network = on_paper(scores=scores)

    maps, peaks = heat_maps(network, np.repeat(PICTURE, 2, axis=0), [0, 1], method="hires_cam")

    # The first class's score is minus the unit's: what speaks for one speaks against the other.
    np.testing.assert_allclose(maps[1] * peaks[1], [[3, 0], [0, 0]], atol=1e-5)
    np.testing.assert_allclose(maps[0] * peaks[0], [[0, 0], [0, 4]], atol=1e-5)
    z = 5 + 3 - 4
    assert network.probabilities(PICTURE)[0, 1] == pytest.approx(1 / (1 + np.exp(-z)))


def test_a_network_that_gives_no_numbers_is_refused():
    scores = np.full((2, 2, 2, 2), np.nan)

    with pytest.raises(ModelError, match="NaN"):
        heat_maps(on_paper(scores=scores), PICTURE, [1])

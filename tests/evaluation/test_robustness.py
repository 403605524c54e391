"""Robustness: corruptions with known answers, and a network that goes by colour."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.catalog import resolve
from opsin.classifier import Classifier
from opsin.errors import DataError, UsageError
from opsin.evaluation import corruptions
from opsin.evaluation.report import Report
from opsin.evaluation.robustness import CORRUPTIONS, measure_robustness, sample
from opsin.images.drawing import draw_picture
from opsin.images.preprocess import Preprocess
from opsin.model_folder import ModelCard
from opsin.runtimes.base import Outputs

HEIGHT, WIDTH = 64, 48
SMOOTH = np.stack(
    [
        np.add.outer(np.arange(HEIGHT) * 2, np.arange(WIDTH)),
        np.add.outer(np.arange(HEIGHT)[::-1], np.arange(WIDTH) * 3),
        np.hypot.outer(np.arange(HEIGHT) - 30, np.arange(WIDTH) - 20) * 3,
    ],
    axis=2,
)
PICTURE = (SMOOTH * 0.8 + np.random.default_rng(0).integers(0, 40, SMOOTH.shape)).clip(0, 255).astype(np.uint8)
"""Colours that change evenly, and a little grain: the farther it is turned, the more it differs."""


def random():
    return np.random.default_rng(0)


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(40, 64), (1, 1), (33, 7)])
def test_every_kind_keeps_shape_and_type_and_is_the_same_each_time(kind, shape):
    spoil, image = resolve(CORRUPTIONS[kind]), draw_picture(1, *shape)
    before = image.copy()
    for severity in corruptions.SEVERITIES:
        spoilt = spoil(image, severity, random())
        assert (spoilt.shape, spoilt.dtype) == (image.shape, np.uint8)
        assert (spoilt == spoil(image, severity, random())).all()
    assert (image == before).all()


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_every_kind_does_more_the_more_severe_it_is(kind):
    spoil = resolve(CORRUPTIONS[kind])
    changes = [np.abs(spoil(PICTURE, severity, random()).astype(float) - PICTURE).mean() for severity in (1, 3, 5)]
    assert 0 < changes[0] < changes[1] < changes[2]


def test_brightness_adds_to_the_v_of_hsv():
    image = np.array([[[100, 50, 0], [0, 0, 0], [250, 250, 250]]], np.uint8)
    # 100 becomes 125.5, and the ratio of the channels stays.
    assert corruptions.brightness(image, 1, random()).tolist() == [[[126, 63, 0], [26, 26, 26], [255, 255, 255]]]


def test_noise_has_the_published_deviation():
    grey = np.full((200, 200, 3), 128, np.uint8)
    assert corruptions.noise(grey, 1, random()).std() == pytest.approx(0.08 * 255, rel=0.02)


def test_blur_grows_with_the_picture():
    """The deviation of a blurred point, in pixels, is the published one at 224 pixels and twice that at 448."""
    for side, sigma in ((224, 3), (448, 6)):
        image = np.zeros((side, side, 3), np.uint8)
        image[side // 2, :, :] = 255
        profile = corruptions.blur(image, 3, random())[:, side // 2, 0].astype(float)
        places = np.arange(side) - side // 2
        assert np.sqrt((profile * places**2).sum() / profile.sum()) == pytest.approx(sigma, rel=0.1)


def test_a_turned_picture_has_no_black_corners():
    white = np.full((50, 30, 3), 255, np.uint8)
    for severity in corruptions.SEVERITIES:
        assert corruptions.rotation(white, severity, random()).min() == 255


class Light:
    """A runtime that says the second class of pictures that are lighter than the middle."""

    input_shape = (8, 8, 1)

    def __init__(self):
        self.most = 0

    def run(self, images):
        self.most = max(self.most, len(images))
        mean = images.mean(axis=(1, 2, 3))
        logits = np.stack([127 - mean, mean - 127], axis=1)
        return Outputs(logits, logits)


@pytest.fixture
def light():
    return Classifier(Light(), ModelCard(("dark", "light"), Preprocess(8, 8, color="gray")), Path("nowhere"))


@pytest.fixture
def report(tmp_path):
    """Thirty dark pictures, of which each has its own grey from 60 to 118, and ten light ones."""
    paths = [f"{number}.png" for number in range(40)]
    for number, path in enumerate(paths):
        grey = 60 + 2 * number if number < 30 else 200
        Image.fromarray(np.full((20, 20, 3), grey, np.uint8)).save(tmp_path / path)
    labels = np.repeat([0, 1], [30, 10])
    return Report.from_predictions(labels, np.eye(2)[labels], paths, ["dark", "light"], root=tmp_path)


def test_what_is_left_of_the_accuracy_is_told_for_each_kind_and_severity(light, report):
    steps = []
    found = measure_robustness(light, report, progress=lambda done, total: steps.append((done, total)))

    accuracy = {(one.kind, one.severity): one.accuracy.value for one in found.corrupted}
    assert (found.clean.value, found.clean.n) == (1.0, 40)
    assert set(accuracy) == {(kind, severity) for kind in CORRUPTIONS for severity in range(1, 6)}
    # 25.5 of 255 more: of 60, 62 … 118, those above 101.5 become light: nine of them.
    assert accuracy["brightness", 1] == (40 - 9) / 40
    assert accuracy["brightness", 5] == 10 / 40
    assert all(accuracy["rotation", severity] == 1.0 for severity in range(1, 6))
    assert steps[-1] == (40 * 26, 40 * 26)
    assert light.runtime.most <= 32


def test_the_same_is_measured_every_time_and_whatever_else_is(light, report):
    first = measure_robustness(light, report, kinds=["noise"], most=20)
    assert measure_robustness(light, report, kinds=["noise"], most=20) == first
    assert first.clean.n == 20


def test_a_sample_has_each_class_in_proportion():
    labels = np.repeat([0, 1, 2], [500, 400, 100])
    assert np.bincount(labels[sample(labels, 50)]).tolist() == [25, 20, 5]
    assert sample(labels[:7], 50).tolist() == list(range(7))


def test_a_picture_that_is_gone_takes_no_part(light, report):
    (report.root / "3.png").unlink()
    assert measure_robustness(light, report, kinds=["blur"]).clean.n == 39
    for path in report.root.iterdir():
        path.unlink()
    with pytest.raises(DataError, match="none of them can any more"):
        measure_robustness(light, report, kinds=["blur"])


def test_a_kind_that_does_not_exist_is_told(light, report):
    with pytest.raises(UsageError, match="Did you mean 'blur'"):
        measure_robustness(light, report, kinds=["blurr"])

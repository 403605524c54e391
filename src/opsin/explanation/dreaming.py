"""Activation maximisation: the picture that a channel would most like to see. TensorFlow only."""

from typing import Any

import numpy as np

from opsin.catalog import require
from opsin.explanation.channels import require_channel
from opsin.explanation.network import ImageNetwork

STEPS = 128
RATE = 8.0
"""How far a step changes pixels on average, of 255."""
JITTER = 8
BLUR_EVERY = 4


def maximize(network: ImageNetwork, channel: int, *, layer: str | None = None, steps: int = STEPS) -> np.ndarray:
    """Climb from grey noise to a picture that excites a channel, as Olah et al. 2017, doi 10.23915/distill.00007.

    Without their frequency space; against noise it is shifted at random before each step (jitter) and blurred a little
    after some.

    Args:
        network: the network.
        channel: which, from 0 on.
        layer: whose; None: the last layer that gives maps.
        steps: how many; more make it sharper.

    Returns:
        uint8 (h, w, c), 0 to 255, in the network's own size and colours.
    """
    tf = require("tensorflow", "explaining a network")
    place = network.place(layer)
    require_channel(place, channel)
    random = np.random.default_rng(0)
    image = 127.5 + random.normal(0, 8, (1, *network.preprocess.shape)).astype(np.float32)
    for step in range(steps):
        shift = random.integers(-JITTER, JITTER + 1, 2)
        pixels = tf.constant(np.roll(image, shift, axis=(1, 2)))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            excitement = _excitement(network, place, pixels, channel)
        gradient = tape.gradient(excitement, pixels).numpy()
        size = np.abs(gradient).mean()
        if size > 0:
            image = image + np.roll(gradient, -shift, axis=(1, 2)) / size * RATE * (1 - step / steps)
        if step % BLUR_EVERY == BLUR_EVERY - 1:
            image = 0.5 * image + 0.5 * _neighbours(image)
        image = np.clip(image, 0, 255).astype(np.float32)
    return np.rint(image[0]).astype(np.uint8)


def _excitement(network: ImageNetwork, place: Any, pixels: Any, channel: int) -> Any:
    tf = require("tensorflow", "explaining a network")
    found: list[Any] = []

    def note(call: Any, *args: Any, **kwargs: Any) -> Any:
        found[:] = [call(*args, **kwargs)]
        return found[0]

    network.logits(pixels, {place.operation: note})
    return tf.reduce_mean(found[0][..., channel])


def _neighbours(image: np.ndarray) -> np.ndarray:
    """Return the mean of each pixel's four neighbours, (1, h, w, c)."""
    around = np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    return (around[:, :-2, 1:-1] + around[:, 2:, 1:-1] + around[:, 1:-1, :-2] + around[:, 1:-1, 2:]) / 4

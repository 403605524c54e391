"""Whether heat maps point at what is in the picture: the share of pictures whose map has its peak on the animal.

A MobileNet with its published 1000-class head, opened as a Keras network that Opsin did not make; each picture is
explained for the class that the network itself thinks most probable, right or wrong. The peak is the pixel at which
the heat map on the picture, as `opsin.explain` gives it, is highest: no tolerance (Zhang et al. 2016, arXiv
1608.00507). Beside it the picture's centre, random points, and the middle of the hot area: the mean place, weighed by
evidence, of all that is at least half as strong as the peak.

Which layer `find_place` takes was chosen with these pictures in view, so Grad-CAM's rate is a little flattered; that
of the last layer stands beside it.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from benchmarks.results import Figure, Result, arguments
from opsin.explanation import EXPLAINERS
from opsin.explanation.explain import Seen, look
from opsin.explanation.geometry import onto_picture
from opsin.explanation.heat_maps import heat_maps
from opsin.explanation.network import ImageNetwork
from opsin.explanation.opening import open_network
from opsin.exporters.foreign import Description
from opsin.images.decode import decode_image

ANIMAL = 1
POINTS = 1000
LAYERS = (("grad_cam", "conv_pw_13_relu"), ("layer_cam", "conv_pw_13_relu"), ("layer_cam", "conv_pw_11_relu"))
"""Looked at besides: the network's last layer, one block behind the one that is found by itself, and one before it."""
SLOW = ("score_cam", "integrated_gradients", "smooth_grad", "occlusion")
CENTRE_GOAL, OFF_CENTRE_GOAL = 87.0, 60.0
"""What Grad-CAM is to reach, in percent: of all pictures, and of those whose centre is not on the animal."""


def open_mobilenet(weights: Path) -> ImageNetwork:
    model = keras.applications.MobileNet(alpha=0.75, weights=str(weights))
    return open_network(model, Description(tuple(map(str, range(1000))), pixels="minus_one_one"))


def points(
    network: ImageNetwork, seen: Sequence[Seen], masks: Sequence[np.ndarray], method: str, layer: str | None
) -> np.ndarray:
    """Tell whether a map's peak, and the middle of its hot area, for the most probable class, lie on the animal.

    Returns:
        bool (N, 2).
    """
    images, best = np.stack([one.image for one in seen]), np.array([one.best for one in seen])
    maps, peaks = heat_maps(network, images, best, method=method, layer=layer)
    rows = zip(maps, peaks, masks, strict=True)
    return np.array([_points_of_one(network, *row) for row in rows])


def _points_of_one(network: ImageNetwork, heat_map: np.ndarray, peak: float, mask: np.ndarray) -> list[bool]:
    if peak <= 0:
        return [False, False]
    laid = onto_picture(heat_map, network.preprocess, *mask.shape)
    hot = np.where(laid >= 0.5 * laid.max(), laid, 0)
    middle = tuple(int((hot * index).sum() / hot.sum()) for index in np.indices(hot.shape))
    return [bool(mask[place] == ANIMAL) for place in (np.unravel_index(laid.argmax(), laid.shape), middle)]


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="mobilenet_0.75_224.h5, with its 1000-class head")
    parser.add_argument("--data", type=Path, required=True, help="a folder with images/ and masks/ (1: the animal)")
    parser.add_argument("--methods", nargs="+", default=list(EXPLAINERS), choices=EXPLAINERS, metavar="METHOD")
    parser.add_argument("--slow", type=int, default=150, help="pictures for the methods that run the network often")
    options = parser.parse_args()
    files = sorted((options.data / "images").glob("*.jpg"))
    network = open_mobilenet(options.weights)
    settings = {"weights": options.weights.name, "pictures": len(files), "layer": network.place().name}
    settings |= {"slow": options.slow}
    result = Result("pointing_game", "python -m benchmarks.pointing_game --weights FILE --data DIR", settings)

    seen = [look(network, file) for file in files]
    masks = [read_mask(options.data / "masks" / f"{file.stem}.png") for file in files]
    centred = np.array([mask[mask.shape[0] // 2, mask.shape[1] // 2] == ANIMAL for mask in masks])
    random = np.random.default_rng(0)
    by_chance = [np.mean(mask.reshape(-1)[random.integers(0, mask.size, POINTS)] == ANIMAL) for mask in masks]
    result.figures += rates("the picture's centre", centred, centred)
    result.figures += rates("random points", np.array(by_chance), centred)
    for method, layer in [*((method, None) for method in options.methods), *LAYERS]:
        started = time.perf_counter()
        chosen = sample(centred, options.slow) if method in SLOW else np.arange(len(files))
        hits = points(network, [seen[i] for i in chosen], [masks[i] for i in chosen], method, layer)
        goals = (CENTRE_GOAL, OFF_CENTRE_GOAL) if (method, layer) == ("grad_cam", None) else (None, None)
        name = f"{method} at {layer}" if layer else method
        result.figures += rates(f"{name}, peak", hits[:, 0], centred[chosen], goals)
        result.figures += rates(f"{name}, middle of the hot area", hits[:, 1], centred[chosen])
        print(name, f"{hits.mean(axis=0)} of {len(hits)} in {time.perf_counter() - started:.0f} s", flush=True)
    result.publish(options.results)


def sample(centred: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of `count` pictures, spread evenly over the breeds and over where the animal is.

    Args:
        centred: bool (N,), whether the picture's centre is on the animal, in the order of the breeds.
        count: how many; all, if there are no more.
    """
    ordered = np.argsort(centred, kind="stable")
    return ordered[np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)]


def read_mask(path: Path) -> np.ndarray:
    """Return uint8 (H, W): 1 the animal, 2 the background, 3 the border between them."""
    return decode_image(path)[:, :, 0]


def rates(
    what: str, hits: np.ndarray, centred: np.ndarray, goals: tuple[float | None, float | None] = (None, None)
) -> list[Figure]:
    """Return the share of hits in percent: of all pictures, and of those whose centre is not on the animal."""
    off = ~centred.astype(bool)
    figures = [Figure(f"{what}: on the animal, of {len(hits)}", 100 * float(hits.mean()), "%", at_least=goals[0])]
    if off.any():
        name = f"{what}: of the {off.sum()} whose centre is not"
        figures.append(Figure(name, 100 * float(hits[off].mean()), "%", at_least=goals[1]))
    return figures


if __name__ == "__main__":
    main()

"""Boxes without a detector: how well the box around a heat map's hot area fits the animal, beside a box in the centre.

A MobileNet with its published 1000-class head explains each picture for the class that it thinks most probable, right
or wrong. The truth is the box around the animal's pixels of the trimap (its border, which is neither, left out). Both
rivals have one number to choose, the share of the peak from which on a place is hot and the centre box's share of the
sides: it is chosen on every other picture by mean IoU, and judged on the rest. The share that `opsin explain --boxes`
takes, 20 %, is judged on the same pictures.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.pointing_game import ANIMAL, open_mobilenet, read_mask
from benchmarks.results import Figure, Result, arguments
from opsin.detection.heat_boxes import SHARE, box_of_heat
from opsin.detection.masks import boxes_of_masks
from opsin.detection.overlap import overlap_matrix
from opsin.explanation.explain import explain_seen, look

SHARES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
CENTRES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
METHODS = (("grad_cam", None), ("layer_cam", None), ("layer_cam", "conv_pw_11_relu"))


def overlaps(boxes: Sequence[np.ndarray | None], truth: np.ndarray) -> np.ndarray:
    """Return the IoU of each picture's box with its true one; 0 where there is no box."""
    found = np.array([np.zeros(4) if box is None else box for box in boxes])
    return np.diag(overlap_matrix(found, truth, format="xyxy"))


def centred(share: float, sizes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    return [np.array([w * (1 - share), h * (1 - share), w * (1 + share), h * (1 + share)]) / 2 for h, w in sizes]


def judged(what: str, iou: np.ndarray) -> list[Figure]:
    return [
        Figure(f"{what}: mean IoU", float(iou.mean())),
        Figure(f"{what}: IoU of at least 0.5", 100 * float((iou >= 0.5).mean()), "%"),
    ]


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="mobilenet_0.75_224.h5, with its 1000-class head")
    parser.add_argument("--data", type=Path, required=True, help="a folder with images/ and masks/ (1: the animal)")
    options = parser.parse_args()
    files = sorted((options.data / "images").glob("*.jpg"))
    masks = [read_mask(options.data / "masks" / f"{file.stem}.png") == ANIMAL for file in files]
    truth = np.concatenate([boxes_of_masks(mask[None]) for mask in masks])
    network = open_mobilenet(options.weights)
    settings = {"weights": options.weights.name, "pictures": len(files), "judged": len(files) // 2}
    result = Result("localisation", "python -m benchmarks.localisation --weights FILE --data DIR", settings)

    chosen = np.arange(len(files)) % 2 == 0
    by_share = {share: overlaps(centred(share, [mask.shape for mask in masks]), truth) for share in CENTRES}
    best = max(CENTRES, key=lambda share: by_share[share][chosen].mean())
    result.figures += judged(f"a centre box of {best:.0%} of the sides", by_share[best][~chosen])
    seen = [look(network, file) for file in files]
    for method, layer in METHODS:
        started = time.perf_counter()
        heat = [explain_seen(network, one, [(method, one.best)], layer=layer)[0].heat_map for one in seen]
        by_share = {share: overlaps([box_of_heat(one, share=share) for one in heat], truth) for share in SHARES}
        best = max(SHARES, key=lambda share: by_share[share][chosen].mean())
        name = f"{method} at {layer}" if layer else method
        for share in dict.fromkeys((best, SHARE)):
            result.figures += judged(f"{name}, from {share:.0%} of the peak", by_share[share][~chosen])
        print(name, f"{time.perf_counter() - started:.0f} s", {k: round(v.mean(), 3) for k, v in by_share.items()})
    result.publish(options.results)


if __name__ == "__main__":
    main()

"""Whether pretrained weights and our road from picture to tensor fit together: top-1 on ImageNet's own pictures.

Weights and preprocessing that do not fit give no error, only worse answers. Here the published 1000-class head of a
MobileNet is put on the features that `build_network` gives, and pictures go through the road that every command uses.
"""

import csv
import re
from pathlib import Path

import h5py
import numpy as np

from benchmarks.results import Figure, Result, arguments
from opsin.architectures import build_network
from opsin.evaluation.intervals import estimate
from opsin.images.preprocess import Preprocess
from opsin.images.reading import read_images

BATCH = 32


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="a MobileNet's .h5 with its 1000-class head")
    parser.add_argument("--data", type=Path, required=True, help="pictures, and labels.csv: path,imagenet_class_index")
    parser.add_argument("--arch", default="mobilenet_0.75", help="the architecture of the weights")
    parser.add_argument("--at-least", type=float, default=72.0, help="the share in percent that must be right")
    options = parser.parse_args()
    with (options.data / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    side = int(re.search(r"_(\d{3})[._]", options.weights.name)[1])
    settings = {"arch": options.arch, "weights": options.weights.name, "pictures": len(rows), "size": side}
    result = Result("imagenet", "python -m benchmarks.imagenet --weights FILE --data DIR", settings)

    recipe = Preprocess(side, side)
    images = np.stack(list(read_images([options.data / row["path"] for row in rows], recipe))).astype(np.float32)
    network = build_network(options.arch, recipe.shape, 1000, weights=str(options.weights))
    with h5py.File(options.weights) as file:
        kernel, bias = (np.asarray(file["conv_preds/conv_preds"][name]) for name in ("kernel:0", "bias:0"))
    network.get_layer("logits").set_weights([kernel.reshape(-1, 1000), bias])
    logits = np.concatenate(
        [np.asarray(network(images[start : start + BATCH])) for start in range(0, len(images), BATCH)]
    )
    right = int((logits.argmax(axis=1) == [int(row["imagenet_class_index"]) for row in rows]).sum())
    interval = estimate(right, len(rows))
    result.figures += [
        Figure("right at the first guess", 100 * right / len(rows), "%", at_least=options.at_least),
        Figure("its 95 % interval, from", 100 * interval.low, "%"),
        Figure("its 95 % interval, to", 100 * interval.high, "%"),
    ]
    result.publish(options.results)


if __name__ == "__main__":
    main()

"""How long explanations take: Grad-CAM of many pictures beside the same pictures' forward pass with gradients, and one
picture from the command line, cold.

The rival is the least that anything with gradients can take: the network run on the same batches while TensorFlow
remembers what its gradients by the pixels need (a GradientTape), and nothing is done with it.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.processes import Finished, opsin_command, run
from benchmarks.results import Figure, Result, Series, arguments, ratios
from opsin.explanation.heat_maps import BATCH, heat_maps
from opsin.explanation.network import ImageNetwork
from opsin.explanation.opening import open_network
from opsin.images.decode import SUFFIXES

RATIO_GOAL, COLD_GOAL = 3.0, 12.0

# What the command does, step by step, each step's seconds on a line.
STEPS = """
import sys, time
begun = time.perf_counter()
def done(what):
    global begun
    print(f"{time.perf_counter() - begun:.3f} {what}", flush=True)
    begun = time.perf_counter()
from opsin.cli.keras_alone import import_keras
import_keras("explaining"); done("TensorFlow's own start, and Keras's")
from opsin.explanation.opening import open_network
from opsin.explanation.explain import explain_seen, look; done("import of Opsin")
network = open_network(sys.argv[1]); done("opening the model: inspection, Keras, first runs")
seen = look(network, sys.argv[2]); done("reading and predicting the picture")
(explanation,) = explain_seen(network, seen, [("grad_cam", seen.best)]); done("Grad-CAM")
explanation.save(sys.argv[3]); done("drawing, matplotlib's start included")
"""


def forward_with_gradients(network: ImageNetwork, images: np.ndarray) -> None:
    import tensorflow as tf

    for start in range(0, len(images), BATCH):
        pixels = tf.constant(images[start : start + BATCH])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            network.logits(pixels).numpy()


def seconds(function, *values) -> float:
    started = time.perf_counter()
    function(*values)
    return time.perf_counter() - started


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a run folder or model folder")
    parser.add_argument("--data", type=Path, required=True, help="a folder with pictures")
    parser.add_argument("--pictures", type=int, default=100, help="how many pictures (default: 100)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all pictures (default: 5)")
    parser.add_argument("--cold-rounds", type=int, default=3, help="starts of the command (default: 3)")
    options = parser.parse_args()
    files = sorted(path for path in options.data.rglob("*") if path.suffix.lower() in SUFFIXES)[: options.pictures]
    settings = {"pictures": len(files), "batch": BATCH, "rounds": options.rounds, "data": options.data.name}
    result = Result("explaining", "python -m benchmarks.explaining --model RUN --data DIR", settings)

    commands, steps = cold(options.model, files[0], options.cold_rounds)
    network = open_network(options.model)
    images = np.stack([network.preprocess.read(file) for file in files]).astype(np.float32)
    indices = np.zeros(len(images), np.int64)
    heat_maps(network, images[:BATCH], indices[:BATCH])
    forward, explained = [], []
    for _ in range(options.rounds):
        forward.append(seconds(forward_with_gradients, network, images))
        explained.append(seconds(heat_maps, network, images, indices))
    ratio = Series("Grad-CAM / forward pass with gradients", "times", ratios(explained, forward))
    result.series += [
        Series(f"forward pass with gradients, {len(files)} pictures", "s", forward),
        Series(f"Grad-CAM, {len(files)} pictures", "s", explained),
        ratio,
        Series("opsin explain, one picture, cold", "s", [one.seconds for one in commands]),
        Series("its processor time", "s", [one.processor_seconds for one in commands]),
        *(Series(f"of it: {what}", "s", values) for what, values in steps.items()),
    ]
    result.figures += [
        Figure("Grad-CAM / forward pass with gradients", ratio.median, "times", at_most=RATIO_GOAL),
        Figure("opsin explain, one picture, cold", result.series[3].median, "s", at_most=COLD_GOAL),
        Figure("of which TensorFlow's own start", statistics.median(next(iter(steps.values()))), "s"),
    ]
    result.publish(options.results)


def cold(model: Path, picture: Path, rounds: int) -> tuple[list[Finished], dict[str, list[float]]]:
    """Return the seconds of each start of the command, and those of its steps, each start once more by hand."""
    commands: list[Finished] = []
    steps: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/why.png"
        for _ in range(rounds):
            commands.append(run([*opsin_command(), "explain", str(model), str(picture), "--out", out]).require())
            said = run([sys.executable, "-c", STEPS, str(model), str(picture), out]).require().output
            for line in said.splitlines():
                number, _, what = line.partition(" ")
                if number.replace(".", "").isdigit() and what:
                    steps.setdefault(what, []).append(float(number))
    return commands, steps


if __name__ == "__main__":
    main()

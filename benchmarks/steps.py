"""What a training step on a CPU takes in Opsin, beside Keras's own, for the same network on the same batch.

Two things make the difference: layers that compute the quicker way (`opsin.training.quick_layers`), and memory that is
kept from step to step (`opsin.training.allocation`). The two kinds take turns in one process, a few steps each; of each
turn the first step does not count, since memory is being given back or fetched again. Quoted is the ratio in each turn,
of wall time and of processor time, which other work on the machine hardly changes.
"""

import contextlib
import time
from collections.abc import Callable

import keras
import numpy as np

from benchmarks.results import Figure, Result, Series, arguments, ratios
from opsin.architectures import build_network
from opsin.training.allocation import memory_kept
from opsin.training.quick_layers import quick_layers

NETWORKS = (
    ("speed_cnn", 32, 256),
    ("cifar_cnn", 32, 128),
    ("resnet20", 32, 128),
    ("resnet18", 64, 32),
    ("resnet50", 96, 16),
    ("mobilenet_v2", 96, 32),
    ("vgg11", 64, 32),
)

Changed = Callable[[keras.Model], contextlib.AbstractContextManager]


def step_of(name: str, side: int, batch_size: int, changed: Changed) -> Callable[[], None]:
    """Return a function that trains one step of a network; it is traced while the network is changed."""
    network = build_network(name, (side, side, 3), 10)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.SGD(0.001, momentum=0.9), loss, jit_compile=False)
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (batch_size, side, side, 3)).astype("float32")
    labels = random.integers(0, 10, batch_size).astype("int32")

    def step() -> None:
        network.train_on_batch(images, labels)

    with changed(network):
        for _ in range(2):
            step()
    return step


def timed(step: Callable[[], None], steps: int) -> tuple[float, float]:
    """Return the wall and processor seconds of some steps, after one that does not count."""
    step()
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(steps):
        step()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--turns", type=int, default=8, help="turns of each kind (default: 8)")
    parser.add_argument("--steps", type=int, default=3, help="steps of a turn that count (default: 3)")
    options = parser.parse_args()
    settings = {"turns": options.turns, "steps": options.steps}
    result = Result("steps", "python -m benchmarks.steps", settings)
    for name, side, batch_size in NETWORKS:
        keras.utils.clear_session()
        plain = step_of(name, side, batch_size, contextlib.nullcontext)
        quick = step_of(name, side, batch_size, quick_layers)
        turns = []
        for _ in range(options.turns):
            keras_own = timed(plain, options.steps)
            with memory_kept():
                turns.append((keras_own, timed(quick, options.steps)))
        what = f"{name}, {side}x{side}, batches of {batch_size}: step of Keras / of Opsin"
        walls = Series(what, "", ratios([one[0] for one, _ in turns], [two[0] for _, two in turns]))
        processor = ratios([one[1] for one, _ in turns], [two[1] for _, two in turns])
        result.series += [walls, Series(f"{what}, processor time", "", processor)]
        result.figures.append(Figure(what, walls.median, at_least=1.0))
    result.publish(options.results)


if __name__ == "__main__":
    main()

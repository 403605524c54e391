"""What a training step on a CPU takes in Opsin, beside Keras's own, for the same network on the same batch.

Two things make the difference: layers that compute the quicker way (`opsin.training.quick_layers`), and memory that is
kept from step to step (`opsin.allocation`). On a processor with units for bfloat16 a third does: the
arithmetic that `opsin train` chooses there, which is measured beside float32. All take turns in one process, a few
steps each; of each turn the first step does not count, since memory is being given back or fetched again. Quoted is the
ratio in each turn, of wall time and of processor time, which other work on the machine hardly changes.
"""

import contextlib
import functools
import time
from collections.abc import Callable

import keras
import numpy as np

from benchmarks.results import Figure, Result, Series, arguments, ratios
from opsin.allocation import memory_kept
from opsin.architectures import build_network
from opsin.training.network import arithmetic
from opsin.training.precision import quickest_precision
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


def build(name: str, side: int, precision: str = "float32") -> keras.Model:
    """Build a network in an arithmetic."""
    with arithmetic(precision):
        return build_network(name, (side, side, 3), 10)


def step_of(network: keras.Model, batch_size: int, changed: Changed) -> Callable[[], None]:
    """Return a function that trains one step of a network; it is traced while the network is changed."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.SGD(0.001, momentum=0.9), loss, jit_compile=False)
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (batch_size, *network.input_shape[1:])).astype("float32")
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
        # The fast recipe trains its networks by Muon, others are trained by AdamW.
        optimizer = "muon" if name.startswith("speed_cnn") else "adamw"
        chosen = quickest_precision(functools.partial(build, name, side), optimizer)
        plain = step_of(build(name, side), batch_size, contextlib.nullcontext)
        ours = {
            precision: step_of(
                build(name, side, precision),
                batch_size,
                functools.partial(quick_layers, precision=precision),
            )
            for precision in dict.fromkeys(("float32", chosen))
        }
        turns: dict[str, list[tuple[float, float]]] = {"": [], **{precision: [] for precision in ours}}
        for _ in range(options.turns):
            turns[""].append(timed(plain, options.steps))
            with memory_kept():
                for precision, step in ours.items():
                    turns[precision].append(timed(step, options.steps))
        for precision in ours:
            inside = "" if precision == "float32" else f" in {precision}"
            what = f"{name}, {side}x{side}, batches of {batch_size}: step of Keras / of Opsin{inside}"
            (keras_walls, keras_processor), (walls, processor) = (
                zip(*turns[kind], strict=True) for kind in ("", precision)
            )
            wall = Series(what, "", ratios(keras_walls, walls))
            result.series += [wall, Series(f"{what}, processor time", "", ratios(keras_processor, processor))]
            result.figures.append(Figure(what, wall.median, at_least=1.0))
    result.publish(options.results)


if __name__ == "__main__":
    main()

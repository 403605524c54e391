"""What an epoch of `opsin.train` costs, beside plain Keras `model.fit` on the same pictures in memory.

Both train the same architecture on the same pictures with the same batch size, optimizer and validation, in two
threads of one process that take turns: an epoch of plain Keras, an epoch of Opsin, and so on; never both at once.
Plain Keras has float32 arrays and changes no picture; Opsin reads its store and augments. The first epoch of each does
not count.
"""

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np

import opsin
from benchmarks.results import Figure, Result, Series, arguments, ratios
from opsin.data.dataset import DatasetSplits
from opsin.data.store import decode_datasets
from opsin.training.plan import make_plan
from opsin.training.run_folder import RunFolder

PLAIN, OPSIN = "plain Keras", "opsin"


class Turns:
    """Lets two trainings run an epoch each in turn, and takes the time of each epoch."""

    def __init__(self):
        self.seconds: dict[str, list[float]] = {PLAIN: [], OPSIN: []}
        self.processor_seconds: dict[str, list[float]] = {PLAIN: [], OPSIN: []}
        self.turn = PLAIN
        self.alone = False
        self.changed = threading.Condition()

    @contextlib.contextmanager
    def taking_part(self) -> Iterator[None]:
        """Let the other training know when this one is over, come to its end or failed."""
        try:
            yield
        finally:
            with self.changed:
                self.alone = True
                self.changed.notify_all()

    def begin(self, name: str) -> None:
        """Wait for this training's turn, and start its clock."""
        with self.changed:
            self.changed.wait_for(lambda: self.turn == name or self.alone)
            if self.turn != name:
                raise RuntimeError(f"{name} has no rival left to be measured beside.")
        self.started, self.processor_started = time.perf_counter(), time.process_time()

    def end(self, name: str) -> None:
        """Stop this training's clock, and hand the turn over."""
        self.seconds[name].append(time.perf_counter() - self.started)
        self.processor_seconds[name].append(time.process_time() - self.processor_started)
        print(f"{name}: {self.seconds[name][-1]:.2f} s", flush=True)
        with self.changed:
            self.turn = PLAIN if name == OPSIN else OPSIN
            self.changed.notify_all()


def fit_plain(turns: Turns, architecture: str, config: Any, arrays: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Train as a Keras user does: arrays, `compile`, `fit`."""
    train, val = arrays["train"], arrays["val"]
    with turns.taking_part():
        network = opsin.build_network(architecture, train[0].shape[1:], 1 + int(train[1].max()))
        network.compile(
            optimizer=keras.optimizers.AdamW(learning_rate=1e-3, weight_decay=config.weight_decay),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            # Keras's own choice is XLA, which makes convolutions on a CPU several times slower.
            jit_compile=False,
        )
        clock = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: turns.begin(PLAIN), on_epoch_end=lambda epoch, logs: turns.end(PLAIN)
        )
        network.fit(
            *train,
            validation_data=val,
            batch_size=config.batch_size,
            epochs=config.epochs,
            shuffle=True,
            verbose=0,
            callbacks=[clock],
        )


def fit_opsin(turns: Turns, parts: DatasetSplits, config: Any, folder: Path) -> None:
    """Train as `opsin train` does, with everything that belongs to it."""
    train, val, test = parts

    def take_turns(event: dict[str, Any]) -> None:
        if event["event"] == "epoch_started":
            turns.begin(OPSIN)
        elif event["event"] == "epoch_ended":
            turns.end(OPSIN)

    with turns.taking_part():
        opsin.train(train, val, config, test=test, out=RunFolder.create(folder, [take_turns]))


def measure(policy: str, options: Any, parts: DatasetSplits) -> tuple[Turns, dict[str, int]]:
    """Run both trainings, Opsin's with an augmentation policy; return the times of each epoch and picture counts."""
    config = opsin.TrainConfig(
        architecture=options.arch, augment=policy, epochs=1 + options.epochs, batch_size=options.batch_size, patience=0
    )
    stored = decode_datasets(parts, make_plan(config, parts.train).preprocess)
    arrays = {
        name: (part.read(slice(None)).astype(np.float32), part.dataset.labels)
        for name, part in zip(("train", "val"), stored[:2], strict=True)
    }
    turns = Turns()
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(1) as pool:
        plain = pool.submit(fit_plain, turns, options.arch, config, arrays)
        fit_opsin(turns, parts, config, Path(temporary) / "run")
        plain.result()
    return turns, {name: len(labels) for name, (_, labels) in arrays.items()}


def summarize(result: Result, policy: str, turns: Turns) -> None:
    """Add what was measured with one augmentation policy to the result."""
    what = f"{OPSIN} / {PLAIN}, augmentation {policy}"
    ours, theirs = turns.seconds[OPSIN][1:], turns.seconds[PLAIN][1:]
    shares = Series(f"an epoch's time, {what}", "", ratios(ours, theirs))
    processor = [times[1:] for times in (turns.processor_seconds[OPSIN], turns.processor_seconds[PLAIN])]
    # Processor time says the same with less noise, but knows nothing of waiting.
    processor_shares = Series(f"an epoch's processor time, {what}", "", ratios(*processor))
    result.series += [
        Series(f"an epoch, {OPSIN}, augmentation {policy}", "s", ours),
        Series(f"an epoch, {PLAIN}, beside it", "s", theirs),
        shares,
        processor_shares,
    ]
    result.figures += [
        Figure(shares.what, shares.median, at_most=1.05),
        Figure(processor_shares.what, processor_shares.median),
    ]


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--data", required=True, help="a folder of class folders (or of splits), or a CSV")
    parser.add_argument("--arch", default="cifar_cnn", help="the network (default: cifar_cnn)")
    parser.add_argument(
        "--epochs", type=int, default=3, help="epochs after the first, which does not count (default: 3)"
    )
    parser.add_argument("--batch-size", type=int, default=64, help="pictures a step (default: 64)")
    parser.add_argument("--limit", type=int, help="use at most so many pictures, evenly spread (default: all)")
    parser.add_argument("--policies", nargs="+", default=["none", "standard"], help="Opsin's augmentation in each part")
    options = parser.parse_args()
    settings = {"data": Path(options.data).name, "arch": options.arch, "batch_size": options.batch_size}
    result = Result("training", "python -m benchmarks.training --data DIR", settings)
    dataset = opsin.ImageDataset.open(options.data)
    if options.limit is not None:
        dataset = dataset.subset(np.linspace(0, len(dataset) - 1, options.limit).astype(int))
    parts = dataset.split()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["OPSIN_CACHE"] = cache
        for policy in options.policies:
            turns, counts = measure(policy, options, parts)
            summarize(result, policy, turns)
    result.settings["pictures"] = counts
    result.publish(options.results)


if __name__ == "__main__":
    main()

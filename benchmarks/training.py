"""What an epoch of `opsin.train` costs, beside plain Keras `model.fit` on the same pictures in memory, and PyTorch.

All train the same architecture on the same pictures with the same batch size, optimizer and validation, in float32,
each in a process of its own, and take turns: an epoch of plain Keras, an epoch of Opsin, and so on; never two at once.
Plain Keras and PyTorch have float32 arrays and change no picture; Opsin reads its store and augments. The first epoch
of each does not count. PyTorch takes part where it is installed, with networks that are a chain of layers.
"""

import contextlib
import importlib.util
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import SpawnContext
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

PLAIN, OPSIN, TORCH = 0, 1, 2
NAMES = ("plain Keras", "opsin", "PyTorch")
Arrays = tuple[np.ndarray, np.ndarray]
"""Pictures, float32 (n, h, w, c), 0 to 255, and their classes, int (n,)."""


@dataclass
class Times:
    """What the epochs of a training took, on the clock and of all cores together, in seconds."""

    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)


class Turns:
    """Lets trainings, each in its process, run an epoch each in turn, and takes the time of each epoch.

    Args:
        context: makes the processes.
        those: who takes part, in the order of their turns.
    """

    def __init__(self, context: SpawnContext, those: Sequence[int]):
        self.those = tuple(those)
        self.changed = context.Condition()
        self.turn, self.left = context.Value("i", PLAIN), context.Array("b", len(NAMES))
        self.times = Times()

    @contextlib.contextmanager
    def taking_part(self, who: int) -> Iterator[None]:
        """Let the others know when this one is over, come to its end or failed."""
        try:
            yield
        finally:
            with self.changed:
                self.left[who] = True
                self.changed.notify_all()

    def begin(self, who: int) -> None:
        """Wait for this training's turn, and start its clock."""
        with self.changed:
            self.changed.wait_for(lambda: self.turn.value == who or self.left[self.turn.value])
            if self.turn.value != who:
                raise RuntimeError(f"{NAMES[who]} waits for {NAMES[self.turn.value]}, which has ended.")
        self.started, self.processor_started = time.perf_counter(), time.process_time()

    def end(self, who: int) -> None:
        """Stop this training's clock, and hand the turn over."""
        self.times.seconds.append(time.perf_counter() - self.started)
        self.times.processor_seconds.append(time.process_time() - self.processor_started)
        print(f"{NAMES[who]}: {self.times.seconds[-1]:.2f} s", flush=True)
        with self.changed:
            self.turn.value = self.those[(self.those.index(who) + 1) % len(self.those)]
            self.changed.notify_all()


def arrays(parts: DatasetSplits, config: opsin.TrainConfig) -> tuple[list[Arrays], opsin.TrainConfig]:
    """Return pictures and classes of training and validation, and the settings with nothing left open."""
    plan = make_plan(config, parts.train)
    stored = decode_datasets([parts.train, parts.val], plan.preprocess)
    return [(part.read(slice(None)).astype(np.float32), part.dataset.labels) for part in stored], plan.config


def fit_plain(turns: Turns, parts: DatasetSplits, config: opsin.TrainConfig) -> None:
    """Train as a Keras user does: arrays, `compile`, `fit`."""
    with turns.taking_part(PLAIN):
        (train, val), config = arrays(parts, config)
        network = opsin.build_network(config.architecture, train[0].shape[1:], len(parts.train.class_names))
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


def fit_opsin(turns: Turns, parts: DatasetSplits, config: opsin.TrainConfig) -> None:
    """Train as `opsin train` does, with everything that belongs to it."""
    train, val, test = parts

    def take_turns(event: dict[str, Any]) -> None:
        if event["event"] == "epoch_started":
            turns.begin(OPSIN)
        elif event["event"] == "epoch_ended":
            turns.end(OPSIN)

    with turns.taking_part(OPSIN), tempfile.TemporaryDirectory() as folder:
        opsin.train(train, val, config, test=test, out=RunFolder.create(Path(folder) / "run", [take_turns]))


def fit_torch(turns: Turns, parts: DatasetSplits, config: opsin.TrainConfig) -> None:
    """Train as a PyTorch user does who has all pictures in memory, in the layout that is quicker on a CPU."""
    import torch

    from benchmarks.torch_network import translate

    with turns.taking_part(TORCH):
        pairs, config = arrays(parts, config)
        shape = pairs[0][0].shape[1:]
        network = translate(opsin.build_network(config.architecture, shape, len(parts.train.class_names)))
        network = network.to(memory_format=torch.channels_last)
        # The transpose leaves the channels last in memory.
        train, val = (
            (torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels.astype(np.int64)))
            for images, labels in pairs
        )
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=config.weight_decay)
        for _ in range(config.epochs):
            turns.begin(TORCH)
            network.train()
            for rows in torch.randperm(len(train[0])).split(config.batch_size):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(network(train[0][rows]), train[1][rows]).backward()
                optimizer.step()
            network.eval()
            with torch.inference_mode():
                found = [network(images).argmax(1) for images in val[0].split(config.batch_size)]
                print(f"{NAMES[TORCH]}: {(torch.cat(found) == val[1]).double().mean():.1%} right")
            turns.end(TORCH)


def run(who: int, turns: Turns, results: Any, parts: DatasetSplits, config: opsin.TrainConfig) -> None:
    """Train in this process, and hand over what it took."""
    (fit_plain, fit_opsin, fit_torch)[who](turns, parts, config)
    results.put((who, turns.times))


def has_torch(architecture: str, shape: tuple[int, int, int]) -> bool:
    """Tell whether PyTorch is installed, and the network can be translated to it."""
    if importlib.util.find_spec("torch") is None:
        print("PyTorch takes no part: it is not installed.")
        return False
    from benchmarks.torch_network import UntranslatedError, translate

    try:
        translate(opsin.build_network(architecture, shape, 2))
    except UntranslatedError as error:
        print(f"PyTorch takes no part: {error}.")
        return False
    return True


def measure(policy: str, options: Any, parts: DatasetSplits) -> list[Times]:
    """Run all trainings, Opsin's with an augmentation policy; return what plain Keras took, Opsin, and PyTorch."""
    config = opsin.TrainConfig(
        architecture=options.arch,
        augment=policy,
        epochs=1 + options.epochs,
        batch_size=options.batch_size,
        patience=0,
        # As the rival's.
        precision="float32",
    )
    plan = make_plan(config, parts.train)
    # Once, for all.
    decode_datasets(parts, plan.preprocess)
    # Opsin last: after its last epoch it writes a report, which nobody is to be measured beside.
    those = [PLAIN, TORCH, OPSIN] if has_torch(options.arch, plan.preprocess.shape) else [PLAIN, OPSIN]
    context = multiprocessing.get_context("spawn")
    turns, results = Turns(context, those), context.Queue()
    processes = [context.Process(target=run, args=(who, turns, results, parts, config)) for who in those]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        sys.exit("Expected all trainings to come to their end; one failed, and says above why.")
    return [times for _, times in sorted((results.get() for _ in processes), key=lambda pair: pair[0])]


def summarize(result: Result, policy: str, times: list[Times]) -> None:
    """Add what was measured with one augmentation policy to the result."""
    ours = f"an epoch, {NAMES[OPSIN]}, augmentation {policy}"
    result.series.append(Series(ours, "s", times[OPSIN].seconds[1:]))
    for who in range(len(times)):
        if who == OPSIN:
            continue
        what = f"{NAMES[OPSIN]} / {NAMES[who]}, augmentation {policy}"
        shares = Series(f"an epoch's time, {what}", "", ratios(times[OPSIN].seconds[1:], times[who].seconds[1:]))
        # Processor time says the same with less noise, but knows nothing of waiting.
        processor = Series(
            f"an epoch's processor time, {what}",
            "",
            ratios(times[OPSIN].processor_seconds[1:], times[who].processor_seconds[1:]),
        )
        result.series += [Series(f"an epoch, {NAMES[who]}, beside it", "s", times[who].seconds[1:]), shares, processor]
        result.figures += [
            Figure(shares.what, shares.median, at_most=1.05 if who == PLAIN else None),
            Figure(processor.what, processor.median),
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
            summarize(result, policy, measure(policy, options, parts))
    result.settings["pictures"] = {"train": len(parts.train), "val": len(parts.val)}
    result.publish(options.results)


if __name__ == "__main__":
    main()

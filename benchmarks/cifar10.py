"""Time to accuracy from scratch: `opsin train --recipe fast` beside the textbook's recipe in plain Keras.

The textbook: `cifar_cnn` (two convolutions of 32, two of 64, one of 128, each with batch normalisation; dropout), Adam
at 0.001, batches of 128, pictures as they are, the rate halved after 5 epochs without a lower validation loss, an end
after 10, 50 epochs at most, the best weights kept. Both learn from the same pictures, are validated on the same ones
and judged on the same test pictures; time is that from the first step to the last epoch's end, validation included.

The textbook takes an hour or more, so its course is recorded once, `--record FOLDER`, into a JSON in the folder
`courses` beside the results: epochs to its best, and the test accuracy there. A later run takes what an epoch of it
costs from single epochs between Opsin's own trainings, and multiplies. Any data set with class folders can be given.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

import opsin
from benchmarks.results import Figure, Result, Series, arguments, describe_hardware
from opsin.data.dataset import DatasetSplits
from opsin.data.store import StoredImages, decode_datasets
from opsin.names import CONFIG
from opsin.training.plan import make_plan
from opsin.training.run_folder import RunFolder

BATCH = 128
EPOCHS, PATIENCE, PLATEAU = 50, 10, 5


def textbook(shape: tuple[int, int, int], class_count: int) -> keras.Model:
    """Return the textbook's network, compiled, written as a guide writes it."""
    layers = keras.layers

    def block(filters: int) -> list[keras.layers.Layer]:
        return [
            layers.Conv2D(filters, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
        ]

    network = keras.Sequential(
        [
            keras.Input(shape),
            layers.Rescaling(1 / 255),
            *(*block(32), *block(32), layers.MaxPooling2D(2), layers.Dropout(0.25)),
            *(*block(64), *block(64), layers.MaxPooling2D(2), layers.Dropout(0.25)),
            *(*block(128), layers.GlobalAveragePooling2D()),
            *(layers.Dense(256, activation="relu"), layers.Dropout(0.5), layers.Dense(class_count)),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"], jit_compile=False)
    return network


def arrays(images: StoredImages) -> tuple[np.ndarray, np.ndarray]:
    """Return all pictures as float32 and their labels, as `model.fit` is given them in guides."""
    return images.read(slice(None)).astype(np.float32), images.dataset.labels


class Course(keras.callbacks.Callback):
    """Keeps the textbook's course and its weights after each epoch, so that hours of training can be interrupted.

    Args:
        folder: where they are kept.
        others: callbacks that come before it and count epochs without a lower validation loss.
    """

    def __init__(self, folder: Path, others: list[Any]):
        super().__init__()
        folder.mkdir(parents=True, exist_ok=True)
        self.file, self.last, self.best = folder / "course.json", folder / "last.keras", folder / "best.weights.h5"
        self.others = others
        kept = json.loads(self.file.read_text()) if self.file.is_file() else {"logs": [], "counts": []}
        self.logs, self.counts = kept["logs"], kept["counts"]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        for other, (lowest, waited) in zip(self.others, self.counts, strict=bool(self.counts)):
            other.best, other.wait = lowest, waited

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        self.logs.append({name: float(value) for name, value in logs.items()})
        if self.best_epoch == len(self.logs):
            self.model.save_weights(self.best)
        self.model.save(self.last)
        counts = [(float(other.best), other.wait) for other in self.others]
        self.file.write_text(json.dumps({"logs": self.logs, "counts": counts}))

    @property
    def best_epoch(self) -> int:
        """The number, from 1, of the epoch with the lowest validation loss."""
        return int(np.argmin([log["val_loss"] for log in self.logs])) + 1


def record(stored: dict[str, StoredImages], seed: int, folder: Path, patience: int = PATIENCE) -> dict[str, Any]:
    """Train by the textbook to its own end, going on from where it was interrupted; return its course."""
    patient = [
        keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=PLATEAU),
        keras.callbacks.EarlyStopping(patience=patience),
    ]
    course = Course(folder, patient)
    done = len(course.logs)
    keras.utils.set_random_seed(seed + done)
    network = keras.models.load_model(course.last) if done else textbook(*_shape_and_classes(stored))
    if not done or done < min(EPOCHS, course.best_epoch + patience):
        network.fit(
            *arrays(stored["train"]),
            batch_size=BATCH,
            initial_epoch=done,
            epochs=EPOCHS,
            validation_data=arrays(stored["val"]),
            verbose=2,
            callbacks=[*patient, course],
        )
    network.load_weights(course.best)
    _, accuracy = network.evaluate(*arrays(stored["test"]), verbose=0)
    return {
        "seed": seed,
        "patience": patience,
        "epochs_to_best": course.best_epoch,
        "epochs": len(course.logs),
        "test_accuracy": float(accuracy),
        "val_accuracy": [log["val_accuracy"] for log in course.logs],
        "val_loss": [log["val_loss"] for log in course.logs],
        "hardware": describe_hardware(),
    }


class TextbookEpochs:
    """Takes the time of single epochs of the textbook; the first, which builds the graph, does not count."""

    def __init__(self, stored: dict[str, StoredImages]):
        self.network = textbook(*_shape_and_classes(stored))
        self.train, self.val = arrays(stored["train"]), arrays(stored["val"])
        few = slice(0, 4 * BATCH)
        self.network.fit(
            self.train[0][few],
            self.train[1][few],
            batch_size=BATCH,
            validation_data=(self.val[0][few], self.val[1][few]),
            verbose=0,
        )

    def time_one(self) -> float:
        """Train one epoch; return its seconds, validation included."""
        began = time.perf_counter()
        self.network.fit(*self.train, batch_size=BATCH, epochs=1, validation_data=self.val, verbose=0)
        return time.perf_counter() - began


@dataclass(frozen=True)
class FastPlan:
    """What is trained by the fast recipe, and what it is to reach.

    Args:
        architecture: `auto`, or a name of the catalogue.
        epochs: None for the recipe's own.
        budget: `24m`, say, which decides about architecture and epochs; None for none.
        accuracy: goal for the mean test accuracy in percent; None for the textbook's.
        views: whether that is the one with test-time flips and shifts.
        share: goal for its time as a share of the textbook's.
        minutes: goal for its time.
    """

    architecture: str = "auto"
    epochs: int | None = None
    budget: str | None = None
    accuracy: float | None = None
    views: bool = False
    share: float | None = None
    minutes: float | None = None

    @classmethod
    def parse(cls, text: str) -> "FastPlan":
        """Return the plan of `ARCH[:EPOCHS-OR-BUDGET[:ACCURACY[v][:SHARE[:MINUTES]]]]`; what is left empty is open."""
        architecture, length, accuracy, share, minutes, *_ = [*text.split(":"), "", "", "", ""]
        epochs, budget = (int(length), None) if length.isdecimal() else (None, length or None)
        goals = [float(goal or 0) or None for goal in (accuracy.rstrip("v"), share, minutes)]
        return cls(architecture or "auto", epochs, budget, goals[0], accuracy.endswith("v"), *goals[1:])


@dataclass(frozen=True)
class Trained:
    """A training by the fast recipe: what it was, seconds of learning, test accuracy, and the same in views."""

    what: str
    recipe: str
    seconds: float
    accuracy: float
    in_views: float


def train_fast(parts: DatasetSplits, plan: FastPlan, seed: int, size: int | None) -> Trained:
    """Train by the fast recipe and judge the network on the test pictures."""
    config = opsin.TrainConfig(
        recipe="fast",
        architecture=plan.architecture,
        epochs=plan.epochs,
        budget=plan.budget,
        seed=seed,
        image_size=size,
    )
    with tempfile.TemporaryDirectory() as folder:
        run = opsin.train(parts.train, parts.val, config, test=parts.test, out=RunFolder.create(Path(folder) / "run"))
        events = [json.loads(line) for line in (run.folder / "events.jsonl").read_text().splitlines()]
        by_kind = {event["event"]: event for event in reversed(events)}
        ended = [event["time"] for event in events if event["event"] == "epoch_ended"][-1]
        in_views = opsin.Classifier.open(run.folder, flips=True, shifts=True)
        return Trained(
            f"{opsin.TrainConfig.from_toml(run.folder / CONFIG).architecture}, "
            + (f"{len(run.history)} epochs" if plan.budget is None else f"budget {plan.budget}"),
            next(event["text"] for event in events if event.get("text", "").startswith("Recipe fast")),
            ended - by_kind["epoch_started"]["time"],
            100 * run.report.metrics.accuracy.value,
            100 * opsin.evaluate(in_views, parts.test).metrics.accuracy.value,
        )


def main() -> None:
    """Parse, record or measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--data", required=True, help="a folder with train/ and test/, CIFAR-10 say")
    parser.add_argument("--name", help="name of the result (default: fast_ and the folder's)")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each kind (default: 2)")
    parser.add_argument(
        "--plan",
        type=FastPlan.parse,
        nargs="+",
        metavar="ARCH[:EPOCHS-OR-BUDGET[:ACCURACY[v][:SHARE[:MINUTES]]]]",
        default=[FastPlan()],
        help="what is trained, and what it is to reach: percent (v: with test-time flips and shifts), share of the "
        "textbook's time, minutes (default: what the recipe decides, the textbook's accuracy)",
    )
    parser.add_argument("--size", type=int, help="height and width of the pictures (default: the recipe's)")
    parser.add_argument("--val", type=float, default=0.04, help="share of train/ for validation (default: 0.04)")
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FOLDER",
        help="train by the textbook to its end, and keep its course; interrupted, it goes on from FOLDER",
    )
    parser.add_argument(
        "--patience",
        type=int,
        default=PATIENCE,
        help=f"epochs without a lower validation loss that end the textbook (default: {PATIENCE}); of a few hundred "
        f"pictures, an epoch is too few steps for its normalisation to catch up: there, {EPOCHS}",
    )
    options = parser.parse_args()
    name = Path(options.data).name
    course = options.results / "courses" / f"{name}.json"
    parts = opsin.ImageDataset.open(options.data).split(val=options.val)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["OPSIN_CACHE"] = cache
        recipe = make_plan(opsin.TrainConfig(recipe="fast", image_size=options.size), parts.train).preprocess
        stored = dict(zip(("train", "val", "test"), decode_datasets([*parts], recipe), strict=True))
        if options.record:
            course.parent.mkdir(parents=True, exist_ok=True)
            course.write_text(json.dumps(record(stored, 0, options.record, options.patience), indent=2) + "\n")
            print(f"Written to {course}.")
            return
        _measure(options, parts, stored, json.loads(course.read_text()) if course.is_file() else None, name)


def _measure(
    options: argparse.Namespace,
    parts: DatasetSplits,
    stored: dict[str, StoredImages],
    course: dict[str, Any] | None,
    name: str,
) -> None:
    settings = {"data": name, "seeds": options.seeds, "pictures": len(parts.train)}
    # As it was given, but for what lies where on this machine.
    words = ["DIR" if word == options.data else word for word in sys.argv[1:]]
    if "--results" in words:
        place = words.index("--results")
        del words[place : place + 2]
    result = Result(options.name or f"fast_{name}", " ".join(["python -m benchmarks.cifar10", *words]), settings)
    rival = TextbookEpochs(stored)
    epochs = []
    for plan in options.plan:
        rows = []
        for seed in range(options.seeds):
            epochs.append(rival.time_one())
            rows.append(train_fast(parts, plan, seed, options.size))
            print(f"{rows[-1]}; an epoch of the textbook: {epochs[-1]:.1f} s", flush=True)
        what, seconds = rows[0].what, [row.seconds for row in rows]
        settings[what] = rows[0].recipe
        result.series += [
            Series(f"{what}: seconds of learning", "s", seconds),
            Series(f"{what}: test accuracy", "%", [row.accuracy for row in rows]),
            Series(f"{what}: test accuracy with --flips --shifts", "%", [row.in_views for row in rows]),
        ]
        to_reach = plan.accuracy if course is None else plan.accuracy or 100 * course["test_accuracy"]
        plain, in_views = (statistics.mean(getattr(row, name) for row in rows) for name in ("accuracy", "in_views"))
        result.figures += [
            Figure(f"{what}: mean test accuracy", plain, "%", at_least=None if plan.views else to_reach),
            Figure(f"{what}: the same in views", in_views, "%", at_least=to_reach if plan.views else None),
            Figure(f"{what}: mean minutes of learning", statistics.mean(seconds) / 60, "min", at_most=plan.minutes),
        ]
        if course is not None:
            ratio = statistics.mean(seconds) / statistics.median(epochs)
            to_best, to_end = (ratio / course[name] for name in ("epochs_to_best", "epochs"))
            result.figures += [
                Figure(f"{what}: its time / the textbook's to its best", to_best, at_most=plan.share),
                Figure(f"{what}: its time / the textbook's to its end", to_end),
            ]
    result.series.append(Series("an epoch of the textbook, between them", "s", epochs))
    if course is not None:
        result.figures += [
            Figure("textbook: epochs to its best", course["epochs_to_best"]),
            Figure("textbook: epochs to its end", course["epochs"]),
            Figure("textbook: test accuracy there", 100 * course["test_accuracy"], "%"),
        ]
    result.publish(options.results)


def _shape_and_classes(stored: dict[str, StoredImages]) -> tuple[tuple[int, int, int], int]:
    return stored["train"].read(slice(0, 1)).shape[1:], len(stored["train"].dataset.class_names)


if __name__ == "__main__":
    main()

"""Masks: U-Net against a threshold and against plain Keras code in the same time; a pretrained one; the cost of a step.

`membrane`: electron microscopy, 24 pictures to learn from (3 of them tell the best epoch) and 6 held out, by a hash of
their names; a U-Net from scratch. Rivals: Otsu's threshold of the grey values, and the same network trained by a plain
`fit` on the same pictures (cross-entropy, Adam, no augmentation, best epoch by validation loss) for as long as Opsin
took. `pets`: 120 and 30 pictures, the animal's border ignored, on pretrained weights. `step`: the time of a training
step of the network of 471,652 parameters beside a plain `fit` of the same network with the same loss, interleaved.

All masks are judged at the pictures' own size by the same code.
"""

import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.results import Figure, Result, Series, arguments
from opsin.data.cache import Cache
from opsin.images.decode import decode_image
from opsin.segmentation.batches import PlainPairs, TrainingPairs
from opsin.segmentation.classes import ClassTable
from opsin.segmentation.config import SegmentConfig
from opsin.segmentation.dataset import SegmentationDataset
from opsin.segmentation.evaluate import SegmentationReport, evaluate
from opsin.segmentation.learning import build
from opsin.segmentation.losses import PixelLoss
from opsin.segmentation.metrics import PixelJudge, SegmentationMetrics
from opsin.segmentation.networks import build_segmentation_network
from opsin.segmentation.plan import make_plan
from opsin.segmentation.policies import get_pair_policy
from opsin.segmentation.road import SegmentationRecipe, read_upright_mask
from opsin.segmentation.segmenter import Segmenter, pixel_softmax
from opsin.segmentation.store import StoredPairs, decode_pairs
from opsin.segmentation.train import train_segmentation
from opsin.segmentation.watching import MeanIoU, PixelAccuracy
from opsin.training.fit import Phase, fit
from opsin.training.network import compile_network
from opsin.training.progress import TerminalProgress
from opsin.training.run_folder import RunFolder
from opsin.training.stopping import StopRequest

VAL, TEST = 0.1, 0.2
MEMBRANE = {
    **{"architecture": "unet", "color": "gray", "augment": "microscopy", "image_size": 256, "width": 8, "depth": 3},
    **{"normalize": True, "batch_size": 2, "learning_rate": 0.003, "patience": 0},
}
PETS = {"image_size": 192, "decoder_epochs": 2, "epochs": 5}
STEP_PICTURES, STEP_BATCH, STEP_EPOCHS, STEP_ROUNDS = 12, 4, 3, 3

Segment = Callable[[str], np.ndarray]


def judged(dataset: SegmentationDataset, segment: Segment) -> SegmentationMetrics:
    judge = PixelJudge(dataset.class_names)
    for path, mask in zip(dataset.paths, dataset.mask_paths, strict=True):
        judge.add(read_upright_mask(path, mask, dataset.classes), segment(path))
    return judge.finish()


def figures(what: str, metrics: SegmentationMetrics, *names: str) -> list[Figure]:
    found = [Figure(f"{what}: mean IoU", metrics.mean_iou.value)]
    for one in metrics.per_class:
        if one.name in names:
            found += [Figure(f"{what}: {one.name} IoU", one.iou.value)]
            found += [Figure(f"{what}: {one.name} Dice", one.dice.value)]
    low, high = metrics.mean_iou.low, metrics.mean_iou.high
    print(f"{what}: mean IoU {metrics.mean_iou.value:.4f} ({low:.4f} to {high:.4f})", flush=True)
    return found


def otsu(path: str) -> np.ndarray:
    """Return 1 where a picture is brighter than Otsu's threshold, else 0."""
    gray = decode_image(path).mean(axis=2).round().astype(np.uint8)
    counts = np.bincount(gray.ravel(), minlength=256).astype(float)
    below, total = np.cumsum(counts), counts.sum()
    sums = np.cumsum(counts * np.arange(256))
    with np.errstate(invalid="ignore", divide="ignore"):
        between = (sums[-1] * below / total - sums) ** 2 / (below * (total - below))
    return (gray > int(np.nanargmax(between))).astype(np.uint8)


def plain_keras(
    train: StoredPairs, val: StoredPairs, config: SegmentConfig, recipe: SegmentationRecipe, *, seconds: float
) -> tuple[Segment, int]:
    """Train the same network as a tutorial would, for so many seconds; return what segments, and its epochs."""
    keras.utils.set_random_seed(config.seed)
    network = build(make_plan(config), 2, precision="float32")
    (x, y), validation = train.read(slice(None)), val.read(slice(None))
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    until, best, epochs = time.monotonic() + seconds, [np.inf, network.get_weights()], 0
    while time.monotonic() < until:
        logs = network.fit(x, y, batch_size=config.batch_size, validation_data=validation, verbose=0).history
        epochs += 1
        if logs["val_loss"][0] < best[0]:
            best = [logs["val_loss"][0], network.get_weights()]
    network.set_weights(best[1])

    def segment(path: str) -> np.ndarray:
        image = decode_image(path)
        logits = network.predict_on_batch(recipe.preprocess.read(path)[None].astype(np.float32))
        return recipe.classes_back(pixel_softmax(logits)[0], *image.shape[:2])

    return segment, epochs


def membrane(options: Any) -> Result:
    config = SegmentConfig(**MEMBRANE, epochs=options.epochs, precision="float32")
    data = SegmentationDataset.open(options.data, names=("membrane", "cell"))
    train, val, test = data.split(VAL, TEST)
    settings = {**MEMBRANE, "epochs": options.epochs, "pictures": [len(train), len(val), len(test)]}
    result = Result("segmentation_membrane", "python -m benchmarks.segmentation membrane --data DIR", settings)
    result.figures += figures("Otsu's threshold", judged(test, otsu), "membrane")
    segmenter, report, seconds = trained(train, val, test, config, options.out)
    result.figures += figures("opsin", report.metrics, "membrane")
    recipe = segmenter.recipe
    stored = decode_pairs([train, val], recipe, cache=Cache(enabled=False))
    rival, epochs = plain_keras(*stored, config, recipe, seconds=seconds)
    result.figures += figures(f"plain Keras, {epochs} epochs in as long", judged(test, rival), "membrane")
    result.series.append(Series("learning, both", "s", [seconds]))
    return result


def pets(options: Any) -> Result:
    config = SegmentConfig(**{**PETS, "epochs": options.epochs or PETS["epochs"]}, weights=str(options.weights))
    table = ClassTable(("background", "animal"), values=(2, 1), ignore=(3,))
    train, val, test = SegmentationDataset.open(options.data, classes=table).split(VAL, TEST)
    settings = {**PETS, "weights": options.weights.name, "pictures": [len(train), len(val), len(test)]}
    result = Result("segmentation_pets", "python -m benchmarks.segmentation pets --data DIR --weights FILE", settings)
    started = time.monotonic()
    _, report, _ = trained(train, val, test, config, options.out)
    result.figures += figures("opsin", report.metrics, "animal")
    animal = report.metrics.per_class[1].iou.value
    result.figures.append(Figure("animal IoU", animal, at_least=0.75))
    result.figures.append(Figure("from pictures to the report", (time.monotonic() - started) / 60, "min", at_most=10))
    return result


def trained(train, val, test, config: SegmentConfig, out: Path | None) -> tuple[Segmenter, SegmentationReport, float]:
    """Train with Opsin, or take a finished run; return its segmenter, its report, and the seconds of learning."""
    folder = out or Path(tempfile.mkdtemp()) / "run"
    if not (folder / "report.json").exists():
        train_segmentation(train, val, config, test=test, out=RunFolder.create(folder, [TerminalProgress()]))
    segmenter = Segmenter.open(folder)
    with (folder / "history.csv").open() as file:
        seconds = sum(float(row["seconds"]) for row in csv.DictReader(file))
    return segmenter, evaluate(segmenter, test), seconds


def step(options: Any) -> Result:
    settings = {"network": "unet, 471,652 parameters", "pictures": STEP_PICTURES, "batch": STEP_BATCH, "loss": "ce"}
    result = Result("segmentation_step", "python -m benchmarks.segmentation step", settings)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (STEP_PICTURES, 128, 128, 3), dtype=np.uint8)
    masks = random.integers(0, 4, (STEP_PICTURES, 128, 128), dtype=np.uint8)
    measured = {
        "plain fit": lambda: plain_epochs(images, masks),
        "opsin, pictures as they are": lambda: opsin_epochs(images, masks, "none"),
        "opsin, pictures augmented": lambda: opsin_epochs(images, masks, "light"),
    }
    times: dict[str, list[list[float]]] = {name: [] for name in measured}
    for _ in range(STEP_ROUNDS):
        for name, measure in measured.items():
            times[name].append(measure())
        print({name: [round(v, 2) for v in rounds[-1]] for name, rounds in times.items()}, flush=True)
    for name, rounds in times.items():
        result.series.append(Series(f"{name}: an epoch of 3 steps", "s", [v for one in rounds for v in one]))
    for name in list(times)[1:]:
        pairs = zip(times[name], times["plain fit"], strict=True)
        ratio = statistics.median(statistics.median(one) / statistics.median(plain) for one, plain in pairs)
        goal = 1.0 if name.endswith("are") else None
        result.figures.append(Figure(f"{name}, of plain fit", ratio, "times", at_most=goal))
    return result


class _Arrays:
    """Pairs in memory, with the interface of `StoredPairs` as batches use it."""

    def __init__(self, images: np.ndarray, masks: np.ndarray):
        self.images, self.masks = images, masks

    def __len__(self) -> int:
        return len(self.images)

    def read(self, positions):
        return self.images[positions], self.masks[positions]


def opsin_epochs(images: np.ndarray, masks: np.ndarray, policy: str) -> list[float]:
    config = SegmentConfig(
        architecture="unet", epochs=STEP_EPOCHS, batch_size=STEP_BATCH, learning_rate=1e-3, loss="ce"
    )
    network = build_segmentation_network("unet", (128, 128, 3), 4)
    compile_network(network, config, loss=PixelLoss("ce", (1.0,) * 4), metrics=[PixelAccuracy(), MeanIoU(4)])
    pairs, marks = _Arrays(images, masks), []

    def note(event: dict[str, Any]) -> None:
        if event["event"] in ("epoch_started", "validating"):
            marks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.create(Path(folder) / "run", [note])
        batches = TrainingPairs(pairs, get_pair_policy(policy), STEP_BATCH, seed=0)
        val = PlainPairs(_Arrays(images[:2], masks[:2]), 2)
        phase = Phase(run / "checkpoint")
        fit(network, batches, val, config=config, run=run, stop=StopRequest(), phase=phase)
    return [end - start for start, end in zip(marks[::2], marks[1::2], strict=True)][1:]


def plain_epochs(images: np.ndarray, masks: np.ndarray) -> list[float]:
    network = build_segmentation_network("unet", (128, 128, 3), 4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.AdamW(1e-3), loss, metrics=["accuracy"])
    marks = []
    callback = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: marks.append(time.perf_counter()),
        on_epoch_end=lambda epoch, logs: marks.append(time.perf_counter()),
    )
    x = images.astype(np.float32)
    network.fit(x, masks, batch_size=STEP_BATCH, epochs=STEP_EPOCHS, verbose=0, callbacks=[callback])
    return [end - start for start, end in zip(marks[::2], marks[1::2], strict=True)][1:]


PARTS = {"membrane": membrane, "pets": pets, "step": step}


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--data", type=Path, help="a folder with images/ and masks/")
    parser.add_argument("--weights", type=Path, help="of mobilenet_v2, without its head (pets)")
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None, help="keep the run here, or take the finished one there")
    options = parser.parse_args()
    if options.part == "membrane":
        options.epochs = options.epochs or 25
    PARTS[options.part](options).publish(options.results)


if __name__ == "__main__":
    main()

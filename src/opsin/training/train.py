"""`train`: from data sets and settings to a run folder with a trained, evaluated, saved classifier in it."""

import dataclasses
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opsin import __version__
from opsin.architectures import check_network
from opsin.architectures.summary import summarize
from opsin.atomic import replacing, saying_why
from opsin.augmentation.policies import describe, get_policy
from opsin.catalog import require
from opsin.classifier import Classifier
from opsin.data.account import write_account
from opsin.data.cache import Cache
from opsin.data.dataset import ImageDataset, require_learnable
from opsin.data.readers import Skipped
from opsin.data.splits import TEST, TRAIN, VAL
from opsin.data.store import StoredImages, decode_datasets
from opsin.errors import DataError
from opsin.evaluation.evaluate import run_stored
from opsin.evaluation.report import Report
from opsin.exporters.write_model import write_model
from opsin.model_folder import TWIN, ModelCard
from opsin.training.config import TrainConfig
from opsin.training.plan import Plan, make_plan, weigh_classes
from opsin.training.progress import TerminalProgress
from opsin.training.run_folder import (
    CONFIG,
    FILES,
    MODEL,
    PREDICTIONS,
    REPORT_HTML,
    REPORT_JSON,
    RunFolder,
    free_path,
)

if TYPE_CHECKING:
    import keras

    from opsin.training.state import TrainingState


MOST_SAID = 20
"""So many pictures that cannot be used are named one by one; files.csv names them all."""


@dataclass(frozen=True)
class TrainingRun:
    """What a training gives back.

    Args:
        classifier: the best network of the run, ready to predict; None if it was stopped before its first epoch.
        report: what it is worth on the held-out pictures, or on the validation pictures if none were held out;
            None if the training was stopped before its end.
        history: a row for each epoch.
        folder: the run folder.
        completed: False if the user stopped it; `--resume` goes on.
        unreadable: how many pictures could not be found or read.
    """

    classifier: Classifier | None
    report: Report | None
    history: list[dict[str, Any]]
    folder: Path
    completed: bool
    unreadable: int


def train(
    train: ImageDataset,
    val: ImageDataset,
    config: TrainConfig | None = None,
    *,
    test: ImageDataset | None = None,
    model: "keras.Model | None" = None,
    out: str | Path | RunFolder | None = None,
) -> TrainingRun:
    """Train a classifier and write it, with its report, into a run folder.

    Args:
        train: the pictures to learn from.
        val: the pictures that tell the best epoch.
        config: settings; None for the defaults.
        test: held-out pictures for the report; without them it is about `val`, and says so.
        model: your own network, float32 (N, h, w, c), 0 to 255 → logits (N, k); instead of
            `config.architecture`.
        out: a new or empty folder; None for `runs/NAME` beside where you are. A `RunFolder` brings its own
            listeners, and may be one to resume.

    Returns:
        The run. It is on the disk too: `Classifier.open(run.folder)`.

    Raises:
        DataError: there are fewer than two classes, or a class without pictures.
        UsageError: a setting or the folder is not what is expected.
        TrainingError: the loss became infinite or no number.
        MissingPackageError: Keras or TensorFlow is not installed.
    """
    started = time.monotonic()
    config = config or TrainConfig()
    _require_trainable(train, val, config)
    from opsin.training.fit import fit
    from opsin.training.network import in_float32, make_network

    run = out if isinstance(out, RunFolder) else _new_run(out, train)
    parts = {TRAIN: train, VAL: val, TEST: test if test is not None else val.subset([])}
    class_count = len(train.class_names)
    with run.beginning():
        plan = _plan(config, train, model)
        network = make_network(plan, class_count, model)
        _say_what_begins(plan, network, parts, run)
        stored = _decode(parts, plan, run)
        weights = weigh_classes(plan.config, stored[TRAIN].dataset.labels, class_count)
        if weights.max() > weights.min():
            run.say("The classes are imbalanced: rare ones weigh more in the loss (--class-weights).")
    state, completed = fit(network, stored[TRAIN], stored[VAL], class_weights=weights, config=plan.config, run=run)
    unreadable = len(_lost(parts, stored))
    if not state.best_epoch:
        return TrainingRun(None, None, state.history, run.path, completed, unreadable)
    network = network if model is not None else in_float32(network, plan, class_count)
    classifier = _save(network, plan, train, run)
    report = _judge(classifier, stored, state, config=plan.config, run=run) if completed else None
    run.write_environment(seconds=round(time.monotonic() - started, 1), seed=plan.config.seed, data=str(train.root))
    if completed:
        run.remove_checkpoint()
    run.emit("run_finished", completed=completed, folder=str(run.path), seconds=round(time.monotonic() - started, 1))
    return TrainingRun(classifier, report, state.history, run.path, completed, unreadable)


def _require_trainable(train: ImageDataset, val: ImageDataset, config: TrainConfig) -> None:
    for package in ("keras", "sklearn", *(["tensorboard"] if config.tensorboard else [])):
        require(package, "training")
    if train.class_names != val.class_names:
        raise DataError(
            f"Expected the same classes in training and validation; received {train.class_names} and {val.class_names}."
        )
    if not len(val):
        raise DataError("Expected pictures for validation; received none. Raise the fraction `val`.")
    require_learnable(ImageDataset(train.listing))


def _new_run(out: str | Path | None, train: ImageDataset) -> RunFolder:
    path = free_path("runs", train.root.name) if out is None else Path(out)
    return RunFolder.create(path, [TerminalProgress()])


def _plan(config: TrainConfig, train: ImageDataset, model: "keras.Model | None") -> Plan:
    if model is not None:
        check_network(model, tuple(model.input_shape[1:]), len(train.class_names))
    return make_plan(config, train, model)


def _say_what_begins(plan: Plan, network: "keras.Model", parts: dict[str, ImageDataset], run: RunFolder) -> None:
    config, summary = plan.config, summarize(network)
    run.emit(
        "run_started",
        folder=str(run.path),
        data=str(parts[TRAIN].root),
        classes=len(parts[TRAIN].class_names),
        pictures={name: len(part) for name, part in parts.items()},
        fingerprint=parts[TRAIN].fingerprint,
        skipped=len(parts[TRAIN].skipped),
        skipped_first=[f"{skipped.path}: {skipped.reason}" for skipped in parts[TRAIN].skipped[:3]],
    )
    run.emit(
        "network_built",
        name=network.name,
        input_shape=list(plan.preprocess.shape),
        parameters=summary.parameters,
        multiply_adds=summary.multiply_adds,
        augmentation=f"{config.augment} ({describe(get_policy(config.augment))})",
    )


def _decode(parts: dict[str, ImageDataset], plan: Plan, run: RunFolder) -> dict[str, StoredImages]:
    config = plan.config
    cache = Cache(limit_bytes=int(config.cache_limit_gb * 2**30), enabled=config.cache)
    stored = decode_datasets(
        list(parts.values()), plan.preprocess, cache=cache, progress=_DecodeEvents(run), say=run.say
    )
    stored = dict(zip(parts, stored, strict=True))
    _say_what_is_lost(_lost(parts, stored), run)
    config.save_toml(run / CONFIG)
    write_account(run / FILES, parts, {name: part.unreadable for name, part in stored.items()})
    return stored


def _lost(parts: dict[str, ImageDataset], stored: dict[str, StoredImages]) -> list[Skipped]:
    """Return the pictures that were meant to be used and cannot be."""
    listings = {id(part.listing): part.listing for part in parts.values()}.values()
    missing = [skipped for listing in listings for skipped in listing.skipped if skipped.lost]
    return missing + [skipped for part in stored.values() for skipped in part.unreadable]


def _say_what_is_lost(lost: list[Skipped], run: RunFolder) -> None:
    for skipped in lost[:MOST_SAID]:
        run.say(f"Left out {skipped.path!r}: {skipped.reason}")
    if len(lost) > MOST_SAID:
        run.say(f"Left out {len(lost) - MOST_SAID:,} pictures more; {FILES} in the run names them all.")


class _DecodeEvents:
    """Emits `decoding` a few times a second."""

    def __init__(self, run: RunFolder):
        self.run = run
        self.last = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.last > 0.25 or done == total:
            self.last = now
            self.run.emit("decoding", done=done, total=total)


def _save(network: "keras.Model", plan: Plan, train: ImageDataset, run: RunFolder) -> Classifier:
    provenance = {
        "opsin": __version__,
        "architecture": plan.config.architecture if plan.config.architecture != "auto" else network.name,
        "data": {"fingerprint": train.fingerprint, "pictures": len(train)},
        "seed": plan.config.seed,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    remarks = write_model(run / MODEL, network, ModelCard(train.class_names, plan.preprocess, provenance=provenance))
    for remark in remarks:
        run.say(remark)
    classifier = Classifier.open(run.path, "litert" if (run / MODEL / TWIN).is_file() else "keras")
    run.emit("model_saved", folder=str(run / MODEL))
    return classifier


def _judge(
    classifier: Classifier,
    stored: dict[str, StoredImages],
    state: "TrainingState",
    *,
    config: TrainConfig,
    run: RunFolder,
) -> Report:
    judged = {part: stored[part] for part in (VAL, TEST) if len(stored[part])}
    logits = {part: run_stored(classifier, images) for part, images in judged.items()}
    _write_predictions(run, judged, logits)
    part = TEST if TEST in judged else VAL
    report = Report.from_predictions(
        judged[part].dataset.labels,
        classifier.probabilities(logits[part]),
        judged[part].dataset.names,
        classifier.class_names,
        split=part,
        skipped=[(skipped.path, skipped.reason) for skipped in judged[part].unreadable],
    )
    report.save_html(run / REPORT_HTML, history=state.history, settings=dataclasses.asdict(config))
    report.save_json(run / REPORT_JSON)
    run.emit("evaluated", split=part, accuracy=report.to_dict()["accuracy"])
    return report


def _write_predictions(run: RunFolder, judged: dict[str, StoredImages], logits: dict[str, np.ndarray]) -> None:
    with replacing(run / PREDICTIONS) as temporary, saying_why(run / PREDICTIONS):
        np.savez_compressed(
            temporary,
            logits=np.concatenate([logits[part] for part in judged]),
            labels=np.concatenate([images.dataset.labels for images in judged.values()]),
            paths=np.array([name for images in judged.values() for name in images.dataset.names]),
            split=np.array([part for part, images in judged.items() for _ in range(len(images))]),
        )

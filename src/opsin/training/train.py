"""`train`: from data sets and settings to a run folder with a trained, evaluated, saved classifier in it."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from opsin.allocation import memory_kept
from opsin.architectures.weight_files import IMAGENET
from opsin.classifier import Classifier
from opsin.data.dataset import ImageDataset
from opsin.data.splits import TEST, TRAIN, VAL
from opsin.errors import TrainingError
from opsin.evaluation.report import Report
from opsin.names import CONFIG
from opsin.training.checks import as_begun, require_same_run, require_same_weights, require_trainable
from opsin.training.config import TrainConfig
from opsin.training.decoding import lost_pictures
from opsin.training.judging import judge
from opsin.training.plan import make_plan, settings_of
from opsin.training.preparing import Begun, prepare
from opsin.training.progress import TerminalProgress
from opsin.training.run_folder import RunFolder, free_path
from opsin.training.stopping import StopRequest
from opsin.training.where_time_went import tell_where_time_went

if TYPE_CHECKING:
    import keras

    from opsin.training.phases import Learned


@dataclass(frozen=True)
class TrainingRun:
    """What a training gives back.

    Args:
        classifier: the best network of the run, ready to predict; None if it was stopped before its first epoch.
        report: what it is worth on the held-out pictures, or on the validation pictures if none were held out;
            None if the training was stopped before its end.
        history: a row for each epoch.
        folder: the run folder.
        completed: False if the user stopped it; `RunFolder.resume` (`--resume`) goes on.
        unreadable: how many pictures could not be found or read.
    """

    classifier: Classifier | None
    report: Report | None
    history: list[dict[str, Any]]
    folder: Path
    completed: bool
    unreadable: int


@memory_kept()
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
        config: settings; None for the defaults, or for a run's own where `out` is one to resume.
        test: held-out pictures for the report; without them it is about `val`, and says so.
        model: your own network, float32 (N, h, w, c), 0 to 255 → logits (N, k); instead of
            `config.architecture`. It is compiled and trained in place.
        out: a new or empty folder; None for `runs/NAME` beside where you are. A `RunFolder` brings its own
            listeners; `RunFolder.resume(path)` goes on with a run that was interrupted.

    Returns:
        The run. It is on the disk too: `Classifier.open(run.folder)`.

    Raises:
        DataError: there are fewer than two classes, a class without pictures, or a picture in two parts.
        UsageError: a setting or the folder is not what is expected, or the run to resume is another one.
        TrainingError: the loss became infinite or no number; the best network so far was saved.
        MissingPackageError: Keras or TensorFlow is not installed.
    """
    started = time.monotonic()
    run = out if isinstance(out, RunFolder) else _new_run(out, train)
    parts = {TRAIN: train, VAL: val, TEST: test if test is not None else val.subset([])}
    with run.beginning():
        begun = _begin(parts, config, model, run)
    from opsin.training.calibrating import calibrate
    from opsin.training.phases import learn

    with StopRequest().listening() as stop, run.learning():
        learned = learn(begun, stop, started if run.started is None else run.started)
    config = begun.plan.config
    run.write_environment(seconds=round(time.monotonic() - started, 1), seed=config.seed, data=str(train.root))
    if learned.error is not None:
        _raise(learned, run)
    completed = learned.completed and not stop.made
    report = None
    if completed:
        learned = calibrate(learned, run)
        report = judge(learned, config=config, run=run)
        run.remove_checkpoint()
    run.emit("run_finished", completed=completed, folder=str(run.path), seconds=round(time.monotonic() - started, 1))
    if config.profile:
        tell_where_time_went(run)
    lost = lost_pictures(begun.stored, parts)
    return TrainingRun(learned.classifier, report, learned.history, run.path, completed, len(lost))


def _begin(
    parts: dict[str, ImageDataset], config: TrainConfig | None, model: "keras.Model | None", run: RunFolder
) -> Begun:
    config = config or (TrainConfig() if run.fresh else TrainConfig.from_toml(run / CONFIG))
    if not run.fresh:
        config = as_begun(run, config)
    require_trainable(parts, config)
    plan = make_plan(config, parts[TRAIN], model)
    if not run.fresh:
        require_same_run(run, settings_of(plan, config), parts)
    if plan.weights not in (None, IMAGENET) and config.budget is None:
        require_same_weights(run, Path(plan.weights))
    _say_what_begins(parts, run)
    begun = prepare(plan, parts, run, settings=config, model=model)
    settings_of(begun.plan, config).save_toml(run / CONFIG)
    return begun


def _raise(learned: "Learned", run: RunFolder) -> NoReturn:
    if learned.classifier is None:
        run.discard()
        raise learned.error
    raise TrainingError(f"{learned.error} The best network so far is in {str(run.path)!r}.")


def _new_run(out: str | Path | None, train: ImageDataset) -> RunFolder:
    path = free_path("runs", train.root.name) if out is None else Path(out)
    return RunFolder.create(path, [TerminalProgress()])


def _say_what_begins(parts: dict[str, ImageDataset], run: RunFolder) -> None:
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

"""`train_segmentation`: from pictures and masks to a run folder with a trained, judged, saved segmenter in it."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from opsin.allocation import memory_kept
from opsin.architectures.summary import summarize
from opsin.catalog import require_installed
from opsin.data.cache import Cache
from opsin.data.dataset import ImageDataset
from opsin.data.splits import TEST, TRAIN, VAL
from opsin.errors import DataError, TrainingError
from opsin.names import CONFIG, REPORT_HTML, REPORT_JSON
from opsin.segmentation.config import SegmentConfig
from opsin.segmentation.dataset import SegmentationDataset
from opsin.segmentation.evaluate import SegmentationReport, evaluate
from opsin.segmentation.plan import SegmentPlan, make_plan
from opsin.segmentation.policies import describe_pairs, get_pair_policy
from opsin.segmentation.segmenter import Segmenter
from opsin.segmentation.showing import save_page
from opsin.segmentation.store import StoredPairs, decode_pairs
from opsin.training.checks import as_begun, require_same_run
from opsin.training.config import AUTO
from opsin.training.decoding import DecodingEvents, account_for, lost_pictures
from opsin.training.progress import TerminalProgress
from opsin.training.run_folder import RunFolder, free_path
from opsin.training.stopping import StopRequest
from opsin.training.where_time_went import tell_where_time_went


@dataclass(frozen=True)
class SegmentationRun:
    """What a training gives back.

    Args:
        segmenter: the best network of the run; None if it was stopped before its first epoch.
        report: what it is worth on the held-out pictures, or on the validation pictures if none were held out; None if
            the training was stopped before its end.
        history: a row for each epoch.
        folder: the run folder.
        completed: False if the user stopped it; `RunFolder.resume` (`--resume`) goes on.
        unreadable: how many pictures or masks could not be found or read.
    """

    segmenter: Segmenter | None
    report: SegmentationReport | None
    history: list[dict[str, Any]]
    folder: Path
    completed: bool
    unreadable: int


@memory_kept()
def train_segmentation(
    train: SegmentationDataset,
    val: SegmentationDataset,
    config: SegmentConfig | None = None,
    *,
    test: SegmentationDataset | None = None,
    out: str | Path | RunFolder | None = None,
) -> SegmentationRun:
    """Train a network that gives a class to every pixel, and write it, with its report, into a run folder.

    Args:
        train: the pictures and masks to learn from.
        val: those that tell the best epoch.
        config: settings; None for the defaults, or for a run's own where `out` is one to resume.
        test: those held out for the report; without them it is about `val`, and says so.
        out: a new or empty folder; None for `runs/NAME` beside where you are. A `RunFolder` brings its own listeners;
            `RunFolder.resume(path)` goes on with a run that was interrupted.

    Returns:
        The run. It is on the disk too: `Segmenter.open(run.folder)`.

    Raises:
        DataError: there are fewer than two classes, nothing to learn from, or a picture in two parts.
        UsageError: a setting or the folder is not what is expected, or the run to resume is another one.
        TrainingError: the loss became infinite or no number; the best network so far was saved.
        MissingPackageError: Keras or TensorFlow is not installed.
    """
    started = time.monotonic()
    run = out if isinstance(out, RunFolder) else _new_run(out, train)
    parts = {TRAIN: train, VAL: val, TEST: test if test is not None else val.subset([])}
    with run.beginning():
        config = config or (SegmentConfig() if run.fresh else SegmentConfig.from_toml(run / CONFIG))
        if not run.fresh:
            config = as_begun(run, config)
        _require_trainable(parts, config)
        plan = make_plan(config)
        if not run.fresh:
            require_same_run(run, plan.config, _pictures(parts))
        _say_what_begins(parts, run)
        plan, network, stored = _prepare(plan, parts, run)
        plan.config.save_toml(run / CONFIG)
    segmenter, taught, completed = _learn(plan, network, stored, run)
    run.write_environment(seconds=round(time.monotonic() - started, 1), seed=plan.config.seed, data=str(train.root))
    if taught.error is not None:
        if segmenter is None:
            run.discard()
            raise taught.error
        raise TrainingError(f"{taught.error} The best network so far is in {str(run.path)!r}.")
    report = None
    if completed:
        report = _judge(segmenter, stored, run, taught.history, plan)
        run.remove_checkpoint()
    run.emit("run_finished", completed=completed, folder=str(run.path), seconds=round(time.monotonic() - started, 1))
    if config.profile:
        tell_where_time_went(run)
    lost = lost_pictures(stored, _pictures(parts))
    return SegmentationRun(segmenter, report, taught.history, run.path, completed, len(lost))


def _require_trainable(parts: Mapping[str, SegmentationDataset], config: SegmentConfig) -> None:
    optional = ["tensorboard"] if config.tensorboard else []
    require_installed(["keras", "tomli_w", *optional], "training")
    classes = parts[TRAIN].classes
    for part, dataset in parts.items():
        if dataset.classes != classes:
            raise DataError(
                f"Expected the same classes in every part; train has {classes.names}, {part} has "
                f"{dataset.classes.names}. Read all parts from one folder, or give them one table of classes."
            )
    if classes.k < 2:
        raise DataError(
            f"Expected at least 2 classes of pixels; the masks hold one, {classes.names[0]!r}. If the rest of each "
            "picture is a class too, do not ignore it."
        )
    for part in (TRAIN, VAL):
        if not len(parts[part]):
            raise DataError(f"Expected pictures for {part}; there are too few to share out. Add some.")
    seen: dict[str, str] = {}
    for part, dataset in parts.items():
        for path in dataset.paths:
            if seen.setdefault(path, part) != part:
                raise DataError(
                    f"Expected each picture in one part; {path!r} is in {seen[path]} and in {part}. Split with "
                    "dataset.split()."
                )


def _new_run(out: str | Path | None, train: SegmentationDataset) -> RunFolder:
    path = free_path("runs", train.root.name) if out is None else Path(out)
    return RunFolder.create(path, [TerminalProgress()])


def _pictures(parts: Mapping[str, SegmentationDataset]) -> dict[str, ImageDataset]:
    """Return the pictures of all parts, as an account takes them: of one listing where the parts are."""
    listings = {id(part.listing): part.pictures.listing for part in parts.values()}
    return {name: ImageDataset(listings[id(part.listing)], part.rows) for name, part in parts.items()}


def _prepare(
    plan: SegmentPlan, parts: Mapping[str, SegmentationDataset], run: RunFolder
) -> tuple[SegmentPlan, Any, dict[str, StoredPairs]]:
    """Build the network that a plan names, and decode pictures and masks meanwhile."""
    config, events, masks = plan.config, DecodingEvents(run), DecodingEvents(run, "masks")
    cache = Cache(limit_bytes=int(config.cache_limit_gb * 2**30), enabled=config.cache)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="opsin-decode") as pool:
        told = {"progress": events, "mask_progress": masks, "say": run.say}
        job = pool.submit(decode_pairs, list(parts.values()), plan.recipe, cache=cache, **told)
        try:
            network, plan = _built(plan, parts[TRAIN].classes.k, run)
        except BaseException:
            events.stopped = masks.stopped = True
            raise
        stored = dict(zip(parts, job.result(), strict=True))
    account_for(stored, _pictures(parts), run)
    return plan, network, stored


def _built(plan: SegmentPlan, class_count: int, run: RunFolder) -> tuple[Any, SegmentPlan]:
    import keras

    from opsin.segmentation.learning import build
    from opsin.training.network import device_scope
    from opsin.training.precision import quickest_precision

    config = plan.config
    if config.precision == AUTO:
        bare = replace(plan, weights=None)
        precision = quickest_precision(lambda: build(bare, class_count, precision="float32"), config.optimizer)
        config = config.replace(precision=precision)
        plan = replace(plan, config=config)
    keras.utils.set_random_seed(config.seed)
    with device_scope():
        network = build(plan, class_count, precision=config.precision, say=run.say)
    summary = summarize(network)
    run.emit(
        "network_built",
        name=network.name,
        weights=config.weights,
        precision=config.precision,
        input_shape=list(plan.recipe.shape),
        parameters=summary.parameters,
        multiply_adds=summary.multiply_adds,
        augmentation=f"{config.augment} ({describe_pairs(get_pair_policy(config.augment), config.color)})",
    )
    return network, plan


def _learn(
    plan: SegmentPlan, network: Any, stored: dict[str, StoredPairs], run: RunFolder
) -> tuple[Segmenter | None, Any, bool]:
    from opsin.segmentation.learning import teach
    from opsin.segmentation.saving import SegmentSaver

    with StopRequest().listening() as stop, run.learning():
        taught = teach(network, plan, stored, run=run, stop=stop)
        saver = SegmentSaver(plan, stored[TRAIN].dataset, run)
        segmenter = None if taught.network is None else saver.save(taught.network)
    return segmenter, taught, taught.completed and not stop.made


def _judge(
    segmenter: Segmenter,
    stored: Mapping[str, StoredPairs],
    run: RunFolder,
    history: list[dict[str, Any]],
    plan: SegmentPlan,
) -> SegmentationReport:
    """Write the report: on the test pictures, or on those of validation if there are none held out."""
    part = TEST if len(stored[TEST]) else VAL
    if part == VAL:
        run.say(
            "No pictures were held out: the report is about those that chose the best epoch, and a little too good."
        )
    report = evaluate(segmenter, stored[part].dataset, split=part)
    report.save_json(run / REPORT_JSON)
    judged, settings = stored[part].dataset, asdict(plan.config)
    save_page(run / REPORT_HTML, report, segmenter, judged, history=history, settings=settings)
    run.emit("evaluated", split=part, mean_iou=report.metrics.mean_iou.value)
    return report


def _say_what_begins(parts: Mapping[str, SegmentationDataset], run: RunFolder) -> None:
    train = parts[TRAIN]
    run.emit(
        "run_started",
        folder=str(run.path),
        data=str(train.root),
        classes=train.classes.k,
        pictures={name: len(part) for name, part in parts.items()},
        fingerprint=train.fingerprint,
        skipped=len(train.skipped),
        skipped_first=[f"{skipped.path}: {skipped.reason}" for skipped in train.skipped[:3]],
    )
    if train.note:
        run.say(train.note)

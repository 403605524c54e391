"""`opsin train`: from a folder of pictures to a run folder."""

import json
import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from opsin.cli.program import program
from opsin.errors import ExitCode, GateError, UsageError
from opsin.names import CONFIG

if TYPE_CHECKING:
    from opsin.checks.quick import QuickLook
    from opsin.data.dataset import DatasetSplits, ImageDataset
    from opsin.evaluation.comparison import Comparison
    from opsin.training.config import TrainConfig
    from opsin.training.run_folder import RunFolder
    from opsin.training.train import TrainingRun

EXAMPLES = (
    "opsin train photos/",
    "opsin train photos/ --weights none --arch resnet18 --image-size 96 --epochs 40",
    "opsin train photos/ --arch efficientnet_b0 --unfreeze-blocks 2",
    "opsin train photos/ --budget 10m",
    "opsin train digits/ --recipe fast",
    "opsin train photos/ --out runs/first --resume",
    "opsin train photos/ --augment strong --preview-augment augmented.png",
)

RATES = ("learning_rate", "fine_tune_rate")
FIND = "find"
NETWORK, TRANSFER, LEARNING, DATA = "Network and pictures", "Pretrained weights", "Learning", "Data and machine"
TRICKS = "What short training lives on (--recipe fast sets it)"


def train(
    context: typer.Context,
    data: Path = typer.Argument(
        metavar="DATA", help="A folder with a folder for each class (or train/, val/, test/ of such), or a CSV."
    ),
    out: Path | None = typer.Option(None, help="The run folder to make; default: runs/NAME-OF-DATA."),
    arch: str = typer.Option(
        "auto", help="An architecture (see opsin archs), or FILE.py:function for your own.", rich_help_panel=NETWORK
    ),
    recipe: str = typer.Option(
        "standard",
        help="What is left open: standard; or fast, few epochs from scratch, chosen by the data.",
        rich_help_panel=LEARNING,
    ),
    weights: str = typer.Option(
        "auto",
        help="imagenet (downloaded once), none, a file (.h5, .weights.h5, .keras) or a folder of files named after "
        "architectures; auto: imagenet where it is offered.",
        rich_help_panel=TRANSFER,
    ),
    head: str = typer.Option(
        "linear", help="What is put on the features: linear (solved) or dense (trained).", rich_help_panel=TRANSFER
    ),
    views: int | None = typer.Option(
        None, help="Augmented views of each picture to cache features of.", rich_help_panel=TRANSFER
    ),
    unfreeze: str = typer.Option(
        "auto", help="After the head, train so many layers from the top, or all; none.", rich_help_panel=TRANSFER
    ),
    unfreeze_blocks: int | None = typer.Option(
        None, help="The same, as a number of whole blocks.", rich_help_panel=TRANSFER
    ),
    fine_tune_epochs: int = typer.Option(10, help="The most epochs of that training.", rich_help_panel=TRANSFER),
    fine_tune_rate: str | None = typer.Option(
        None, help="Its learning rate; find; default: a tenth of the one from scratch.", rich_help_panel=TRANSFER
    ),
    layer_decay: float = typer.Option(
        1.0, help="The rate of each block further down, as a fraction.", rich_help_panel=TRANSFER
    ),
    budget: str | None = typer.Option(
        None, help="Look for the best classifier for so long: 90s, 10m, 1h.", rich_help_panel=TRANSFER
    ),
    offline: bool = typer.Option(False, "--offline", help="Never download weights.", rich_help_panel=TRANSFER),
    image_size: int | None = typer.Option(
        None, help="Height and width of the network's input in pixels; default: as it suits.", rich_help_panel=NETWORK
    ),
    fit: str = typer.Option(
        "stretch", help="How a picture is brought to that size: stretch, crop or pad.", rich_help_panel=NETWORK
    ),
    color: str = typer.Option(
        "auto", help="rgb, gray, hsv, lab; auto: what the architecture was drawn for.", rich_help_panel=NETWORK
    ),
    resample: str = typer.Option(
        "bilinear", help="The filter that pictures are resized with.", rich_help_panel=NETWORK
    ),
    augment: str = typer.Option(
        "auto", help="none, light, standard, fast, strong, screenshots, characters.", rich_help_panel=NETWORK
    ),
    preview_augment: Path | None = typer.Option(
        None, help="Draw augmented pictures into this file, and train nothing.", rich_help_panel=NETWORK
    ),
    start_size: int | None = typer.Option(
        None,
        help="Size of the pictures in the first epochs; they grow to --image-size; 0: one size.",
        rich_help_panel=TRICKS,
    ),
    whiten: bool | None = typer.Option(
        None, help="Let the first convolution decorrelate patches of the pictures.", rich_help_panel=TRICKS
    ),
    identity_init: bool | None = typer.Option(
        None, help="Let convolutions begin by passing their input on.", rich_help_panel=TRICKS
    ),
    activation: str = typer.Option(
        "auto", help="relu, gelu or silu in the place of the network's ReLUs.", rich_help_panel=TRICKS
    ),
    norm_momentum: float | None = typer.Option(
        None, help="Of the moving averages in batch normalisation; default: the network's own.", rich_help_panel=TRICKS
    ),
    logit_scale: float | None = typer.Option(
        None, help="Multiply the logits by this while training; default: 1.", rich_help_panel=TRICKS
    ),
    epochs: int | None = typer.Option(
        None, help="The most epochs; default: 30; --recipe fast: by the data, mostly fewer.", rich_help_panel=LEARNING
    ),
    batch_size: int | None = typer.Option(None, help="Pictures a step; default: 64.", rich_help_panel=LEARNING),
    optimizer: str = typer.Option(
        "auto",
        help="adam, adamw, sgd-nesterov or muon; auto: adamw, or what the recipe says.",
        rich_help_panel=LEARNING,
    ),
    learning_rate: str | None = typer.Option(
        None,
        "--learning-rate",
        "--lr",
        help="Its highest value; find: what a short trial says; default: what suits the optimizer.",
        rich_help_panel=LEARNING,
    ),
    momentum: float | None = typer.Option(
        None, help="Of sgd-nesterov and muon; default: 0.9.", rich_help_panel=LEARNING
    ),
    bias_rate: float | None = typer.Option(
        None, help="What the rate is multiplied by for biases; default: 1.", rich_help_panel=TRICKS
    ),
    weight_decay: float | None = typer.Option(
        None, help="Decoupled weight decay (not with adam); default: 0.0001.", rich_help_panel=LEARNING
    ),
    schedule: str = typer.Option(
        "auto",
        help="constant, cosine, one-cycle or reduce-on-plateau; auto: cosine, or what the recipe says.",
        rich_help_panel=LEARNING,
    ),
    warmup_epochs: float = typer.Option(1.0, help="Epochs over which the rate rises from 0.", rich_help_panel=LEARNING),
    label_smoothing: float | None = typer.Option(
        None, help="Share of each target spread over all classes; default: 0.", rich_help_panel=LEARNING
    ),
    class_weights: str = typer.Option(
        "auto", help="auto weighs rare classes more if the data is imbalanced; none.", rich_help_panel=LEARNING
    ),
    ema: float = typer.Option(
        0.0, help="Keep the moving average of the weights, with this decay (0.99 say).", rich_help_panel=LEARNING
    ),
    monitor: str = typer.Option(
        "val_accuracy",
        help="What tells the best epoch: val_accuracy or val_loss; --budget on pretrained weights goes by val_loss.",
        rich_help_panel=LEARNING,
    ),
    patience: int | None = typer.Option(
        None,
        help="Stop after so many epochs without improvement; 0: never early; default: 10 (--budget on pretrained: 5).",
        rich_help_panel=LEARNING,
    ),
    plateau_patience: int = typer.Option(
        5, help="With reduce-on-plateau: halve the rate after so many epochs.", rich_help_panel=LEARNING
    ),
    val: float = typer.Option(0.15, help="Fraction of the pictures for validation.", rich_help_panel=DATA),
    test: float = typer.Option(0.15, help="Fraction of the pictures held out for the report.", rich_help_panel=DATA),
    skip: str | None = typer.Option(
        None, help="Leave out what this CSV lists; opsin check --write-list writes one.", rich_help_panel=DATA
    ),
    group_by: str | None = typer.Option(
        None, help="Keep pictures together whose paths match this regular expression alike.", rich_help_panel=DATA
    ),
    seed: int = typer.Option(
        0, help="The same seed gives the same split and, on one CPU, the same network.", rich_help_panel=DATA
    ),
    precision: str = typer.Option(
        "auto", help="auto, float32, mixed_float16, mixed_bfloat16 or bfloat16_products.", rich_help_panel=DATA
    ),
    profile: bool = typer.Option(False, "--profile", help="Tell at the end where the time went.", rich_help_panel=DATA),
    tensorboard: bool = typer.Option(
        False, "--tensorboard", help="Also write TensorBoard logs into the run.", rich_help_panel=DATA
    ),
    cache: bool = typer.Option(True, help="Keep decoded pictures for the next run.", rich_help_panel=DATA),
    cache_limit_gb: float = typer.Option(
        20.0, help="Room in GiB for all kept pictures together.", rich_help_panel=DATA
    ),
    strict_data: bool = typer.Option(
        False, "--strict-data", help="Stop if a look at the data gives any warning.", rich_help_panel=DATA
    ),
    config: Path | None = typer.Option(
        None, help="Settings from a TOML file, a run's config.toml say; options given here win."
    ),
    resume: bool = typer.Option(
        False, "--resume", help="Go on with the interrupted run in --out, with its own settings."
    ),
    compare_scratch: bool = typer.Option(
        False,
        "--compare-scratch",
        help="Then train from scratch for as long, and show the two side by side.",
        rich_help_panel=TRANSFER,
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document at the end."),
) -> None:
    """Train a network on a folder of pictures, report what it is worth, and save it."""
    from opsin.checks.quick import quick_check
    from opsin.training.checks import parts_of_run
    from opsin.training.train import train as train_classifier

    started = time.monotonic()
    folder = _resumed(out, config, started) if resume else None
    settings = _settings(context, folder / CONFIG if folder else config)
    if compare_scratch and settings.weights == "none":
        raise UsageError("Expected pretrained weights with --compare-scratch; received --weights none. Leave one out.")
    dataset = _opened(data, settings)
    if preview_augment is not None:
        _require_preview(preview_augment, data)
    place = None if resume or preview_augment is not None else _place_of_run(out, data, dataset)
    looked = quick_check(dataset)
    if folder:
        splits = parts_of_run(folder, dataset)
    else:
        splits = dataset.split(settings.val, settings.test, settings.seed, together=looked.together)
    if preview_augment is not None:
        _preview(splits.train, settings, preview_augment, as_json)
        return
    folder = folder or _new_folder(place, started)
    with folder.beginning():
        _tell(looked, data, folder, strict_data)
    if splits.note:
        folder.say(splits.note)
    run = train_classifier(splits.train, splits.val, settings, test=splits.test, out=folder)
    compared = _compare(run, splits, folder) if compare_scratch and run.completed else None
    _report(run, data, as_json, compared)


def _tell(looked: "QuickLook", data: Path, folder: "RunFolder", strict: bool) -> None:
    for line in looked.lines(data):
        folder.say(line)
    if strict and not looked.is_clean:
        raise GateError(
            f"Expected data without a warning (--strict-data). Look at it: {_command('check', data)}; or leave out "
            "what it finds with --skip."
        )


def _opened(data: Path, settings: "TrainConfig") -> "ImageDataset":
    from opsin.cli.leaving_out import open_without
    from opsin.data.skip_list import read_skip_list

    dataset = open_without(data, read_skip_list(settings.skip) if settings.skip else {})
    return dataset if settings.group_by is None else dataset.grouped_by(settings.group_by)


def _given(context: typer.Context) -> dict:
    """Return the settings that stand on the command line, under their names in `TrainConfig`."""
    import dataclasses

    from opsin.training.config import TrainConfig

    given = {
        "architecture" if name == "arch" else name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name).name == "COMMANDLINE"
    }
    settings = {field.name: given[field.name] for field in dataclasses.fields(TrainConfig) if field.name in given}
    return settings | {name: _rate(name, settings[name]) for name in RATES if name in settings}


def _rate(name: str, given: str) -> float | str:
    try:
        return float(given)
    except ValueError:
        if given == FIND:
            return given
        raise UsageError(f"Expected {name} as a number or {FIND!r}; received {given!r}.") from None


def _settings(context: typer.Context, config: Path | None) -> "TrainConfig":
    from opsin.training.config import TrainConfig

    base = TrainConfig() if config is None else TrainConfig.from_toml(config)
    return base.replace(**_given(context))


def _place_of_run(out: Path | None, data: Path, dataset: "ImageDataset") -> Path:
    """Return where the run will be, and raise before anything is looked at if it would be among the pictures."""
    from opsin.training.run_folder import free_path, require_free

    name = dataset.root.name
    place = out or free_path("runs", name)
    if data.is_dir() and place.resolve().is_relative_to(dataset.root):
        beside = os.path.relpath(free_path(dataset.root.parent / "runs", name))
        raise UsageError(
            f"Expected a place for the run outside of the data; received {str(place)!r}, which is in "
            f"{str(dataset.root)!r}. Give another one: --out {shlex.quote(beside)}"
        )
    require_free(place)
    return place


def _new_folder(place: Path, started: float) -> "RunFolder":
    from opsin.training.progress import TerminalProgress
    from opsin.training.run_folder import RunFolder

    return RunFolder.create(place, [TerminalProgress()], started=started)


def _resumed(out: Path | None, config: Path | None, started: float) -> "RunFolder":
    from opsin.training.progress import TerminalProgress
    from opsin.training.run_folder import RunFolder

    if out is None:
        raise UsageError("Expected --out with --resume: the folder of the run to go on with.")
    if config is not None:
        raise UsageError("Expected no --config with --resume: a run goes on with its own settings.")
    return RunFolder.resume(out, [TerminalProgress()], started=started)


def _require_preview(path: Path, data: Path) -> None:
    """Raise `UsageError` unless a preview can be drawn there and no picture is lost, not even one that is left out."""
    from opsin.data.dataset import ImageDataset
    from opsin.features.sheets import require_file

    require_file(path, ImageDataset.open(data, patient=True).paths, option="--preview-augment")


def _preview(train_part: "ImageDataset", settings: "TrainConfig", path: Path, as_json: bool) -> None:
    from opsin.augmentation.policies import describe, get_policy
    from opsin.augmentation.preview import preview_augmentation
    from opsin.images.drawing import save_image
    from opsin.training.plan import make_plan

    plan = make_plan(settings, train_part)
    policy = plan.config.augment
    save_image(preview_augmentation(train_part, plan.preprocess, policy, plan.config.seed), path)
    description = describe(get_policy(policy), plan.config.color)
    if as_json:
        print(json.dumps({"preview": str(path), "policy": policy, "description": description}, indent=2))
        return
    print(f"{path}: pictures as they are, then as seven epochs see them.")
    print(f"Augmentation {policy}: {description}")
    if get_policy(policy).mixup or get_policy(policy).cutmix:
        print("Pictures that are mixed with each other are not drawn: that happens batch by batch.")


def _compare(run: "TrainingRun", splits: "DatasetSplits", folder: "RunFolder") -> "Comparison | None":
    from opsin.training.config import TrainConfig
    from opsin.training.from_scratch import compare_with_scratch

    parts = {"train": splits.train, "val": splits.val, "test": splits.test}
    settings = TrainConfig.from_toml(folder / CONFIG)
    if settings.weights == "none":
        folder.say("Nothing to compare with: this run was trained from scratch itself.")
        return None
    folder.say(f"Now from scratch, for as long: {folder / 'from_scratch'}")
    return compare_with_scratch(run, parts, settings, folder.listeners)


def _report(run: "TrainingRun", data: Path, as_json: bool, compared: "Comparison | None") -> None:
    if as_json:
        report = run.report.to_dict() if run.report else None
        document = {"run": str(run.folder), "completed": run.completed, "history": run.history, "report": report}
        if compared is not None:
            document["comparison"] = compared.to_dict()
        print(json.dumps(document, indent=2))
    elif run.completed:
        print("\n" + "\n\n".join(str(part) for part in (run.report, compared, _next_steps(run)) if part is not None))
    else:
        kept = f"The best model so far is in {run.folder}" if run.classifier else "No epoch was finished yet"
        print(f"Stopped. {kept}. Go on with:\n  {_command('train', data, '--out', run.folder, '--resume')}")
    if not run.completed:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if run.unreadable:
        raise typer.Exit(ExitCode.UNUSABLE)


def _next_steps(run: "TrainingRun") -> str:
    return (
        f"Model and report: {run.folder}\n"
        f"  look at it:   {run.folder / 'report.html'}\n"
        f"  use it:       {_command('predict', run.folder)} PICTURE...\n"
        f"  judge it:     {_command('evaluate', run.folder)} OTHER-PICTURES\n"
        f"  look inside:  {_command('summary', run.folder)}"
    )


def _command(*arguments: object) -> str:
    return shlex.join([program(), *map(str, arguments)])

"""`opsin segment`: a class for every pixel."""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from opsin.cli.pairs import COLORS, IGNORE, NAMES, opened
from opsin.cli.program import program
from opsin.cli.serve import serve
from opsin.errors import ExitCode, UsageError
from opsin.exporters import FORMATS

if TYPE_CHECKING:
    from opsin.segmentation.config import SegmentConfig
    from opsin.segmentation.dataset import SegmentationDataset
    from opsin.segmentation.evaluate import SegmentationReport
    from opsin.segmentation.train import SegmentationRun
    from opsin.training.run_folder import RunFolder

HELP = "Give a class to every pixel: check masks, train, judge, use, export, serve."

EXAMPLES = {
    "check": ("opsin segment check cells/", "opsin segment check cells/ --ignore 3 --strict --json"),
    "train": (
        "opsin segment train cells/ --arch unet --color gray --augment microscopy",
        "opsin segment train pets/ --names animal,background --ignore 3 --weights mobilenet_v2.h5",
        "opsin segment train cells/ --out runs/first --resume",
    ),
    "evaluate": (
        "opsin segment evaluate RUN cells/",
        "opsin segment evaluate RUN cells/ --html report.html --min mean_iou=0.7 --min iou.nucleus=0.8",
    ),
    "predict": (
        "opsin segment predict RUN photo.jpg --out masks/",
        "opsin segment predict RUN slides/ --out masks/ --tiles --background ground",
    ),
    "export": ("opsin segment export RUN --format onnx",),
    "serve": ("opsin segment serve RUN", "opsin segment serve RUN --host 0.0.0.0 --api-key $KEY"),
}

DATA_HELP = "A folder with images/ and masks/ (or train/, val/, test/ of such), or a CSV with the columns image,mask."
MODEL_HELP = "A run folder or a model folder of opsin segment train."
NETWORK, LEARNING, MACHINE = "Network and pictures", "Learning", "Data and machine"


def train(
    context: typer.Context,
    data: Path = typer.Argument(metavar="DATA", help=DATA_HELP),
    out: Path | None = typer.Option(None, help="The run folder to make; default: runs/NAME-OF-DATA."),
    names: str | None = NAMES,
    ignore: str | None = IGNORE,
    colors: Path | None = COLORS,
    arch: str = typer.Option(
        "auto",
        help="unet (from scratch), pretrained_unet, deeplab; auto: pretrained_unet, or unet with --weights none.",
        rich_help_panel=NETWORK,
    ),
    backbone: str = typer.Option(
        "mobilenet_v2",
        help="What pretrained_unet and deeplab stand on: a network of keras.applications (see opsin archs).",
        rich_help_panel=NETWORK,
    ),
    weights: str = typer.Option(
        "auto",
        help="Of the backbone: imagenet (downloaded once), none, a file, or a folder of files named after "
        "architectures.",
        rich_help_panel=NETWORK,
    ),
    offline: bool = typer.Option(False, "--offline", help="Never download weights.", rich_help_panel=NETWORK),
    depth: int = typer.Option(2, help="How often unet halves its maps.", rich_help_panel=NETWORK),
    width: int = typer.Option(32, help="Channels at the finest of the network's own maps.", rich_help_panel=NETWORK),
    normalize: bool = typer.Option(False, "--normalize", help="Batch normalisation in unet.", rich_help_panel=NETWORK),
    dropout: float = typer.Option(0.0, help="Share dropped at the coarsest map.", rich_help_panel=NETWORK),
    upsample: str = typer.Option("bilinear", help="bilinear or transposed.", rich_help_panel=NETWORK),
    image_size: int | None = typer.Option(
        None, help="Height and width of the network's input in pixels; default: as it suits.", rich_help_panel=NETWORK
    ),
    fit: str = typer.Option(
        "stretch", help="How picture and mask are brought to that size: stretch, crop or pad.", rich_help_panel=NETWORK
    ),
    color: str = typer.Option("rgb", help="rgb, gray, hsv or lab.", rich_help_panel=NETWORK),
    augment: str = typer.Option(
        "auto", help="none, light, standard, strong, microscopy; of picture and mask together.", rich_help_panel=NETWORK
    ),
    loss: str = typer.Option("ce+dice", help="ce, dice, focal, or a sum such as ce+dice.", rich_help_panel=LEARNING),
    class_weights: str = typer.Option(
        "none", help="auto weighs classes against their share of the pixels; none.", rich_help_panel=LEARNING
    ),
    decoder_epochs: int = typer.Option(
        5, help="On pretrained weights: epochs in which the backbone stays as it is.", rich_help_panel=LEARNING
    ),
    epochs: int = typer.Option(30, help="The most epochs (after those).", rich_help_panel=LEARNING),
    batch_size: int = typer.Option(8, help="Pictures a step.", rich_help_panel=LEARNING),
    optimizer: str = typer.Option("adamw", help="adam, adamw, sgd-nesterov or muon.", rich_help_panel=LEARNING),
    learning_rate: float | None = typer.Option(
        None, "--learning-rate", "--lr", help="Its highest value; default: what suits.", rich_help_panel=LEARNING
    ),
    backbone_rate: float = typer.Option(
        0.1, help="The rate of pretrained layers, as a fraction of it.", rich_help_panel=LEARNING
    ),
    weight_decay: float = typer.Option(
        0.0001, help="Decoupled weight decay (not with adam).", rich_help_panel=LEARNING
    ),
    schedule: str = typer.Option(
        "cosine", help="constant, cosine, one-cycle or reduce-on-plateau.", rich_help_panel=LEARNING
    ),
    warmup_epochs: float = typer.Option(1.0, help="Epochs over which the rate rises from 0.", rich_help_panel=LEARNING),
    ema: float = typer.Option(
        0.0, help="Keep the moving average of the weights, with this decay (0.99 say).", rich_help_panel=LEARNING
    ),
    monitor: str = typer.Option(
        "val_iou", help="What tells the best epoch: val_iou, val_accuracy or val_loss.", rich_help_panel=LEARNING
    ),
    patience: int = typer.Option(
        10, help="Stop after so many epochs without improvement; 0: never early.", rich_help_panel=LEARNING
    ),
    plateau_patience: int = typer.Option(
        5, help="With reduce-on-plateau: halve the rate after so many epochs.", rich_help_panel=LEARNING
    ),
    val: float = typer.Option(0.15, help="Fraction of the pictures for validation.", rich_help_panel=MACHINE),
    test: float = typer.Option(0.15, help="Fraction of the pictures held out for the report.", rich_help_panel=MACHINE),
    seed: int = typer.Option(
        0, help="The same seed gives the same split and, on one CPU, the same network.", rich_help_panel=MACHINE
    ),
    precision: str = typer.Option(
        "auto", help="auto, float32, mixed_float16, mixed_bfloat16 or bfloat16_products.", rich_help_panel=MACHINE
    ),
    profile: bool = typer.Option(
        False, "--profile", help="Tell at the end where the time went.", rich_help_panel=MACHINE
    ),
    tensorboard: bool = typer.Option(
        False, "--tensorboard", help="Also write TensorBoard logs into the run.", rich_help_panel=MACHINE
    ),
    cache: bool = typer.Option(True, help="Keep decoded pictures and masks for the next run.", rich_help_panel=MACHINE),
    cache_limit_gb: float = typer.Option(
        20.0, help="Room in GiB for all that is kept together.", rich_help_panel=MACHINE
    ),
    config: Path | None = typer.Option(
        None, help="Settings from a TOML file, a run's config.toml say; options given here win."
    ),
    resume: bool = typer.Option(
        False, "--resume", help="Go on with the interrupted run in --out, with its own settings."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document at the end."),
) -> None:
    """Train a network on pictures and masks, report what it is worth, and save it."""
    from opsin.segmentation.quick import quick_pairs
    from opsin.segmentation.train import train_segmentation

    folder = _resumed(out, config) if resume else None
    settings = _settings(context, folder.path / "config.toml" if folder else config)
    dataset = opened(data, names, ignore, colors)
    looked = quick_pairs(dataset)
    splits = dataset.split(settings.val, settings.test, settings.seed, together=looked.together)
    folder = folder or _new_folder(out, dataset)
    for line in looked.lines(data):
        folder.say(line)
    if splits.note:
        folder.say(splits.note)
    run = train_segmentation(splits.train, splits.val, settings, test=splits.test, out=folder)
    _report_run(run, data, as_json)


def evaluate(
    model: Path = typer.Argument(metavar="MODEL", help=MODEL_HELP),
    data: Path = typer.Argument(metavar="DATA", help=DATA_HELP),
    split: str = typer.Option("auto", help="test, val, train or all; auto: what was held out, else all."),
    least: list[str] = typer.Option(
        None,
        "--min",
        metavar="NAME=NUMBER",
        help="Exit with 1 if this is less: mean_iou, mean_dice, pixel_accuracy, boundary_f1, iou.CLASS, dice.CLASS. "
        "May be given again.",
        show_default=False,
    ),
    tiles: bool = typer.Option(False, "--tiles", help="See large pictures at their own scale, in overlapping tiles."),
    html: Path | None = typer.Option(None, help="Also write a page with the pictures, the worst first."),
    names: str | None = NAMES,
    ignore: str | None = IGNORE,
    colors: Path | None = COLORS,
    runtime: str | None = typer.Option(None, help="What runs the network: litert or keras."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Compare a model's masks with true ones, at the pictures' own size."""
    from opsin.cli.bars import progress_bar
    from opsin.evaluation.choose_part import choose_part
    from opsin.segmentation.evaluate import evaluate as judge
    from opsin.segmentation.evaluate import read_least
    from opsin.segmentation.segmenter import Segmenter
    from opsin.segmentation.showing import save_page

    segmenter = Segmenter.open(model, runtime)
    gates = read_least(least or [], segmenter.class_names)
    # What the masks hold is what they held in training, unless it is said.
    own = None if names or ignore or colors else segmenter.classes
    dataset = opened(data, names, ignore, colors, classes=own)
    part = choose_part(segmenter, dataset, split)
    for note in part.notes:
        print(note, file=sys.stderr)
    with progress_bar("pictures") as advance:
        report = judge(segmenter, part.dataset, split=part.name, tiles=tiles, progress=advance)
    for path, reason in report.skipped:
        print(f"{path}  error: {reason}.", file=sys.stderr)
    if html is not None:
        save_page(html, report, segmenter, part.dataset, tiles=tiles)
        print(f"Page: {html}", file=sys.stderr)
    passages = [(name, wanted, report.value_of(name)) for name, wanted in gates]
    print(_json(report, passages) if as_json else report)
    failed = [one for one in passages if one[2] is None or one[2] < one[1]]
    for name, wanted, measured in failed:
        shown = "there is nothing to measure it on" if measured is None else f"measured {measured:.4f}"
        print(f"FAILED: {name}: wanted at least {wanted:g}, {shown}.", file=sys.stderr)
    if failed:
        raise typer.Exit(ExitCode.GATE_FAILED)
    if report.skipped:
        raise typer.Exit(ExitCode.UNUSABLE)


def predict(
    model: Path = typer.Argument(metavar="MODEL", help=MODEL_HELP),
    sources: list[str] = typer.Argument(
        metavar="SOURCE...", help="Pictures, folders, glob patterns; - reads paths from stdin, one a line."
    ),
    out: Path = typer.Option(..., help="The folder to write to; it must be new or empty."),
    tiles: bool = typer.Option(False, "--tiles", help="See large pictures at their own scale, in overlapping tiles."),
    overlays: bool = typer.Option(True, help="Also draw the masks over the pictures."),
    orientation: str = typer.Option(
        "upright", help="How masks and polygons lie: upright, as pictures are seen; or file, as its pixels are stored."
    ),
    background: list[str] = typer.Option(
        None, help="A class that gets no polygons; may be given again.", show_default=False
    ),
    least_pixels: int = typer.Option(1, min=1, help="Polygons of fewer pixels are left out."),
    runtime: str | None = typer.Option(None, help="What runs the network: litert or keras."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Write a mask for each picture: index PNG with palette, overlay, areas as CSV, polygons as COCO's JSON."""
    from opsin.cli.bars import progress_bar
    from opsin.cli.sources import Search
    from opsin.segmentation.segmenter import Segmenter
    from opsin.segmentation.writing import MaskWriter

    segmenter = Segmenter.open(model, runtime)
    for name in background or []:
        segmenter.classes.index(name)
    search = Search(sources)
    writer = MaskWriter(out, segmenter, tiles=tiles, overlays=overlays, orientation=orientation)
    with progress_bar("pictures") as advance:
        for path in search.pictures():
            writer.add(path)
            advance(writer.count, search.total)
    polygons = writer.finish(leave_out=tuple(background or []), least_pixels=least_pixels)
    for path, reason in writer.failed:
        print(f"{path}  error: {reason}.", file=sys.stderr)
    for line in search.left_out():
        print(line, file=sys.stderr)
    document = {"folder": str(out), "pictures": writer.areas, "polygons": polygons, "failed": len(writer.failed)}
    print(json.dumps(document, indent=2) if as_json else _text_of_areas(writer.areas, out))
    if writer.failed or search.lost:
        raise typer.Exit(ExitCode.UNUSABLE)


def check(
    data: Path = typer.Argument(metavar="DATA", help=DATA_HELP),
    names: str | None = NAMES,
    ignore: str | None = IGNORE,
    colors: Path | None = COLORS,
    html: Path | None = typer.Option(None, help="Also write a page with the pictures under their masks."),
    strict: bool = typer.Option(False, "--strict", help="Exit with 1 if there is any warning or error."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Look for what is the matter with pictures and masks; nothing is changed."""
    from opsin.cli.bars import progress_bar
    from opsin.cli.check import lines_of
    from opsin.counting import count
    from opsin.segmentation.checks import check_pairs

    dataset = opened(data, names, ignore, colors, patient=True)
    with progress_bar("looking") as advance:
        report = check_pairs(dataset, progress=advance)
    if as_json:
        print(report.to_json())
    else:
        shares = ", ".join(f"{name} {share:.1%}" for name, share in report.shares.items())
        pictures, classes = count(len(dataset), "picture"), count(dataset.classes.k, "class", "classes")
        print(f"{pictures} with masks, {classes}: {shares}")
        if dataset.note:
            print(dataset.note)
        print("\n".join(line for finding in report.findings for line in lines_of(finding)) or "Nothing was found.")
    if html is not None:
        report.save_html(html)
        print(f"Page: {html}", file=sys.stderr)
    if strict and not report.is_clean:
        raise typer.Exit(ExitCode.GATE_FAILED)


def export(
    model: Path = typer.Argument(metavar="MODEL", help=MODEL_HELP),
    format: str = typer.Option(..., help=f"Which: {', '.join(FORMATS)}."),
    out: Path | None = typer.Option(
        None, help="The folder to write (default: exports/FORMAT in the run); of a saved_model, that of all versions."
    ),
) -> None:
    """Write a model in another format and prove that it gives the same answers; else it is removed: exit code 1."""
    from opsin.segmentation.exporting import export_segmenter
    from opsin.segmentation.segmenter import Segmenter

    found = export_segmenter(Segmenter.open(model), out, format=format, say=lambda line: print(line, file=sys.stderr))
    print(found.folder)


COMMANDS = (check, train, evaluate, predict, export, serve)


def _settings(context: typer.Context, config: Path | None) -> "SegmentConfig":
    import dataclasses

    from opsin.segmentation.config import SegmentConfig

    base = SegmentConfig() if config is None else SegmentConfig.from_toml(config)
    given = {
        "architecture" if name == "arch" else name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name).name == "COMMANDLINE"
    }
    return base.replace(**{field.name: given[field.name] for field in dataclasses.fields(base) if field.name in given})


def _new_folder(out: Path | None, dataset: "SegmentationDataset") -> "RunFolder":
    from opsin.training.progress import TerminalProgress
    from opsin.training.run_folder import RunFolder, free_path

    return RunFolder.create(out or free_path("runs", dataset.root.name), [TerminalProgress()])


def _resumed(out: Path | None, config: Path | None) -> "RunFolder":
    from opsin.training.progress import TerminalProgress
    from opsin.training.run_folder import RunFolder

    if out is None:
        raise UsageError("Expected --out with --resume: the folder of the run to go on with.")
    if config is not None:
        raise UsageError("Expected no --config with --resume: a run goes on with its own settings.")
    return RunFolder.resume(out, [TerminalProgress()])


def _report_run(run: "SegmentationRun", data: Path, as_json: bool) -> None:
    if as_json:
        report = run.report.to_dict() if run.report else None
        document = {"run": str(run.folder), "completed": run.completed, "history": run.history, "report": report}
        print(json.dumps(document, indent=2))
    elif run.completed:
        print(
            f"\n{run.report}\n\nModel and report: {run.folder}\n"
            f"  look at it:   {run.folder / 'report.html'}\n"
            f"  use it:       {_command('predict', run.folder)} PICTURE... --out MASKS\n"
            f"  judge it:     {_command('evaluate', run.folder)} OTHER-DATA\n"
            f"  look inside:  {shlex.join([program(), 'summary', str(run.folder)])}"
        )
    else:
        kept = f"The best model so far is in {run.folder}" if run.segmenter else "No epoch was finished yet"
        print(f"Stopped. {kept}. Go on with:\n  {_command('train', data, '--out', run.folder, '--resume')}")
    if not run.completed:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if run.unreadable:
        raise typer.Exit(ExitCode.UNUSABLE)


def _command(*arguments: object) -> str:
    return shlex.join([program(), "segment", *map(str, arguments)])


def _json(report: "SegmentationReport", passages: list[tuple[str, float, float | None]]) -> str:
    gates = [
        {"name": name, "wanted": wanted, "measured": measured, "held": measured is not None and measured >= wanted}
        for name, wanted, measured in passages
    ]
    return json.dumps({**report.to_dict(), **({"gates": gates} if gates else {})}, indent=2)


def _text_of_areas(areas: dict[str, dict[str, float]], out: Path) -> str:
    from opsin.cli.account import one_line

    lines = [
        f"{one_line(path)}  " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
        for path, shares in areas.items()
    ]
    return "\n".join([*lines, "", f"Masks, overlays, areas.csv and polygons.json: {out}"])

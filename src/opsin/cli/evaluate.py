"""`opsin evaluate`: what a model is worth on labelled pictures."""

import json
import sys
from pathlib import Path

import typer

from opsin.catalog import choose
from opsin.errors import ExitCode
from opsin.runtimes import ENGINES

EXAMPLES = (
    "opsin evaluate RUN photos/",
    "opsin evaluate RUN new_photos/ --json",
    "opsin evaluate RUN photos/ --split val --html report.html",
)

# What `choose_part` takes; a test holds them equal, since help must not wait for NumPy.
PARTS = ("auto", "test", "val", "train", "all")


def evaluate(
    model: Path = typer.Argument(metavar="MODEL", help="A run folder, a model folder or an export."),
    data: Path = typer.Argument(
        metavar="DATA", help="A folder with a folder for each class (or train/, val/, test/ of such), or a CSV."
    ),
    split: str = typer.Option("auto", help=f"Which part: {', '.join(PARTS)}; auto: held-out pictures first."),
    html: Path | None = typer.Option(None, help="Also write the report as a page."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
    runtime: str | None = typer.Option(
        None, help=f"What runs the network, {', '.join(ENGINES)}; keras needs opsin\\[train]."
    ),
    flips: bool = typer.Option(
        False, "--flips", help="See each picture mirrored as well, and average the answers (twice the time)."
    ),
) -> None:
    """Report accuracy with its interval, and precision, recall and F1 of each class.

    On the data that the model was trained on, the run's own split decides what was held out.
    """
    from opsin.classifier import Classifier
    from opsin.cli.bars import progress_bar
    from opsin.data.dataset import ImageDataset
    from opsin.evaluation.choose_part import choose_part
    from opsin.evaluation.evaluate import evaluate as evaluate_classifier

    choose("split", split, PARTS)
    classifier = Classifier.open(model, runtime, flips=flips)
    part = choose_part(classifier, ImageDataset.open(data), split)
    for note in part.notes:
        print(note, file=sys.stderr)
    with progress_bar("evaluating") as advance:
        report = evaluate_classifier(classifier, part.dataset, split=part.name, progress=advance)
    if html is not None:
        report.save_html(html)
    print(json.dumps(report.to_dict(), indent=2) if as_json else report)
    if report.skipped:
        raise typer.Exit(ExitCode.UNUSABLE)

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
    from opsin.evaluation.leaks import find_leaked

    choose("split", split, PARTS)
    classifier = Classifier.open(model, runtime, flips=flips)
    dataset = ImageDataset.open(data)
    part = choose_part(classifier, dataset, split)
    for note in part.notes:
        print(note, file=sys.stderr)
    with progress_bar("evaluating") as advance:
        report = evaluate_classifier(classifier, part.dataset, split=part.name, progress=advance)
    leaked = find_leaked(classifier, dataset, part.dataset)
    honest = evaluate_classifier(classifier, part.dataset.subset(~leaked), split=part.name) if leaked.any() else None
    if html is not None:
        report.save_html(html)
    if as_json:
        more = {} if honest is None else {"without_leaked": {"leaked": int(leaked.sum()), **honest.to_dict()}}
        print(json.dumps({**report.to_dict(), **more}, indent=2))
    else:
        print(report)
    if honest is not None and not as_json:
        accuracy = honest.accuracy
        print(
            f"\n{leaked.sum():,} of these pictures are the same, or nearly the same, as ones the model learned from. "
            f"Without them: accuracy {accuracy.value:.1%} (95 % interval {accuracy.low:.1%} to {accuracy.high:.1%})."
        )
    if report.skipped:
        raise typer.Exit(ExitCode.UNUSABLE)

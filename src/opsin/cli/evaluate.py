"""`opsin evaluate`: what a model is worth on labelled pictures."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from opsin.catalog import choose
from opsin.cli.evidence import add_evidence, read_wanted
from opsin.errors import ExitCode
from opsin.runtimes import ENGINES

if TYPE_CHECKING:
    from opsin.evaluation.gates import Passage
    from opsin.evaluation.report import Report

EXAMPLES = (
    "opsin evaluate RUN photos/",
    "opsin evaluate RUN new_photos/ --json",
    "opsin evaluate RUN photos/ --split val --html report.html",
    "opsin evaluate RUN photos/ --robustness --costs costs.csv --precision phishing=0.99",
    "opsin evaluate RUN photos/ --min accuracy=0.9 --min recall.phishing=0.95 --max log_loss=0.5",
)

# What `choose_part` takes; a test holds them equal, since help must not wait for NumPy.
PARTS = ("auto", "test", "val", "train", "all")
# And of `lay_out`.
LAYOUTS = ("pca", "umap")


def evaluate(
    model: Path = typer.Argument(metavar="MODEL", help="A run folder, a model folder or an export."),
    data: Path = typer.Argument(
        metavar="DATA", help="A folder with a folder for each class (or train/, val/, test/ of such), or a CSV."
    ),
    split: str = typer.Option("auto", help=f"Which part: {', '.join(PARTS)}; auto: held-out pictures first."),
    least: list[str] = typer.Option(
        None,
        "--min",
        metavar="NAME=NUMBER",
        help="Exit with 1 if this is less: accuracy, balanced_accuracy, macro.f1, top_k.3, recall.CLASS, "
        "precision.CLASS, kappa and others. What was measured decides, not its interval. May be given again.",
        show_default=False,
    ),
    most: list[str] = typer.Option(
        None, "--max", metavar="NAME=NUMBER", help="The same if it is more: log_loss, ece, brier.", show_default=False
    ),
    robustness: bool = typer.Option(
        False, "--robustness", help="Also judge 200 of the pictures blurred, noisy, saved badly, too light and turned."
    ),
    costs: Path | None = typer.Option(
        None,
        help="A CSV of what mistakes cost: a table with the classes in its first line (said) and column (true), or the "
        "columns truth,said,cost, where a mistake that is not named costs 1.",
    ),
    precision: list[str] = typer.Option(
        None,
        metavar="CLASS=SHARE",
        help="Say from which probability on this share of the class's answers is right. May be given again.",
        show_default=False,
    ),
    html: Path | None = typer.Option(
        None,
        help="Also write the report as a page, with nearest training pictures of a run folder, and with heat maps "
        "where TensorFlow is installed.",
    ),
    layout: str = typer.Option(
        "pca", "--map", help="How the page lays the pictures out by similarity: pca; umap needs opsin\\[map]."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
    runtime: str | None = typer.Option(
        None,
        help=f"What runs the network (default: the model's own): {', '.join(ENGINES)}; keras needs opsin\\[train].",
    ),
    flips: bool = typer.Option(
        False, "--flips", help="See each picture mirrored as well, and average the answers (twice the time)."
    ),
    shifts: bool = typer.Option(
        False, "--shifts", help="See each picture moved a little to two corners as well (three times the time)."
    ),
) -> None:
    """Report accuracy with its interval, precision, recall and F1 of each class, where it fails, and what to do next.

    On the data that the model was trained on, the run's own split decides what was held out.
    """
    from opsin.classifier import Classifier
    from opsin.cli.bars import progress_bar
    from opsin.data.dataset import ImageDataset
    from opsin.evaluation.choose_part import choose_part
    from opsin.evaluation.evaluate import evaluate as evaluate_classifier
    from opsin.evaluation.gates import check_gates, read_gates
    from opsin.evaluation.leaks import find_leaked

    choose("split", split, PARTS)
    choose("map", layout, LAYOUTS)
    views = {"flips": flips, "shifts": shifts}
    # The model itself, with its features and gradients, even where an export of it is what predicts fastest.
    classifier = Classifier.open_own(model, **views) if runtime is None else Classifier.open(model, runtime, **views)
    gates = read_gates(least or [], most or [], classifier.class_names)
    wanted = read_wanted(precision, costs, classifier.class_names)
    dataset = ImageDataset.open(data)
    part = choose_part(classifier, dataset, split)
    for note in part.notes:
        print(note, file=sys.stderr)
    with progress_bar("evaluating") as advance:
        report = evaluate_classifier(classifier, part.dataset, split=part.name, progress=advance)
    leaked = part.dataset.subset(find_leaked(classifier, dataset, part.dataset)).names
    asked = {"robustness": robustness, "pictured": None if html is None else layout}
    report = add_evidence(report, classifier, dataset, wanted, leaked=leaked, **asked)
    honest = _without_leaked(report, leaked)
    passages = check_gates(gates, honest or report)
    if html is not None:
        report.save_html(html)
    _print(report, honest, passages, as_json)
    if not all(passage.held for passage in passages):
        raise typer.Exit(ExitCode.GATE_FAILED)
    if report.skipped:
        raise typer.Exit(ExitCode.UNUSABLE)


def _without_leaked(report: "Report", leaked: Sequence[str]) -> "Report | None":
    """Return the report on the pictures that are no copies of training pictures; None if all are, or none is."""
    from opsin.evaluation.evaluate import without

    known = len(set(leaked) & set(report.paths))
    return without(report, set(leaked)) if 0 < known < len(report.paths) else None


def _print(report: "Report", honest: "Report | None", passages: "Sequence[Passage]", as_json: bool) -> None:
    leaked = 0 if honest is None else report.metrics.n - honest.metrics.n
    if as_json:
        more = {} if honest is None else {"without_leaked": {"leaked": leaked, **honest.to_dict()}}
        gates = {"gates": [passage.to_dict() for passage in passages]} if passages else {}
        print(json.dumps({**report.to_dict(), **more, **gates}, indent=2))
    else:
        print(report)
    if honest is not None and not as_json:
        accuracy = honest.accuracy
        print(
            f"\n{leaked:,} of these pictures {'is' if leaked == 1 else 'are'} the same, or nearly the same, as one "
            "that the model learned from. "
            f"Without them: accuracy {accuracy.value:.1%} (95 % interval {accuracy.low:.1%} to {accuracy.high:.1%})."
        )
    # Beside a JSON document, gates are for whoever watches.
    where = sys.stderr if as_json else sys.stdout
    if passages:
        print("\ngates, without those copies" if honest else "\ngates", file=where)
    for passage in passages:
        print(f"  {passage}", file=where)

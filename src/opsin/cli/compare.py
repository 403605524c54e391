"""`opsin compare`: whether a new model is better than the one there is, on the same pictures."""

import json
import sys
from pathlib import Path

import typer

from opsin.catalog import choose
from opsin.cli.evaluate import PARTS
from opsin.errors import ExitCode, UsageError

EXAMPLES = (
    "opsin compare OLD NEW photos/",
    "opsin compare OLD NEW photos/ --fail-if-worse",
    "opsin compare OLD NEW photos/ --fail-if-worse --margin 0.01 --json",
)


def compare(
    first: Path = typer.Argument(metavar="MODEL_A", help="A run folder, a model folder or an export: what there is."),
    second: Path = typer.Argument(metavar="MODEL_B", help="Another, of the same classes: what is new."),
    data: Path = typer.Argument(
        metavar="DATA", help="A folder with a folder for each class (or train/, val/, test/ of such), or a CSV."
    ),
    split: str = typer.Option("auto", help=f"Which part: {', '.join(PARTS)}; auto: what both models hold out."),
    fail_if_worse: bool = typer.Option(
        False,
        "--fail-if-worse",
        help="Exit with 1 if B is worse than A by more than --margin, and more than chance makes it: the 95 % interval "
        "of B's accuracy minus A's lies below -margin, and McNemar's exact test gives p < 0.05.",
    ),
    margin: float = typer.Option(0.0, help="How much worse is still fine, a fraction: 0.01 is one point."),
    html: Path | None = typer.Option(None, help="Also write the report on B as a page."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Compare two models on the same pictures, none of which either has learned from.

    Says which is better and whether that is more than chance, what changed in each class, and which pictures.

    On data that the models were trained on, the pictures that both runs have held out are taken.
    """
    from opsin.cli.bars import progress_bar
    from opsin.evaluation.compare import compare as compare_models

    choose("split", split, PARTS)
    if not 0 <= margin < 1:
        raise UsageError(f"Expected --margin from 0 to below 1, a fraction; received {margin:g}. One point is 0.01.")
    if margin and not fail_if_worse:
        raise UsageError(f"Expected --fail-if-worse with --margin {margin:g}. Add it, or leave --margin out.")
    with progress_bar("comparing") as advance:
        found = compare_models(first, second, data, split=split, progress=advance)
    for note in found.notes:
        print(note, file=sys.stderr)
    if html is not None:
        found.reports[1].save_html(html)
    is_worse = found.second_is_worse(margin)
    if as_json:
        print(json.dumps({**found.to_dict(), "margin": margin, "second_is_worse": is_worse}, indent=2))
    else:
        print(found)
    skipped = found.reports[1].skipped
    if skipped:
        print(f"{len(skipped):,} pictures could not be read and took no part.", file=sys.stderr)
    if fail_if_worse and is_worse:
        print(f"FAILED: {found.comparison.second.name} is worse than {found.comparison.first.name}.", file=sys.stderr)
        raise typer.Exit(ExitCode.GATE_FAILED)
    if skipped:
        raise typer.Exit(ExitCode.UNUSABLE)

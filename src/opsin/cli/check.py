"""`opsin check`: look before learning."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from opsin.checks import CHECKS
from opsin.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import numpy as np

    from opsin.checks.finding import Finding
    from opsin.checks.run import CheckReport
    from opsin.data.dataset import ImageDataset
    from opsin.images.preprocess import Preprocess

EXAMPLES = (
    "opsin check photos/",
    "opsin check photos/ --html findings.html --write-list skip.csv",
    "opsin check photos/ --strict --json > findings.json",
    "opsin check photos/ --model RUN --html labels.html",
)

PATHS_SHOWN = 3

MOST_REMEMBERED = 2**25
"""Bytes of features that are remembered for a second look: those of 6,500 pictures by MobileNetV2."""


def check(
    data: Path = typer.Argument(
        metavar="DATA", help="A folder with a folder for each class (or train/, val/, test/ of such), or a CSV."
    ),
    model: Path | None = typer.Option(
        None, help="A run or a model folder: what it sees tells which labels are doubtful; its size is judged by."
    ),
    image_size: int | None = typer.Option(
        None, min=1, help="The pixels that training will use: sizes are judged by it."
    ),
    fit: str = typer.Option("stretch", help="How training will fit pictures into them: stretch, crop, pad."),
    skip: Path | None = typer.Option(None, help="Leave out what this CSV lists, as opsin train --skip does."),
    group_by: str | None = typer.Option(
        None, help="Pictures whose paths match this regular expression alike are a group: none may be in two parts."
    ),
    only: list[str] = typer.Option([], help=f"Only this check, again for more: {', '.join(CHECKS)}."),
    html: Path | None = typer.Option(None, help="Also write a page that shows the pictures."),
    write_list: Path | None = typer.Option(
        None, help="Also write the list of pictures to leave out, for opsin train --skip."
    ),
    strict: bool = typer.Option(False, "--strict", help="Exit with 1 if there is any warning or error."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Look for what is the matter with a data set: damaged files, copies, leaks, wrong labels, shortcuts.

    Nothing is changed. What was looked at is remembered: a second look is quick.
    """
    from opsin.checks.run import check_dataset
    from opsin.cli.bars import progress_bar
    from opsin.cli.leaving_out import open_without
    from opsin.data.skip_list import read_skip_list
    from opsin.images.reading import usable_cores

    _keep_what_is_given({"--html": html, "--write-list": write_list}, data, skip)
    listed = read_skip_list(skip) if skip else {}
    dataset = open_without(data, listed, patient=True)
    dataset = dataset if group_by is None else dataset.grouped_by(group_by)
    recipe = _recipe(image_size, fit)
    recipe, features = _by_model(model, dataset) if model is not None else (recipe, None)
    with progress_bar("looking") as advance:
        report = check_dataset(
            dataset,
            preprocess=recipe,
            features=features,
            codes=only or None,
            processes=usable_cores(),
            progress=advance,
        )
    written: list[str] = []
    try:
        # Files first: whoever reads the beginning only, as `head` does, ends what prints.
        written += _written(report, html, write_list, listed)
    finally:
        print(report.to_json() if as_json else _text(report))
    for line in written:
        print(line, file=sys.stderr)
    if strict and not report.is_clean:
        raise typer.Exit(ExitCode.GATE_FAILED)


def _keep_what_is_given(written: dict[str, Path | None], data: Path, skip: Path | None) -> None:
    for option, path in written.items():
        # A list may be written anew: it keeps what it held.
        given = [data, skip] if option == "--html" else [data]
        if path is not None and path.is_file() and any(one and one.exists() and path.samefile(one) for one in given):
            raise UsageError(
                f"Expected {option} to name another file than is read; received {str(path)!r}, which would be lost. "
                "Give another name."
            )


def _written(
    report: "CheckReport", html: Path | None, write_list: Path | None, listed: dict[str, str]
) -> Iterator[str]:
    from opsin.counting import count

    if html is not None:
        report.save_html(html)
        yield f"Page: {html}"
    if write_list is not None:
        number = count(report.write_list(write_list, listed), "picture")
        yield f"{number} to leave out: {write_list} (opsin train DATA --skip {write_list})"


def _recipe(image_size: int | None, fit: str) -> "Preprocess | None":
    from opsin.images.preprocess import Preprocess

    # A fit that there is not is an error with or without a size.
    recipe = Preprocess(image_size or 1, image_size or 1, fit=fit)
    return None if image_size is None else recipe


def _by_model(model: Path, dataset: "ImageDataset") -> "tuple[Preprocess, np.ndarray]":
    """Return the model's recipe, and what it sees in each picture."""
    import numpy as np

    from opsin.checks.facts import digest_of
    from opsin.checks.memory import Memory
    from opsin.checks.survey import stamp_of
    from opsin.classifier import Classifier
    from opsin.cli.bars import progress_bar
    from opsin.errors import PictureError
    from opsin.runtimes.ahead import read_and_run

    classifier = Classifier.open(model, "litert")
    key = digest_of(f"{classifier.card.sha256} {[stamp_of(path) for path in dataset.paths]}".encode())
    with Memory(None) as memory:
        known = memory.recall_result(f"features {key}")
    if known is not None:
        return classifier.preprocess, known
    rows: list[np.ndarray | None] = []
    with progress_bar("what the model sees") as advance:
        recipe, lanes = classifier.preprocess, classifier.lanes
        for batch, outputs in read_and_run(classifier.run_beside, dataset.paths, recipe, batch_size=16, lanes=lanes):
            found = iter([] if outputs is None else outputs.features)
            rows += [None if isinstance(image, PictureError) else next(found) for image in batch]
            advance(len(rows), len(dataset))
    size = next((len(row) for row in rows if row is not None), 1)
    features = np.stack([np.zeros(size, np.float32) if row is None else row for row in rows])
    # What could not be read now may be readable then.
    if features.nbytes <= MOST_REMEMBERED and all(row is not None for row in rows):
        with Memory(None) as memory:
            memory.remember_result(f"features {key}", features)
    return classifier.preprocess, features


def _text(report: "CheckReport") -> str:
    from opsin.cli.account import one_line
    from opsin.counting import count

    summary, root = report.summary, one_line(str(report.survey.dataset.root))
    lines = [
        f"{count(summary['pictures'], 'picture')}, {count(len(summary['classes']), 'class', 'classes')} in {root}",
        *(line for finding in report.findings for line in lines_of(finding)),
    ]
    passed = [outcome.code for outcome in report.outcomes if outcome.status == "passed"]
    lines += ["", f"Looked for and not found: {', '.join(passed)}."] if passed else []
    for status in ("not applicable", "skipped"):
        lines += [f"{one.code} {status}: {one.reason}." for one in report.outcomes if one.status == status]
    return "\n".join(lines)


def lines_of(finding: "Finding") -> list[str]:
    """Return a finding as lines: how bad, what, where, what to do."""
    from opsin.cli.account import one_line

    lines = ["", f"{finding.severity:<8}{finding.code}: {one_line(finding.message)}"]
    for group in finding.groups[:PATHS_SHOWN]:
        shown = ", ".join(one_line(path) for path in group.paths[:4]) + (", …" if len(group.paths) > 4 else "")
        lines.append(f"        {shown}" + (f"  ({one_line(group.note)})" if group.note else ""))
    if len(finding.groups) > PATHS_SHOWN:
        lines.append(f"        and {len(finding.groups) - PATHS_SHOWN:,} more")
    return [*lines, f"        → {finding.advice}"]

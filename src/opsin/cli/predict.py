"""`opsin predict`: pictures in, class names out."""

import csv
import glob
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from opsin.catalog import choose, resolve
from opsin.cli.account import left_out, one_line
from opsin.errors import DataError, ExitCode, PictureError, UsageError
from opsin.runtimes import ENGINES

if TYPE_CHECKING:
    from opsin.classifier import Prediction
    from opsin.data.walk import Skipped

    Answer = Prediction | PictureError

EXAMPLES = (
    "opsin predict RUN cat.jpg",
    "opsin predict RUN photos/ --format csv > answers.csv",
    "find . -name '*.png' | opsin predict RUN - --format jsonl",
)

STDIN = "-"

FORMATS = {
    "table": "opsin.cli.predict:_write_table",
    "jsonl": "opsin.cli.predict:_write_jsonl",
    "csv": "opsin.cli.predict:_write_csv",
}


def predict(
    model: Path = typer.Argument(metavar="MODEL", help="A run folder, a model folder or an export."),
    sources: list[str] = typer.Argument(
        metavar="SOURCE", help="Pictures, folders, glob patterns; - reads paths from stdin, one a line."
    ),
    top: int = typer.Option(3, min=1, help="How many classes to name for each picture."),
    format: str = typer.Option("table", help=f"How to print the answers: {', '.join(FORMATS)}."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document, a list."),
    batch_size: int = typer.Option(16, min=1, help="How many pictures the network sees at once."),
    runtime: str | None = typer.Option(
        None, help=f"What runs the network: {', '.join(ENGINES)}; those beyond litert and keras need its export."
    ),
    flips: bool = typer.Option(
        False, "--flips", help="See each picture mirrored as well, and average the answers (twice the time)."
    ),
) -> None:
    """Predict the class of pictures.

    A picture that cannot be read is an error of its own: the rest go on, and the exit code is 3.
    """
    from opsin.classifier import Classifier

    write = _writer(format, as_json)
    classifier = Classifier.open(model, runtime, flips=flips)
    search = _Search(sources)
    answers = classifier.predict_many(search.pictures(), batch_size=batch_size)
    failed = write(answers, min(top, len(classifier.class_names)))
    for line in search.left_out():
        print(line, file=sys.stderr)
    if failed or search.lost:
        raise typer.Exit(ExitCode.UNUSABLE)


def _writer(format: str, as_json: bool) -> Callable[[Iterable, int], int]:
    writer = resolve(FORMATS[choose("format", format, FORMATS)])
    if not as_json:
        return writer
    if writer is not _write_table:
        raise UsageError(f"Expected --json or --format; received both, --format {format}. Leave one of them out.")
    return _write_json


class _Search:
    """The pictures that files, folders, patterns and stdin name, with an account of what is left out.

    Raises:
        UsageError: a source names nothing.
    """

    def __init__(self, sources: list[str]):
        self.sources = sources
        self.found = [path for source in sources for path in _named(source)]
        self.skipped: dict[str, list[Skipped]] = {}

    def pictures(self) -> Iterator[str]:
        """Return the pictures' paths, in the order of the sources.

        Raises:
            DataError: there is none at all.
        """
        paths = itertools.chain.from_iterable(map(self._pictures, self.found))
        first = next(paths, None)
        if first is None:
            places = ", ".join("stdin" if source == STDIN else repr(source) for source in self.sources)
            raise DataError(" ".join([f"Expected pictures to predict; found none in {places}.", *self.left_out()]))
        return itertools.chain([first], paths)

    @property
    def lost(self) -> bool:
        """Whether something that was meant could not be read."""
        return any(one.lost for skipped in self.skipped.values() for one in skipped)

    def left_out(self) -> Iterator[str]:
        """Yield what was left out of folders so far, one line a folder, and each loss by its name."""
        for folder, skipped in self.skipped.items():
            yield from left_out(folder, skipped)

    def _pictures(self, path: str | None) -> Iterator[str]:
        if path is None:
            # Of a line that was written on Windows, the end has two characters.
            lines = (line.removesuffix("\n").removesuffix("\r") for line in sys.stdin)
            yield from (line for line in lines if line.strip())
        elif os.path.isdir(path):
            # Not at the top: help would wait for NumPy and Pillow.
            from opsin.data.walk import Walk

            walk = Walk(Path(path), patient=True)
            self.skipped[path] = walk.skipped
            yield from map(str, walk.pictures(walk.root, frozenset()))
        else:
            yield path


def _named(source: str) -> list[str | None]:
    """Return the files and folders that one source names; None stands for stdin.

    Raises:
        UsageError: it names nothing.
    """
    if source == STDIN:
        return [None]
    found = [source] if os.path.lexists(source) else sorted(glob.glob(source, recursive=True))
    if not found:
        raise UsageError(f"Expected a picture, a folder or a pattern; nothing is there at {source!r}. Check the path.")
    return found


def _document(answer: "Answer", top: int) -> dict:
    if isinstance(answer, PictureError):
        return {"path": answer.path, "error": answer.reason}
    best = [{"label": label, "probability": round(probability, 6)} for label, probability in answer.top(top)]
    return {"path": answer.path, **best[0], "top": best}


def _write_jsonl(answers: Iterable["Answer"], top: int) -> int:
    failed = 0
    for answer in answers:
        document = _document(answer, top)
        failed += "error" in document
        print(json.dumps(document))
    return failed


def _write_json(answers: Iterable["Answer"], top: int) -> int:
    documents = [_document(answer, top) for answer in answers]
    print(json.dumps(documents, indent=2))
    return sum("error" in document for document in documents)


def _write_csv(answers: Iterable["Answer"], top: int) -> int:
    failed = 0
    writer = csv.writer(sys.stdout, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    more = [f"{what}_{rank}" for rank in range(2, top + 1) for what in ("label", "probability")]
    writer.writerow(["path", "label", "probability", *more, "error"])
    for answer in answers:
        document = _document(answer, top)
        failed += "error" in document
        cells = [value for one in document.get("top", []) for value in one.values()]
        writer.writerow([answer.path, *(cells or [""] * 2 * top), document.get("error", "")])
    return failed


def _write_table(answers: Iterable["Answer"], top: int) -> int:
    failed = total = 0
    for answer in answers:
        total += 1
        if isinstance(answer, PictureError):
            failed += 1
            print(f"{one_line(answer.path)}  error: {one_line(answer.reason)}", file=sys.stderr)
        else:
            best = ", ".join(f"{one_line(label)} {probability:.1%}" for label, probability in answer.top(top))
            print(f"{one_line(answer.path)}  {best}")
    if failed:
        print(f"{failed} of {total} pictures could not be read.", file=sys.stderr)
    return failed

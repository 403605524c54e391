"""`opsin predict`: pictures in, class names out."""

import csv
import enum
import glob
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import typer

from opsin.errors import ExitCode, PictureError, UsageError

EXAMPLES = (
    "opsin predict RUN cat.jpg",
    "opsin predict RUN photos/ --format csv > answers.csv",
    "find . -name '*.png' | opsin predict RUN - --format jsonl",
)


class Format(enum.StrEnum):
    """How predictions are printed."""

    table = "table"
    jsonl = "jsonl"
    csv = "csv"


def predict(
    model: Path = typer.Argument(help="A run folder or a model folder."),
    sources: list[str] = typer.Argument(help="Pictures, folders, glob patterns; - reads paths from stdin."),
    top: int = typer.Option(3, min=1, help="How many classes to name for each picture."),
    format: Format = typer.Option(Format.table, help="How to print the answers."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document, a list."),
    batch_size: int = typer.Option(16, min=1, help="How many pictures the network sees at once."),
    runtime: str = typer.Option("litert", help="litert, or keras (needs opsin[train])."),
) -> None:
    """Predict the class of pictures.

    A picture that cannot be read is an error of its own: the rest go on, and the exit code is 3.
    """
    from opsin.classifier import Classifier

    classifier = Classifier.open(model, runtime)
    paths, named = _tee(_expand(sources))
    answers = zip(named, classifier.predict_many(paths, batch_size=batch_size), strict=True)
    write = _write_json if as_json else _WRITERS[format]
    failed = write(answers, min(top, len(classifier.class_names)))
    if failed:
        raise typer.Exit(ExitCode.UNUSABLE)


def _tee(paths: Iterator[str]) -> tuple[Iterator[str], Iterator[str]]:
    import itertools

    return itertools.tee(paths)


def _expand(sources: list[str]) -> Iterator[str]:
    """Yield the pictures that files, folders, patterns and stdin name, in order.

    Raises:
        UsageError: one of them names nothing.
    """
    for source in sources:
        if source != "-" and not os.path.lexists(source) and not glob.glob(source, recursive=True):
            raise UsageError(
                f"Expected a picture, a folder or a pattern; nothing is there at {source!r}. Check the path."
            )
    for source in sources:
        if source == "-":
            yield from (line.rstrip("\n") for line in sys.stdin if line.strip())
        elif os.path.lexists(source):
            yield from _files(source)
        else:
            for match in sorted(glob.glob(source, recursive=True)):
                yield from _files(match)


def _files(path: str) -> Iterator[str]:
    from opsin.images.decode import SUFFIXES

    if not os.path.isdir(path):
        yield path
        return
    for folder, subfolders, names in os.walk(path):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        pictures = (n for n in sorted(names) if not n.startswith(".") and Path(n).suffix.lower() in SUFFIXES)
        yield from (os.path.join(folder, name) for name in pictures)


def _document(path: str, answer: object, top: int) -> dict:
    if isinstance(answer, PictureError):
        return {"path": path, "error": answer.reason}
    best = [{"label": label, "probability": round(probability, 6)} for label, probability in answer.top(top)]
    return {"path": path, **best[0], "top": best}


def _write_jsonl(answers: Iterable, top: int) -> int:
    failed = 0
    for path, answer in answers:
        document = _document(path, answer, top)
        failed += "error" in document
        print(json.dumps(document))
    return failed


def _write_json(answers: Iterable, top: int) -> int:
    documents = [_document(path, answer, top) for path, answer in answers]
    print(json.dumps(documents, indent=2))
    return sum("error" in document for document in documents)


def _write_csv(answers: Iterable, top: int) -> int:
    failed = 0
    writer = csv.writer(sys.stdout, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    more = [f"{what}_{rank}" for rank in range(2, top + 1) for what in ("label", "probability")]
    writer.writerow(["path", "label", "probability", *more, "error"])
    for path, answer in answers:
        document = _document(path, answer, top)
        failed += "error" in document
        cells = [value for one in document.get("top", []) for value in one.values()]
        writer.writerow([path, *(cells or [""] * 2 * top), document.get("error", "")])
    return failed


def _write_table(answers: Iterable, top: int) -> int:
    failed = total = 0
    for path, answer in answers:
        total += 1
        if isinstance(answer, PictureError):
            failed += 1
            print(f"{_one_line(path)}  error: {answer.reason}", file=sys.stderr)
        else:
            best = ", ".join(f"{_one_line(label)} {probability:.1%}" for label, probability in answer.top(top))
            print(f"{_one_line(path)}  {best}")
    if failed:
        print(f"{failed} of {total} pictures could not be read.", file=sys.stderr)
    if not total:
        print("No pictures were found.", file=sys.stderr)
    return failed


def _one_line(text: str) -> str:
    return text if text.isprintable() else repr(text)[1:-1]


_WRITERS = {Format.table: _write_table, Format.jsonl: _write_jsonl, Format.csv: _write_csv}

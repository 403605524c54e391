"""How `opsin predict` writes its answers: one row a picture, written as it comes."""

import contextlib
import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from opsin.catalog import choose, resolve
from opsin.cli.account import one_line
from opsin.errors import PictureError, UsageError

if TYPE_CHECKING:
    from opsin.classifier import Prediction

    Answer = Prediction | PictureError

Write = Callable[["Answer"], None]

FORMATS = {
    "table": "opsin.cli.answers:table_rows",
    "jsonl": "opsin.cli.answers:jsonl_rows",
    "csv": "opsin.cli.answers:csv_rows",
    "parquet": "opsin.cli.answers_parquet:parquet_file",
}
JSON = "json"
"""What `--json` asks for: one document instead of rows."""
SUFFIXES = {".txt": "table", ".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}


class Output(NamedTuple):
    """Where answers go, and how.

    Args:
        format: a name in `FORMATS`, or `JSON`.
        file: None for stdout.
        top: how many classes are named for each picture.
        end: how much of the file stays, in bytes: what an earlier run has written whole.
    """

    format: str
    file: Path | None
    top: int
    end: int = 0


def choose_format(format: str | None, as_json: bool, out: Path | None) -> str:
    """Return what the options ask for: `format` itself, else what the file's suffix says, else a table.

    Raises:
        UsageError: there is no such format, the options contradict each other, or the suffix says nothing.
    """
    if as_json and (format or out):
        other = f"--format {format}" if format else f"--out {out}"
        raise UsageError(f"Expected --json or {other.split()[0]}; received both, --json and {other}. Leave one out.")
    if as_json:
        return JSON
    if format is None:
        return "table" if out is None else _format_of(out)
    if choose("format", format, FORMATS) == "parquet" and out is None:
        raise UsageError("Expected --out FILE with --format parquet, which is no text; received none. Add it.")
    return format


def _format_of(out: Path) -> str:
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"Expected --out to end in {', '.join(SUFFIXES)}, or --format beside it; received {str(out)!r}. Rename it."
        )
    return SUFFIXES[out.suffix.lower()]


@contextlib.contextmanager
def writing(output: Output) -> Iterator[Write]:
    """Open what answers are written to.

    Yields:
        A function that writes an answer. What it has written stays, however the block ends.
    """
    if output.format == JSON:
        with _json_document(output.top) as write:
            yield write
    elif output.format == "parquet":
        with resolve(FORMATS[output.format])(output) as write:
            yield write
    elif output.file is None:
        yield resolve(FORMATS[output.format])(sys.stdout, output)
    else:
        from opsin.cli.answers_kept import appending

        with appending(output.file, output.end) as stream:
            yield resolve(FORMATS[output.format])(stream, output)


def document(answer: "Answer", top: int) -> dict:
    """Return an answer as plain values for JSON."""
    if isinstance(answer, PictureError):
        return {"path": answer.path, "error": answer.reason}
    best = [{"label": label, "probability": round(probability, 6)} for label, probability in answer.top(top)]
    return {"path": answer.path, "label": answer.label, "probability": best[0]["probability"], "top": best}


def columns(top: int) -> list[str]:
    """Return the columns of a table of answers: the best class has no number."""
    more = [f"{what}_{rank}" for rank in range(2, top + 1) for what in ("label", "probability")]
    return ["path", "label", "probability", *more, "error"]


def cells(answer: "Answer", top: int, *, empty: str | None) -> list:
    """Return an answer's cell of each of the `columns`."""
    if isinstance(answer, PictureError):
        return [answer.path, *([empty] * 2 * top), answer.reason]
    told = document(answer, top)
    more = [value for one in told["top"][1:] for value in one.values()]
    return [answer.path, told["label"], told["probability"], *more, empty]


def jsonl_rows(stream: TextIO, output: Output) -> Write:
    """Write a JSON document a line."""
    return lambda answer: print(json.dumps(document(answer, output.top)), file=stream, flush=True)


def csv_rows(stream: TextIO, output: Output) -> Write:
    """Write a line of CSV an answer, below a line of the columns' names."""
    rows = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    if not output.end:
        rows.writerow(columns(output.top))

    def write(answer: "Answer") -> None:
        rows.writerow(cells(answer, output.top, empty=""))
        stream.flush()

    return write


def table_rows(stream: TextIO, output: Output) -> Write:
    """Write a line an answer for people; errors go to stderr."""

    def write(answer: "Answer") -> None:
        if isinstance(answer, PictureError):
            print(f"{one_line(answer.path)}  error: {one_line(answer.reason)}", file=sys.stderr)
            return
        best = ", ".join(f"{one_line(label)} {probability:.1%}" for label, probability in answer.top(output.top))
        unsure = "" if answer.label == answer.top(1)[0][0] else f"{answer.label}: "
        print(f"{one_line(answer.path)}  {unsure}{best}", file=stream, flush=True)

    return write


@contextlib.contextmanager
def _json_document(top: int) -> Iterator[Write]:
    documents = []
    yield lambda answer: documents.append(document(answer, top))
    print(json.dumps(documents, indent=2))


def seen_elsewhere(output: Output) -> bool:
    """Return whether answers go anywhere but to a terminal, where a progress bar would be in their way."""
    return output.file is not None or not is_terminal()


def is_terminal() -> bool:
    """Return whether stdout is a terminal."""
    return sys.stdout.isatty()

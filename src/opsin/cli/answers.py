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
from opsin.errors import OpsinError, PictureError, UsageError

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
PLACE = ("frame", "time")
"""Which frame of a video a row is about: its number, counted from 0, and its time in seconds."""

SUFFIXES = {".txt": "table", ".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}


class Output(NamedTuple):
    """Where answers go, and how.

    Args:
        format: a name in `FORMATS`, or `JSON`.
        file: None for stdout.
        top: how many classes are named for each picture.
        frames: whether rows say which frame of a video they are about.
        end: how much of the file stays, in bytes: what an earlier run has written whole.
    """

    format: str
    file: Path | None
    top: int
    frames: bool = False
    end: int = 0

    @property
    def columns(self) -> list[str]:
        """The columns of a table of answers: the best class has no number."""
        place = ["path", *PLACE] if self.frames else ["path"]
        more = [f"{what}_{rank}" for rank in range(2, self.top + 1) for what in ("label", "probability")]
        return [*place, "label", "probability", *more, "error"]


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
        with _json_document(output) as write:
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


def document(answer: "Answer", output: Output) -> dict:
    """Return an answer as plain values for JSON."""
    found = {"path": answer.path}
    if output.frames:
        found |= {name: getattr(answer, name, None) for name in PLACE}
    if isinstance(answer, PictureError):
        return {**found, "error": answer.reason}
    best = [{"label": label, "probability": round(probability, 6)} for label, probability in answer.top(output.top)]
    return {**found, "label": answer.label, "probability": best[0]["probability"], "top": best}


def cells(answer: "Answer", output: Output, *, empty: str | None) -> list:
    """Return an answer's cell of each of the output's columns."""
    told = document(answer, output)
    for rank, one in enumerate(told.pop("top", []), 1):
        told |= {f"label_{rank}": one["label"], f"probability_{rank}": one["probability"]}
    found = [told.get(name) for name in output.columns]
    return [empty if value is None else value for value in found]


def jsonl_rows(stream: TextIO, output: Output) -> Write:
    """Write a JSON document a line."""
    return lambda answer: print(json.dumps(document(answer, output)), file=stream, flush=True)


def csv_rows(stream: TextIO, output: Output) -> Write:
    """Write a line of CSV an answer, below a line of the columns' names."""
    rows = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    if not output.end:
        rows.writerow(output.columns)

    def write(answer: "Answer") -> None:
        rows.writerow(cells(answer, output, empty=""))
        stream.flush()

    return write


def table_rows(stream: TextIO, output: Output) -> Write:
    """Write a line an answer for people; errors go to stderr."""

    def write(answer: "Answer") -> None:
        name = one_line(answer.path)
        if getattr(answer, "time", None) is not None:
            name = f"{name}  {answer.time:.2f} s"
        if isinstance(answer, PictureError):
            print(f"{name}  error: {one_line(answer.reason)}", file=sys.stderr)
            return
        best = ", ".join(f"{one_line(label)} {probability:.1%}" for label, probability in answer.top(output.top))
        unsure = "" if answer.label == answer.top(1)[0][0] else f"{answer.label}: "
        print(f"{name}  {unsure}{best}", file=stream, flush=True)

    return write


@contextlib.contextmanager
def _json_document(output: Output) -> Iterator[Write]:
    documents, stopped = [], None
    try:
        yield lambda answer: documents.append(document(answer, output))
    except (KeyboardInterrupt, OpsinError) as error:
        stopped = error
    print(json.dumps(documents, indent=2))
    if stopped is not None:
        raise stopped


def seen_elsewhere(output: Output) -> bool:
    """Return whether answers go anywhere but to a terminal, where a progress bar would be in their way."""
    return output.file is not None or not is_terminal()


def is_terminal() -> bool:
    """Return whether stdout is a terminal."""
    return sys.stdout.isatty()

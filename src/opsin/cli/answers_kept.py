"""The file of answers that an earlier `opsin predict` left: what of it is whole, and how it goes on."""

import contextlib
import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from opsin.atomic import saying_why
from opsin.cli.answers import PLACE, Output
from opsin.errors import DataError, UsageError


class Kept(NamedTuple):
    """What a file of answers holds.

    Args:
        paths: pictures whose answers, or errors, it holds; and videos that ended with an error.
        frames: frames of videos whose answers it holds, as (path, number).
        failed: how many of them are errors.
        end: how many of its bytes are whole rows.
    """

    paths: frozenset[str] = frozenset()
    frames: frozenset[tuple[str, int]] = frozenset()
    failed: int = 0
    end: int = 0


class Row(NamedTuple):
    """What going on needs to know of a row."""

    path: str | None
    """None of a heading."""
    label: str | None
    end: int
    """Where it ends in the file, in bytes."""
    frame: int | None = None


def take_place(file: Path | None, format: str, *, resume: bool, overwrite: bool) -> bool:
    """Return whether there is a file to go on with.

    Raises:
        UsageError: the options contradict each other, or a file is there and neither of them says what becomes of it.
    """
    if resume and overwrite:
        raise UsageError("Expected --resume or --overwrite; received both. Leave one of them out.")
    if file is None:
        if resume or overwrite:
            option = "--resume" if resume else "--overwrite"
            raise UsageError(f"Expected --out FILE with {option}; received none. Say which file it is about.")
        return False
    if resume and format not in READERS:
        raise UsageError(
            f"Expected one of these formats with --resume: {', '.join(READERS)}; received {format}, which is for "
            "people. Choose another --format."
        )
    if os.path.lexists(file) and (not (resume or overwrite) or not os.path.isfile(file)):
        raise UsageError(
            f"Expected a new file for the answers; {str(file)!r} is there already. Choose another --out, or add "
            "--resume to go on with it, --overwrite to replace it."
        )
    return resume and os.path.exists(file)


def read_kept(output: Output, labels: Iterable[str]) -> Kept:
    """Read which pictures a file has the answers of. A last line that is cut off does not count.

    Args:
        output: how an earlier run has written it, its format being a name in `READERS`.
        labels: what answers of this model can be.

    Raises:
        DataError: it holds something else, or answers of another model.
    """
    paths, frames, failed, end, labels = set(), set(), 0, 0, {None, *labels}
    with saying_why(output.file), _explaining(output.file):
        for row in READERS[output.format](output):
            if row.label not in labels:
                raise ValueError(f"it holds answers of another model: {row.label!r} is none of this one's classes")
            end = row.end
            if row.frame is not None:
                frames.add((row.path, row.frame))
            elif row.path is not None:
                paths.add(row.path)
                failed += row.label is None
    return Kept(frozenset(paths), frozenset(frames), failed, end)


@contextlib.contextmanager
def appending(file: Path, end: int) -> Iterator[TextIO]:
    """Open a text file to write on behind its first `end` bytes; what is behind them goes."""
    with saying_why(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as stream:
            stream.truncate(end)
        # Names that are no UTF-8 go out byte for byte, as they do to stdout.
        with file.open("a", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            yield stream


@contextlib.contextmanager
def _explaining(file: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, csv.Error) as error:
        raise DataError(
            f"Expected answers that opsin predict has written with the same options; {str(file)!r} cannot be gone on "
            f"with: {error}. Choose another --out, or --overwrite it."
        ) from error


def _jsonl_rows(output: Output) -> Iterator[Row]:
    place = set(PLACE if output.frames else ())
    with output.file.open("rb") as stream:
        end = 0
        for line in stream:
            end += len(line)
            if not line.endswith(b"\n"):
                _require_alike(line, b'{"path": ')
                return
            told = json.loads(line)
            if told.keys() - place not in ({"path", "error"}, {"path", "label", "probability", "top"}):
                raise ValueError(f"a line has other keys: {', '.join(told)}")
            if place - told.keys():
                raise ValueError("it does not say which frame of a video an answer is about")
            if len(told.get("top", ())) not in (0, output.top):
                raise ValueError(f"it names {len(told['top'])} classes for each picture, not {output.top}")
            yield Row(told["path"], told.get("label"), end, told.get("frame"))


def _csv_rows(output: Output) -> Iterator[Row]:
    heading = output.columns
    label = heading.index("label")
    with output.file.open("rb") as stream:
        end, whole = 0, True

        def lines() -> Iterator[str]:
            nonlocal end, whole
            for line in stream:
                end, whole = end + len(line), line.endswith(b"\n")
                yield line.decode("utf-8", "surrogateescape")

        expected = (",".join(f'"{name}"' for name in heading) + "\n").encode()
        _require_alike(stream.read(len(expected)), expected)
        stream.seek(0)
        rows = csv.reader(lines(), strict=True)
        try:
            for number, row in enumerate(rows):
                if not whole:
                    return
                if len(row) != len(heading):
                    raise ValueError(f"line {rows.line_num} has {len(row)} cells instead of {len(heading)}")
                frame = int(row[1]) if number and output.frames and row[1] else None
                yield Row(row[0] if number else None, row[label] or None if number else None, end, frame)
        except csv.Error:
            # At the file's end it is a quote that was never closed: the last row is cut off.
            if stream.read(1):
                raise


def _require_alike(beginning: bytes, expected: bytes) -> None:
    if not (beginning.startswith(expected) or expected.startswith(beginning)):
        raise ValueError(f"it begins with {beginning[:40]!r} instead of {expected[:40]!r}")


def _parquet_rows(output: Output) -> Iterator[Row]:
    from opsin.cli.answers_parquet import read_rows

    return (Row(path, label, 1, frame) for path, label, frame in read_rows(output))


READERS: dict[str, Callable[[Output], Iterator[Row]]] = {
    "jsonl": _jsonl_rows,
    "csv": _csv_rows,
    "parquet": _parquet_rows,
}
"""Formats that can be gone on with -> what reads their whole rows."""

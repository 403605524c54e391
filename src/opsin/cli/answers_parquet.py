"""Answers in a `.parquet` file: written in groups of rows, finished however the run ends."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsin.atomic import replacing
from opsin.catalog import require
from opsin.cli.answers import Output, Write, cells
from opsin.errors import OpsinError, SavingError

if TYPE_CHECKING:
    from opsin.cli.answers import Answer

ROWS = 1024
"""How many rows make a group; this many answers are held in memory."""


@contextlib.contextmanager
def parquet_file(output: Output) -> Iterator[Write]:
    """Write a file of answers, which takes its place at the end, or when it is interrupted.

    Yields:
        A function that writes an answer.
    """
    parquet = _parquet()
    stopped = None
    with replacing(output.file) as temporary, parquet.ParquetWriter(temporary, _schema(output)) as writer:
        if output.end:
            _copy(parquet, output.file, writer)
        rows = _Rows(writer, output)
        try:
            yield rows.add
        except (KeyboardInterrupt, OpsinError) as error:
            stopped = error
        rows.flush()
    if stopped is not None:
        raise stopped


class _Rows:
    def __init__(self, writer: Any, output: Output):
        self.writer, self.output, self.waiting = writer, output, []

    def add(self, answer: "Answer") -> None:
        _require_utf8(answer.path, self.output.file)
        self.waiting.append(cells(answer, self.output, empty=None))
        if len(self.waiting) == ROWS:
            self.flush()

    def flush(self) -> None:
        rows, self.waiting = self.waiting, []
        if rows:
            pyarrow = require("pyarrow", "a .parquet file")
            names = self.output.columns
            documents = [dict(zip(names, row, strict=True)) for row in rows]
            self.writer.write_table(pyarrow.Table.from_pylist(documents, schema=_schema(self.output)))


def read_rows(output: Output) -> Iterator[tuple[str, str | None, int | None]]:
    """Yield the path and the label, None of an error, of each row, and of which frame it is.

    Raises:
        ValueError: it is no such file.
    """
    pyarrow = require("pyarrow", "a .parquet file")
    try:
        with _parquet().ParquetFile(output.file) as opened:
            if not opened.schema_arrow.equals(_schema(output)):
                raise ValueError(f"its columns are {', '.join(opened.schema_arrow.names)}")
            names = ["path", "label", "frame"] if output.frames else ["path", "label"]
            for batch in opened.iter_batches(ROWS, columns=names):
                found = batch.to_pydict()
                frames = found.get("frame", [None] * len(found["path"]))
                yield from zip(found["path"], found["label"], frames, strict=True)
    except pyarrow.ArrowException as error:
        raise ValueError(str(error)) from error


def _copy(parquet: Any, file: Path, writer: Any) -> None:
    with parquet.ParquetFile(file) as opened:
        for group in range(opened.num_row_groups):
            writer.write_table(opened.read_row_group(group))


def _schema(output: Output) -> Any:
    pyarrow = require("pyarrow", "a .parquet file")
    kinds = {"probability": pyarrow.float64(), "time": pyarrow.float64(), "frame": pyarrow.int64()}
    return pyarrow.schema([(name, kinds.get(name.partition("_")[0], pyarrow.string())) for name in output.columns])


def _parquet() -> Any:
    return require("pyarrow.parquet", "a .parquet file")


def _require_utf8(path: str, file: Path) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise SavingError(
            f"Expected names in UTF-8, as {str(file)!r} takes only such; received {path!r}. Rename that picture, or "
            "write a .jsonl file."
        ) from error

"""The files that an index is kept in: `.npz` for NumPy, `.parquet` for tables."""

import contextlib
import json
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from opsin.atomic import replacing, saying_why
from opsin.catalog import choose, require
from opsin.errors import DataError, SavingError, UsageError
from opsin.model_folder import sign

MARK = "opsin"
"""Where the document stands in each of our files, by which they are known."""

_DAMAGE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, RuntimeError, MemoryError),
    *(ArithmeticError, struct.error, zlib.error, zipfile.BadZipFile),
)


@dataclass(frozen=True)
class Content:
    """What stands in an index's file.

    Args:
        document: what is said of the whole, fit for JSON.
        columns: name in the plural -> n texts, or a number or a vector of numbers for each of n pictures.
    """

    document: dict[str, Any]
    columns: Mapping[str, np.ndarray | Sequence[str]]


def write_content(path: str | Path, content: Content) -> None:
    """Write an index's file, atomically.

    Raises:
        UsageError: the suffix is none of `FORMATS`, or another file is there that is no index.
        SavingError: it cannot be written.
        MissingPackageError: the format needs a package that is not installed.
    """
    require_place(path)
    with replacing(path) as temporary:
        FORMATS[Path(path).suffix.lower()].write(temporary, content)


def read_content(path: str | Path) -> Content:
    """Read an index's file.

    Raises:
        UsageError: there is no such file, or its suffix is none of `FORMATS`.
        DataError: it is none of ours, or damaged.
        MissingPackageError: the format needs a package that is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise UsageError(
            f"Expected an index, a file that opsin embed has written; there is nothing at {str(path)!r}. Check it."
        )
    file_format = _format(path)
    with explain_damage(path):
        return file_format.read(path)


@contextlib.contextmanager
def explain_damage(path: str | Path) -> Iterator[None]:
    """Turn what goes wrong while a file is understood into a `DataError` that says what to do."""
    try:
        yield
    except _DAMAGE as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise DataError(
            f"Expected an index that opsin embed has written; {str(path)!r} is none, or is damaged: {reason}. Make it "
            f"again: opsin embed MODEL DATA --out {path}"
        ) from error


def require_place(path: str | Path) -> None:
    """Raise unless an index can be written to this place; what holds no index is never replaced.

    Raises:
        UsageError: the suffix is none of `FORMATS`, or another file is there that is no index.
        SavingError: there is no permission.
        MissingPackageError: the format needs a package that is not installed.
    """
    file_format = _format(Path(path))
    target = Path(os.path.realpath(path))
    if target.exists() and not _is_replaceable(target, file_format):
        raise UsageError(
            f"Expected a place for an index; {str(path)!r} is something else, and would be lost. Choose another --out, "
            "or take it away."
        )
    above = next(folder for folder in target.parents if os.path.lexists(folder))
    # What may be written where is only known for sure by doing it.
    with saying_why(path), tempfile.TemporaryFile(dir=above):
        pass


def _is_replaceable(path: Path, file_format: "_Format") -> bool:
    if not path.is_file():
        return False
    if path.stat().st_size == 0:
        return True
    try:
        file_format.read_document(path)
    except _DAMAGE:
        return False
    return True


def _format(path: Path) -> "_Format":
    file_format = FORMATS[choose("suffix of an index", path.suffix.lower(), FORMATS)]
    if file_format.package is not None:
        require(file_format.package, f"a {path.suffix.lower()} file")
    return file_format


def _signed(document: dict[str, Any]) -> str:
    # Of a table, only the columns have checksums of their own.
    return json.dumps({**document, "sha256": sign(document)})


def _proved(text: str | bytes) -> dict[str, Any]:
    document = json.loads(text)
    if document.pop("sha256") != sign(document):
        raise ValueError("what it says of itself was altered")
    return document


def _write_npz(path: Path, content: Content) -> None:
    columns = {name: np.asarray(column) for name, column in content.columns.items()}
    with path.open("wb") as handle:
        np.savez(handle, **{MARK: np.array(_signed(content.document))}, **columns)


def _read_npz(path: Path) -> Content:
    with _open_npz(path) as arrays:
        columns = {name: arrays[name] for name in arrays.files if name != MARK}
        document = _proved(str(arrays[MARK]))
    return Content(document, {name: c.tolist() if c.dtype.kind == "U" else c for name, c in columns.items()})


def _read_npz_document(path: Path) -> dict:
    with _open_npz(path) as arrays:
        return _proved(str(arrays[MARK]))


def _open_npz(path: Path) -> np.lib.npyio.NpzFile:
    # NumPy would take other files for pickles, and say so.
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no .npz file")
    arrays = np.load(path, allow_pickle=False)
    if MARK not in arrays.files:
        arrays.close()
        raise ValueError("it was written by another program")
    return arrays


# A table's columns have names in the singular.
_PLURAL = {"path": "paths", "label": "labels", "cluster": "clusters", "vector": "vectors"}


def _write_parquet(path: Path, content: Content) -> None:
    pyarrow, parquet = _pyarrow()
    arrays = {}
    for name, plural in _PLURAL.items():
        column = content.columns.get(plural)
        if isinstance(column, np.ndarray) and column.ndim == 2:
            arrays[name] = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(column.ravel()), column.shape[1])
        elif column is not None:
            with _explaining_names(path):
                arrays[name] = pyarrow.array(column, None if isinstance(column, np.ndarray) else pyarrow.string())
    table = pyarrow.table(arrays, metadata={MARK: _signed(content.document)})
    # Feature vectors repeat nothing: to look for it, or to compress them, would only take time.
    repeating = ["label"] if "label" in arrays else False
    parquet.write_table(table, path, write_page_checksum=True, use_dictionary=repeating, compression="none")


@contextlib.contextmanager
def _explaining_names(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeEncodeError as error:
        raise SavingError(
            f"Expected names in UTF-8, as a {path.suffix} file takes only such; received {error.object!r}. Rename that "
            "picture, or write an .npz file."
        ) from error


def _read_parquet(path: Path) -> Content:
    _, parquet = _pyarrow()
    with _raising_value_errors(), parquet.ParquetFile(path, page_checksum_verification=True) as file:
        document = _document(file.metadata)
        table = file.read()
    columns = {_PLURAL[name]: table.column(name).combine_chunks() for name in table.column_names}
    return Content(document, {name: _to_numpy(column, len(table)) for name, column in columns.items()})


def _to_numpy(column: Any, count: int) -> np.ndarray | list[str]:
    pyarrow, _ = _pyarrow()
    if pyarrow.types.is_fixed_size_list(column.type):
        return column.flatten().to_numpy().reshape(count, column.type.list_size)
    return column.to_pylist() if pyarrow.types.is_string(column.type) else column.to_numpy()


def _read_parquet_document(path: Path) -> dict:
    _, parquet = _pyarrow()
    with _raising_value_errors():
        return _document(parquet.read_metadata(path))


def _document(metadata: Any) -> dict:
    said = (metadata.metadata or {}).get(MARK.encode())
    if said is None:
        raise ValueError("it was written by another program")
    return _proved(said)


@contextlib.contextmanager
def _raising_value_errors() -> Iterator[None]:
    pyarrow, _ = _pyarrow()
    try:
        yield
    except pyarrow.ArrowException as error:
        raise ValueError(str(error)) from error


def _pyarrow() -> tuple[Any, Any]:
    return require("pyarrow", "a .parquet file"), require("pyarrow.parquet", "a .parquet file")


class _Format(NamedTuple):
    """How one kind of file is written and read."""

    write: Callable[[Path, Content], None]
    read: Callable[[Path], Content]
    read_document: Callable[[Path], dict]
    package: str | None = None


FORMATS = {
    ".npz": _Format(_write_npz, _read_npz, _read_npz_document),
    ".parquet": _Format(_write_parquet, _read_parquet, _read_parquet_document, "pyarrow"),
}
"""Suffix -> how such files are written and read."""

"""Writing files so that a killed process leaves the old file or the new one, never half of one."""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from opsin.errors import SavingError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

# From here on one flush of the whole system is quicker than one for each file.
_MANY_FILES = 100


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; what is written there takes its place at the end.

    The temporary file or folder is removed if the block raises, so nothing half-written stays.

    Args:
        path: where the finished file, or folder, shall be. A link there stays one: what it leads to is replaced.

    Yields:
        The path to write to. It ends in the same suffix and is in the same folder.

    Raises:
        SavingError: there is no room, no permission or no such folder.
    """
    target = Path(os.path.realpath(path))
    # A name has room for 255 bytes, a letter takes up to four.
    name = f".{target.stem[:40]}.{os.getpid()}-{secrets.token_hex(4)}.tmp{target.suffix[:10]}"
    temporary = target.with_name(name)
    try:
        with saying_why(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            _flush(temporary)
            _take_place(temporary, target)
    except BaseException:
        _remove(temporary)
        raise


@contextlib.contextmanager
def saying_why(path: str | Path) -> Iterator[None]:
    """Turn the system's errors while writing `path` into a `SavingError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise SavingError(
                f"Could not write {str(path)!r}: the disk is full. Nothing half-written was left there. "
                "Make room, or choose another place."
            ) from error
        reason = error.strerror or str(error)
        raise SavingError(f"Could not write {str(path)!r}: {reason}. Choose a place that can be written.") from error


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a whole file at once, atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, content: str) -> None:
    """Write a whole UTF-8 file at once, atomically."""
    write_bytes(path, content.encode("utf-8"))


def _flush(path: Path) -> None:
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    if len(files) > _MANY_FILES and hasattr(os, "sync"):
        os.sync()
        return
    for file in files:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())


def _take_place(temporary: Path, path: Path) -> None:
    if not (temporary.is_dir() and path.is_dir()):
        temporary.replace(path)
        return
    # A folder cannot be renamed over a folder that holds something: the old one steps aside first.
    aside = path.with_name(f".{path.name[:60]}.{secrets.token_hex(4)}.old")
    path.replace(aside)
    try:
        temporary.replace(path)
    except BaseException:
        aside.replace(path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _remove(path: Path) -> None:
    # The error that led here is the one to tell of.
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

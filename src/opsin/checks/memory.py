"""What was noted down of pictures, remembered: a second look at the same files reads none of them."""

import contextlib
import io
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from opsin.checks.facts import VERSION, Facts
from opsin.data.cache import default_folder

FILE = f"facts-{VERSION}.sqlite"
_SECONDS = 30
"""How long to wait for another process that is writing."""

_AT_ONCE = 500

Stamp = tuple[str, *tuple[int, ...]]
"""A file: its absolute path, its size in bytes, and what else changes when it is replaced."""


class Memory:
    """Facts by file and by content, in one database of the cache folder.

    A file is known by its stamp; when that changes, by its content. Where the database cannot be used,
    nothing is remembered and everything works; one that is damaged is begun again.

    Args:
        folder: the cache folder; None for the user's.
    """

    def __init__(self, folder: Path | None = None):
        self._path = (folder or default_folder()) / FILE
        self._database: sqlite3.Connection | None = None
        with self._coping():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connect()

    def __enter__(self) -> "Memory":
        return self

    def __exit__(self, *_: object) -> None:
        self._disconnect()

    def recall(self, stamps: Sequence[Stamp]) -> dict[str, Facts]:
        """Return the facts of those files that are as they were, by path."""
        found = {}
        for start in range(0, len(stamps), _AT_ONCE):
            part = stamps[start : start + _AT_ONCE]
            rows = self._query(
                "SELECT files.path, stamp, content FROM files JOIN facts USING (digest) WHERE files.path IN "
                f"({', '.join('?' * len(part))})",
                [_key(path) for path, *_ in part],
            )
            known = {bytes(path): (stamp, content) for path, stamp, content in rows}
            for path, *numbers in part:
                stamp, content = known.get(_key(path), (None, None))
                if stamp == _text(numbers) and (facts := _read(content)) is not None:
                    found[path] = facts
        return found

    def recall_content(self, digest: str) -> Facts | None:
        """Return the facts of a file with this content, wherever it lay."""
        rows = self._query("SELECT content FROM facts WHERE digest = ?", [digest])
        return _read(rows[0][0]) if rows else None

    def remember(self, noted: Iterable[tuple[Stamp, Facts]]) -> None:
        """Keep the facts of files."""
        noted = list(noted)
        with self._coping():
            if self._database is None:
                return
            with self._database:
                self._database.executemany(
                    "INSERT OR REPLACE INTO facts VALUES (?, ?)",
                    [(facts.digest, facts.to_bytes()) for _, facts in noted],
                )
                self._database.executemany(
                    "INSERT OR REPLACE INTO files VALUES (?, ?, ?)",
                    [(_key(path), _text(numbers), facts.digest) for (path, *numbers), facts in noted],
                )

    def recall_result(self, key: str) -> np.ndarray | None:
        """Return what was worked out before; None if it was not."""
        rows = self._query("SELECT content FROM results WHERE key = ?", [key])
        with contextlib.suppress(ValueError, EOFError):  # What is damaged is worked out again.
            return np.load(io.BytesIO(rows[0][0]), allow_pickle=False) if rows else None
        return None

    def remember_result(self, key: str, result: np.ndarray) -> None:
        """Keep what was worked out.

        Args:
            key: a hash of all that it depends on.
            result: an array of any shape, of numbers.
        """
        stream = io.BytesIO()
        np.save(stream, result, allow_pickle=False)
        with self._coping():
            if self._database is not None:
                with self._database:
                    self._database.execute("INSERT OR REPLACE INTO results VALUES (?, ?)", [key, stream.getvalue()])

    def _query(self, statement: str, values: Sequence) -> list[tuple]:
        with self._coping():
            if self._database is not None:
                return self._database.execute(statement, values).fetchall()
        return []

    @contextlib.contextmanager
    def _coping(self) -> Iterator[None]:
        """Go on without what the database refuses: the pictures are looked at again."""
        try:
            yield
        except (sqlite3.OperationalError, OSError):
            pass  # It is locked, or not to be written.
        except sqlite3.DatabaseError:
            self._disconnect()
            with contextlib.suppress(sqlite3.Error, OSError):
                if not self._is_sound():
                    for suffix in ("", "-wal", "-shm"):
                        self._path.with_name(FILE + suffix).unlink(missing_ok=True)
                self._connect()

    def _is_sound(self) -> bool:
        """Tell whether the file is a whole database: what went wrong was then of the moment, and others may use it."""
        try:
            with contextlib.closing(sqlite3.connect(self._path, timeout=_SECONDS)) as database:
                return database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        except sqlite3.DatabaseError:
            return False

    def _connect(self) -> None:
        self._database = sqlite3.connect(self._path, timeout=_SECONDS)
        with contextlib.suppress(sqlite3.OperationalError):
            # Whoever reads does not wait for whoever writes. What the last moments before a power cut noted may go.
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
        with self._database:
            self._database.execute("CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, stamp TEXT, digest TEXT)")
            self._database.execute("CREATE TABLE IF NOT EXISTS facts (digest TEXT PRIMARY KEY, content BLOB)")
            self._database.execute("CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, content BLOB)")

    def _disconnect(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _key(path: str) -> bytes:
    # Names need not be valid UTF-8.
    return path.encode("utf-8", "surrogateescape")


def _text(numbers: Iterable[int]) -> str:
    # A file's number need not fit into an INTEGER.
    return " ".join(map(str, numbers))


def _read(content: bytes) -> Facts | None:
    try:
        return Facts.from_bytes(content)
    except (ValueError, TypeError, KeyError):
        return None

"""What was noted down of pictures, remembered: a second look at the same files reads none of them."""

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from opsin.checks.facts import VERSION, Facts
from opsin.data.cache import default_folder

FILE = f"facts-{VERSION}.sqlite"
_SECONDS = 30
"""How long to wait for another process that is writing."""

_AT_ONCE = 500

Stamp = tuple[str, int, int]
"""A file: its absolute path, its size in bytes, its time of change in nanoseconds."""


class Memory:
    """Facts by file and by content, in one database of the cache folder.

    A file is known by its path, size and time; when these change, by its content. Where the database cannot be used,
    nothing is remembered and everything works.

    Args:
        folder: the cache folder; None for the user's.
    """

    def __init__(self, folder: Path | None = None):
        self._database: sqlite3.Connection | None = None
        with contextlib.suppress(sqlite3.Error, OSError):
            folder = folder or default_folder()
            folder.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(folder / FILE, timeout=_SECONDS)
            self._database.execute("PRAGMA journal_mode=WAL")
            with self._database:
                self._database.execute(
                    "CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, size INTEGER, time INTEGER, digest TEXT)"
                )
                self._database.execute("CREATE TABLE IF NOT EXISTS facts (digest TEXT PRIMARY KEY, content BLOB)")

    def __enter__(self) -> "Memory":
        return self

    def __exit__(self, *_: object) -> None:
        if self._database is not None:
            self._database.close()

    def recall(self, stamps: Sequence[Stamp]) -> dict[str, Facts]:
        """Return the facts of those files that are as they were, by path."""
        found = {}
        for start in range(0, len(stamps), _AT_ONCE):
            part = stamps[start : start + _AT_ONCE]
            rows = self._query(
                "SELECT files.path, size, time, content FROM files JOIN facts USING (digest) WHERE files.path IN "
                f"({', '.join('?' * len(part))})",
                [_key(path) for path, _, _ in part],
            )
            known = {bytes(path): (size, time, content) for path, size, time, content in rows}
            for path, size, time in part:
                known_size, known_time, content = known.get(_key(path), (None, None, None))
                if (known_size, known_time) == (size, time) and (facts := _read(content)) is not None:
                    found[path] = facts
        return found

    def recall_content(self, digest: str) -> Facts | None:
        """Return the facts of a file with this content, wherever it lay."""
        rows = self._query("SELECT content FROM facts WHERE digest = ?", [digest])
        return _read(rows[0][0]) if rows else None

    def remember(self, noted: Iterable[tuple[Stamp, Facts]]) -> None:
        """Keep the facts of files."""
        noted = list(noted)
        if self._database is None:
            return
        with contextlib.suppress(sqlite3.Error), self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO facts VALUES (?, ?)", [(facts.digest, facts.to_bytes()) for _, facts in noted]
            )
            self._database.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
                [(_key(path), size, time, facts.digest) for (path, size, time), facts in noted],
            )

    def _query(self, statement: str, values: Sequence) -> list[tuple]:
        if self._database is None:
            return []
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.Error:
            return []  # Damaged, or not to be read: then it is looked again.


def _key(path: str) -> bytes:
    # Names need not be valid UTF-8.
    return path.encode("utf-8", "surrogateescape")


def _read(content: bytes) -> Facts | None:
    try:
        return Facts.from_bytes(content)
    except (ValueError, TypeError, KeyError):
        return None

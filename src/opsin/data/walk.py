"""Walking through a folder of pictures, with an account of what is left out."""

import collections
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from opsin.errors import DataError
from opsin.images.decode import SUFFIXES
from opsin.names import CARD, CONFIG, FILES

SYSTEM_NAMES = frozenset(
    {
        *("__MACOSX", "Icon\r", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN", "System Volume Information"),
        *("@eaDir", "lost+found", "__pycache__"),
    }
)

MOST_DIGITS = 640
"""Of a number that names are sorted by: Python may be set to read no more, and reads 4,300 unless it is."""

# Path's own methods raise where a folder may not be entered.
exists, is_file, is_folder = os.path.exists, os.path.isfile, os.path.isdir


@dataclass(frozen=True)
class Skipped:
    """A file, or a whole folder (its path ends in `/`), that is not used, and why.

    `lost` tells a picture that was meant to be used and cannot be from a file that is none.
    """

    path: str
    reason: str
    lost: bool = False


def count_reasons(skipped: Iterable[Skipped]) -> str:
    """Say how many files and folders were left out for which reason, the most frequent one first.

    >>> count_reasons([Skipped("a.txt", "not a picture"), Skipped("b/", "empty"), Skipped("c.txt", "not a picture")])
    '2 × not a picture, 1 × empty'
    """
    counts = collections.Counter(one.reason for one in skipped)
    return ", ".join(f"{count:,} × {reason}" for reason, count in counts.most_common())


def natural_order(name: str) -> tuple:
    """Sort key that puts `class 2` before `class 10`.

    >>> sorted(["class 10", "class 2", "b", "A"], key=natural_order)
    ['A', 'b', 'class 2', 'class 10']
    """
    parts = re.split(r"([0-9]+)", name)
    return tuple((int(p), "") if _is_number(p) else (0, p.casefold()) for p in parts), name


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS


class Walk:
    """A walk through a data folder that notes down what it leaves out.

    Args:
        root: the folder that names are relative to.
        patient: note down a folder that cannot be listed and go on, instead of raising `DataError`.
    """

    def __init__(self, root: Path, *, patient: bool = False):
        self.root = root
        self.patient = patient
        self._before = "" if root == Path() else os.path.join(root, "")  # noqa: PTH118 - with a separator at its end
        self.skipped: list[Skipped] = []

    def name_of(self, path: Path) -> str:
        """Return a path in the data folder relative to it, with `/`; `relative_to` takes several times as long."""
        return "." if path == self.root else str(path)[len(self._before) :].replace(os.sep, "/")

    def skip(self, path: Path, reason: str, *, lost: bool = False) -> None:
        """Note down a file or folder that is not used."""
        name = self.name_of(path)
        self.skipped.append(Skipped(name + "/" if is_folder(path) else name, reason, lost))

    def folder(self, path: Path) -> tuple[list[Path], list[Path]]:
        """Return the folders and the files to be looked at in `path`, sorted."""
        folders, files = [], []
        try:
            found = children(path)
        except DataError as error:
            if not self.patient:
                raise
            self.skip(path, f"the folder cannot be listed ({error.__cause__.strerror})", lost=True)
            found = []
        for child in found:
            if is_hidden(child):
                self.skip(child, "hidden or system file")
            elif not is_folder(child):
                files.append(child)
            elif is_own(child):
                self.skip(child, "a run or a model of Opsin")
            else:
                folders.append(child)
        return folders, files

    def pictures(self, path: Path, parents: frozenset[str]) -> Iterator[Path]:
        """Yield the pictures in `path`, which lies in `parents`, and in all folders below it."""
        real = os.path.realpath(path)
        if real in parents:
            self.skip(path, "a link to a folder that it is in")
            return
        folders, files = self.folder(path)
        for file in files:
            if file.suffix.lower() not in SUFFIXES:
                self.skip(file, f"not a picture's suffix ({file.suffix or 'none'})")
            elif not is_file(file):
                self.skip(file, "not a regular file (a broken link, say)", lost=True)
            else:
                yield file
        for folder in folders:
            yield from self.pictures(folder, parents | {real})


def children(path: Path) -> list[Path]:
    """Return what is in a folder, in natural order.

    Raises:
        DataError: it cannot be listed.
    """
    try:
        return sorted((Path(entry.path) for entry in os.scandir(path)), key=lambda child: natural_order(child.name))
    except OSError as error:
        raise DataError(
            f"Expected to be able to list the folder {str(path)!r}: {error.strerror}. Check its permissions."
        ) from error


def is_hidden(path: Path) -> bool:
    """Return whether a name is one that people do not give: a hidden or a system file's."""
    return path.name.startswith(".") or path.name in SYSTEM_NAMES


def is_own(folder: Path) -> bool:
    """Return whether Opsin wrote a folder: the pictures in a run or a model are nobody's data."""
    return is_file(folder / CARD) or (is_file(folder / CONFIG) and is_file(folder / FILES))

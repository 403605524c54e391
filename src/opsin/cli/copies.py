"""`--copy-to`: copies of pictures, sorted into a folder for each class. Nothing is moved, nothing overwritten."""

import contextlib
import filecmp
import itertools
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from opsin.atomic import replacing, saying_why
from opsin.errors import UsageError

if TYPE_CHECKING:
    from opsin.classifier import Prediction

# What some system does not take in a name, and what cannot be seen.
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_LONGEST = 100


def folder_names(labels: Iterable[str]) -> dict[str, str]:
    """Give each label a name that every system takes for a folder, one that differs from the others' in letters.

    >>> folder_names(["cat", "Cat", "a/b", ".."])
    {'cat': 'cat', 'Cat': 'Cat_2', 'a/b': 'a_b', '..': '_'}
    """
    names, taken = {}, set()
    for label in labels:
        name = _UNSAFE.sub("_", label)[:_LONGEST].lstrip(".").rstrip(". ") or "_"
        name = f"{name}_" if _RESERVED.fullmatch(name) else name
        names[label] = next(one for one in _numbered(name, "") if one.casefold() not in taken)
        taken.add(names[label].casefold())
    return names


class Copies:
    """Copies of classified pictures in `folder/<class>/<name>`.

    Args:
        folder: where the classes' folders are, or will be made.
        labels: all that a picture can be.
        sources: folders that pictures come from; copies inside of one would be found as pictures again.

    Raises:
        UsageError: the folder is a file, or lies in a folder that pictures come from.
    """

    def __init__(self, folder: Path, labels: Iterable[str], sources: Iterable[str] = ()):
        self.folder = folder
        self.names = folder_names(labels)
        if os.path.lexists(folder) and not os.path.isdir(folder):
            raise UsageError(f"Expected a folder for the copies; {str(folder)!r} is a file. Choose another --copy-to.")
        for source in sources:
            if folder.resolve().is_relative_to(Path(source).resolve()):
                raise UsageError(
                    f"Expected a place for the copies outside of {source!r}, or they would be found as pictures again; "
                    f"received {str(folder)!r}. Choose another --copy-to."
                )

    def add(self, answer: "Prediction") -> Path:
        """Copy a picture to its class and return the copy; one with the same name and content is not made twice.

        Raises:
            SavingError: it cannot be written.
        """
        source = Path(answer.path)
        folder = self.folder / self.names[answer.label]
        with saying_why(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for name in _numbered(source.stem, source.suffix):
                copy = folder / name
                if os.path.lexists(copy):
                    if _are_equal(source, copy):
                        return copy
                elif _copy(source, copy):
                    return copy
        raise AssertionError("there is always another number")


def _numbered(stem: str, suffix: str) -> Iterator[str]:
    yield stem + suffix
    for number in itertools.count(2):
        yield f"{stem}_{number}{suffix}"


def _are_equal(source: Path, copy: Path) -> bool:
    return copy.is_file() and filecmp.cmp(source, copy, shallow=False)


def _copy(source: Path, copy: Path) -> bool:
    """Copy a file unless another one takes the name meanwhile; return whether it is done."""
    try:
        # Who makes the file has the name, whatever else writes here.
        copy.open("xb").close()
    except FileExistsError:
        return False
    try:
        with replacing(copy) as temporary:
            shutil.copyfile(source, temporary)
            with contextlib.suppress(OSError):  # Times that cannot be kept are no reason to have no copy.
                shutil.copystat(source, temporary)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    return True

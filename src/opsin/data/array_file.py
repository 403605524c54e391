"""An array in the cache folder: written once, memory-mapped, and checked whenever it is opened.

An entry is a folder with the array's bytes in one file, and `index.json` with its shape, a checksum of each block and
what else its writer wants to know again. It is written under another name and renamed.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opsin.atomic import replacing
from opsin.data.cache import INDEX, mark_used

FORMAT = 1
BLOCK_BYTES = 16 * 2**20


@dataclass(frozen=True)
class ArrayFile:
    """What an array is called, and what it looks like.

    Args:
        folder: the entry's folder.
        name: the name of the file with the bytes.
        shape: of the array.
        dtype: of the array, a name such as `"uint8"`.
        what: what messages call its content, in the plural: `"decoded pictures"`.
    """

    folder: Path
    name: str
    shape: tuple[int, ...]
    dtype: str
    what: str

    @property
    def size(self) -> int:
        """The array's size in bytes."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    def write(self, fill: Callable[[np.ndarray], dict[str, Any]]) -> None:
        """Make the entry.

        Args:
            fill: writes into the array, and returns what shall be known again, fit for JSON.

        Raises:
            SavingError: there is no room or no permission.
        """
        with replacing(self.folder) as temporary:
            temporary.mkdir()
            with (temporary / self.name).open("wb") as file:
                # Taking the room at once makes a full disk an error here and not a bus error while writing.
                _reserve(file.fileno(), self.size)
            array = np.memmap(temporary / self.name, dtype=self.dtype, mode="r+", shape=self.shape)
            facts = fill(array)
            # Not flushed: what a power cut takes before the system has written it, the checksums tell.
            index = {"format": FORMAT, "shape": self.shape, "dtype": self.dtype, "checksums": checksums(array)}
            (temporary / INDEX).write_text(json.dumps({**index, **facts}))

    def open(self, say: Callable[[str], None] = lambda line: None) -> tuple[np.ndarray, dict[str, Any]] | None:
        """Return the array, read only, and its index; None if there is none or it is damaged, which is said."""
        if not self.folder.is_dir():
            return None
        try:
            index = json.loads((self.folder / INDEX).read_text())
            if index["format"] != FORMAT or tuple(index["shape"]) != self.shape or index["dtype"] != self.dtype:
                raise ValueError("another format")
            if (self.folder / self.name).stat().st_size != self.size:
                raise ValueError("half-written")
            array = np.memmap(self.folder / self.name, dtype=self.dtype, mode="r", shape=self.shape)
            if checksums(array) != index["checksums"]:
                raise ValueError("altered")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            say(f"The {self.what} in {str(self.folder)!r} are damaged; they are made anew.")
            return None
        mark_used(self.folder / INDEX)
        return array, index


def checksums(array: np.ndarray) -> list[int]:
    """Return a checksum of each block of an array's bytes."""
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    blocks = [flat[start : start + BLOCK_BYTES] for start in range(0, len(flat), BLOCK_BYTES)]
    with ThreadPoolExecutor() as pool:
        return list(pool.map(zlib.crc32, blocks))


def key_of(*parts: Any) -> str:
    """Return the name of the entry that these parts, fit for JSON, decide."""
    return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def content_key(array: np.ndarray, more: Sequence[Any] = ()) -> str:
    """Return a name that the bytes of an array decide."""
    return key_of(array.shape, str(array.dtype), checksums(array), *more)


def _reserve(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)

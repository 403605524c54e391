"""Decoded pixels: each picture is decoded once, into a memory-mapped file that later runs find again.

A store is an entry of the cache (`array_file.py`) with `images.u8`, uint8 (n, h, w, c). The key is a hash of the
recipe, Pillow's version and each file's path, size, inode and times, so a picture that was changed, in whatever way, is
another key.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL

from opsin.data.array_file import ArrayFile, content_key
from opsin.data.cache import Cache, explain_no_room, make_room
from opsin.data.dataset import ImageDataset
from opsin.data.walk import Skipped
from opsin.errors import DataError, PictureError, SavingError
from opsin.images.preprocess import Preprocess
from opsin.images.reading import Reading, read_images

FORMAT = 1
IN_MEMORY_BYTES = 2 * 2**30
PIXELS = "images.u8"

Progress = Callable[[int, int], None]


class Pixels(Protocol):
    """Preprocessed pictures by number, however they are kept."""

    key: str
    """A hash that says which pictures these are."""

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return uint8 (N, h, w, c), the pictures at `rows`, int (N,)."""
        ...


class ArrayPixels:
    """Pixels in an array or a memory-mapped file, uint8 (n, h, w, c)."""

    def __init__(self, images: np.ndarray):
        self.images = images

    @functools.cached_property
    def key(self) -> str:
        """A hash of all pixels."""
        return content_key(self.images)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return uint8 (N, h, w, c), a copy."""
        return self.images[rows]


class DecodedAgain:
    """Pixels that are kept nowhere and decoded whenever they are asked for."""

    def __init__(self, paths: Sequence[str], preprocess: Preprocess, key: str):
        self.paths = paths
        self.preprocess = preprocess
        self.key = key

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return uint8 (N, h, w, c).

        Raises:
            PictureError: a picture that could be read before cannot be read any more.
        """
        return np.stack([self.preprocess.read(self.paths[row]) for row in rows])


@dataclass(frozen=True)
class StoredImages:
    """The readable pictures of one data set, preprocessed.

    Args:
        dataset: the pictures that could be read.
        pixels: where their pixels are.
        rows: int (n,), the row of `pixels` that holds each picture of `dataset`.
        unreadable: the pictures that could not be read, and why.
    """

    dataset: ImageDataset
    pixels: Pixels
    rows: np.ndarray
    unreadable: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, positions: np.ndarray | slice) -> np.ndarray:
        """Return uint8 (N, h, w, c), the pictures at these positions of `dataset`."""
        return self.pixels.read(self.rows[positions])


def decode_datasets(
    datasets: Sequence[ImageDataset],
    preprocess: Preprocess,
    *,
    cache: Cache | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> list[StoredImages]:
    """Decode all pictures of some data sets, each picture once, or find them decoded.

    Data sets that come from one listing share one store, so another split of the same data finds it again.

    Args:
        datasets: the data sets.
        preprocess: the recipe; every row is exactly `preprocess.read(path)`.
        cache: where to keep the pixels.
        progress: is called with the number of pictures done and the number of all, while decoding.
        say: is called with a line of text when something is decided that the user should know.

    Returns:
        One `StoredImages` for each data set, in the same order.

    Raises:
        DataError: none of the pictures of a data set can be read.
    """
    cache = cache or Cache()
    say = say or (lambda line: None)
    stored: dict[int, StoredImages] = {}
    for listing in {id(d.listing): d.listing for d in datasets}.values():
        members = [d for d in datasets if d.listing is listing]
        union = ImageDataset(listing, np.unique(np.concatenate([d.rows for d in members])))
        pixels, errors = obtain(_decoding(union, preprocess), cache, progress, say)
        for member in members:
            stored[id(member)] = _view(member, union, pixels, errors)
    return [stored[id(d)] for d in datasets]


def find_decoded(dataset: ImageDataset, preprocess: Preprocess, cache: Cache) -> StoredImages | None:
    """Return the pictures if an earlier run has decoded the data set they are a part of; never decode."""
    whole = ImageDataset(dataset.listing)
    for union in (whole, dataset):
        opened = open_decoded(_decoding(union, preprocess).file(cache)) if cache.enabled else None
        if opened is not None:
            return _view(dataset, union, *opened)
    return None


def _view(dataset: ImageDataset, union: ImageDataset, pixels: Pixels, errors: dict[int, str]) -> StoredImages:
    rows = np.searchsorted(union.rows, dataset.rows)
    readable = np.array([row not in errors for row in rows.tolist()], dtype=bool)
    unreadable = tuple(
        Skipped(name, errors[row], lost=True)
        for name, row in zip(dataset.names, rows.tolist(), strict=True)
        if row in errors
    )
    if len(dataset) and not readable.any():
        raise DataError(
            f"Expected pictures that can be read; none of the {len(dataset)} under {str(dataset.root)!r} can. "
            f"The first, {unreadable[0].path!r}: {unreadable[0].reason}"
        )
    return StoredImages(dataset.subset(readable), pixels, rows[readable], unreadable)


@dataclass(frozen=True)
class Decoding:
    """Arrays to be decoded and kept, one a row.

    Args:
        what: what messages call them, in the plural: `"decoded pictures"`.
        name: of the file with their bytes.
        shape: of all of them, (n, h, w, c) or (n, h, w).
        key: a hash that says which these are.
        read: gives each row's array, or its `PictureError`, in order.
        again: gives `Pixels` that keep nothing, for what has no room.
    """

    what: str
    name: str
    shape: tuple[int, ...]
    key: str
    read: Callable[[], Iterator[Reading]]
    again: Callable[[], Pixels]

    @property
    def size(self) -> int:
        """Bytes of all arrays."""
        return int(np.prod(self.shape))

    def file(self, cache: Cache) -> ArrayFile:
        """Return the entry of the cache that they are kept in."""
        return ArrayFile(cache.folder / self.key, self.name, self.shape, "uint8", self.what)


def obtain(
    decoding: Decoding, cache: Cache, progress: Progress | None, say: Callable[[str], None]
) -> tuple[Pixels, dict[int, str]]:
    """Decode arrays, or find them decoded: in the cache, else in memory, else whenever they are asked for.

    Returns:
        The arrays, 0 where one cannot be read; and the reasons, by row.
    """
    if cache.enabled and decoding.size:
        opened = open_decoded(decoding.file(cache), say)
        if opened is None and _may_build(cache, decoding, say):
            opened = _build_and_open(decoding, cache, progress, say)
        if opened is not None:
            return opened
    if decoding.size <= IN_MEMORY_BYTES:
        images = np.empty(decoding.shape, dtype=np.uint8)
        return ArrayPixels(images), _decode_into(images, decoding, progress)
    room = f"{decoding.size / 2**30:.1f} GiB"
    say(f"The {decoding.what} ({room}) are kept nowhere: they are decoded again in every epoch.")
    return decoding.again(), _decode_into(None, decoding, progress)


def open_decoded(
    file: ArrayFile, say: Callable[[str], None] = lambda line: None
) -> tuple[Pixels, dict[int, str]] | None:
    """Return what `obtain` has kept; None if there is nothing."""
    opened = file.open(say)
    if opened is None:
        return None
    images, index = opened
    return ArrayPixels(images), {int(row): str(reason) for row, reason in index["errors"].items()}


def files_key(recipe: Sequence[Any], paths: Sequence[str]) -> str:
    """Return a hash of a recipe, fit for JSON, and of each file's path, size, inode and times."""
    digest = hashlib.sha256(json.dumps([FORMAT, PIL.__version__, *recipe]).encode())
    for path in paths:
        try:
            stat = Path(path).stat()
        except OSError:
            what = "missing"
        else:
            what = f"{stat.st_size} {stat.st_ino} {stat.st_mtime_ns} {stat.st_ctime_ns}"
        digest.update(f"{path}\0{what}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def _decoding(dataset: ImageDataset, preprocess: Preprocess) -> Decoding:
    key = files_key([preprocess.to_dict()], dataset.paths)
    return Decoding(
        "decoded pictures",
        PIXELS,
        (len(dataset), *preprocess.shape),
        key,
        lambda: read_images(dataset.paths, preprocess),
        lambda: DecodedAgain(dataset.paths, preprocess, key),
    )


def _may_build(cache: Cache, decoding: Decoding, say: Callable[[str], None]) -> bool:
    if make_room(cache, decoding.size):
        return True
    say(explain_no_room(cache, decoding.size, decoding.what))
    return False


def _build_and_open(
    decoding: Decoding, cache: Cache, progress: Progress | None, say: Callable[[str], None]
) -> tuple[Pixels, dict[int, str]] | None:
    file = decoding.file(cache)
    try:
        file.write(lambda images: {"errors": _decode_into(images, decoding, progress)})
    except SavingError as error:
        say(f"The {decoding.what} cannot be kept. {error}")
        return None
    return open_decoded(file, say)


def _decode_into(images: np.ndarray | None, decoding: Decoding, progress: Progress | None) -> dict[int, str]:
    """Decode every row; return the reasons of those that cannot be read."""
    errors: dict[int, str] = {}
    for row, image in enumerate(decoding.read()):
        if isinstance(image, PictureError):
            errors[row] = image.reason
        elif images is not None:
            images[row] = image
        if images is not None and row in errors:
            images[row] = 0
        if progress is not None:
            progress(row + 1, decoding.shape[0])
    return errors

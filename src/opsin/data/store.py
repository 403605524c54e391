"""Decoded pixels: each picture is decoded once, into a memory-mapped file that later runs find again.

A store is an entry of the cache (`array_file.py`) with `images.u8`, uint8 (n, h, w, c). The key is a hash of the
recipe, Pillow's version and each file's path, size, inode and times, so a picture that was changed, in whatever way, is
another key.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import PIL

from opsin.data.array_file import ArrayFile, content_key
from opsin.data.cache import Cache, explain_no_room, make_room
from opsin.data.dataset import ImageDataset
from opsin.data.walk import Skipped
from opsin.errors import DataError, PictureError, SavingError
from opsin.images.preprocess import Preprocess
from opsin.images.reading import read_images

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
        pixels, errors = _obtain(union, preprocess, cache, progress, say)
        for member in members:
            stored[id(member)] = _view(member, union, pixels, errors)
    return [stored[id(d)] for d in datasets]


def find_decoded(dataset: ImageDataset, preprocess: Preprocess, cache: Cache) -> StoredImages | None:
    """Return the pictures if an earlier run has decoded the data set they are a part of; never decode."""
    whole = ImageDataset(dataset.listing)
    for union in (whole, dataset):
        opened = _open(_file(cache, union, preprocess)) if cache.enabled else None
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


def _obtain(
    dataset: ImageDataset, preprocess: Preprocess, cache: Cache, progress: Progress | None, say: Callable[[str], None]
) -> tuple[Pixels, dict[int, str]]:
    size = len(dataset) * int(np.prod(preprocess.shape))
    if cache.enabled and size:
        file = _file(cache, dataset, preprocess)
        opened = _open(file, say)
        if opened is None and _may_build(cache, size, say):
            opened = _build_and_open(file, dataset, preprocess, progress, say)
        if opened is not None:
            return opened
    if size <= IN_MEMORY_BYTES:
        images = np.empty((len(dataset), *preprocess.shape), dtype=np.uint8)
        return ArrayPixels(images), _decode_into(images, dataset, preprocess, progress)
    say(f"The decoded pictures ({size / 2**30:.1f} GiB) are kept nowhere: they are decoded again in every epoch.")
    return DecodedAgain(dataset.paths, preprocess, _key(dataset, preprocess)), _decode_into(
        None, dataset, preprocess, progress
    )


def _may_build(cache: Cache, size: int, say: Callable[[str], None]) -> bool:
    if make_room(cache, size):
        return True
    say(explain_no_room(cache, size, "decoded pictures"))
    return False


def _build_and_open(
    file: ArrayFile,
    dataset: ImageDataset,
    preprocess: Preprocess,
    progress: Progress | None,
    say: Callable[[str], None],
) -> tuple[Pixels, dict[int, str]] | None:
    try:
        file.write(lambda images: {"errors": _decode_into(images, dataset, preprocess, progress)})
    except SavingError as error:
        say(f"The decoded pictures cannot be kept. {error}")
        return None
    return _open(file, say)


def _open(file: ArrayFile, say: Callable[[str], None] = lambda line: None) -> tuple[Pixels, dict[int, str]] | None:
    opened = file.open(say)
    if opened is None:
        return None
    images, index = opened
    return ArrayPixels(images), {int(row): str(reason) for row, reason in index["errors"].items()}


def _file(cache: Cache, dataset: ImageDataset, preprocess: Preprocess) -> ArrayFile:
    folder = cache.folder / _key(dataset, preprocess)
    return ArrayFile(folder, PIXELS, (len(dataset), *preprocess.shape), "uint8", "decoded pictures")


def _key(dataset: ImageDataset, preprocess: Preprocess) -> str:
    digest = hashlib.sha256(json.dumps([FORMAT, PIL.__version__, preprocess.to_dict()]).encode())
    for path in dataset.paths:
        try:
            stat = Path(path).stat()
        except OSError:
            what = "missing"
        else:
            what = f"{stat.st_size} {stat.st_ino} {stat.st_mtime_ns} {stat.st_ctime_ns}"
        digest.update(f"{path}\0{what}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def _decode_into(
    images: np.ndarray | None, dataset: ImageDataset, preprocess: Preprocess, progress: Progress | None
) -> dict[int, str]:
    """Decode every picture; return the reasons of those that cannot be read, by row."""
    errors: dict[int, str] = {}
    for row, image in enumerate(read_images(dataset.paths, preprocess)):
        if isinstance(image, PictureError):
            errors[row] = image.reason
        elif images is not None:
            images[row] = image
        if images is not None and row in errors:
            images[row] = 0
        if progress is not None:
            progress(row + 1, len(dataset))
    return errors

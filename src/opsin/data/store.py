"""Decoded pixels: each picture is decoded once, into a memory-mapped file that later runs find again.

A store is a folder `<cache>/<key>/` with `images.u8`, uint8 (n, h, w, c), and `index.json`. The key is a hash
of the recipe, Pillow's version and each file's path, size, inode and times, so a picture that was changed, in
whatever way, is another key. A store is written under another name and renamed; each block of it has a checksum that is
checked when it is opened, so one that is damaged is built again.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import PIL

from opsin.atomic import replacing
from opsin.data.cache import INDEX, Cache, free_bytes, make_room, mark_used
from opsin.data.dataset import ImageDataset
from opsin.data.walk import Skipped
from opsin.errors import DataError, PictureError, SavingError
from opsin.images.preprocess import Preprocess
from opsin.images.reading import read_images

FORMAT = 1
BLOCK_BYTES = 16 * 2**20
IN_MEMORY_BYTES = 2 * 2**30
PIXELS = "images.u8"

Progress = Callable[[int, int], None]


class Pixels(Protocol):
    """Preprocessed pictures by number, however they are kept."""

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return uint8 (N, h, w, c), the pictures at `rows`, int (N,)."""
        ...


class ArrayPixels:
    """Pixels in an array or a memory-mapped file, uint8 (n, h, w, c)."""

    def __init__(self, images: np.ndarray):
        self.images = images

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return uint8 (N, h, w, c), a copy."""
        return self.images[rows]


class DecodedAgain:
    """Pixels that are kept nowhere and decoded whenever they are asked for."""

    def __init__(self, paths: Sequence[str], preprocess: Preprocess):
        self.paths = paths
        self.preprocess = preprocess

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
        opened = _open(cache.folder / _key(union, preprocess), preprocess, len(union)) if cache.enabled else None
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
        folder = cache.folder / _key(dataset, preprocess)
        opened = _open(folder, preprocess, len(dataset), say)
        if opened is None and _may_build(cache, size, say):
            opened = _build_and_open(folder, dataset, preprocess, progress, say)
        if opened is not None:
            return opened
    if size <= IN_MEMORY_BYTES:
        images = np.empty((len(dataset), *preprocess.shape), dtype=np.uint8)
        return ArrayPixels(images), _decode_into(images, dataset, preprocess, progress)
    say(f"The decoded pictures ({size / 2**30:.1f} GiB) are kept nowhere: they are decoded again in every epoch.")
    return DecodedAgain(dataset.paths, preprocess), _decode_into(None, dataset, preprocess, progress)


def _may_build(cache: Cache, size: int, say: Callable[[str], None]) -> bool:
    if make_room(cache, size):
        return True
    free = free_bytes(cache.folder)
    say(
        f"The cache {str(cache.folder)!r} has no room for {size / 2**30:.2f} GiB of decoded pictures "
        f"(its limit is {cache.limit_bytes / 2**30:.2f} GiB, the disk has {free / 2**30:.2f} GiB free)."
    )
    return False


def _build_and_open(
    folder: Path,
    dataset: ImageDataset,
    preprocess: Preprocess,
    progress: Progress | None,
    say: Callable[[str], None],
) -> tuple[Pixels, dict[int, str]] | None:
    try:
        _build(folder, dataset, preprocess, progress)
    except SavingError as error:
        say(f"The decoded pictures cannot be kept. {error}")
        return None
    return _open(folder, preprocess, len(dataset), say)


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


def _build(folder: Path, dataset: ImageDataset, preprocess: Preprocess, progress: Progress | None) -> None:
    with replacing(folder) as temporary:
        temporary.mkdir()
        shape = (len(dataset), *preprocess.shape)
        with (temporary / PIXELS).open("wb") as file:
            # Taking the room at once makes a full disk an error here and not a bus error while writing.
            _reserve(file.fileno(), int(np.prod(shape)))
        images = np.memmap(temporary / PIXELS, dtype=np.uint8, mode="r+", shape=shape)
        errors = _decode_into(images, dataset, preprocess, progress)
        images.flush()
        index = {"format": FORMAT, "shape": shape, "checksums": _checksums(images), "errors": errors}
        (temporary / INDEX).write_text(json.dumps(index))


def _reserve(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)


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


def _open(
    folder: Path, preprocess: Preprocess, count: int, say: Callable[[str], None] = lambda line: None
) -> tuple[Pixels, dict[int, str]] | None:
    """Return the pixels and errors of a finished store; None if there is none or it is damaged."""
    if not folder.is_dir():
        return None
    shape = (count, *preprocess.shape)
    try:
        index = json.loads((folder / INDEX).read_text())
        if index["format"] != FORMAT or tuple(index["shape"]) != shape:
            raise ValueError("another format")
        if (folder / PIXELS).stat().st_size != int(np.prod(shape)):
            raise ValueError("half-written")
        images = np.memmap(folder / PIXELS, dtype=np.uint8, mode="r", shape=shape)
        if _checksums(images) != index["checksums"]:
            raise ValueError("altered")
        errors = {int(row): str(reason) for row, reason in index["errors"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        say(f"The decoded pictures in {str(folder)!r} are damaged; they are decoded anew.")
        return None
    mark_used(folder / INDEX)
    return ArrayPixels(images), errors


def _checksums(images: np.ndarray) -> list[int]:
    flat = images.reshape(-1)
    blocks = [flat[start : start + BLOCK_BYTES] for start in range(0, len(flat), BLOCK_BYTES)]
    with ThreadPoolExecutor() as pool:
        return list(pool.map(zlib.crc32, blocks))

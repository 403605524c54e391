"""Decoded pictures and masks: each is decoded once, into memory-mapped files that later runs find again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from opsin.data.cache import Cache
from opsin.data.store import Decoding, Pixels, Progress, StoredImages, decode_datasets, files_key, obtain
from opsin.data.walk import Skipped
from opsin.errors import DataError
from opsin.images.reading import Reading, read_images
from opsin.segmentation.classes import ClassTable
from opsin.segmentation.dataset import SegmentationDataset
from opsin.segmentation.road import SegmentationRecipe, read_upright_mask

MASKS = "masks.u8"


@dataclass(frozen=True)
class StoredPairs:
    """The readable pictures and masks of one data set, at the size of the network's input.

    Args:
        dataset: the pairs that could be read.
        pixels: where the pictures' pixels are, uint8 (n, h, w, c).
        masks: where the masks' classes are, uint8 (n, h, w).
        rows: int (m,), the row of both that holds each pair of `dataset`.
        unreadable: the pairs that could not be read, by the picture's name, and why.
    """

    dataset: SegmentationDataset
    pixels: Pixels
    masks: Pixels
    rows: np.ndarray
    unreadable: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, positions: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """Return the pairs at these positions of `dataset`: uint8 (N, h, w, c), 0 to 255, and (N, h, w) of classes."""
        rows = self.rows[positions]
        return self.pixels.read(rows), self.masks.read(rows)


def decode_pairs(
    datasets: Sequence[SegmentationDataset],
    recipe: SegmentationRecipe,
    *,
    cache: Cache | None = None,
    progress: Progress | None = None,
    mask_progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> list[StoredPairs]:
    """Decode all pictures and masks of some parts of one data set, each once, or find them decoded.

    Args:
        datasets: parts that share a listing.
        recipe: every row is exactly `recipe.read(picture, mask, classes)`.
        cache: where to keep the arrays.
        progress: is called with the number of pictures done and the number of all, while decoding.
        mask_progress: the same for masks, which come after them.
        say: is called with a line of text when something is decided that the user should know.

    Returns:
        One `StoredPairs` for each data set, in the same order.

    Raises:
        DataError: of a data set, no pair can be read.
    """
    cache, say = cache or Cache(), say or (lambda line: None)
    pictures = decode_datasets(
        [dataset.pictures for dataset in datasets], recipe.preprocess, cache=cache, progress=progress, say=say
    )
    stored: dict[int, StoredPairs] = {}
    for listing in {id(d.listing): d.listing for d in datasets}.values():
        members = [(d, one) for d, one in zip(datasets, pictures, strict=True) if d.listing is listing]
        every = np.unique(np.concatenate([d.rows for d, _ in members]))
        union = SegmentationDataset(listing, members[0][0].classes, every)
        masks, errors = obtain(_decoding(union, recipe), cache, mask_progress, say)
        for dataset, images in members:
            stored[id(dataset)] = _view(dataset, union, images, masks, errors)
    return [stored[id(dataset)] for dataset in datasets]


def _decoding(dataset: SegmentationDataset, recipe: SegmentationRecipe) -> Decoding:
    pairs = tuple(zip(dataset.paths, dataset.mask_paths, strict=True))
    # A picture's header decides how its mask is turned.
    names = [path for pair in pairs for path in pair]
    key = files_key(["masks", recipe.to_dict(), dataset.classes.to_dict()], names)
    reader = _MaskReader(recipe, dataset.classes)
    shape = (len(pairs), *recipe.size)
    return Decoding(
        "decoded masks", MASKS, shape, key, lambda: _read(pairs, reader), lambda: _Again(pairs, reader, key)
    )


@dataclass(frozen=True)
class _MaskReader:
    recipe: SegmentationRecipe
    table: ClassTable

    def read(self, pair: tuple[str, str]) -> np.ndarray:
        return self.recipe.fit_mask(read_upright_mask(*pair, self.table))


def _read(pairs: Sequence[tuple[str, str]], reader: _MaskReader) -> Iterator[Reading]:
    return read_images(pairs, reader)


@dataclass(frozen=True)
class _Again:
    """Masks that are kept nowhere and decoded whenever they are asked for."""

    pairs: Sequence[tuple[str, str]]
    reader: _MaskReader
    key: str

    def read(self, rows: np.ndarray) -> np.ndarray:
        return np.stack([self.reader.read(self.pairs[row]) for row in rows])


def _view(
    dataset: SegmentationDataset,
    union: SegmentationDataset,
    images: StoredImages,
    masks: Pixels,
    errors: dict[int, str],
) -> StoredPairs:
    rows = np.searchsorted(union.rows, dataset.rows)
    reasons = {one.path: one.reason for one in images.unreadable}
    for name, mask, row in zip(dataset.names, dataset.mask_names, rows.tolist(), strict=True):
        if row in errors and name not in reasons:
            reasons[name] = f"its mask {mask!r}: {errors[row]}"
    readable = np.array([name not in reasons for name in dataset.names], dtype=bool)
    unreadable = tuple(Skipped(name, reasons[name], lost=True) for name in dataset.names if name in reasons)
    if len(dataset) and not readable.any():
        raise DataError(
            f"Expected pictures and masks that can be read; none of the {len(dataset)} pairs under "
            f"{str(dataset.root)!r} can. The first, {unreadable[0].path!r}: {unreadable[0].reason}"
        )
    return StoredPairs(dataset.subset(readable), images.pixels, masks, rows[readable], unreadable)

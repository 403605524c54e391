"""What is noted down of one mask's file: enough to tell the classes, and for every check."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from opsin.errors import PictureError
from opsin.images.decode import Source
from opsin.images.reading import usable_cores
from opsin.segmentation.masks import StoredMask, packed, read_stored

MOST_NOTED = 4096
"""Of how many different values a mask is known by at most; of a photograph, the most frequent ones."""


@dataclass(frozen=True, eq=False)
class MaskFacts:
    """One mask, upright. Of one that cannot be read, `error` is all there is.

    Args:
        error: why it cannot be read; empty if it can.
        format: a name in `opsin.images.decode.FORMATS`.
        mode: Pillow's name for how pixels are stored.
        size: height and width, in pixels.
        in_color: whether `values` are colours, as 0xRRGGBB, and not numbers.
        values: int64 (m,), ascending, the different numbers or colours.
        counts: int64 (m,), how many pixels have each.
        palette: uint8 (n, 3), RGB; None of a mask without.
        uncounted: how many pixels have values that are not among `values`.
    """

    error: str = ""
    format: str = ""
    mode: str = ""
    size: tuple[int, int] = (0, 0)
    in_color: bool = False
    values: np.ndarray | None = None
    counts: np.ndarray | None = None
    palette: np.ndarray | None = None
    uncounted: int = 0


def look_at_mask(source: Source) -> MaskFacts:
    """Read one mask's file and note down what there is to know of it."""
    try:
        stored = read_stored(source)
    except PictureError as error:
        return MaskFacts(error=error.reason)
    return facts_of(stored)


def facts_of(stored: StoredMask) -> MaskFacts:
    """Note down what there is to know of a mask; colours that are all grey are numbers."""
    values, counts, in_color = _counted(stored)
    uncounted = 0
    if len(values) > MOST_NOTED:
        kept = np.sort(np.argsort(-counts, kind="stable")[:MOST_NOTED])
        uncounted = int(counts.sum() - counts[kept].sum())
        values, counts = values[kept], counts[kept]
    return MaskFacts("", stored.format, stored.mode, stored.size, in_color, values, counts, stored.palette, uncounted)


def look_at_masks(paths: Sequence[str]) -> Iterator[MaskFacts]:
    """Look at many masks in threads; yield in their order."""
    with ThreadPoolExecutor(usable_cores(), thread_name_prefix="opsin-read") as pool:
        yield from pool.map(look_at_mask, paths)


def _counted(stored: StoredMask) -> tuple[np.ndarray, np.ndarray, bool]:
    if stored.colors is None:
        return *_bins(stored.values), False
    colors, counts = np.unique(packed(stored.colors), return_counts=True)
    gray = colors & 0xFF
    if np.array_equal(colors, gray * 0x010101):
        return gray.astype(np.int64), counts.astype(np.int64), False
    return colors.astype(np.int64), counts.astype(np.int64), True


def _bins(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = np.bincount(values.reshape(-1))
    found = np.flatnonzero(counts)
    return found.astype(np.int64), counts[found].astype(np.int64)

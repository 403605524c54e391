"""Pictures larger than the network's input: overlapping tiles, blended, in bounded memory."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from opsin.augmentation.resampling import take_pixels
from opsin.errors import ModelError, UsageError

Run = Callable[[np.ndarray], np.ndarray]
"""A network: float32 (N, h, w, c), 0 to 255, to probabilities, float (N, h, w, k)."""

MOST_OVERLAP = 0.9


@dataclass(frozen=True)
class Tiling:
    """How a picture is cut into tiles.

    Args:
        height: of a tile, in pixels: that of the network's input.
        width: the same.
        overlap: how much of a tile its neighbour covers too, at least; a fraction from 0 to 0.9. Tiles are laid evenly,
            so that it is a little more where the picture's side asks for it.
        batch: how many tiles the network is given at once.

    Raises:
        UsageError: a value is outside its range.
    """

    height: int
    width: int
    overlap: float = 0.25
    batch: int = 4

    def __post_init__(self):
        if self.height < 1 or self.width < 1 or self.batch < 1:
            raise UsageError(
                "Expected tiles of a pixel or more and a batch of one or more. "
                f"Received {self.height} x {self.width}, batch {self.batch}."
            )
        if not 0 <= self.overlap <= MOST_OVERLAP:
            raise UsageError(f"Expected an overlap from 0 to {MOST_OVERLAP}. Received {self.overlap!r}.")

    def count(self, height: int, width: int) -> int:
        """Tell how many tiles a picture of this size makes."""
        return len(_starts(height, self.height, self.overlap)) * len(_starts(width, self.width, self.overlap))


class Band(NamedTuple):
    """Finished rows of a picture."""

    top: int
    """The first row's number."""
    probabilities: np.ndarray
    """float32 (rows, W, k)."""


def tile_bands(image: np.ndarray, run: Run, tiling: Tiling) -> Iterator[Band]:
    """Run a network over a picture of any size, tile by tile; yield what is finished from the top down.

    Where tiles overlap, their answers are blended with weights that fall towards a tile's edges, where a network sees
    least, and sum to one. A picture smaller than a tile is continued by its reflection. What is held in memory beside
    the picture is one row of tiles, a tile high and as wide as the picture.

    Args:
        image: uint8 (H, W, c), 0 to 255, in the colour space that the network was trained on.
        run: the network.
        tiling: how the picture is cut.

    Yields:
        Bands that follow each other from row 0 to the last.

    Raises:
        UsageError: the picture is no such array.
        ModelError: the network gives something else than probabilities of the tiles' size.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or not image.size:
        received = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UsageError(f"Expected a picture as uint8 (H, W, c). Received {received}.")
    height, width = image.shape[:2]
    rows, columns = (_Axis.of(*sizes, tiling.overlap) for sizes in ((height, tiling.height), (width, tiling.width)))
    open_rows = None
    for number, top in enumerate(rows.starts):
        row = _blended_row(image, top, columns, run, tiling)
        row *= rows.weights[number][:, None, None]
        if open_rows is not None:
            row[: len(open_rows)] += open_rows
        end = rows.starts[number + 1] if number + 1 < len(rows.starts) else height
        # Copied, so that the whole row of tiles does not live on with its last rows.
        open_rows = row[end - top :].copy()
        yield Band(top, row[: end - top])


def segment_in_tiles(image: np.ndarray, run: Run, tiling: Tiling) -> np.ndarray:
    """Do what `tile_bands` does, and keep the classes alone.

    Returns:
        uint8 (H, W), the class of the highest probability.
    """
    classes = np.empty(image.shape[:2], dtype=np.uint8)
    for band in tile_bands(image, run, tiling):
        classes[band.top : band.top + len(band.probabilities)] = band.probabilities.argmax(axis=2)
    return classes


@dataclass(frozen=True, eq=False)
class _Axis:
    """Tiles along one side: where each begins, and how much it counts, (tiles, size), at each of its pixels."""

    starts: list[int]
    weights: np.ndarray

    @classmethod
    def of(cls, length: int, size: int, overlap: float) -> "_Axis":
        starts = _starts(length, size, overlap)
        rising = np.minimum(np.arange(size) + 0.5, size - 0.5 - np.arange(size)) / size
        # A squared sine, which rises and ends softly; at the outermost pixel still above nothing.
        window = np.sin(np.pi * rising) ** 2
        total = np.zeros(max(length, size))
        for start in starts:
            total[start : start + size] += window
        return cls(starts, np.stack([window / total[start : start + size] for start in starts]).astype(np.float32))


def _starts(length: int, size: int, overlap: float) -> list[int]:
    """Return where tiles begin: evenly from the first pixel on, the last ending with the last."""
    if length <= size:
        return [0]
    step = max(1, math.floor(size * (1 - overlap)))
    count = 1 + math.ceil((length - size) / step)
    return [round(number * (length - size) / (count - 1)) for number in range(count)]


def _blended_row(image: np.ndarray, top: int, columns: _Axis, run: Run, tiling: Tiling) -> np.ndarray:
    """Return the answers of one row of tiles, blended from left to right: float32 (h, W, k)."""
    width = image.shape[1]
    down = np.arange(top, top + tiling.height)
    result = None
    for first in range(0, len(columns.starts), tiling.batch):
        numbers = range(first, min(first + tiling.batch, len(columns.starts)))
        across = [np.arange(columns.starts[number], columns.starts[number] + tiling.width) for number in numbers]
        tiles = np.stack([take_pixels(image, down, each, fill="reflect") for each in across])
        answers = _checked(run(tiles.astype(np.float32)), tiles.shape)
        if result is None:
            result = np.zeros((tiling.height, width, answers.shape[3]), dtype=np.float32)
        for number, answer in zip(numbers, answers, strict=True):
            left = columns.starts[number]
            seen = min(tiling.width, width - left)
            result[:, left : left + seen] += answer[:, :seen] * columns.weights[number][:seen, None]
    return result


def _checked(answers: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    answers = np.asarray(answers)
    if answers.ndim != 4 or answers.shape[:3] != shape[:3]:
        raise ModelError(
            f"Expected a network that answers tiles {shape} with probabilities {(*shape[:3], 'k')}. "
            f"Received {answers.shape}."
        )
    return answers

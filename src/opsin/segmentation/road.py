"""One geometric road for a picture and its mask: to the network's input together, and back to the picture."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from opsin.errors import ModelError, PictureError, UsageError
from opsin.images.decode import WHITE, Colour, Source, picture_orientation, picture_size
from opsin.images.preprocess import Preprocess
from opsin.segmentation.classes import IGNORED, ClassTable
from opsin.segmentation.masks import read_mask
from opsin.segmentation.orientation import LYING, upright

_BAND_BYTES = 16 * 2**20


@dataclass(frozen=True)
class SegmentationRecipe:
    """How pictures and masks become a network's input, and its answers masks of the pictures' own size.

    The picture goes the way of `Preprocess`; its mask the same way, with the nearest pixel in place of averages. What
    `pad` adds is ignored in the mask.

    Args:
        size: height and width of the network's input, in pixels, 1 to 8192 each.
        fit: `crop`, `pad` or `stretch`.
        color: a name in `opsin.images.color.COLORS`.
        resample: a name in `opsin.images.preprocess.RESAMPLES`, for the picture.
        background: RGB, 0 to 255; shows through what is transparent and fills what `pad` adds.

    Raises:
        UsageError: a value is not one of these.

    >>> recipe = SegmentationRecipe((1, 2), color="gray")
    >>> recipe.fit_mask(np.array([[0, 0, 1, 1], [0, 0, 1, 1]], np.uint8)).tolist()
    [[0, 1]]
    """

    size: tuple[int, int]
    fit: str = "stretch"
    color: str = "rgb"
    resample: str = "bilinear"
    background: Colour = WHITE

    def __post_init__(self):
        if not isinstance(self.size, tuple) or len(self.size) != 2:
            raise UsageError(f"Expected size as (height, width). Received {self.size!r}.")
        _ = self.preprocess  # Raises where a value is none that a recipe takes.

    @property
    def preprocess(self) -> Preprocess:
        """The recipe of the picture alone: the one that prediction goes by."""
        height, width = self.size
        return Preprocess(height, width, self.fit, self.color, self.resample, self.background)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the network's input."""
        return self.preprocess.shape

    def read(self, picture: Source, mask: Source, table: ClassTable) -> tuple[np.ndarray, np.ndarray]:
        """Read a picture and its mask.

        Args:
            picture: the file's path, or its content.
            mask: the same.
            table: the classes.

        Returns:
            uint8 (h, w, c), 0 to 255, in the recipe's colour space; and uint8 (h, w), class indices, 255 for ignored.

        Raises:
            PictureError: one of them cannot be read, or they are not of one size.
        """
        image = self.preprocess.read(picture)
        return image, self.fit_mask(read_upright_mask(picture, mask, table))

    def fit_mask(self, classes: np.ndarray) -> np.ndarray:
        """Bring a mask to the size of the network's input, by the way that its picture goes.

        Args:
            classes: uint8 (H, W), class indices, upright; 255 is ignored.

        Returns:
            uint8 (h, w), class indices; 255 where `pad` adds something, too.
        """
        recipe, (height, width) = self.preprocess, classes.shape
        left, top, right, bottom = recipe.place(height, width)
        box = recipe.kept(height, width)
        fitted = Image.fromarray(classes).resize((right - left, bottom - top), Image.Resampling.NEAREST, box=box)
        result = np.full(self.size, IGNORED, dtype=np.uint8)
        result[top:bottom, left:right] = np.asarray(fitted)
        return result

    def back(self, probabilities: np.ndarray, height: int, width: int) -> np.ndarray:
        """Bring a network's answer back to the picture, as it is seen upright.

        Between the network's pixels, probabilities are interpolated linearly.

        Args:
            probabilities: float (h, w, k), of the network's size.
            height: of the upright picture, in pixels.
            width: the same.

        Returns:
            float32 (H, W, k); all 0 where `crop` had cut the picture off and nothing is known.
        """
        bands = list(self._bands(probabilities, height, width))
        return np.concatenate(bands) if bands else np.zeros((0, width, probabilities.shape[2]), np.float32)

    def classes_back(self, probabilities: np.ndarray, height: int, width: int) -> np.ndarray:
        """Bring a network's answer back to the picture as classes; `back`, with little memory.

        Returns:
            uint8 (H, W), the class of the highest probability; 255 where `crop` had cut the picture off.
        """
        result, top = np.empty((height, width), dtype=np.uint8), 0
        for band in self._bands(probabilities, height, width):
            found = band.argmax(axis=2).astype(np.uint8)
            found[~band.any(axis=2)] = IGNORED
            result[top : top + len(band)] = found
            top += len(band)
        return result

    def to_dict(self) -> dict[str, Any]:
        """Give the recipe as plain values for a JSON file."""
        return {**dataclasses.asdict(self), "size": list(self.size), "background": list(self.background)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SegmentationRecipe":
        """Take a recipe back from what `to_dict` gave.

        Raises:
            ModelError: it is no such recipe.
        """
        try:
            return cls(**{**values, "size": tuple(values["size"]), "background": tuple(values["background"])})
        except (KeyError, TypeError, UsageError) as error:
            raise ModelError(f"Expected a recipe with size, fit, color, resample, background: {error}") from error

    def _bands(self, probabilities: np.ndarray, height: int, width: int) -> Iterator[np.ndarray]:
        """Yield float32 (rows, W, k), from the top."""
        if probabilities.ndim != 3 or probabilities.shape[:2] != self.size:
            raise UsageError(
                f"Expected probabilities (h, w, k) of the recipe's size {self.size}. Received {probabilities.shape}."
            )
        left, top, right, bottom = self.preprocess.place(height, width)
        seen = probabilities[top:bottom, left:right].astype(np.float32, copy=False)
        box = self.preprocess.kept(height, width)
        rows = _Places.of(height, box[1], box[3], bottom - top)
        columns = _Places.of(width, box[0], box[2], right - left)
        step = max(1, _BAND_BYTES // (4 * width * probabilities.shape[2]))
        for start in range(0, height, step):
            part = rows.part(slice(start, start + step))
            yield columns.interpolated(part.interpolated(seen, 0), 1)


def read_upright_mask(picture: Source, mask: Source, table: ClassTable) -> np.ndarray:
    """Read a mask as its picture is seen.

    A mask that has the size of the picture as it lies in the file, and not the size in which it is seen, was drawn on
    the file's pixels: it is turned as EXIF says the picture is. Where both sizes are one (a picture that is square, or
    upside down), the mask is taken to be drawn on the picture as it is seen.

    Args:
        picture: the file's path, or its content.
        mask: the same.
        table: the classes.

    Returns:
        uint8 (H, W), class indices, of the upright picture's size; 255 is ignored.

    Raises:
        PictureError: one of them cannot be read, or they are not of one size.
    """
    classes = read_mask(mask, table)
    size = picture_size(picture)
    if classes.shape == size:
        return classes
    orientation = picture_orientation(picture)
    if orientation in LYING and classes.shape == size[::-1]:
        return upright(classes, orientation)
    path = None if isinstance(mask, bytes) else str(mask)
    raise PictureError(
        f"the mask has {classes.shape[1]} x {classes.shape[0]} pixels, its picture {size[1]} x {size[0]}; expected are "
        "as many",
        path,
    )


@dataclass(frozen=True, eq=False)
class _Places:
    """Between which two of some pixels the pixels of another grid lie along one axis, and how near to the second."""

    lower: np.ndarray
    upper: np.ndarray
    share: np.ndarray
    seen: np.ndarray

    @classmethod
    def of(cls, count: int, start: float, end: float, size: int) -> "_Places":
        """Place `count` pixels, of which `size` others cover those from `start` to `end`; centres are at halves."""
        centres = np.arange(count) + 0.5
        places = np.clip((centres - start) * (size / (end - start)) - 0.5, 0, size - 1)
        lower = np.floor(places).astype(np.intp)
        share = (places - lower).astype(np.float32)
        return cls(lower, np.minimum(lower + 1, size - 1), share, (centres > start) & (centres < end))

    def part(self, rows: slice) -> "_Places":
        return _Places(self.lower[rows], self.upper[rows], self.share[rows], self.seen[rows])

    def interpolated(self, array: np.ndarray, axis: int) -> np.ndarray:
        shape = [1, 1, 1]
        shape[axis] = -1
        lower, share = array.take(self.lower, axis), self.share.reshape(shape)
        result = lower + share * (array.take(self.upper, axis) - lower)
        return result if self.seen.all() else result * self.seen.reshape(shape)

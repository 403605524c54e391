"""The only resizer: the recipe that makes a network's input from a picture."""

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from opsin.catalog import choose
from opsin.errors import ModelError, PictureError, UsageError
from opsin.images.color import COLORS, convert_color
from opsin.images.decode import MAX_PIXELS, WHITE, Colour, Picture, Region, Source, as_image, open_picture, take_pillow
from opsin.images.link import Link

MAX_SIDE = 8192
DRAFT_TOLERANCE = 1.0
"""What that may change in a picture: the mean absolute difference of its values, of 255."""

# Pillow's filters; all but `nearest` average over what they shrink.
RESAMPLES = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}
_SMOOTH = ("bilinear", "bicubic", "lanczos")


@dataclass(frozen=True)
class Preprocess:
    """How a picture becomes a network's input: its size, how it is fitted, its colours.

    - `crop`: scaled until it covers the size; what stands out is cut off, evenly on both sides.
    - `pad`: scaled until it fits into the size; what is left over is background, evenly on both sides.
    - `stretch`: each side is scaled on its own; nothing is lost, the proportions change.

    Args:
        height: of the result, in pixels, 1 to 8192.
        width: of the result, in pixels, 1 to 8192.
        fit: `crop`, `pad` or `stretch`.
        color: a name in `opsin.images.color.COLORS`.
        resample: a name in `RESAMPLES`.
        background: RGB, 0 to 255; shows through what is transparent and fills what `pad` adds.
        draft: a JPEG is decoded no smaller than this many times the size that is wanted; 0: at its full size.

    Raises:
        UsageError: a value is not one of these.

    >>> recipe = Preprocess(2, 2, color="gray")
    >>> recipe(np.full((4, 8, 3), 100, np.uint8)).tolist()
    [[[100], [100]], [[100], [100]]]
    """

    height: int
    width: int
    fit: str = "stretch"
    color: str = "rgb"
    resample: str = "bilinear"
    background: Colour = WHITE
    draft: int = 2

    def __post_init__(self):
        _check_whole("draft", self.draft, 0, 16)
        for name in ("height", "width"):
            _check_whole(name, getattr(self, name), 1, MAX_SIDE)
        choose("fit", self.fit, FITS)
        choose("color", self.color, COLORS)
        choose("resample", self.resample, RESAMPLES)
        if not isinstance(self.background, tuple) or len(self.background) != 3:
            raise UsageError(f"Expected background as (red, green, blue). Received {self.background!r}.")
        for value in self.background:
            _check_whole("each of background's three values", value, 0, 255)

    @property
    def channels(self) -> int:
        """Channels of the result."""
        return COLORS[self.color].channels

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the result."""
        return self.height, self.width, self.channels

    @property
    def least_size(self) -> tuple[int, int] | None:
        """(height, width) in pixels that a JPEG may be decoded at instead of its full size; None: it may not.

        `draft` times the result's size, for the filters that weigh neighbours smoothly. Measured with 2 on 113 photos
        (TensorFlow's flowers, ImageNet) brought to 64 and 32 pixels in each way of fitting: the mean absolute
        difference from a full decoding is 0.4 of 255, 0.93 in the photo that differs most, 16 in its worst
        value. `box` and `nearest` go by whole pixels, and would differ by up to 4.6 in the mean.
        """
        if self.resample not in _SMOOTH or not self.draft:
            return None
        return self.draft * self.height, self.draft * self.width

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Fit a decoded picture. One that has the size already keeps every value (`rgb`).

        Args:
            image: uint8 (H, W, 3), RGB, 0 to 255; or another that `as_image` takes.

        Returns:
            uint8 (h, w, c), 0 to 255, in the recipe's colour space.
        """
        picture = Image.fromarray(as_image(image, background=self.background))
        return self._fit(Picture(picture, (0, 0, *picture.size)))

    def read(self, source: Source | Link | Image.Image | np.ndarray, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """Decode a picture and fit it: the one road from a picture to a network's input.

        Args:
            source: the file's path, or its content; its `Link` on the web; a Pillow image, which is put upright as
                its file would be; or pixels, uint8 (H, W, 3), RGB, 0 to 255, or another array that `as_image` takes.
            max_pixels: how many a file may have.

        Returns:
            uint8 (h, w, c), 0 to 255, in the recipe's colour space.

        Raises:
            PictureError: it cannot be read.
            UsageError: it is none of these.
        """
        if isinstance(source, Link):
            return self._read_link(source)
        if isinstance(source, Image.Image):
            return self._fit(take_pillow(source, background=self.background))
        if not isinstance(source, str | os.PathLike | bytes):
            return self(source)
        options = {"least_size": self.least_size, "background": self.background, "max_pixels": max_pixels}
        return self._fit(open_picture(source, **options))

    def cut_off(self, height: int, width: int) -> float:
        """Tell how much of a picture this recipe cuts off.

        Args:
            height: of the picture, in pixels.
            width: of the picture, in pixels.

        Returns:
            The fraction of its area, from 0 to 1; 0 unless `fit` is `crop`.

        >>> Preprocess(10, 10, fit="crop").cut_off(100, 400)
        0.75
        """
        if self.fit != "crop":
            return 0.0
        left, top, right, bottom = self.kept(height, width)
        return 1 - (right - left) * (bottom - top) / (width * height)

    def kept(self, height: int, width: int) -> Region:
        """Return what of a picture goes into the result: left, top, right, bottom, in its pixels.

        >>> Preprocess(10, 10, fit="crop").kept(100, 400)
        (150.0, 0.0, 250.0, 100.0)
        """
        whole = (0, 0, width, height)
        return _kept(self, whole) if self.fit == "crop" else whole

    def place(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Return where in the result the picture lies: left, top, right, bottom, in the result's pixels.

        >>> Preprocess(10, 10, fit="pad").place(100, 400)
        (0, 4, 10, 6)
        """
        return _place(self, height, width) if self.fit == "pad" else (0, 0, self.width, self.height)

    def to_dict(self) -> dict[str, Any]:
        """Give the recipe as plain values for a JSON file."""
        return {**dataclasses.asdict(self), "background": list(self.background)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Preprocess":
        """Take a recipe back from what `to_dict` gave.

        Raises:
            ModelError: keys are missing, or there are others.
            UsageError: a value is not one that a recipe takes.
        """
        expected = {field.name for field in dataclasses.fields(cls)}
        if missing := expected - values.keys():
            raise ModelError(f"Expected the preprocess recipe to have {', '.join(sorted(missing))}; it does not.")
        if unknown := values.keys() - expected:
            raise ModelError(
                f"Expected a preprocess recipe of {', '.join(sorted(expected))}. "
                f"Received also {', '.join(sorted(unknown))}, perhaps from a newer Opsin: update it."
            )
        background = values["background"]
        return cls(**{**values, "background": tuple(background) if isinstance(background, list) else background})

    def _read_link(self, link: Link) -> np.ndarray:
        try:
            return self.read(link.fetch())
        except PictureError as error:
            raise PictureError(error.reason, link.url) from error.__cause__

    def _fit(self, picture: Picture) -> np.ndarray:
        image, region = picture
        if region != (0, 0, self.width, self.height):
            image = FITS[self.fit](self, image, region)
        return convert_color(np.array(image), self.color)


def _check_whole(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise UsageError(f"Expected {name} to be a whole number from {low} to {high}. Received {value!r}.")


def _stretch(recipe: Preprocess, image: Image.Image, region: Region) -> Image.Image:
    return image.resize((recipe.width, recipe.height), RESAMPLES[recipe.resample], box=region)


def _crop(recipe: Preprocess, image: Image.Image, region: Region) -> Image.Image:
    # Only what is kept is scaled: a 1 x 5000 picture scaled whole would be far larger than the result.
    return _stretch(recipe, image, _kept(recipe, region))


def _kept(recipe: Preprocess, region: Region) -> Region:
    left, top, right, bottom = region
    width, height = right - left, bottom - top
    kept_width = min(width, height * recipe.width / recipe.height)
    kept_height = min(height, width * recipe.height / recipe.width)
    left, top = left + (width - kept_width) / 2, top + (height - kept_height) / 2
    return left, top, left + kept_width, top + kept_height


def _pad(recipe: Preprocess, image: Image.Image, region: Region) -> Image.Image:
    left, top, right, bottom = region
    place = _place(recipe, bottom - top, right - left)
    size = place[2] - place[0], place[3] - place[1]
    canvas = Image.new("RGB", (recipe.width, recipe.height), recipe.background)
    canvas.paste(image.resize(size, RESAMPLES[recipe.resample], box=region), place[:2])
    return canvas


def _place(recipe: Preprocess, height: float, width: float) -> tuple[int, int, int, int]:
    scale = min(recipe.width / width, recipe.height / height)
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (recipe.width - width) // 2, (recipe.height - height) // 2
    return left, top, left + width, top + height


FITS: dict[str, Callable[[Preprocess, Image.Image, Region], Image.Image]] = {
    "crop": _crop,
    "pad": _pad,
    "stretch": _stretch,
}

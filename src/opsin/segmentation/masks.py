"""Mask files: from numbers, palettes, grey levels or colours to class indices, and back."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from opsin.atomic import write_bytes
from opsin.errors import PictureError, UsageError
from opsin.images.decode import Source, load_stored, open_header
from opsin.segmentation.classes import HIGHEST_VALUE, IGNORED, ClassTable
from opsin.segmentation.deep_colors import has_deep_colors, read_deep_colors, told_by_eight_bits
from opsin.segmentation.orientation import upright

LEAST_GAP = 32
"""Classes whose numbers or colours are at least this far apart are told even where JPEG has changed them a little."""
MANY_STRANGERS = 8
"""From so many different values on that are no class's, a mask is taken for one that was compressed or smoothed."""

_SCALE = 257
"""What 8 bits are multiplied by to fill 16: 255 becomes 65535."""
_COLORS_AT_ONCE = 1 << 12
_BY_JPEG = "; JPEG changes values, and the classes' are too near each other to tell: save masks as PNG"


class StoredMask(NamedTuple):
    """A mask as its file has it, upright."""

    format: str
    """A name in `opsin.images.decode.FORMATS`."""
    mode: str
    """Pillow's name for how pixels are stored."""
    values: np.ndarray | None
    """uint8 or uint16 (H, W): numbers or palette indices; None of a mask in colours."""
    colors: np.ndarray | None
    """uint8 (H, W, 3), RGB; None of a mask without colours."""
    palette: np.ndarray | None
    """uint8 (n, 3), RGB, of a mask with a palette."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        array = self.values if self.colors is None else self.colors
        return array.shape[:2]


class ReadMask(NamedTuple):
    """A mask as classes."""

    classes: np.ndarray
    """uint8 (H, W), class indices; 255 is ignored."""
    moved: int
    """How many pixels were brought to the class whose value or colour is nearest, in a mask that was compressed or
    smoothed."""


def read_mask(source: Source, table: ClassTable) -> np.ndarray:
    """Read a mask file as classes.

    A palette's indices count, not its colours, unless the table goes by colours. 1-bit masks hold 0 and 255. 16-bit
    masks hold numbers, in colours of 16 bits too if all channels are alike; where all are multiples of 257, 8 bits were
    scaled to 16, and the 8 bits count. Opacity plays no part. Where values were changed by JPEG compression or
    smoothing, and the classes' are far apart, each pixel goes to the nearest class; `open_mask` counts them.

    Args:
        source: the file's path, or its content.
        table: the classes.

    Returns:
        uint8 (H, W), class indices, upright by the file's own EXIF orientation; 255 is ignored.

    Raises:
        PictureError: it cannot be read, or holds a value that is neither a class's nor ignored.
    """
    return open_mask(source, table).classes


def open_mask(source: Source, table: ClassTable) -> ReadMask:
    """Do what `read_mask` does, and tell what had to be guessed."""
    stored = read_stored(source)
    try:
        return classes_of(stored, table)
    except PictureError as error:
        path = None if isinstance(source, bytes) else str(source)
        raise PictureError(error.reason, path) from error


def read_stored(source: Source) -> StoredMask:
    """Read a mask file as it is.

    Raises:
        PictureError: it cannot be read, or holds numbers that no class has.
    """
    path = None if isinstance(source, bytes) else str(source)
    with open_header(source) as (name, image):
        mode, is_deep = image.mode, has_deep_colors(image)
        try:
            orientation = load_stored(name, image)
            if is_deep:
                (values, colors), palette = told_by_eight_bits(read_deep_colors(source)), None
            else:
                values, colors, palette = _arrays(image)
        except PictureError as error:
            raise PictureError(error.reason, path) from error.__cause__
    values, colors = (None if array is None else upright(array, orientation) for array in (values, colors))
    return StoredMask(name, mode, values, colors, palette)


def classes_of(stored: StoredMask, table: ClassTable) -> ReadMask:
    """Tell the class of each pixel of a mask; as `read_mask`, which says by what.

    Raises:
        PictureError: it holds a value that is neither a class's nor ignored.
    """
    if table.code == "color":
        return _by_color(stored, table)
    values = stored.values if stored.colors is None else _gray(stored.colors)
    if values is None:
        raise PictureError(
            "it is in colours, and the classes have numbers; say which colour is which class (--colors classes.csv)"
        )
    return _by_value(values, table, stored.format)


def encode_mask(classes: np.ndarray, table: ClassTable) -> bytes:
    """Return an index PNG with the classes' colours as its palette: read again, it gives the same classes.

    Args:
        classes: uint8 (H, W), class indices; 255 is ignored, and drawn white.
        table: the classes. The PNG holds their indices, whatever values their own masks have.

    Raises:
        UsageError: it is no such array.
    """
    require_classes(classes, table.k)
    image = Image.fromarray(classes)
    image.putpalette(table.palette)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=False)
    return buffer.getvalue()


def write_mask(path: str | Path, classes: np.ndarray, table: ClassTable) -> None:
    """Write an index PNG with palette, as `encode_mask` makes it.

    Raises:
        SavingError: there is no room or no permission.
    """
    write_bytes(path, encode_mask(classes, table))


def require_classes(classes: np.ndarray, k: int) -> None:
    """Raise `UsageError` unless the array is uint8 (H, W) of class indices below k, or 255."""
    expected = f"Expected class indices as uint8 (H, W), 0 to {k - 1}, or {IGNORED} for what is ignored"
    if not isinstance(classes, np.ndarray) or classes.dtype != np.uint8 or classes.ndim != 2 or not classes.size:
        received = f"{classes.dtype} {classes.shape}" if isinstance(classes, np.ndarray) else type(classes).__name__
        raise UsageError(f"{expected}. Received {received}.")
    strange = np.flatnonzero(np.bincount(classes.reshape(-1), minlength=256)[k:IGNORED])
    if len(strange):
        raise UsageError(f"{expected}. Received {k + int(strange[0])}.")


def _arrays(image: Image.Image) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Return values, colours and palette of a loaded image."""
    if image.mode == "P":
        palette = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        return np.array(image), None, palette
    if image.mode in ("1", "L"):
        return np.array(image.convert("L")), None, None
    if image.mode in ("LA", "La"):
        return np.array(image.getchannel(0)), None, None
    if image.mode.startswith("I") or image.mode == "F":
        return _unscaled(_whole(np.asarray(image))), None, None
    if image.mode in ("RGB", "RGBA", "RGBX"):
        return None, np.array(image)[:, :, :3], None
    return None, np.array(image.convert("RGB")), None


def _whole(numbers: np.ndarray) -> np.ndarray:
    """Return numbers of many bits as uint16.

    Raises:
        PictureError: they are not whole, or not from 0 to 65535.
    """
    low, high = numbers.min(), numbers.max()
    if not (low >= 0 and high <= HIGHEST_VALUE):  # Not a number compares false, so it ends here too.
        raise PictureError(f"its {numbers.dtype} values go from {low} to {high}; expected are 0 to {HIGHEST_VALUE}")
    whole = numbers.astype(np.uint16)
    if not np.array_equal(whole, numbers):
        raise PictureError(f"its {numbers.dtype} values are not whole; expected is a number for each class")
    return whole


def _unscaled(values: np.ndarray) -> np.ndarray:
    is_scaled = not (values % _SCALE).any()
    return (values // _SCALE).astype(np.uint8) if is_scaled else values


def _gray(colors: np.ndarray) -> np.ndarray | None:
    """Return the grey values of a picture whose channels are all alike; None of another."""
    red, green, blue = (colors[:, :, channel] for channel in range(3))
    return red.copy() if np.array_equal(red, green) and np.array_equal(red, blue) else None


def _by_value(values: np.ndarray, table: ClassTable, format: str) -> ReadMask:
    known = np.array([*table.values, *table.ignore], dtype=np.int64)
    index = np.array([*range(table.k), *[IGNORED] * len(table.ignore)], dtype=np.uint8)
    counts = np.bincount(values.reshape(-1), minlength=int(known.max()) + 1)
    is_known = np.zeros(len(counts), dtype=bool)
    is_known[known] = True
    strangers = np.flatnonzero((counts > 0) & ~is_known)
    lookup = np.zeros(len(counts), dtype=np.uint8)
    if len(strangers):
        gap = np.diff(np.sort(known)).min() if len(known) > 1 else 0
        apart = np.abs(strangers[:, None] - known)
        if gap < LEAST_GAP or not _is_blurred(apart.min(axis=1), len(strangers), format):
            raise PictureError(_strange_values(strangers, counts, table) + _BY_JPEG * (format == "JPEG"))
        lookup[strangers] = index[apart.argmin(axis=1)]
    lookup[known] = index
    return ReadMask(lookup[values], int(counts[strangers].sum()))


def _is_blurred(apart: np.ndarray, strangers: int, format: str) -> bool:
    """Tell values that compression or smoothing has made of the classes' own, which are many or near, from others."""
    return format == "JPEG" or strangers >= MANY_STRANGERS or bool((apart < LEAST_GAP // 2).all())


def _strange_values(strangers: np.ndarray, counts: np.ndarray, table: ClassTable) -> str:
    shown = ", ".join(str(value) for value in strangers[:5]) + (" and others" if len(strangers) > 5 else "")
    known = ", ".join(str(value) for value in sorted(table.values)[:12]) + (" ..." if table.k > 12 else "")
    return (
        f"{int(counts[strangers].sum()):,} of its pixels have the value {shown}, which is neither a class's "
        f"({known}) nor ignored"
    )


def _by_color(stored: StoredMask, table: ClassTable) -> ReadMask:
    if stored.colors is not None:
        return _matched(stored.colors, table, stored.format)
    # A tool that makes files small stores few colours as a palette, or as grey.
    drawn = _as_colors(stored)
    if drawn is not None:
        strange, found = _look_up(drawn, table)
        if not strange.any():
            return ReadMask(found, 0)
    return _by_value(stored.values, table, stored.format)


def _as_colors(stored: StoredMask) -> np.ndarray | None:
    if stored.palette is None:
        return None if stored.values.dtype != np.uint8 else np.repeat(stored.values[:, :, None], 3, axis=2)
    return stored.palette[stored.values] if stored.values.max() < len(stored.palette) else None


def _matched(colors: np.ndarray, table: ClassTable, format: str) -> ReadMask:
    strange, found = _look_up(colors, table)
    if not strange.any():
        return ReadMask(found, 0)
    known, index = _known_colors(table), _indices(table)
    others, which = np.unique(packed(colors[strange]), return_inverse=True)
    nearest, apart = _nearest(others, known)
    between = np.abs(known[:, None] - known).max(axis=2)[~np.eye(len(known), dtype=bool)]
    if between.min(initial=255) < LEAST_GAP or len(known) < 2 or not _is_blurred(apart, len(others), format):
        shown = ", ".join(f"#{color:06x}" for color in others[:5]) + (" and others" if len(others) > 5 else "")
        raise PictureError(
            f"{int(strange.sum()):,} of its pixels have the colour {shown}, which is neither a class's nor ignored"
        )
    found[strange] = index[nearest][which]
    return ReadMask(found, int(strange.sum()))


def _nearest(colors: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for colours as numbers (m,), which of the known ones (j, 3) is nearest, and how far in any channel."""
    nearest, apart = np.zeros(len(colors), dtype=np.intp), np.zeros(len(colors), dtype=np.int32)
    for start in range(0, len(colors), _COLORS_AT_ONCE):
        part = slice(start, start + _COLORS_AT_ONCE)
        rgb = np.stack([colors[part] >> 16, colors[part] >> 8 & 255, colors[part] & 255], axis=1)
        differences = np.abs(rgb[:, None] - known)
        nearest[part] = (differences**2).sum(axis=2).argmin(axis=1)
        apart[part] = differences.max(axis=2).min(axis=1)
    return nearest, apart


def _look_up(colors: np.ndarray, table: ClassTable) -> tuple[np.ndarray, np.ndarray]:
    """Return which pixels, bool (H, W), have no class's colour, and the classes, uint8 (H, W), of the others."""
    known, index = packed(_known_colors(table).astype(np.uint8)), _indices(table)
    order = np.argsort(known)
    codes = packed(colors)
    place = np.minimum(np.searchsorted(known, codes, sorter=order), len(known) - 1)
    return known[order[place]] != codes, index[order[place]]


def _known_colors(table: ClassTable) -> np.ndarray:
    return np.array([*table.colors, *table.ignore_colors], dtype=np.int32)


def _indices(table: ClassTable) -> np.ndarray:
    return np.array([*range(table.k), *[IGNORED] * len(table.ignore_colors)], dtype=np.uint8)


def packed(colors: np.ndarray) -> np.ndarray:
    """Return colours uint8 (..., 3), RGB, as one number each, int32 (...): 0xRRGGBB."""
    red, green, blue = (colors[..., channel].astype(np.int32) for channel in range(3))
    return red << 16 | green << 8 | blue

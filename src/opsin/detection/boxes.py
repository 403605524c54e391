"""Box formats: what four numbers mean is said in every call, and converted in one place.

| format | the four numbers |
|---|---|
| `xyxy` | left, top, right, bottom |
| `yxyx` | top, left, bottom, right (TensorFlow's) |
| `xywh` | left, top, width, height (COCO's) |
| `cxcywh` | x and y of the centre, width, height (YOLO's) |

Edges, not pixels: a box from 2 to 5 covers the pixels 2, 3 and 4 and is 3 wide. Pixels or fractions of the picture's
sides (relative) are told apart by nobody but you: `to_pixels` and `to_relative` go from one to the other.
"""

import numpy as np

from opsin.catalog import choose
from opsin.errors import DataError, UsageError

FORMATS = ("xyxy", "yxyx", "xywh", "cxcywh")

_AS_TOLD = {
    "xyxy": "left, top, right, bottom with left <= right and top <= bottom",
    "yxyx": "top, left, bottom, right with top <= bottom and left <= right",
    "xywh": "left, top, width, height with no negative width or height",
    "cxcywh": "centre x, centre y, width, height with no negative width or height",
}
_MUCH_LIKE = 2.0


def take_boxes(boxes: np.ndarray, *, format: str) -> np.ndarray:
    """Return boxes as they are, if they are boxes.

    A width or height of zero is fine: such a box overlaps nothing.

    Args:
        boxes: numbers (n, 4), or an empty list.
        format: one of `FORMATS`.

    Returns:
        float32 (n, 4) of float32, float64 (n, 4) of all else.

    Raises:
        UsageError: they are no array (n, 4) of numbers, or there is no such format.
        DataError: a number is NaN or infinite, or a side is negative.
    """
    choose("box format", format, FORMATS)
    try:
        array = np.asarray(boxes)
        array = array if array.dtype == np.float32 else array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"Expected boxes as an array (n, 4) of numbers; received what is none: {error}.") from error
    array = array.reshape(0, 4) if array.size == 0 else array
    if array.ndim != 2 or array.shape[1] != 4:
        raise UsageError(
            f"Expected boxes as an array (n, 4), {format}; received the shape {array.shape}. One box is [[...]]."
        )
    # Column by column: over rows of four, NumPy takes ten times as long.
    low = (array[:, 0], array[:, 1]) if format in ("xyxy", "yxyx") else (0, 0)
    good = (array[:, 2] >= low[0]) & (array[:, 3] >= low[1])
    if not (good.all() and np.isfinite(array).all()):
        raise DataError(_fault(array, ~(good & np.isfinite(array).all(axis=1)), format))
    return array


def _fault(boxes: np.ndarray, bad: np.ndarray, format: str) -> str:
    row = int(bad.argmax())
    return (
        f"Expected boxes as {format}: {_AS_TOLD[format]}, all finite. Received "
        f"{boxes[row].tolist()} as box {row}, counted from 0{_more(bad)}. {_advice(boxes[row], format)}"
    )


def _more(bad: np.ndarray) -> str:
    others = int(bad.sum()) - 1
    return f" (and {others:,} more like it)" if others else ""


def _advice(row: np.ndarray, format: str) -> str:
    if not np.isfinite(row).all():
        return "Leave such boxes out; NaN comes from a network that diverged."
    if format in ("xyxy", "yxyx"):
        return "If the last two are a width and a height, say format='xywh'; if corners are swapped, sort them."
    return "If the four are corners, say format='xyxy' or 'yxyx'."


def convert(boxes: np.ndarray, *, source: str, target: str) -> np.ndarray:
    """Return boxes in another format.

    Args:
        boxes: numbers (n, 4).
        source: the format they are in.
        target: the format wanted.

    Returns:
        float32 (n, 4) of float32, float64 (n, 4) of all else; a new array.

    Raises:
        UsageError: they are no array (n, 4), or there is no such format.
        DataError: they are no boxes.

    >>> convert([[10, 20, 30, 60]], source="xyxy", target="cxcywh").tolist()
    [[20.0, 40.0, 20.0, 40.0]]
    """
    choose("box format", target, FORMATS)
    boxes = take_boxes(boxes, format=source)
    return boxes.copy() if source == target else from_corners(_to_corners(boxes, source), target)


def corners(boxes: np.ndarray, *, format: str) -> np.ndarray:
    """Return boxes as float (n, 4), xyxy; what `convert` does, by the name it mostly has."""
    return convert(boxes, source=format, target="xyxy")


def _to_corners(boxes: np.ndarray, source: str) -> np.ndarray:
    first, second = boxes[:, :2], boxes[:, 2:]
    if source == "yxyx":
        return boxes[:, [1, 0, 3, 2]]
    if source == "cxcywh":
        return np.concatenate([first - second / 2, first + second / 2], axis=1)
    return boxes if source == "xyxy" else np.concatenate([first, first + second], axis=1)


def from_corners(boxes: np.ndarray, target: str) -> np.ndarray:
    """Return boxes that are known to be some, float (n, 4), xyxy, in another format; nothing is checked."""
    first, second = boxes[:, :2], boxes[:, 2:]
    if target == "yxyx":
        return boxes[:, [1, 0, 3, 2]]
    if target == "cxcywh":
        return np.concatenate([(first + second) / 2, second - first], axis=1)
    return boxes if target == "xyxy" else np.concatenate([first, second - first], axis=1)


def areas(boxes: np.ndarray, *, format: str) -> np.ndarray:
    """Return the area of each box, float (n,), in the square of its unit.

    >>> areas([[10, 20, 5, 4]], format="xywh").tolist()
    [20.0]
    """
    boxes = take_boxes(boxes, format=format)
    # Of a width and a height themselves, not of edges that were rounded: 32 × 32 is 1024, wherever it lies.
    sides = boxes[:, 2:] - boxes[:, :2] if format in ("xyxy", "yxyx") else boxes[:, 2:]
    return sides[:, 0] * sides[:, 1]


def to_relative(boxes: np.ndarray, *, format: str, height: int, width: int) -> np.ndarray:
    """Return boxes in pixels as fractions of the picture's sides, in the same format.

    >>> to_relative([[10, 20, 30, 60]], format="xyxy", height=100, width=200).tolist()
    [[0.05, 0.2, 0.15, 0.6]]
    """
    boxes = take_boxes(boxes, format=format)
    return (boxes / _scale(format, height, width)).astype(boxes.dtype)


def to_pixels(boxes: np.ndarray, *, format: str, height: int, width: int) -> np.ndarray:
    """Return boxes in fractions of the picture's sides as pixels, in the same format; nothing is rounded.

    Raises:
        DataError: they are in pixels already: more than two sides from the edge.

    >>> to_pixels([[0.05, 0.2, 0.15, 0.6]], format="xyxy", height=100, width=200).tolist()
    [[10.0, 20.0, 30.0, 60.0]]
    """
    boxes = take_boxes(boxes, format=format)
    if boxes.size and np.abs(boxes).max() > _MUCH_LIKE:
        row = int(np.abs(boxes).max(axis=1).argmax())
        raise DataError(
            f"Expected boxes as fractions of the picture's sides, about 0 to 1; received {boxes[row].tolist()} as box "
            f"{row}, counted from 0. Are they in pixels already?"
        )
    return (boxes * _scale(format, height, width)).astype(boxes.dtype)


def _scale(format: str, height: int, width: int) -> np.ndarray:
    if height < 1 or width < 1:
        raise UsageError(f"Expected a picture of at least 1 x 1 pixels; received height {height}, width {width}.")
    return np.array([height, width] * 2 if format == "yxyx" else [width, height] * 2)


def clip_boxes(boxes: np.ndarray, *, format: str, height: float, width: float) -> np.ndarray:
    """Return what of each box lies in the picture; of a box outside, nothing is left but a line or a point on its edge.

    Args:
        boxes: numbers (n, 4).
        format: one of `FORMATS`, what comes back too.
        height: of the picture; in pixels, or 1 for relative boxes.
        width: the same.

    >>> clip_boxes([[-5, 10, 20, 30], [90, 0, 120, 10]], format="xyxy", height=25, width=100).tolist()
    [[0.0, 10.0, 20.0, 25.0], [90.0, 0.0, 100.0, 10.0]]
    """
    found = corners(boxes, format=format)
    limits = np.array([width, height] * 2, found.dtype)
    return from_corners(np.clip(found, 0, limits), format)


def outside(boxes: np.ndarray, *, format: str, height: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Return bool (n,): which boxes reach beyond the picture, whose height and width are numbers, or (n,) each."""
    found = corners(boxes, format=format)
    # Edges that were written with two decimals may be off by one of the last.
    room = 0.01 * (np.asarray(width) > 1)
    beyond_right, beyond_bottom = found[:, 2] > width + room, found[:, 3] > height + room
    return (found[:, :2] < 0).any(axis=1) | beyond_right | beyond_bottom

"""Boxes of phone pictures that lie on their side in the file: as the file has them, and as the picture is seen.

A tool that ignores EXIF draws boxes on the lying picture; Opsin's decoder, and every viewer, shows it upright.
"""

import numpy as np

from opsin.detection.boxes import corners, from_corners, take_boxes
from opsin.errors import DataError, UsageError

LYING = (5, 6, 7, 8)
"""Orientations in which height and width of the file are width and height of the upright picture."""

# Orientation -> each upright edge (left, top, right, bottom) as the edge of the stored picture that it was.
_LEFT, _TOP, _RIGHT, _BOTTOM = range(4)
_UPRIGHT_FROM = {
    1: (_LEFT, _TOP, _RIGHT, _BOTTOM),
    2: (_RIGHT, _TOP, _LEFT, _BOTTOM),
    3: (_RIGHT, _BOTTOM, _LEFT, _TOP),
    4: (_LEFT, _BOTTOM, _RIGHT, _TOP),
    5: (_TOP, _LEFT, _BOTTOM, _RIGHT),
    6: (_BOTTOM, _LEFT, _TOP, _RIGHT),
    7: (_BOTTOM, _RIGHT, _TOP, _LEFT),
    8: (_TOP, _RIGHT, _BOTTOM, _LEFT),
}
_BACK = {**{number: number for number in _UPRIGHT_FROM}, 6: 8, 8: 6}


def upright_boxes(
    boxes: np.ndarray, orientation: int, *, format: str, stored_height: float, stored_width: float
) -> np.ndarray:
    """Return boxes that were drawn on the picture as the file has it, on the picture as it is seen.

    Args:
        boxes: numbers (n, 4).
        orientation: EXIF's, 1 to 8; 1 is upright already.
        format: one of `opsin.detection.boxes.FORMATS`, of what comes back too.
        stored_height: of the picture in the file, in pixels; 1 for relative boxes.
        stored_width: the same.

    Returns:
        float (n, 4).

    Raises:
        UsageError: EXIF has no such orientation.
        DataError: a box is none.

    >>> upright_boxes([[0, 0, 10, 20]], 6, format="xyxy", stored_height=100, stored_width=200).tolist()
    [[80.0, 0.0, 100.0, 10.0]]
    """
    if orientation not in _UPRIGHT_FROM:
        raise UsageError(f"Expected an EXIF orientation from 1 to 8; received {orientation!r}. 1 is upright.")
    if orientation == 1:
        return take_boxes(boxes, format=format).copy()
    found = corners(boxes, format=format)
    upright = np.empty_like(found)
    for to, edge in enumerate(_UPRIGHT_FROM[orientation]):
        length = stored_width if edge in (_LEFT, _RIGHT) else stored_height
        # An edge that was the far one is measured from the other side now.
        is_far = (edge in (_RIGHT, _BOTTOM)) != (to in (_RIGHT, _BOTTOM))
        upright[:, to] = length - found[:, edge] if is_far else found[:, edge]
    return from_corners(upright, format)


def stored_boxes(
    boxes: np.ndarray, orientation: int, *, format: str, stored_height: float, stored_width: float
) -> np.ndarray:
    """Return boxes on the picture as it is seen as boxes on the picture in the file: `upright_boxes` turned round.

    >>> stored_boxes([[80, 0, 100, 10]], 6, format="xyxy", stored_height=100, stored_width=200).tolist()
    [[0.0, 0.0, 10.0, 20.0]]
    """
    if orientation in LYING:
        stored_height, stored_width = stored_width, stored_height
    back = _BACK.get(orientation, orientation)
    return upright_boxes(boxes, back, format=format, stored_height=stored_height, stored_width=stored_width)


def drawn_on_stored(size: tuple[int, int], upright_size: tuple[int, int], orientation: int) -> bool:
    """Tell whether boxes were drawn on the picture as the file has it, from the size that their file states.

    Args:
        size: (height, width) in pixels, as the boxes' file states it.
        upright_size: the same of the picture as it is seen.
        orientation: EXIF's.

    Raises:
        DataError: it is neither: the boxes are of another picture.
    """
    if tuple(size) == tuple(upright_size):
        return False
    if orientation in LYING and tuple(size) == tuple(upright_size[::-1]):
        return True
    raise DataError(
        f"Expected a picture of {upright_size[0]} x {upright_size[1]} pixels (height x width), which this one is; "
        f"the boxes' file states {size[0]} x {size[1]}. Take the pictures that the boxes were drawn on."
    )

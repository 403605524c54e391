"""Masks of phone pictures that lie on their side in the file: as the picture is seen, and as the file has it."""

import numpy as np

from opsin.errors import UsageError

LYING = (5, 6, 7, 8)
"""EXIF's orientations in which height and width of the file are width and height of the upright picture."""

# Orientation -> whether rows and columns change places, and what is mirrored then: top and bottom, left and right.
_TO_UPRIGHT = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
_BACK = {**{number: number for number in _TO_UPRIGHT}, 6: 8, 8: 6}


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Return an array that lies as the picture's file has it, as the picture is seen.

    Args:
        array: (H, W) or (H, W, ...), of any type.
        orientation: EXIF's, 1 to 8; 1 is upright already.

    Returns:
        The same values, contiguous.

    Raises:
        UsageError: EXIF has no such orientation.

    >>> upright(np.array([[1, 2, 3]]), 6).tolist()
    [[1], [2], [3]]
    """
    if orientation not in _TO_UPRIGHT:
        raise UsageError(f"Expected an EXIF orientation from 1 to 8; received {orientation!r}. 1 is upright.")
    swapped, upside_down, mirrored = _TO_UPRIGHT[orientation]
    array = array.swapaxes(0, 1) if swapped else array
    array = array[::-1] if upside_down else array
    return np.ascontiguousarray(array[:, ::-1] if mirrored else array)


def as_stored(array: np.ndarray, orientation: int) -> np.ndarray:
    """Return an upright array as the picture's file has it: what `upright` undoes.

    >>> as_stored(np.array([[1], [2], [3]]), 6).tolist()
    [[1, 2, 3]]
    """
    return upright(array, _BACK.get(orientation, orientation))

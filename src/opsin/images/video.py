"""Frames of videos and cameras, through OpenCV: upright RGB pictures with their number and time."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from opsin.catalog import require
from opsin.errors import PictureError, UsageError

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ogv", ".wmv", ".flv", ".3gp"})
"""What the names of videos end in."""

# FFmpeg takes playlists, too, which name other files and addresses: a video's own file is all that may be opened.
_OPTIONS = "protocol_whitelist;file|format_whitelist;mov,mp4,matroska,webm,avi,mpeg,ogg,asf,flv"
_OPTIONS_VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
PURPOSE = "reading videos and cameras"

TOLERATED = 0.05
"""Which fraction of a video's frames may be missing at its end: some formats only estimate how many there are."""


class Frame(NamedTuple):
    """A frame.

    Args:
        number: which it is, counted from 0.
        seconds: when it is shown, from the video's beginning; of a camera, when it came, from its first frame.
        image: uint8 (H, W, 3), RGB, 0 to 255, upright.
    """

    number: int
    seconds: float
    image: np.ndarray


class Pace(NamedTuple):
    """Which frames are taken.

    Args:
        every: of so many frames the first.
        fps: at most so many in a second; None for all of those.

    >>> pace = Pace(fps=2)
    >>> [n for n in range(8) if pace.takes(n, n / 4, len(range(0, n, 2)))]
    [0, 2, 4, 6]
    """

    every: int = 1
    fps: float | None = None

    def takes(self, number: int, seconds: float, taken: int) -> bool:
        """Return whether a frame is taken, after so many others."""
        # Times of frames are rounded: 1/3 of a second may be written as 0.333.
        is_due = self.fps is None or seconds >= taken / self.fps - 1e-3
        return number % self.every == 0 and is_due


EVERY_FRAME = Pace()


def is_video(path: str | os.PathLike) -> bool:
    """Return whether a file's name is that of a video."""
    return Path(path).suffix.lower() in SUFFIXES


def read_video(path: str | os.PathLike, pace: Pace = EVERY_FRAME) -> Iterator[Frame]:
    """Read the frames of a video, one at a time.

    Raises:
        PictureError: it cannot be read, or ends before its end.
        MissingPackageError: OpenCV is not installed.
    """
    cv2 = require("cv2", PURPOSE)
    name = os.fspath(path)
    try:
        with Path(path).open("rb"):
            pass  # OpenCV does not say why it cannot open a file.
    except OSError as error:
        raise PictureError(f"it cannot be opened: {error.strerror}", name) from error
    with _opened(_open_video(cv2, Path(path))) as capture:
        if not capture.isOpened():
            raise PictureError("its content is no video that can be read", name)
        rate = capture.get(cv2.CAP_PROP_FPS) or 1

        def clock(number: int) -> float:
            # A stream without times has its frames at an even rate.
            return capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 or number / rate

        read = yield from _frames(cv2, capture, name, pace, clock)
        promised = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    if read == 0 or read < (1 - TOLERATED) * promised:
        raise PictureError(f"it ends after {read} of {promised:.0f} frames: it is damaged or cut off", name)


def read_camera(index: int, pace: Pace = EVERY_FRAME) -> Iterator[Frame]:
    """Read the frames of a camera as they come; those that come while nobody asks are lost.

    Raises:
        UsageError: there is no such camera, or another program has it.
        PictureError: it gives no more frames.
        MissingPackageError: OpenCV is not installed.
    """
    capture = require("cv2", PURPOSE).VideoCapture(index)
    if not capture.isOpened():
        raise UsageError(f"Expected a camera at index {index}; {_cameras()}. Plug it in, or end what has it open.")
    return _watch(capture, camera_name(index), pace)


def _watch(capture: Any, name: str, pace: Pace) -> Iterator[Frame]:
    begin = time.monotonic()
    with _opened(capture):
        yield from _frames(require("cv2", PURPOSE), capture, name, pace, lambda number: time.monotonic() - begin)
    raise PictureError("the camera gives no more frames", name)


def camera_name(index: int) -> str:
    """Return what stands for a camera where files have their path."""
    return f"webcam:{index}"


def _frames(cv2: Any, capture: Any, name: str, pace: Pace, clock: Callable[[int], float]) -> Iterator[Frame]:
    """Yield frames to the end, and return how many there were, taken or not."""
    number = taken = 0
    while capture.grab():
        seconds = clock(number)
        if pace.takes(number, seconds, taken):
            is_whole, image = capture.retrieve()
            if not is_whole:
                raise PictureError(f"frame {number} cannot be decoded", name)
            taken += 1
            yield Frame(number, seconds, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        number += 1
    return number


def _open_video(cv2: Any, path: Path) -> Any:
    before = os.environ.get(_OPTIONS_VARIABLE)
    os.environ[_OPTIONS_VARIABLE] = _OPTIONS
    try:
        # Absolute, since FFmpeg takes what stands before a colon for a protocol.
        return cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    finally:
        if before is None:
            del os.environ[_OPTIONS_VARIABLE]
        else:
            os.environ[_OPTIONS_VARIABLE] = before


@contextlib.contextmanager
def _opened(capture: Any) -> Iterator[Any]:
    try:
        yield capture
    finally:
        capture.release()


def _cameras() -> str:
    found = sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video*"))
    return f"the system has {', '.join(found)}" if found else "none was found"

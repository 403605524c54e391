"""Videos and cameras among what is predicted: a row for each frame that is taken."""

import contextlib
import dataclasses
import itertools
from collections import deque
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from opsin.catalog import require_installed
from opsin.classifier import Classifier, Prediction
from opsin.errors import PictureError, UsageError
from opsin.images.video import PURPOSE, Frame, Pace, camera_name, read_camera, read_video

if TYPE_CHECKING:
    from opsin.classifier import Source
    from opsin.cli.answers import Answer
    from opsin.cli.sources import Search


class Video(NamedTuple):
    """A video, as a source beside pictures."""

    path: str


@dataclass(frozen=True, eq=False)
class FramePrediction(Prediction):
    """What a classifier says of one frame.

    Args:
        frame: its number, counted from 0.
        time: when it is shown, in seconds from the beginning.
    """

    frame: int = 0
    time: float = 0.0


def choose_pace(search: "Search", webcam: int | None, every: int | None, fps: float | None) -> Pace | None:
    """Return which frames are taken; None where there is neither a video nor a camera.

    Raises:
        UsageError: there are none to be taken of, or none would be.
        MissingPackageError: OpenCV is not installed.
    """
    if not search.videos and webcam is None:
        if every is not None or fps is not None:
            option = "--every" if fps is None else "--fps"
            raise UsageError(f"Expected a video or --webcam with {option}; received neither. Leave it out.")
        return None
    if fps is not None and not fps > 0:
        raise UsageError(f"Expected --fps above 0; received {fps}.")
    require_installed(("cv2",), PURPOSE)
    return Pace(every or 1, fps)


def require_alone(
    webcam: int | None,
    *,
    sources: list[str] | None,
    watch: Path | None,
    resume: bool,
    copy_to: Path | None,
    on_ray: bool,
) -> None:
    """Raise a `UsageError` for what cannot go with frames."""
    what = "a video" if webcam is None else "--webcam"
    given = {"--watch": watch, "--copy-to": copy_to, "--engine ray": on_ray or None}
    if webcam is not None:
        given |= {"a source": sources or None, "--resume": resume or None}
    for other, value in given.items():
        if value is not None:
            raise UsageError(f"Expected {what} without {other}; received both. Leave one of them out.")


def predict_with_videos(
    classifier: Classifier,
    sources: "Iterable[Source | Video]",
    pace: Pace,
    *,
    done: Container[tuple[str, int]] = frozenset(),
    batch_size: int = 16,
) -> "Iterator[Answer]":
    """Predict pictures and the frames of videos, in order and with bounded memory.

    Args:
        classifier: what predicts.
        sources: pictures and videos.
        pace: which frames are taken.
        done: frames, as (path, number), that need no answer any more.
        batch_size: how many pictures the network sees at once.

    Yields:
        Of each picture its answer; of each video those of its frames, and where it breaks off, why.
    """
    for are_videos, some in itertools.groupby(sources, key=lambda source: isinstance(source, Video)):
        if not are_videos:
            yield from classifier.predict_many(some, batch_size=batch_size)
            continue
        for video in some:
            frames = _Frames(read_video(video.path, pace), video.path, done)
            for answer in classifier.predict_many(frames.images(), batch_size=batch_size):
                yield frames.place(answer)
            if frames.error is not None:
                yield frames.error


def predict_camera(classifier: Classifier, index: int, pace: Pace) -> "Iterator[Answer]":
    """Predict what a camera sees, each frame before the next is taken; ends when the camera does."""
    return _predict_each(classifier, _Frames(read_camera(index, pace), camera_name(index)))


def _predict_each(classifier: Classifier, frames: "_Frames") -> "Iterator[Answer]":
    for image in frames.images():
        yield frames.place(classifier.predict(image))
    if frames.error is not None:
        yield frames.error


class _Frames:
    """Frames on their way through a classifier, which is given the images alone."""

    def __init__(self, frames: Iterator[Frame], path: str, done: Container[tuple[str, int]] = frozenset()):
        self.frames, self.path, self.done = frames, path, done
        self.error: PictureError | None = None
        self._places: deque[tuple[int, float]] = deque()

    def images(self) -> Iterator:
        """Yield the images; what breaks them off is kept, lest answers that are under way be lost."""
        with contextlib.closing(self.frames):
            try:
                for frame in self.frames:
                    if (self.path, frame.number) not in self.done:
                        self._places.append((frame.number, round(frame.seconds, 3)))
                        yield frame.image
            except PictureError as error:
                self.error = error

    def place(self, answer: Prediction) -> FramePrediction:
        """Return the next answer with its place."""
        number, seconds = self._places.popleft()
        told = {field.name: getattr(answer, field.name) for field in dataclasses.fields(answer)}
        return FramePrediction(**(told | {"path": self.path}), frame=number, time=seconds)

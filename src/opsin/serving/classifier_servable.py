"""A `Classifier` behind the signatures that its exported SavedModel has."""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from opsin.classifier import Classifier
from opsin.errors import ModelError, PictureError
from opsin.exporters.serving_graph import reads_files
from opsin.images.decode import picture_size
from opsin.images.reading import give_way, usable_cores
from opsin.runtimes.base import Outputs
from opsin.serving.batching import Answer, Batcher, Limits, Nobody, Observer, Source, best_batch, gather
from opsin.serving.examples import parse_column
from opsin.serving.servable import CLASSIFY, DEFAULT_SIGNATURE, Signature, TensorSpec
from opsin.serving.status import StatusError, invalid

ENCODED = "image/encoded"
_NICENESS = 3

ALIKE, ALONE_IS_WORTH = 0.05, 0.15
"""By how much longer an image may take, in a smaller batch; and alone, where a lane then reads it as well."""


class Judged(NamedTuple):
    """What the classifier says of one image."""

    probabilities: np.ndarray
    """float64 (k,), calibrated."""
    refused: bool
    """Whether it is none of the classes, by the model's thresholds."""


class Seen(NamedTuple):
    """What became of one picture."""

    judged: Judged | None
    error: str
    """Why it could not be read; empty if it was."""
    decoded: float | None
    """Seconds it took to read; None for pixels."""
    answer: Answer | None


@dataclass(frozen=True)
class PictureLimits:
    """What a picture may be.

    Args:
        pixels: how many it may have.
        size: how many bytes its file may have.
    """

    pixels: int = 50_000_000
    size: int = 20 * 2**20


class _Reading:
    """Reads a picture when it is called, and notes how long that took."""

    def __init__(self, read: Callable[[bytes], np.ndarray], content: bytes):
        self._read, self._content = read, content
        self.seconds = 0.0

    def __call__(self) -> np.ndarray:
        start = time.perf_counter()
        try:
            return self._read(self._content)
        finally:
            self.seconds = time.perf_counter() - start


class ClassifierServable:
    """A classifier, its queue and the threads that decode for it.

    Args:
        classifier: what answers.
        limits: of its batches and its queue; batches are smaller where larger ones are not faster.
        batch: how many images the network should see at once, where that is known; None: it is measured.
        pictures: what a picture may be.
        observer: is told of each batch, and of what is said of each picture.
        source: where it was opened; None for the classifier's own folder, which may be that of an export.
    """

    def __init__(
        self,
        classifier: Classifier,
        limits: Limits | None = None,
        pictures: PictureLimits | None = None,
        *,
        batch: int | None = None,
        observer: Observer | None = None,
        source: Path | None = None,
    ):
        limits = limits or Limits()
        self.classifier = classifier
        self.source = source or classifier.folder
        self.pictures = pictures or PictureLimits()
        self.signatures = _signatures(classifier)
        self._observer = observer or Nobody()
        image = np.zeros(classifier.preprocess.shape, np.uint8)
        # The first call of each shape is slow, and is not to be a client's.
        self._judge(image[None])
        margin = ALONE_IS_WORTH if classifier.lanes > 1 else ALIKE
        size = batch or best_batch(self._judge_beside, image, limit=limits.batch, margin=margin)
        with ThreadPoolExecutor(classifier.lanes) as pool:
            list(pool.map(self._judge_beside, [np.repeat(image[None], size, axis=0)] * classifier.lanes))
        self.batcher = Batcher(
            self._judge,
            Limits(size, limits.delay, limits.queue),
            observer,
            beside=self._judge_beside,
            lanes=classifier.lanes,
        )
        # A lane that runs one image at a time reads it too: more threads than cores would be in each other's way.
        self._readers = (
            None
            if size == 1 and classifier.lanes > 1
            else ThreadPoolExecutor(usable_cores(), "opsin-serve-read", initializer=give_way, initargs=(_NICENESS,))
        )

    def close(self) -> None:
        """End its threads when what waits has been answered."""
        self.batcher.close()
        if self._readers is not None:
            self._readers.shutdown(wait=False)

    async def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run a signature; see `opsin.serving.servable.Servable`."""
        if signature == DEFAULT_SIGNATURE:
            return {"probabilities": await self._of_images(inputs["image"])}
        if signature == "serve_bytes":
            return {"probabilities": await self._of_files(list(inputs["image_bytes"]))}
        files = parse_column(inputs["inputs"], ENCODED, "bytes")
        probabilities = await self._of_files(list(files))
        # As TensorFlow's `top_k`: of equal ones, the first.
        order = np.argsort(-probabilities, axis=1, kind="stable")
        names = np.array([name.encode() for name in self.classifier.class_names], dtype=object)
        return {"classes": names[order], "scores": np.take_along_axis(probabilities, order, axis=1)}

    async def see(self, files: list[bytes]) -> list[Seen]:
        """Classify pictures: one that cannot be read fails alone.

        Raises:
            StatusError: there is no room for them, or the network fails.
        """
        with self.batcher.admitted(len(files)):
            return self.note(await gather([self._see(content) for content in files]))

    def note(self, seen: list[Seen]) -> list[Seen]:
        """Let what was said of pictures be counted."""
        self._observer.saw(self.classifier.class_names, seen)
        return seen

    async def _see(self, content: bytes) -> Seen:
        reading = _Reading(self._read, content)
        try:
            if self._readers is None:
                answer = await self._run(reading)
            else:
                answer = await self._run(await asyncio.get_running_loop().run_in_executor(self._readers, reading))
        except PictureError as error:
            return Seen(None, error.reason, reading.seconds, None)
        return Seen(answer.value, "", reading.seconds, answer)

    def require_readable(self, content: bytes) -> None:
        """Refuse a picture that is larger than allowed, going by its header.

        Raises:
            PictureError: it is, or has none.
        """
        self._require_size(content)
        picture_size(content, max_pixels=self.pictures.pixels)

    def _require_size(self, content: bytes) -> None:
        if len(content) > self.pictures.size:
            raise PictureError(f"it has {len(content)} bytes; at most {self.pictures.size} are read")

    def _read(self, content: bytes) -> np.ndarray:
        """Return uint8 (h, w, c); raise `PictureError` if it cannot be had."""
        self._require_size(content)
        return self.classifier.preprocess.read(content, max_pixels=self.pictures.pixels)

    async def _run(self, image: Source) -> Answer:
        try:
            return await self.batcher.run(image)
        except ModelError as error:
            raise StatusError("INTERNAL", "The network gives no numbers for this picture.") from error

    def _judge(self, images: np.ndarray) -> list[Judged]:
        return self._judged(self.classifier.run(images))

    def _judge_beside(self, images: np.ndarray) -> list[Judged]:
        return self._judged(self.classifier.run_beside(images))

    def _judged(self, outputs: Outputs) -> list[Judged]:
        probabilities = self.classifier.probabilities(outputs.logits)
        decision = self.classifier.decision
        refused = (
            [False] * len(probabilities) if decision is None else decision.refuses(probabilities, outputs.features)
        )
        return [Judged(row, bool(no)) for row, no in zip(probabilities, refused, strict=True)]

    async def _of_images(self, images: np.ndarray) -> np.ndarray:
        if not np.isfinite(images).all():
            raise invalid("Expected input 'image' to hold numbers from 0 to 255; received NaN or Infinity.")
        with self.batcher.admitted(len(images)):
            answers = await gather([self._run(image) for image in images])
        seen = self.note([Seen(answer.value, "", None, answer) for answer in answers])
        return self._table([one.judged for one in seen])

    async def _of_files(self, files: list[bytes]) -> np.ndarray:
        seen = await self.see(files)
        for number, one in enumerate(seen):
            if one.error:
                raise invalid(f"Expected pictures; element {number} cannot be read: {one.error}.")
        return self._table([one.judged for one in seen])

    def _table(self, judged: list[Judged]) -> np.ndarray:
        rows = [one.probabilities for one in judged]
        return np.array(rows, np.float32).reshape(len(rows), len(self.classifier.class_names))


def _signatures(classifier: Classifier) -> dict[str, Signature]:
    count = len(classifier.class_names)
    probabilities = {"probabilities": TensorSpec("float32", (None, count), "StatefulPartitionedCall:0")}
    image = {"image": TensorSpec("float32", (None, *classifier.preprocess.shape), "serving_default_image:0")}
    found = {DEFAULT_SIGNATURE: Signature(image, probabilities)}
    if not reads_files(classifier.preprocess):
        return found
    files = {"image_bytes": TensorSpec("string", (None,), "serve_bytes_image_bytes:0")}
    examples = {"inputs": TensorSpec("string", (None,), "classify_inputs:0")}
    best = {
        "classes": TensorSpec("string", (None, count), "StatefulPartitionedCall_1:0"),
        "scores": TensorSpec("float32", (None, count), "StatefulPartitionedCall_1:1"),
    }
    return {
        **found,
        "serve_bytes": Signature(files, probabilities),
        "classify": Signature(examples, best, CLASSIFY),
    }

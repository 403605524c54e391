"""A `Segmenter` behind signatures: preprocessed images to probabilities, or picture files to masks and areas."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from opsin.errors import ModelError, PictureError
from opsin.images.decode import picture_size
from opsin.images.reading import give_way, usable_cores
from opsin.segmentation.masks import encode_mask
from opsin.segmentation.segmenter import SegmentedPicture, Segmenter
from opsin.segmentation.verify import replay
from opsin.serving.batching import Batcher, Limits, Observer, gather
from opsin.serving.classifier_servable import PictureLimits
from opsin.serving.servable import DEFAULT_SIGNATURE, Signature, TensorSpec
from opsin.serving.status import StatusError, invalid

FILES = "serve_bytes"
_NICENESS = 3


class SegmenterServable:
    """A segmenter, its queue, and the threads that read pictures and write masks for it.

    - `serving_default`: `image` float32 (N, h, w, c), 0 to 255, preprocessed → `probabilities` float32 (N, h, w, k).
    - `serve_bytes`: `image_bytes` string (N), whole picture files → `mask_bytes` string (N), each an index PNG of the
      picture's own size with the classes' colours; `areas` float32 (N, k), the share that each class has of it.

    Args:
        segmenter: what answers.
        limits: of its batches and its queue.
        pictures: what a picture may be.
        observer: is told of each batch.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        limits: Limits | None = None,
        pictures: PictureLimits | None = None,
        *,
        observer: Observer | None = None,
    ):
        self.segmenter = segmenter
        self.pictures = pictures or PictureLimits()
        self.signatures = _signatures(segmenter)
        # The first call is slow, and is not to be a client's.
        self._run(np.zeros((1, *segmenter.recipe.shape), np.uint8))
        self.batcher = Batcher(self._run, limits or Limits(), observer)
        self._workers = ThreadPoolExecutor(
            usable_cores(), "opsin-serve-read", initializer=give_way, initargs=(_NICENESS,)
        )

    def close(self) -> None:
        """End its threads when what waits has been answered."""
        self.batcher.close()
        self._workers.shutdown(wait=False)

    async def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run a signature; see `opsin.serving.servable.Servable`."""
        if signature == DEFAULT_SIGNATURE:
            images = inputs["image"]
            if not np.isfinite(images).all():
                raise invalid("Expected input 'image' to hold numbers from 0 to 255; received NaN or Infinity.")
            with self.batcher.admitted(len(images)):
                found = await gather([self._ask(image) for image in images])
            shape = (len(found), *self.segmenter.recipe.size, len(self.segmenter.class_names))
            return {"probabilities": np.array(found, np.float32).reshape(shape)}
        files = list(inputs["image_bytes"])
        with self.batcher.admitted(len(files)):
            found = await gather([self._segment(number, content) for number, content in enumerate(files)])
        areas = np.array([list(one.areas.values()) for one, _ in found], np.float32)
        masks = np.empty(len(found), dtype=object)
        masks[:] = [png for _, png in found]
        return {"mask_bytes": masks, "areas": areas.reshape(len(found), len(self.segmenter.class_names))}

    async def _segment(self, number: int, content: bytes) -> tuple[SegmentedPicture, bytes]:
        loop = asyncio.get_running_loop()
        try:
            image, size = await loop.run_in_executor(self._workers, self._read, content)
        except PictureError as error:
            raise invalid(f"Expected pictures; element {number} cannot be read: {error.reason}.") from None
        probabilities = await self._ask(image)
        return await loop.run_in_executor(self._workers, self._written, probabilities, size)

    def _read(self, content: bytes) -> tuple[np.ndarray, tuple[int, int]]:
        if len(content) > self.pictures.size:
            raise PictureError(f"it has {len(content)} bytes; at most {self.pictures.size} are read")
        size = picture_size(content, max_pixels=self.pictures.pixels)
        return self.segmenter.recipe.preprocess.read(content), size

    def _written(self, probabilities: np.ndarray, size: tuple[int, int]) -> tuple[SegmentedPicture, bytes]:
        mask = self.segmenter.recipe.classes_back(probabilities, *size)
        return SegmentedPicture(None, mask, self.segmenter.classes), encode_mask(mask, self.segmenter.classes)

    async def _ask(self, image: np.ndarray) -> np.ndarray:
        try:
            return (await self.batcher.run(image)).value
        except ModelError as error:
            raise StatusError("INTERNAL", "The network gives no numbers for this picture.") from error

    def _run(self, images: np.ndarray) -> list[np.ndarray]:
        return list(self.segmenter.run(images))


def open_servable(
    path: Path,
    limits: Limits,
    pictures: PictureLimits,
    *,
    threads: int | None = None,
    observer: Observer | None = None,
) -> SegmenterServable:
    """Open a model that segments, prove it on its golden pictures, and warm it up.

    Raises:
        ModelError: it gives other answers than when it was written, or cannot be opened.
    """
    segmenter = Segmenter.open(path, threads=threads)
    proof = replay(segmenter)
    if not proof.passed:
        raise ModelError(f"Expected the answers that the model gave when it was written; {proof.detail}")
    return SegmenterServable(segmenter, limits, pictures, observer=observer)


def _signatures(segmenter: Segmenter) -> dict[str, Signature]:
    height, width, _ = segmenter.recipe.shape
    k = len(segmenter.class_names)
    image = {"image": TensorSpec("float32", (None, *segmenter.recipe.shape), "serving_default_image:0")}
    probabilities = {"probabilities": TensorSpec("float32", (None, height, width, k), "StatefulPartitionedCall:0")}
    files = {"image_bytes": TensorSpec("string", (None,), "serve_bytes_image_bytes:0")}
    masks = {
        "mask_bytes": TensorSpec("string", (None,), "masks:0"),
        "areas": TensorSpec("float32", (None, k), "areas:0"),
    }
    return {DEFAULT_SIGNATURE: Signature(image, probabilities), FILES: Signature(files, masks)}

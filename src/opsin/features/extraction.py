"""Running the frozen part of a network over decoded pictures, once: its outputs are kept and found again.

Features are an entry of the cache (`opsin.data.array_file`). The key is a hash of the pixels, of the part of the
network with its weights, of the augmentation and of the runtime, so features of other weights are never found.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from opsin.architectures.cuts import fingerprint
from opsin.augmentation.augmenter import Augmenter
from opsin.catalog import require
from opsin.data.array_file import ArrayFile, content_key, key_of
from opsin.data.cache import Cache, explain_no_room, make_room
from opsin.data.store import Pixels, StoredImages
from opsin.errors import ModelError, SavingError
from opsin.exporters.litert import convert_outputs
from opsin.runtimes.litert import LiteRTLanes

if TYPE_CHECKING:
    import keras

FILE = "features.bin"
BATCH = 8
GPU_BATCH = 128
IN_MEMORY_BYTES = 4 * 2**30

LARGEST_FLOAT16 = 60_000
"""float16 ends at 65,504; features that come near it are kept as they are computed."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Extractor:
    """The frozen part of a network, ready to run.

    Args:
        run: float32 or uint8 (N, h, w, c), 0 to 255 → float32 (N, *shape), from any thread.
        shape: of one picture's features.
        key: a hash of what it computes.
        batch_size: pictures at a time.
        lanes: how many calls make the most of the cores, side by side.
    """

    run: Callable[[np.ndarray], np.ndarray]
    shape: tuple[int, ...]
    key: str
    batch_size: int = BATCH
    lanes: int = 1


@dataclass(frozen=True)
class StoredFeatures:
    """The features of one part of the data.

    Args:
        array: float16 or float32 (m, ...), in memory or memory-mapped.
        rows: int (n,), the row of `array` that holds each picture's features.
    """

    array: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, positions: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return float32 (N, ...), the features of the pictures at these positions."""
        return self.array[self.rows[positions]].astype(np.float32)


def make_extractor(part: "keras.Model", *, gpu: bool = False) -> Extractor:
    """Make a part of a network ready: in LiteRT, or in Keras on a GPU and where LiteRT cannot take it.

    Args:
        part: float32 (N, h, w, c), 0 to 255 → float32 (N, ...).
        gpu: whether there is a GPU for Keras to run on.
    """
    keras = require("keras", "computing features")
    shape = tuple(part.outputs[0].shape[1:])
    if not gpu and keras.backend.backend() == "tensorflow":
        with contextlib.suppress(ModelError):
            return litert_extractor(part, convert_outputs(part), output=0)
    lock = threading.Lock()

    def run(images: np.ndarray) -> np.ndarray:
        with lock:
            return np.asarray(part.predict_on_batch(np.asarray(images, dtype=np.float32)))

    return Extractor(run, shape, part_key(part, "keras"), GPU_BATCH if gpu else BATCH)


def litert_extractor(part: "keras.Model", content: bytes, *, output: int) -> Extractor:
    """Make a part of a network ready that stands in a LiteRT file already.

    Args:
        part: what it computes.
        content: the file; it may have other outputs too.
        output: the number of the output that is this part's.
    """
    networks = LiteRTLanes(content)
    shape = tuple(part.outputs[0].shape[1:])
    return Extractor(lambda images: networks.run(images)[output], shape, part_key(part, "litert"), lanes=networks.count)


def part_key(part: "keras.Model", runtime: str) -> str:
    """Return a hash of what a part of a network computes in a runtime, `"litert"` or `"keras"`."""
    package = "ai-edge-litert" if runtime == "litert" else "keras"
    return key_of(fingerprint(part), runtime, metadata.version(package))


def extract(
    extractor: Extractor,
    parts: Mapping[str, StoredImages],
    *,
    cache: Cache,
    dtype: str = "float32",
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, StoredFeatures]:
    """Return the features of the pictures as they are, computed once or found again.

    Parts that share their pixels share one file, so another split of the same data finds it again.

    Args:
        extractor: what computes them.
        parts: the decoded pictures, by part.
        cache: where features are kept.
        dtype: `"float32"`, or `"float16"` for half the room.
        progress: is called with the number of pictures done and the number of all, while computing.
        say: is called with a line of text when something is decided that the user should know.
    """
    features = {}
    for pixels in {id(images.pixels): images.pixels for images in parts.values()}.values():
        members = {name: images for name, images in parts.items() if images.pixels is pixels}
        rows = np.unique(np.concatenate([images.rows for images in members.values()]))
        source = _Source(pixels, rows)
        array = (
            _obtain(extractor, source, cache, dtype, progress, say) if len(rows) else np.empty((0, *extractor.shape))
        )
        for name, images in members.items():
            features[name] = StoredFeatures(array, np.searchsorted(rows, images.rows))
    return features


def extract_view(
    extractor: Extractor,
    images: StoredImages,
    augmenter: Augmenter,
    view: int,
    *,
    cache: Cache,
    dtype: str = "float32",
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> StoredFeatures:
    """Return the features of the pictures as augmentation changes them in one view, computed once or found again.

    The change is a pure function of (seed, view, row of the store).

    Args:
        extractor: what computes them.
        images: the training pictures.
        augmenter: what changes them; it mixes nothing here.
        view: the number of the view, from 1.
        cache: where features are kept.
        dtype: `"float32"`, or `"float16"` for half the room.
        progress: is called with the number of pictures done and the number of all, while computing.
        say: is called with a line of text when something is decided that the user should know.
    """
    rows = np.unique(images.rows)
    array = _obtain(extractor, _Source(images.pixels, rows, augmenter, view), cache, dtype, progress, say)
    return StoredFeatures(array, np.searchsorted(rows, images.rows))


def run_on(extractor: Extractor, features: StoredFeatures) -> StoredFeatures:
    """Return what a further part of the network makes of features, in memory: float32 (n, ...).

    Args:
        extractor: takes those features for its images.
        features: what enters it.
    """
    array = np.empty((len(features), *extractor.shape), dtype=np.float32)
    _compute(array, extractor, lambda start, stop: features.read(slice(start, stop)), None)
    return StoredFeatures(array, np.arange(len(features)))


@dataclass(frozen=True)
class _Source:
    """Which pictures, in which view."""

    pixels: Pixels
    rows: np.ndarray
    augmenter: Augmenter | None = None
    view: int = 0

    @property
    def key(self) -> str:
        changes = [] if self.augmenter is None else [repr(self.augmenter.policy), self.augmenter.seed, self.view]
        return key_of(self.pixels.key, content_key(self.rows), changes)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return float32 (N, h, w, c), 0 to 255."""
        rows = self.rows[start:stop]
        images = self.pixels.read(rows)
        if self.augmenter is None:
            return images.astype(np.float32)
        return self.augmenter.augment_batch(images, epoch=self.view, indices=rows)


def _obtain(
    extractor: Extractor,
    source: _Source,
    cache: Cache,
    dtype: str,
    progress: Progress | None,
    say: Callable[[str], None],
) -> np.ndarray:
    shape = (len(source.rows), *extractor.shape)
    folder = cache.folder / key_of(extractor.key, source.key, dtype)
    file = ArrayFile(folder, FILE, shape, dtype, "features")
    if cache.enabled:
        opened = file.open(say)
        if opened is None:
            opened = _write(file, extractor, source, cache, progress, say)
        if opened is not None:
            return opened[0]
    if file.size > IN_MEMORY_BYTES:
        raise SavingError(
            f"Expected room for {file.size / 2**30:.1f} GiB of features: on the disk under {str(cache.folder)!r}, or "
            f"up to {IN_MEMORY_BYTES / 2**30:.0f} GiB in memory. Make room, set a larger --cache-limit-gb, unfreeze "
            "fewer blocks, or have fewer views (--views)."
        )
    array = np.empty(shape, dtype=dtype)
    _compute(array, extractor, source.read, progress)
    return array


def _write(
    file: ArrayFile,
    extractor: Extractor,
    source: _Source,
    cache: Cache,
    progress: Progress | None,
    say: Callable[[str], None],
) -> tuple[np.ndarray, dict] | None:
    if not make_room(cache, file.size):
        say(explain_no_room(cache, file.size, "features"))
        return None
    try:
        file.write(lambda array: _compute(array, extractor, source.read, progress))
    except SavingError as error:
        say(f"The features cannot be kept. {error}")
        return None
    return file.open(say)


def _compute(
    array: np.ndarray, extractor: Extractor, read: Callable[[int, int], np.ndarray], progress: Progress | None
) -> dict[str, float]:
    """Fill the array with what becomes of inputs `read(start, stop)`; return how many seconds it took."""
    started = time.monotonic()

    def compute(start: int) -> int:
        images = read(start, min(start + extractor.batch_size, len(array)))
        features = extractor.run(images)
        _require_small_enough(features, array.dtype)
        array[start : start + len(images)] = features
        return start + len(images)

    # Each thread reads what it runs: one more, to read while they run, takes from them.
    pool = ThreadPoolExecutor(extractor.lanes, thread_name_prefix="opsin-features")
    try:
        for done in pool.map(compute, range(0, len(array), extractor.batch_size)):
            if progress is not None:
                progress(done, len(array))
    finally:
        pool.shutdown(cancel_futures=True)
    return {"seconds": round(time.monotonic() - started, 3)}


def _require_small_enough(features: np.ndarray, dtype: np.dtype) -> None:
    if dtype == np.float16 and not np.abs(features).max() < LARGEST_FLOAT16:
        raise ModelError(
            "Expected features that float16 can hold; the network gives larger ones. Unfreeze nothing, or all "
            "(--unfreeze)."
        )

"""Pictures read and run in batches, as many at a time as the network makes use of."""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from PIL import Image

from opsin.errors import PictureError
from opsin.images.decode import Source
from opsin.images.link import Link
from opsin.images.preprocess import Preprocess
from opsin.images.reading import Held, chunked, hold, in_order, read_held, read_images

Batch = list["np.ndarray | PictureError"]
Given = TypeVar("Given")
"""What a network gives for a batch."""


def read_and_run(
    run: Callable[[np.ndarray], Given],
    sources: Iterable[Source | Link | Image.Image | np.ndarray],
    preprocess: Preprocess,
    *,
    batch_size: int,
    lanes: int = 1,
) -> Iterator[tuple[Batch, Given | None]]:
    """Read pictures and run them in batches, in their order and with bounded memory.

    Args:
        run: runs uint8 (N, h, w, c); with several lanes, in so many threads at a time.
        sources: what `read_images` takes.
        preprocess: the recipe, or anything else that can `read` what the sources are.
        batch_size: how many pictures the network sees at a time; with several lanes, how many are under way in all.
        lanes: how many batches are run side by side, each by the thread that has read its pictures; with 1, threads
            read while the network runs.

    Yields:
        Each batch, and the outputs for those of its items that are images (None if none is).
    """
    if lanes == 1:
        decoded = read_images(sources, preprocess, window=2 * batch_size, background=True)
        yield from run_ahead(run, decoded, batch_size)
        return

    def read_then_run(chunk: list[Held], stopped: threading.Event) -> tuple[Batch, Given | None]:
        batch = [read_held(source, preprocess) for source in chunk if not stopped.is_set()]
        images = [item for item in batch if not isinstance(item, PictureError)]
        return batch, run(np.stack(images)) if images and not stopped.is_set() else None

    held = (hold(source, preprocess) for source in sources)
    # Half of what may be under way is being read or waits to be taken.
    chunks = chunked(held, _sizes(max(1, batch_size // (2 * lanes)), lanes))
    yield from in_order(read_then_run, chunks, threads=lanes, window=2 * lanes)


def _sizes(largest: int, lanes: int) -> Iterator[int]:
    """Yield how many pictures each batch has: one at first, so that a few pictures are shared among all lanes."""
    size = 1
    while size < largest:
        yield from itertools.repeat(size, lanes)
        size *= 2
    yield from itertools.repeat(largest)


def run_ahead(
    run: Callable[[np.ndarray], Given], items: Iterable["np.ndarray | PictureError"], batch_size: int
) -> Iterator[tuple[Batch, Given | None]]:
    """Run images in batches, each while the next batch is being gathered.

    Args:
        run: runs uint8 (N, h, w, c).
        items: preprocessed images, uint8 (h, w, c), with errors among them.
        batch_size: how many items make a batch.

    Yields:
        Each batch, and the outputs for those of its items that are images (None if none is).
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = None
        for batch in chunked(items, itertools.repeat(batch_size)):
            images = [item for item in batch if not isinstance(item, PictureError)]
            job = batch, pool.submit(run, np.stack(images)) if images else None
            if ahead is not None:
                yield _finished(ahead)
            ahead = job
        if ahead is not None:
            yield _finished(ahead)


def _finished(job: tuple) -> tuple:
    batch, future = job
    return batch, None if future is None else future.result()

"""Running images in batches, each while the next one is being gathered."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from opsin.errors import PictureError

Batch = list["np.ndarray | PictureError"]
Given = TypeVar("Given")
"""What a network gives for a batch."""


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
        for batch in _batches(items, batch_size):
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


def _batches(items: Iterable, size: int) -> Iterator[list]:
    items = iter(items)
    while batch := list(itertools.islice(items, size)):
        yield batch

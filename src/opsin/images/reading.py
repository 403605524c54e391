"""Many pictures at once: read in threads, given back in order."""

import itertools
import os
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from PIL import Image

from opsin.errors import PictureError
from opsin.images.decode import Source
from opsin.images.link import Link
from opsin.images.preprocess import Preprocess

Reading = np.ndarray | PictureError

NICENESS = 10
"""A tenth of the weight of an ordinary thread: less would starve readers where other programs are busy."""


def read_images(
    sources: Iterable[Source | Link | Image.Image | np.ndarray],
    preprocess: Preprocess,
    *,
    threads: int | None = None,
    window: int = 64,
    background: bool = False,
) -> Iterator[Reading]:
    """Read pictures in threads, in their order, a bounded number ahead of what has been taken.

    A picture that cannot be read does not end the run: its error stands in its place.

    Args:
        sources: paths, contents, Pillow images or arrays, as `Preprocess.read` takes them, without end if need be.
            They are drawn in the caller's own thread.
        preprocess: the recipe, or anything else that can `read` what the sources are.
        threads: how many read at once; None: as many as there are cores this process may use.
        window: how many pictures are read ahead at most. 1 answers each source before the next is drawn.
        background: let this process's other threads go first (on Linux), where they work on what has been read.

    Yields:
        For each source uint8 (h, w, c), 0 to 255, in the recipe's colour space; or its `PictureError`.

    >>> black, broken = read_images([b"P2 1 1 255 0", b"no picture"], Preprocess(1, 1))
    >>> black.tolist(), type(broken).__name__
    ([[[0, 0, 0]]], 'PictureError')
    """
    threads = threads or usable_cores()
    # Tiny pictures are read faster than threads are handed work, so several go at once.
    size = max(1, min(_LARGEST_CHUNK, window // (2 * threads)))
    chunks = _chunks((_hold(source, preprocess) for source in sources), size)
    stopped = threading.Event()

    def read_chunk(chunk: list[Source]) -> list[Reading]:
        return [_read_one(source, preprocess) for source in chunk if not stopped.is_set()]

    begin = give_way if background else None
    pool = ThreadPoolExecutor(threads, thread_name_prefix="opsin-read", initializer=begin)
    pending: deque[Future[list[Reading]]] = deque()
    try:
        for chunk in chunks:
            pending.append(pool.submit(read_chunk, chunk))
            if len(pending) * size >= window:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)


def give_way(niceness: int = NICENESS) -> None:
    """Let other threads go before this one, where the system can tell them apart.

    A network runs in step on all cores: a reader that holds one of them up holds up all.

    Args:
        niceness: how far this one stands back, from 0 to 19.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


def usable_cores() -> int:
    """Count the cores that this process may use, which can be fewer than the machine has."""
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_LARGEST_CHUNK = 16


def _chunks(sources: Iterable[Source], size: int) -> Iterator[list[Source]]:
    remaining = iter(sources)
    while chunk := list(itertools.islice(remaining, size)):
        yield chunk


def _hold(source: Source | Link | Image.Image | np.ndarray, preprocess: Preprocess) -> "Source | Link | _Held":
    # What is in memory is read at once: a generator may draw the next frame into the same array, or close the image,
    # before a thread comes to it; and what is read is smaller than what waits to be.
    in_memory = isinstance(source, Image.Image | np.ndarray)
    return _Held(_read_one(source, preprocess)) if in_memory else source


class _Held(NamedTuple):
    reading: Reading


def _read_one(source: "Source | Link | Image.Image | np.ndarray | _Held", preprocess: Preprocess) -> Reading:
    if isinstance(source, _Held):
        return source.reading
    try:
        return preprocess.read(source)
    except PictureError as error:
        return error

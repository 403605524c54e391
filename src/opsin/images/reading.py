"""Many pictures at once: read in threads, given back in order."""

import itertools
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from opsin.errors import PictureError
from opsin.images.decode import Source
from opsin.images.link import Link
from opsin.images.preprocess import Preprocess

Reading = np.ndarray | PictureError
Item = TypeVar("Item")
Result = TypeVar("Result")

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

    def read_chunk(chunk: list[Held], stopped: threading.Event) -> list[Reading]:
        return [read_held(source, preprocess) for source in chunk if not stopped.is_set()]

    chunks = chunked((hold(source, preprocess) for source in sources), itertools.repeat(size))
    begin = give_way if background else None
    for readings in in_order(read_chunk, chunks, threads=threads, window=-(-window // size), begin=begin):
        yield from readings


def in_order(
    function: Callable[[Item, threading.Event], Result],
    items: Iterable[Item],
    *,
    threads: int,
    window: int,
    begin: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """Call a function in threads for each item, a bounded number ahead of what has been taken; yield in order.

    Args:
        function: what is called, with an item and with what is set when no more results are wanted.
        items: what for, without end if need be; drawn in the caller's own thread.
        threads: how many work at once.
        window: how many items are ahead at most. 1 answers each before the next is drawn.
        begin: is called in each thread first.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="opsin-read", initializer=begin)
    pending: deque[Future[Result]] = deque()
    stopped = threading.Event()
    try:
        for item in items:
            pending.append(pool.submit(function, item, stopped))
            if len(pending) >= window:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
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


def chunked(items: Iterable[Item], sizes: Iterable[int]) -> Iterator[list[Item]]:
    """Yield items in lists of these sizes; the last may be shorter."""
    remaining = iter(items)
    for size in sizes:
        chunk = list(itertools.islice(remaining, size))
        if not chunk:
            return
        yield chunk


def hold(source: Source | Link | Image.Image | np.ndarray, preprocess: Preprocess) -> "Held":
    """Return a source that can wait to be read; one that is in memory is read at once.

    A generator may draw the next frame into the same array, or close the image, before a thread comes to it; and what
    is read is smaller than what waits to be.
    """
    in_memory = isinstance(source, Image.Image | np.ndarray)
    return _Read(read_held(source, preprocess)) if in_memory else source


class _Read(NamedTuple):
    reading: Reading


Held = Source | Link | _Read
"""What `hold` gives."""


def read_held(source: "Held | Image.Image | np.ndarray", preprocess: Preprocess) -> Reading:
    """Return uint8 (h, w, c), 0 to 255, in the recipe's colour space; or why it cannot be had."""
    if isinstance(source, _Read):
        return source.reading
    try:
        return preprocess.read(source)
    except PictureError as error:
        return error

"""Images of several requests run as one batch: threads of its own, behind a queue that is bounded."""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from opsin.serving.status import StatusError

_TRIALS = 3
Run = Callable[[np.ndarray], list]
"""Runs a batch, float32 or uint8 (N, h, w, c), 0 to 255, N ≥ 1, and gives an answer for each image."""


@dataclass(frozen=True)
class Limits:
    """How many images go together, and how many may wait.

    Args:
        batch: how many the network sees at once, at most; 1: each alone.
        delay: how long the first of a batch waits for others that are being decoded, in seconds, at most.
        queue: how many images may be waiting, being decoded or being run.
    """

    batch: int = 8
    delay: float = 0.002
    queue: int = 128


class Answer(NamedTuple):
    """What came back for an image."""

    value: Any
    queued: float
    """Seconds it waited for its batch."""
    ran: float
    """Seconds its batch took."""
    batch: int
    """How many images were in it."""


class Observer(Protocol):
    """Who is told of what a model does."""

    def batch(self, size: int, seconds: float) -> None:
        """Note a batch that has been run; called in the batcher's thread."""
        ...

    def saw(self, names: tuple[str, ...], seen: list) -> None:
        """Note what a classifier said of pictures: `Seen` each, by names of classes."""
        ...


class Nobody:
    """An observer to whom nothing matters."""

    def batch(self, size: int, seconds: float) -> None:
        """Note nothing."""

    def saw(self, names: tuple[str, ...], seen: list) -> None:
        """Note nothing."""


Source = np.ndarray | Callable[[], np.ndarray]
"""An image, uint8 or float32 (h, w, c), 0 to 255, or what reads one."""


@dataclass(eq=False)
class _Item:
    image: Source
    future: asyncio.Future
    loop: asyncio.AbstractEventLoop
    since: float


class Batcher:
    """Runs images in batches as they come.

    While a batch is run, the next one gathers: under load batches grow by themselves, up to `Limits.batch`. A lone
    image does not wait, unless others are known to be on their way.

    Args:
        run: runs a batch, on all cores.
        limits: how many go together and wait.
        observer: is told of each batch, in the batcher's thread.
        beside: runs a batch beside others; is called where more images are pending than those of the batch.
        lanes: how many batches are run side by side.
    """

    def __init__(
        self,
        run: Run,
        limits: Limits,
        observer: Observer | None = None,
        *,
        beside: Run | None = None,
        lanes: int = 1,
    ):
        self.limits = limits
        self.pending = 0
        """Images admitted and not answered yet; belongs to the event loop's thread."""
        self._run, self._beside = run, beside or run
        self._observer = observer or Nobody()
        self._items: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._running = 0
        self._seconds = 0.0
        self._lanes = lanes
        for _ in range(lanes):
            threading.Thread(target=self._work, name="opsin-batches", daemon=True).start()

    @contextlib.contextmanager
    def admitted(self, count: int) -> Iterator[None]:
        """Take images in, before anything is done for them, until they are answered.

        Raises:
            StatusError: there is no room; it says when to come again.
        """
        if count > self.limits.queue:
            raise StatusError(
                "TOO_LARGE", f"Expected at most {self.limits.queue} pictures in a request; received {count}. Send less."
            )
        if self.pending + count > self.limits.queue:
            seconds = max(1, round(self.pending * self._seconds))
            raise StatusError(
                "RESOURCE_EXHAUSTED",
                f"{self.pending} pictures are waiting, at most {self.limits.queue} may. Try again in {seconds} s.",
                {"Retry-After": str(seconds)},
            )
        self.pending += count
        try:
            yield
        finally:
            self.pending -= count

    async def run(self, image: Source) -> Answer:
        """Run an image that was admitted.

        Args:
            image: it; or what reads it, in the thread that then runs it, where batches are of one image.

        Raises:
            StatusError: the network cannot be run.
            Exception: whatever reading it has raised.
        """
        loop = asyncio.get_running_loop()
        item = _Item(image, loop.create_future(), loop, time.perf_counter())
        with self._changed:
            if self._closed:
                raise StatusError("UNAVAILABLE", "The model is being unloaded. Try again.", {"Retry-After": "1"})
            self._items.append(item)
            self._changed.notify()
        return await item.future

    def close(self) -> None:
        """End the threads when what waits has been run."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while batch := self._next_batch():
            wanted = [item for item in batch if not item.future.cancelled()]
            if wanted:
                self._answer(wanted)
            with self._changed:
                self._running -= len(batch)
        with self._changed:
            self._lanes -= 1
            if not self._lanes:
                # They are bound to what holds this batcher; now its memory need not wait for the garbage collector.
                del self._run, self._beside

    def _next_batch(self) -> list[_Item]:
        with self._changed:
            batch: list[_Item] = []
            while not batch:
                while not self._items and not self._closed:
                    self._changed.wait()
                if not self._items:
                    return []
                until = time.perf_counter() + self.limits.delay
                while 0 < len(self._items) < min(self.limits.batch, self.pending - self._running) and not self._closed:
                    left = until - time.perf_counter()
                    if left <= 0 or not self._changed.wait(left):
                        break
                # Another lane may have been quicker.
                batch = [self._items.popleft() for _ in range(min(len(self._items), self.limits.batch))]
            self._running += len(batch)
            return batch

    def _answer(self, batch: list[_Item]) -> None:
        taken = start = time.perf_counter()
        try:
            images = np.stack([item.image() if callable(item.image) else item.image for item in batch])
            start = time.perf_counter()
            run = self._run if self.pending <= len(batch) else self._beside
            values = run(images)
            failure = None
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait, and the thread goes on
            values, failure = [None] * len(batch), error
        end = time.perf_counter()
        each = (end - taken) / len(batch)
        self._seconds = 0.8 * self._seconds + 0.2 * each if self._seconds else each
        if failure is None:
            self._observer.batch(len(batch), end - start)
        answers = [
            (item.future, Answer(value, taken - item.since, end - start, len(batch)))
            for item, value in zip(batch, values, strict=True)
        ]
        # A request that was given up may have taken its loop with it.
        with contextlib.suppress(RuntimeError):
            batch[0].loop.call_soon_threadsafe(_settle, answers, failure)


def _settle(answers: list[tuple[asyncio.Future, Answer]], failure: Exception | None) -> None:
    for future, answer in answers:
        if future.done():
            continue
        if failure is None:
            future.set_result(answer)
        else:
            future.set_exception(failure)


async def gather(waiting: Sequence[Awaitable]) -> list:
    """Wait for all images of a request; if one fails, the others are given up."""
    if len(waiting) == 1:
        return [await waiting[0]]
    tasks = [asyncio.ensure_future(one) for one in waiting]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _seconds(run: Run, batch: np.ndarray) -> float:
    start = time.perf_counter()
    run(batch)
    return time.perf_counter() - start


def best_batch(run: Run, image: np.ndarray, *, limit: int, margin: float = 0.05, seconds: float = 0.4) -> int:
    """Measure how many images a network should see at once: as few as take hardly longer, each, than the most do.

    Args:
        run: runs a batch.
        image: one image.
        limit: the most that is tried.
        margin: by how much longer, as a share.
        seconds: when the trial ends.
    """
    until = time.perf_counter() + seconds
    found: dict[int, float] = {}
    size = 1
    while size <= limit:
        batch = np.repeat(image[None], size, axis=0)
        run(batch)
        times = [_seconds(run, batch)]
        # The machine may do something else for a moment.
        while len(times) < _TRIALS and time.perf_counter() < until:
            times.append(_seconds(run, batch))
        found[size] = min(times) / size
        if time.perf_counter() + 2 * min(times) > until:
            break
        size *= 2
    least = min(found.values())
    return min(size for size, each in found.items() if each <= least * (1 + margin))

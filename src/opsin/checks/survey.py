"""A survey: what every picture of a data set is like, read once, in threads."""

import functools
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opsin.checks.facts import Facts, digest_of, look
from opsin.checks.memory import Memory, Stamp
from opsin.data.dataset import ImageDataset
from opsin.data.fingerprints import FINDER, groups_of, near_duplicates
from opsin.errors import DataError, PictureError
from opsin.images.decode import decode_image, read_content
from opsin.images.preprocess import Preprocess
from opsin.images.reading import usable_cores

CHUNK = 64
"""Pictures that are handed out at once."""

WORTH_PROCESSES = 2000
"""Pictures from which starting processes pays."""

LARGEST_FILE = 2**31
"""In bytes: a file is read whole, so a larger one is an error instead of the end of all memory."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Survey:
    """A data set and the facts of its pictures.

    Args:
        dataset: n pictures.
        facts: n, in its order.
        preprocess: the recipe that training will use; None if it is not known.
        features: float32 (n, d), what a model sees in each picture; None for none. A row of one that cannot be read
            is of no use.
        cache: the cache folder, where what was worked out is remembered; None for the user's.
    """

    dataset: ImageDataset
    facts: tuple[Facts, ...]
    preprocess: Preprocess | None = None
    features: np.ndarray | None = None
    cache: Path | None = None

    @functools.cached_property
    def readable(self) -> np.ndarray:
        """int64 (m,), the rows of pictures that can be read."""
        return np.array([row for row, facts in enumerate(self.facts) if not facts.error], dtype=np.int64)

    @functools.cached_property
    def same_content(self) -> list[list[int]]:
        """Rows of pictures with the same pixels, two or more each."""
        by_pixels: dict[object, list[int]] = {}
        for row in self.readable:
            facts = self.facts[row]
            by_pixels.setdefault(facts.digest, []).append(int(row))
        return [rows for rows in self._merged_by_pixels(by_pixels) if len(rows) > 1]

    @functools.cached_property
    def rows_of(self) -> dict[int, list[int]]:
        """For each readable picture that none before it has the pixels of: its row and those of its copies."""
        copies = {row for rows in self.same_content for row in rows[1:]}
        alone = {int(row): [int(row)] for row in self.readable if int(row) not in copies}
        return alone | {rows[0]: rows for rows in self.same_content}

    @functools.cached_property
    def near_pairs(self) -> np.ndarray:
        """int64 (m, 2), keys of `rows_of` whose pictures are nearly the same, the smaller first."""
        rows = np.array(sorted(self.rows_of), dtype=np.int64)
        if not len(rows):
            return np.empty((0, 2), dtype=np.int64)
        thumbnails = np.stack([self.facts[row].thumbnail for row in rows])
        return rows[self.remembered(f"near-duplicates {FINDER}", near_duplicates, thumbnails)]

    @functools.cached_property
    def groups(self) -> np.ndarray:
        """int64 (n,), for each picture the first of those that are nearly the same, or the same; itself if none is."""
        same = [(rows[0], other) for rows in self.same_content for other in rows[1:]]
        pairs = np.concatenate([self.near_pairs, np.array(same, dtype=np.int64).reshape(-1, 2)])
        return groups_of(pairs, len(self.facts))

    @functools.cached_property
    def kept_together(self) -> np.ndarray:
        """int64 (n,), as `groups`, but pictures of one group that the data names are together, too."""
        first: dict[str, int] = {}
        named = [(first.setdefault(group, row), row) for row, group in enumerate(self.dataset.groups) if group]
        pairs = [*enumerate(self.groups.tolist()), *named]
        return groups_of(np.array(pairs, dtype=np.int64).reshape(-1, 2), len(self.facts))

    def remembered(self, name: str, work_out: Callable[..., np.ndarray], *given: np.ndarray) -> np.ndarray:
        """Return what a function makes of arrays, from the cache where it was worked out before.

        Args:
            name: of the function; another one when it changes.
            work_out: takes the arrays, gives one of numbers.
            given: arrays of numbers.
        """
        key = " ".join([name, *(f"{array.dtype} {array.shape} {digest_of(array.tobytes())}" for array in given)])
        with Memory(self.cache) as memory:
            result = memory.recall_result(key)
            if result is None:
                result = work_out(*given)
                memory.remember_result(key, result)
        return result

    def _merged_by_pixels(self, by_digest: dict[object, list[int]]) -> list[list[int]]:
        """Join files of other bytes and the same pixels: saved as PNG and as BMP, say."""
        alike: dict[tuple, list[list[int]]] = {}
        for rows in by_digest.values():
            facts = self.facts[rows[0]]
            alike.setdefault((facts.width, facts.height, facts.thumbnail.tobytes()), []).append(rows)
        merged: list[list[int]] = []
        for candidates in alike.values():
            merged += [candidates[0]] if len(candidates) == 1 else _by_pixels(self.dataset, candidates)
        return merged


def survey(
    dataset: ImageDataset,
    *,
    preprocess: Preprocess | None = None,
    cache: Path | None = None,
    processes: int = 1,
    progress: Progress = lambda done, total: None,
) -> Survey:
    """Look at every picture of a data set; those that were seen before and are as they were are not read again.

    Args:
        dataset: the pictures.
        preprocess: the recipe that training will use, for what depends on it.
        cache: the cache folder; None for the user's.
        processes: how many read at once, where there are many pictures. More than 1 need a program that may be started
            again, as Python's `multiprocessing` says.
        progress: is called with the number of pictures done and the number of all.
    """
    stamps = [stamp_of(path) for path in dataset.paths]
    found: dict[str, Facts] = {}
    with Memory(cache) as memory:
        found.update(memory.recall([stamp for stamp in stamps if stamp is not None]))
        missing = [path for path in dict.fromkeys(dataset.paths) if path not in found]
        by_path = dict(zip(dataset.paths, stamps, strict=True))
        done = len(dataset) - len(missing)
        progress(done, len(dataset))
        for chunk, facts in _look_at(missing, processes, cache):
            found.update(zip(chunk, facts, strict=True))
            # What went wrong may go right the next time: with more memory, or another Pillow.
            memory.remember(
                (by_path[path], one) for path, one in zip(chunk, facts, strict=True) if by_path[path] and not one.error
            )
            done += len(chunk)
            progress(done, len(dataset))
    return Survey(dataset, tuple(found[path] for path in dataset.paths), preprocess, cache=cache)


def count_unseen(dataset: ImageDataset, cache: Path | None = None) -> int:
    """Return how many pictures `survey` would have to read."""
    stamps = [stamp_of(path) for path in dataset.paths]
    with Memory(cache) as memory:
        return len(dataset) - len(memory.recall([stamp for stamp in stamps if stamp is not None]))


def stamp_of(path: str) -> Stamp | None:
    """Return what a file is known by: its path, size in bytes, number and times; None if it is not to be had."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a path of each of 60,000 files takes as long as looking at it
    except (OSError, ValueError):
        return None
    return path, status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def _look_at(paths: Sequence[str], processes: int, cache: Path | None) -> Iterator[tuple[list[str], list[Facts]]]:
    """Yield chunks of paths and their facts, in order, a bounded number ahead."""
    chunks = [list(paths[start : start + CHUNK]) for start in range(0, len(paths), CHUNK)]
    pending: deque[tuple[list[str], Future]] = deque()
    pool, workers = _pool(len(paths), processes)
    try:
        for chunk in chunks:
            pending.append((chunk, pool.submit(_look_at_files, chunk, cache)))
            if len(pending) > 2 * workers:
                first, future = pending.popleft()
                yield first, future.result()
        for first, future in pending:
            yield first, future.result()
    except BrokenProcessPool as error:
        raise DataError(
            "Expected pictures to be read by processes of this program; one of them was ended from outside, as a "
            "system does that lacks memory. What was looked at is remembered: close other programs, then try again."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(count: int, processes: int) -> tuple[Executor, int]:
    """Return what reads, and how many at once: with tiny pictures Python is what is busy, and threads do not help."""
    if processes > 1 and count >= WORTH_PROCESSES:
        # A forked process would inherit the locks of threads that are not there.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(processes, mp_context=context, initializer=_ignore_interrupts), processes
    return ThreadPoolExecutor(usable_cores(), thread_name_prefix="opsin-check"), usable_cores()


def _ignore_interrupts() -> None:
    # Ctrl-C goes to all processes of the terminal; the one that was started ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _look_at_files(paths: list[str], cache: Path | None) -> list[Facts]:
    with Memory(cache) as memory:
        return [_look_at_file(path, memory) for path in paths]


def _look_at_file(path: str, memory: Memory) -> Facts:
    try:
        if (stamp_of(path) or (path, 0, 0))[1] > LARGEST_FILE:
            return Facts("", 0, error=f"its file has more than {LARGEST_FILE:,} bytes")
        content = read_content(path)
    except PictureError as error:
        return Facts("", 0, error=error.reason)
    except MemoryError:
        return Facts("", 0, error="there is not enough memory for its file")
    return memory.recall_content(digest_of(content)) or look(content)


def _by_pixels(dataset: ImageDataset, candidates: list[list[int]]) -> list[list[int]]:
    """Join lists of rows whose pictures have the same pixels, decoded in full."""
    joined: dict[str, list[int]] = {}
    for rows in candidates:
        try:
            pixels = decode_image(dataset.paths[rows[0]])
            key = f"{pixels.shape} {digest_of(pixels.tobytes())}"
        except PictureError:
            key = f"gone since it was looked at: {rows[0]}"
        joined.setdefault(key, []).extend(rows)
    return [sorted(rows) for rows in joined.values()]

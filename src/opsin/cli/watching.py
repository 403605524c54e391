"""`--watch`: pictures that come into a folder, each when it has been written to its end."""

import os
import time
from collections.abc import Callable, Container, Iterator
from pathlib import Path

from opsin.errors import UsageError

SECONDS = 0.5
"""How long to wait between two looks."""

Mark = tuple[int, int]
"""A file's size in bytes and its time of change in nanoseconds."""


class Watch:
    """A folder, and all below it, that is looked at again and again.

    What is there already does not count, unless an earlier run's output is gone on with: then what came since does.

    Args:
        folder: where pictures come.
        done: paths that have been answered by the run that is gone on with; None where there is none.
        wait: called with the seconds between two looks.

    Raises:
        UsageError: it is no folder.
    """

    def __init__(self, folder: Path, *, done: Container[str] | None = None, wait: Callable[[float], None] = time.sleep):
        if not os.path.isdir(folder):
            raise UsageError(f"Expected a folder to watch; received {str(folder)!r}. Make it, or check the path.")
        self.folder = folder
        self.wait = wait
        there = self._look()
        self.seen = {path: mark for path, mark in there.items() if done is None or path in done}

    def arrivals(self) -> Iterator[list[str]]:
        """Yield the pictures that are new, or were replaced, and have stood still for one look; never ends."""
        before: dict[str, Mark] = {}
        while True:
            now = self._look()
            arrived = [path for path, mark in now.items() if before.get(path) == mark != self.seen.get(path)]
            # What has gone is forgotten, so that memory does not grow with time.
            self.seen = {path: mark for path, mark in self.seen.items() if path in now}
            self.seen.update((path, now[path]) for path in arrived)
            before = now
            if arrived:
                yield arrived
            self.wait(SECONDS)

    def _look(self) -> dict[str, Mark]:
        from opsin.data.walk import Walk

        marks = {}
        for path in Walk(self.folder, patient=True).pictures(self.folder, frozenset()):
            try:
                found = path.stat()
            except OSError:
                continue  # It went between the two questions.
            marks[str(path)] = found.st_size, found.st_mtime_ns
        return marks

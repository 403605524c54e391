"""Which pictures the words of a command line mean: files, folders, patterns, addresses, and paths on stdin."""

import glob
import itertools
import os
import sys
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from opsin.cli.account import left_out
from opsin.errors import DataError, UsageError

if TYPE_CHECKING:
    from opsin.cli.frames import Video
    from opsin.data.walk import Skipped
    from opsin.images.link import Link

    Source = str | Link | Video

STDIN = "-"
_ADDRESSES = ("http://", "https://")


class Search:
    """The pictures that files, folders, patterns, addresses and stdin name, with an account of what is left out.

    Args:
        sources: the words.
        allow_url: whether addresses may be among them.
        done: paths and addresses that need no answer any more.

    Raises:
        UsageError: a source names nothing, or is an address where none may be.
    """

    def __init__(self, sources: Iterable[str], *, allow_url: bool = False, done: Container[str] = frozenset()):
        self.sources = list(sources)
        self.allow_url = allow_url
        self.done = done
        self.found = [path for source in self.sources for path in self._named(source)]
        # Only those that are named: in a folder, pictures are looked for.
        self.videos = frozenset(path for path in self.found if path is not None and _is_video(path))
        self.skipped: dict[str, list[Skipped]] = {}

    @property
    def folders(self) -> list[str]:
        """The folders that are searched."""
        return [path for path in self.found if path is not None and os.path.isdir(path)]

    @property
    def total(self) -> int | None:
        """How many pictures there are; None where only searching can tell."""
        if None in self.found or self.folders or self.videos:
            return None
        return sum(path not in self.done for path in self.found)

    def pictures(self) -> "Iterator[Source]":
        """Return the pictures, in the order of the sources.

        Raises:
            DataError: there is none at all.
        """
        paths = itertools.chain.from_iterable(map(self._pictures, self.found))
        first = next(paths, None)
        if first is None:
            places = ", ".join("stdin" if source == STDIN else repr(source) for source in self.sources)
            raise DataError(" ".join([f"Expected pictures to predict; found none in {places}.", *self.left_out()]))
        return (self._source(path) for path in itertools.chain([first], paths) if path not in self.done)

    @property
    def lost(self) -> bool:
        """Whether something that was meant could not be read."""
        return any(one.lost for skipped in self.skipped.values() for one in skipped)

    def left_out(self) -> Iterator[str]:
        """Yield what was left out of folders so far, one line a folder, and each loss by its name."""
        for folder, skipped in self.skipped.items():
            yield from left_out(folder, skipped)

    def _source(self, path: str) -> "Source":
        if path in self.videos:
            from opsin.cli.frames import Video

            return Video(path)
        if not is_address(path):
            return path
        self._require_allowed(path)
        from opsin.images.link import Link

        return Link(path)

    def _pictures(self, path: str | None) -> Iterator[str]:
        if path is None:
            # Of a line that was written on Windows, the end has two characters.
            lines = (line.removesuffix("\n").removesuffix("\r") for line in sys.stdin)
            yield from (line for line in lines if line.strip())
        elif os.path.isdir(path):
            # Not at the top: help would wait for NumPy and Pillow.
            from opsin.data.walk import Walk

            walk = Walk(Path(path), patient=True)
            self.skipped[path] = walk.skipped
            yield from map(str, walk.pictures(walk.root, frozenset()))
        else:
            yield path

    def _named(self, source: str) -> list[str | None]:
        """Return the files and folders that one source names; None stands for stdin."""
        if source == STDIN:
            return [None]
        if is_address(source):
            self._require_allowed(source)
            return [source]
        found = [source] if os.path.lexists(source) else sorted(glob.glob(source, recursive=True))
        if not found:
            raise UsageError(
                f"Expected a picture, a folder or a pattern; nothing is there at {source!r}. Check the path."
            )
        return found

    def _require_allowed(self, address: str) -> None:
        if not self.allow_url:
            raise UsageError(
                f"Expected pictures on this machine; received the address {address!r}. Add --allow-url to fetch it."
            )


def _is_video(path: str) -> bool:
    # Not at the top: help would wait for NumPy.
    from opsin.images.video import is_video

    return is_video(path) and not is_address(path) and not os.path.isdir(path)


def is_address(source: str) -> bool:
    """Return whether a source is the address of a picture on the web."""
    return source.lower().startswith(_ADDRESSES)

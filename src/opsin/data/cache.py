"""The cache folder: what was computed once is found again; the least recently used makes way.

An entry is a folder `<cache>/<key>/` with an `index.json` in it. It is written under another name and renamed.
"""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

INDEX = "index.json"

_ENTRY = re.compile("[0-9a-f]{32}")
# What a killed process leaves behind; nothing decodes for a day.
_UNFINISHED = re.compile(r"\.[0-9a-f]{32}\..+\.(tmp|old)")
_UNFINISHED_SECONDS = 24 * 3600


def default_folder() -> Path:
    """Return where decoded pixels and features are kept: `$OPSIN_CACHE`, or `opsin` in the user's cache folder."""
    if os.environ.get("OPSIN_CACHE"):
        return Path(os.environ["OPSIN_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "opsin"


@dataclass(frozen=True)
class Cache:
    """Where decoded pixels and features are kept, and how many.

    Args:
        folder: the cache folder; it is made when something is written.
        limit_bytes: the room that all entries together may take; the least recently used make way.
        enabled: False keeps nothing on the disk. Pixels that are not kept there are held in memory if they fit
            in 2 GiB, and decoded again in every epoch otherwise.
    """

    folder: Path = field(default_factory=default_folder)
    limit_bytes: int = 20 * 2**30
    enabled: bool = True


def mark_used(index: Path) -> None:
    """Remember that an entry was used now; its index's time says when."""
    try:
        os.utime(index)
    except OSError:
        # A read-only cache can be used; it only cannot remember when.
        return


def make_room(cache: Cache, size: int) -> bool:
    """Remove the least recently used entries until `size` bytes fit; return whether they do."""
    _remove_unfinished(cache.folder)
    entries = sorted(_entries(cache.folder))
    taken = sum(bytes_ for _, bytes_, _ in entries)
    if size > cache.limit_bytes or free_bytes(cache.folder) + taken <= size * 1.05:
        return False
    for _, bytes_, folder in entries:
        if taken + size <= cache.limit_bytes and free_bytes(cache.folder) > size * 1.05:
            break
        shutil.rmtree(folder, ignore_errors=True)
        taken -= bytes_
    return taken + size <= cache.limit_bytes and free_bytes(cache.folder) > size * 1.05


def explain_no_room(cache: Cache, size: int, what: str) -> str:
    """Return a sentence on why `size` bytes of something, named in the plural, cannot be kept."""
    return (
        f"The cache {str(cache.folder)!r} has no room for {size / 2**30:.2f} GiB of {what} (its limit is "
        f"{cache.limit_bytes / 2**30:.2f} GiB, the disk has {free_bytes(cache.folder) / 2**30:.2f} GiB free)."
    )


def _entries(folder: Path) -> Iterable[tuple[float, int, Path]]:
    for index in folder.glob(f"*/{INDEX}"):
        # Another process may be removing it.
        with contextlib.suppress(OSError):
            if _ENTRY.fullmatch(index.parent.name):
                size = sum(path.stat().st_size for path in index.parent.iterdir())
                yield index.stat().st_mtime, size, index.parent


def _remove_unfinished(folder: Path) -> None:
    for path in folder.glob(".*"):
        with contextlib.suppress(OSError):
            if _UNFINISHED.fullmatch(path.name) and path.stat().st_mtime < time.time() - _UNFINISHED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def free_bytes(folder: Path) -> int:
    """Return the room on the disk where a folder is, or will be, in bytes."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free

"""Memory that a training step frees is kept for the next one; what a server frees goes back to the system.

A step on a CPU allocates and frees the same large arrays as the step before it. As it comes, the C library gives them
back to the system each time, which clears every page before it hands it out again: a third of the time of a small
network's step went there (`benchmarks.steps`). TensorFlow on a GPU keeps its memory by itself. A server, on the other
hand, frees a network when another version has taken its place; the C library keeps ever larger blocks for itself, and
it would grow for hours (`benchmarks.serving_soak`).
"""

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator

# From glibc's malloc.h; the second is what `mallopt` is given back to when nobody needs the memory any more.
_TRIM_THRESHOLD, _TRIM_DEFAULT = -1, 128 * 1024
_TOP_PAD, _PAD_DEFAULT = -2, 128 * 1024
_MMAP_MAX, _MMAP_DEFAULT = -4, 65_536

_MOST = 2**31 - 1
"""Bytes that are kept at most at the heap's end; the largest that `mallopt` takes."""

_PAD = 256 * 2**20
"""Bytes the heap grows by at least: address space, of which only what is used takes memory."""

_MMAP_THRESHOLD, _LARGE = -3, 4 * 2**20
"""Also of malloc.h; and the bytes from which a block of a server goes back: more than most pictures have."""

_lock = threading.Lock()
_users = 0


@contextlib.contextmanager
def memory_kept() -> Iterator[None]:
    """Let this process keep the memory it frees while the block runs, where the C library is glibc.

    It then grows as far as its largest step needs, and stays so until the block ends. Blocks may be nested, and run in
    several threads. Nothing is done where the user has settings of their own for `malloc` in the environment.
    """
    global _users
    library = None if _is_set_by_user() else _glibc()
    if library is None:
        yield
        return
    with _lock:
        _users += 1
        if _users == 1:
            _keep(library)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _give_back(library)


def give_back_large() -> None:
    """Let large blocks go back to the system as soon as they are freed, where the C library is glibc.

    It stays so for this process. Nothing is done where the user has settings of their own, as with `memory_kept`.
    """
    library = None if _is_set_by_user() else _glibc()
    if library is not None:
        library.mallopt(_MMAP_THRESHOLD, _LARGE)
        # Else every picture's pixels would, too: the threshold no longer follows by itself.
        library.mallopt(_TRIM_THRESHOLD, 2 * _LARGE)


def _keep(library: ctypes.CDLL) -> None:
    # Large arrays come from the heap too, and its end is not cut off.
    library.mallopt(_MMAP_MAX, 0)
    library.mallopt(_TRIM_THRESHOLD, _MOST)
    library.mallopt(_TOP_PAD, _PAD)


def _give_back(library: ctypes.CDLL) -> None:
    library.mallopt(_MMAP_MAX, _MMAP_DEFAULT)
    library.mallopt(_TRIM_THRESHOLD, _TRIM_DEFAULT)
    library.mallopt(_TOP_PAD, _PAD_DEFAULT)
    library.malloc_trim(0)


def _is_set_by_user() -> bool:
    others = (os.environ.get(name, "") for name in ("GLIBC_TUNABLES", "LD_PRELOAD"))
    return any(name.startswith("MALLOC_") for name in os.environ) or any("malloc" in other for other in others)


def _glibc() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - raises where it is another library
    except (OSError, AttributeError, TypeError):
        return None
    return library

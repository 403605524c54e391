"""Ctrl-C while training: the first one asks for an end, the second one is the end."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType


class StoppedByUser(Exception):  # noqa: N818 - no error, a way out of Keras's loop
    """The user asked for an end before the training had come to its own."""


class StopRequest:
    """Turns the first Ctrl-C (or SIGTERM) into a request to stop; the second Ctrl-C stops at once."""

    reason = "Stopping and keeping the best model; Ctrl-C again to stop at once."

    def __init__(self):
        self.made = False

    @property
    def by_user(self) -> bool:
        """Whether the user asked for it."""
        return self.made

    def finish_epoch(self) -> None:
        """Take in that an epoch was finished, which changes nothing for a user's request."""

    @contextlib.contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        """Listen for signals while the block runs (only Python's main thread can)."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._take) for number in signals]
        try:
            yield self
        finally:
            for number, handler in zip(signals, before, strict=True):
                signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        # Nothing more: whatever was interrupted here may be in the middle of writing or drawing.
        self.made = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Deadline:
    """A request to stop that is made when time is up, or when the user makes one.

    Args:
        stop: the user's.
        at: when time is up, as `time.monotonic()` has it.
        after_first_epoch: whether the first epoch may take what it takes, so that there is something to keep.
    """

    reason = "The budget is used up; keeping the best model."

    def __init__(self, stop: StopRequest, at: float, *, after_first_epoch: bool = False):
        self.stop = stop
        self.at = at
        self._waits = after_first_epoch

    def finish_epoch(self) -> None:
        """Take in that an epoch was finished."""
        self._waits = False

    @property
    def made(self) -> bool:
        """Whether to stop."""
        return self.stop.made or (not self._waits and time.monotonic() > self.at)

    @property
    def by_user(self) -> bool:
        """Whether the user asked for it."""
        return self.stop.made

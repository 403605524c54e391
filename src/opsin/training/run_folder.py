"""The run folder: everything that a training leaves behind, and its events as they happen."""

import contextlib
import csv
import io
import json
import os
import platform
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from opsin import __version__
from opsin.atomic import saying_why, write_bytes, write_text
from opsin.errors import OpsinError, UsageError
from opsin.names import (
    CHECKPOINT,
    CONFIG,
    ENVIRONMENT,
    EVENTS,
    FILES,
    HISTORY,
    LAST,
    MODEL,
    RATE_CHART,
    REPORT_JSON,
    TENSORBOARD,
)

Listener = Callable[[dict[str, Any]], None]


class RunFolder:
    """A folder that one training writes into.

    Args:
        path: the folder; use `create` or `resume` to get one that is safe to write to.
        listeners: each is called with every event, a dict with `event` and `time`.
        fresh: whether this run begins here, and has not been interrupted.
        made: whether it made the folder itself.
        started: when a budget begins to count, as `time.monotonic()` has it; None for when learning is asked for.
    """

    def __init__(
        self,
        path: Path,
        listeners: Sequence[Listener] = (),
        *,
        fresh: bool = False,
        made: bool = False,
        started: float | None = None,
    ):
        self.path = path
        self.started = started
        self.listeners = tuple(listeners)
        self.fresh = fresh
        self.made = made
        # Pictures are decoded in one thread while the network is built in another. A listener may emit itself.
        self._lock = threading.RLock()

    @classmethod
    def create(
        cls, path: str | Path, listeners: Sequence[Listener] = (), *, started: float | None = None
    ) -> "RunFolder":
        """Make a new run folder; the arguments are those of `RunFolder`.

        Raises:
            UsageError: something is there already.
            SavingError: it cannot be made.
        """
        path = Path(path)
        require_free(path)
        made = not path.exists()
        with saying_why(path):
            path.mkdir(parents=True, exist_ok=True)
            (path / EVENTS).touch()
        return cls(path, listeners, fresh=True, made=made, started=started)

    @classmethod
    def resume(
        cls, path: str | Path, listeners: Sequence[Listener] = (), *, started: float | None = None
    ) -> "RunFolder":
        """Open the folder of a run that was interrupted; the arguments are those of `RunFolder`.

        Raises:
            UsageError: it is not a run folder, or its training came to an end.
        """
        path = Path(path)
        if not (path / CONFIG).is_file() or not (path / FILES).is_file():
            raise UsageError(
                f"Expected the folder of an interrupted run; {str(path)!r} is none: it has no {CONFIG} and {FILES}. "
                "To start a new run, leave --resume out (in Python: RunFolder.create)."
            )
        if (path / REPORT_JSON).is_file():
            raise UsageError(f"Expected an interrupted run; the one in {str(path)!r} came to its end.")
        return cls(path, listeners, started=started)

    @contextlib.contextmanager
    def beginning(self) -> Iterator[None]:
        """Discard a new run that fails in the block, so that it can be begun again there."""
        try:
            yield
        except BaseException:
            self.discard()
            raise

    @contextlib.contextmanager
    def learning(self) -> Iterator[None]:
        """Discard a new run that fails in the block with nothing learned; else let the error say how to go on."""
        try:
            yield
        except OpsinError as error:
            if self.fresh and any((self / CHECKPOINT).rglob(LAST)):
                error.args = (f"{error} Finished epochs are kept; go on with --out {self.path} --resume.",)
            elif not (self / MODEL).exists():
                self.discard()
            raise

    def discard(self) -> None:
        """Remove what a new run has written, which is no model yet; a resumed one is left as it is."""
        if not self.fresh:
            return
        for name in (EVENTS, CONFIG, FILES, ENVIRONMENT, HISTORY):
            (self / name).unlink(missing_ok=True)
        for name in (TENSORBOARD, CHECKPOINT):
            shutil.rmtree(self / name, ignore_errors=True)
        # Of each training in the run one, with the name of its phase before it.
        for chart in self.path.glob(f"*{Path(RATE_CHART).stem}.*"):
            chart.unlink()
        if self.made:
            with contextlib.suppress(OSError):
                self.path.rmdir()

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def emit(self, event: str, **facts: Any) -> None:
        """Append an event to `events.jsonl` and tell the listeners."""
        document = {"event": event, "time": round(time.time(), 3), **facts}
        with self._lock:
            with saying_why(self / EVENTS), (self / EVENTS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(document) + "\n")
            for listener in self.listeners:
                listener(document)

    def say(self, text: str) -> None:
        """Tell the user something that was decided, as the event `note`."""
        self.emit("note", text=text)

    def write_history(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write `history.csv`, one row an epoch."""
        buffer = io.StringIO(newline="")
        columns = dict.fromkeys(name for row in rows for name in row)
        writer = csv.DictWriter(buffer, fieldnames=list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_bytes(self / HISTORY, buffer.getvalue().encode())

    def write_environment(self, **facts: Any) -> None:
        """Write `environment.json`: versions, machine, command and what else is given."""
        document = {**_environment(), **facts}
        write_text(self / ENVIRONMENT, json.dumps(document, indent=2) + "\n")

    def remove_checkpoint(self) -> None:
        """Remove what `--resume` needs, once the run has come to its end."""
        shutil.rmtree(self / CHECKPOINT, ignore_errors=True)


def require_free(path: Path) -> None:
    """Raise `UsageError` unless there is nothing at the path, or an empty folder."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        own = " To go on with the run in it: --resume, in Python RunFolder.resume." if (path / CONFIG).is_file() else ""
        raise UsageError(
            f"Expected a new or an empty folder; {str(path)!r} holds something, and nothing in it will be "
            f"overwritten. Choose another --out.{own}"
        )


def free_path(parent: str | Path, name: str) -> Path:
    """Return `parent/name`, or `parent/name-2`, `-3` and so on: the first that does not exist."""
    path = Path(parent) / name
    number = 2
    while path.exists():
        path = Path(parent) / f"{name}-{number}"
        number += 1
    return path


def _environment() -> dict[str, Any]:
    packages = ("numpy", "pillow", "keras", "tensorflow", "ai-edge-litert", "scikit-learn")
    return {
        "opsin": __version__,
        "python": platform.python_version(),
        "packages": {name: version for name in packages if (version := _version(name))},
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "command": shlex.join(sys.argv),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

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
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from opsin import __version__
from opsin.atomic import saying_why, write_bytes, write_text
from opsin.data.account import read_account
from opsin.data.dataset import ImageDataset
from opsin.errors import UsageError

Listener = Callable[[dict[str, Any]], None]

MODEL = "model"
CONFIG = "config.toml"
FILES = "files.csv"
EVENTS = "events.jsonl"
HISTORY = "history.csv"
PREDICTIONS = "predictions.npz"
ENVIRONMENT = "environment.json"
REPORT_JSON = "report.json"
REPORT_HTML = "report.html"
CHECKPOINT = "checkpoint"
TENSORBOARD = "tensorboard"


class RunFolder:
    """A folder that one training writes into.

    Args:
        path: the folder; use `create` or `resume` to get one that is safe to write to.
        listeners: each is called with every event, a dict with `event` and `time`.
        fresh: whether this run made what is in the folder.
    """

    def __init__(self, path: Path, listeners: Sequence[Listener] = (), *, fresh: bool = False):
        self.path = path
        self.listeners = tuple(listeners)
        self.fresh = fresh

    @classmethod
    def create(cls, path: str | Path, listeners: Sequence[Listener] = ()) -> "RunFolder":
        """Make a new run folder.

        Raises:
            UsageError: something is there already.
            SavingError: it cannot be made.
        """
        path = Path(path)
        require_free(path)
        with saying_why(path):
            path.mkdir(parents=True, exist_ok=True)
            (path / EVENTS).touch()
        return cls(path, listeners, fresh=True)

    @classmethod
    def resume(cls, path: str | Path, listeners: Sequence[Listener] = ()) -> "RunFolder":
        """Open the folder of a run that was interrupted.

        Raises:
            UsageError: it is not a run folder, or its training came to an end.
        """
        path = Path(path)
        if not (path / CONFIG).is_file() or not (path / FILES).is_file():
            raise UsageError(
                f"Expected the folder of an interrupted run; {str(path)!r} is none: it has no {CONFIG} and {FILES}. "
                "Leave --resume out to start a new run."
            )
        if (path / REPORT_JSON).is_file():
            raise UsageError(f"Expected an interrupted run; the one in {str(path)!r} came to its end.")
        return cls(path, listeners)

    @contextlib.contextmanager
    def beginning(self) -> Iterator[None]:
        """Remove what a new run has written if it fails in the block, so that it can be begun again there."""
        try:
            yield
        except BaseException:
            if self.fresh:
                for name in (EVENTS, CONFIG, FILES):
                    (self / name).unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    self.path.rmdir()
            raise

    def require_same_data(self, dataset: ImageDataset) -> None:
        """Raise `UsageError` unless the data set holds the pictures that the run was started on."""
        rows = [(row["path"], row["label"]) for row in read_account(self / FILES)]
        labels = (dataset.class_names[label] for label in dataset.labels)
        if sorted(rows) != sorted(zip(dataset.names, labels, strict=True)):
            raise UsageError(
                f"Expected the pictures that the run in {str(self.path)!r} was started on; {str(dataset.root)!r} "
                "holds others. Start a new run for them."
            )

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def emit(self, event: str, **facts: Any) -> None:
        """Append an event to `events.jsonl` and tell the listeners."""
        document = {"event": event, "time": round(time.time(), 3), **facts}
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
        writer = csv.DictWriter(buffer, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
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
        own = " To go on with the run in it, add --resume." if (path / CONFIG).is_file() else ""
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

"""How long `opsin train` takes to its first epoch, with nothing decoded yet and again, and how much memory it needs.

The first run starts with an empty cache and is interrupted after its first steps; the second one finds the decoded
pictures and goes on to its end (one epoch, report, saved model), so its peak memory is that of a whole training.
The operating system's page cache is left as it is: to measure files that nothing has read before, restart the machine.
"""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import Finished, is_running, opsin_command, run
from benchmarks.results import Figure, Result, Series, arguments

INTERRUPTED = 130


def read_events(folder: Path) -> Iterator[dict]:
    """Yield the events of a run so far; a last line that is still being written is left out."""
    with contextlib.suppress(FileNotFoundError):
        for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)


def train(words: list[str], folder: Path, cache: Path, *, interrupt: bool) -> Finished:
    """Run `opsin train`, and stop it after its first steps if asked to."""

    def stop_at_first_step(process: subprocess.Popen) -> None:
        while is_running(process) and not any(event["event"] == "step" for event in read_events(folder)):
            time.sleep(0.1)
        # Popen.send_signal would take the end of a process that is already over, and its memory figure with it.
        os.kill(process.pid, signal.SIGINT)

    command = opsin_command("train", *words, "--epochs", "1", "--out", folder)
    finished = run(command, environment={"OPSIN_CACHE": str(cache)}, watch=stop_at_first_step if interrupt else None)
    return finished.require(0, INTERRUPTED)


def seconds_to(event: str, finished: Finished, folder: Path) -> float:
    """Return the seconds from the start of the command to its first event of this kind."""
    return next(one["time"] for one in read_events(folder) if one["event"] == event) - finished.started


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--data", required=True, help="a folder of class folders (or of splits), or a CSV")
    parser.add_argument("--arch", default="cifar_cnn", help="the network (default: cifar_cnn)")
    parser.add_argument("--rounds", type=int, default=1, help="pairs of runs (default: 1)")
    parser.add_argument("--interrupt", action="store_true", help="stop the second run after its first steps too")
    options = parser.parse_args()
    settings = {"data": Path(options.data).name, "arch": options.arch, "second_run_to_its_end": not options.interrupt}
    result = Result("startup_training", "python -m benchmarks.startup_training --data DIR", settings)
    stages = {"run_started": "files listed", "network_built": "network built", "epoch_started": "first epoch"}
    seconds = {(run, event): [] for run in ("empty cache", "second run") for event in stages}
    peaks = {"empty cache": [], "second run": []}
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as temporary:
            for name, interrupt in (("empty cache", True), ("second run", options.interrupt)):
                folder = Path(temporary) / name
                words = [options.data, "--arch", options.arch]
                finished = train(words, folder, Path(temporary) / "cache", interrupt=interrupt)
                peaks[name].append(finished.peak_mb)
                for event in stages:
                    seconds[name, event].append(seconds_to(event, finished, folder))
                pictures = next(one["pictures"] for one in read_events(folder) if one["event"] == "run_started")
    result.settings["pictures"] = pictures
    result.series += [Series(f"{run}: to {stages[event]}", "s", values) for (run, event), values in seconds.items()]
    memory = {name: Series(f"{name}: peak memory", "MB", values) for name, values in peaks.items()}
    result.series += memory.values()
    first, second = (Series("", "s", seconds[run, "epoch_started"]).median for run in peaks)
    result.figures += [
        Figure("command to first epoch, empty cache", first, "s", at_most=60),
        Figure("command to first epoch, second run", second, "s", at_most=15),
        Figure("peak memory of opsin train", max(max(values) for values in peaks.values()), "MB", at_most=3000),
    ]
    result.publish(options.results)


if __name__ == "__main__":
    main()

"""How fast one engine runs one model, in a process of its own: `python -m opsin.evaluation.engine_speed`."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from opsin.classifier import Classifier

BATCH = 16
FEWEST = 5


def measure(folder: Path, engine: str, images: np.ndarray, *, seconds: float = 4.0, threads: int | None = None) -> dict:
    """Open a model in an engine and time it.

    Args:
        folder: the model folder or the export.
        engine: one of `opsin.runtimes.ENGINES`.
        images: uint8 (n, h, w, c), 0 to 255, preprocessed; n ≥ 1.
        seconds: how long each kind of call is repeated.
        threads: how many the engine may use; None for all cores.

    Returns:
        `load_seconds`, to the first answer; `latencies`, seconds of single pictures; `batches`, seconds of 16 pictures
        each; `probabilities`, of all pictures; `peak_mb`, or None where the system does not tell.
    """
    started = time.perf_counter()
    classifier = Classifier.open(folder, engine, threads=threads)
    classifier.run(images[:1])
    load_seconds = time.perf_counter() - started
    # As many as there are, again and again if they are fewer than a batch.
    batch = images[np.arange(BATCH) % len(images)]
    return {
        "load_seconds": load_seconds,
        "latencies": _repeat(lambda number: classifier.run(images[number % len(images)][None]), seconds),
        "batches": _repeat(lambda number: classifier.run(batch), seconds),
        "probabilities": [
            row
            for start in range(0, len(images), BATCH)
            for row in classifier.probabilities(classifier.run(images[start : start + BATCH]).logits).tolist()
        ],
        "peak_mb": _peak_megabytes(),
    }


def _repeat(call: Callable[[int], object], wanted: float) -> list[float]:
    """Return the seconds of each call; the first, which warms up, does not count."""
    call(0)
    seconds: list[float] = []
    end = time.perf_counter() + wanted
    while len(seconds) < FEWEST or time.perf_counter() < end:
        started = time.perf_counter()
        call(len(seconds) + 1)
        seconds.append(time.perf_counter() - started)
    return seconds


def _peak_megabytes() -> float | None:
    # On Linux `getrusage` counts what the process was that started this one.
    with contextlib.suppress(OSError, IndexError):
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    try:
        import resource
    except ImportError:
        return None  # Windows has no such module.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _main() -> None:
    folder, engine, images, out, seconds, *threads = sys.argv[1:]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    found = measure(
        Path(folder),
        engine,
        np.load(images, mmap_mode="r"),
        seconds=float(seconds),
        threads=int(threads[0]) if threads else None,
    )
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    _main()

"""How long requests take while `opsin serve` loads a new version of the model that answers them.

Requests come at even intervals, at half the throughput, while versions of the same model come one after the other.
Those that were due in the seconds around a version's arrival are set beside all others of the same run.
"""

import shutil
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.results import Figure, Result, Series, arguments
from benchmarks.serving import ADDRESSES, HALF_A_SECOND, OPSIN, milliseconds, paced, serving, wrk
from opsin.classifier import Classifier
from opsin.model_folder import ModelCard, find_model_folder

BEFORE, AFTER = 0.5, 4.0
"""Seconds around a version's arrival: the server looks every second, and then loads for less than one."""


def make_ready(model: Path, folder: Path, number: int) -> Path:
    """Copy a model to where the server does not see it, and make it say the same a little less surely."""
    hidden = folder / f".{number}"
    shutil.copytree(find_model_folder(model), hidden)
    replace(ModelCard.read(hidden), temperature=1 + number / 10).save(hidden)
    return hidden


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a run folder")
    parser.add_argument("--picture", type=Path, required=True, help="a JPEG file of about 60 kB")
    parser.add_argument("--swaps", type=int, default=5, help="new versions (default: 5)")
    parser.add_argument("--every", type=float, default=9.0, help="seconds between them (default: 9)")
    options = parser.parse_args()
    if options.every <= BEFORE + AFTER:
        sys.exit(f"Expected more than {BEFORE + AFTER:g} seconds between versions; received {options.every:g}.")
    content = options.picture.read_bytes()
    classifier = Classifier.open(options.model)
    settings = {"architecture": classifier.card.provenance.get("architecture"), "kilobytes": len(content) / 1e3}
    command = "python -m benchmarks.serving_swap --model RUN --picture JPEG"
    result = Result("serving_swap", command, settings)
    alone = statistics.median(milliseconds(classifier, content, 50))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ready = {number: make_ready(options.model, folder, number) for number in range(1, options.swaps + 2)}
        ready[1].rename(folder / "1")
        with serving(OPSIN, folder, sys.executable, content) as served:
            rate = wrk(served.port, OPSIN, content, 5, 8) / 2
            arrivals = [HALF_A_SECOND + options.every * (number + 0.5) for number in range(options.swaps)]
            started = time.perf_counter()

            def add_versions() -> None:
                for number, arrival in enumerate(arrivals, start=2):
                    time.sleep(max(0.0, started + arrival - time.perf_counter()))
                    ready[number].rename(folder / str(number))

            adding = threading.Thread(target=add_versions)
            adding.start()
            found = np.array(paced(served.port, ADDRESSES[OPSIN], content, rate, options.every * options.swaps))
            adding.join()
    due = HALF_A_SECOND + np.arange(len(found)) / rate
    windows = [(due > arrival - BEFORE) & (due < arrival + AFTER) for arrival in arrivals]
    around = np.any(windows, axis=0)
    settings["requests a second"] = round(rate, 1)
    result.series = [
        Series("a request while no version comes", "ms", found[~around].tolist()),
        Series(f"a request in {BEFORE + AFTER:g} s around a version's arrival", "ms", found[around].tolist()),
        Series("slowest request around each arrival", "ms", [float(found[window].max()) for window in windows]),
    ]
    for what, part in (("while no version comes", ~around), ("around a version's arrival", around)):
        p99 = float(np.quantile(found[part], 0.99))
        result.figures.append(Figure(f"99 % of requests {what}", p99, "ms"))
        result.figures.append(Figure(f"99 % of requests {what}: times Classifier.predict", p99 / alone))
    result.publish(options.results)


if __name__ == "__main__":
    main()

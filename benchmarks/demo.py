"""What `opsin demo` reaches over several seeds, and how long the whole command takes."""

import json
import statistics
import tempfile
from pathlib import Path

from benchmarks.processes import opsin_command, run
from benchmarks.results import Figure, Result, Series, arguments


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument(
        "--seeds", type=int, default=5, help="seeds 0, 1, ...: each one splits the data anew (default: 5)"
    )
    options = parser.parse_args()
    result = Result("demo", "python -m benchmarks.demo", {"seeds": list(range(options.seeds))})
    accuracies, finished = [], []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as temporary:
            out = Path(temporary) / "demo"
            # With a cache of its own every run decodes its pictures, as a user's first one does.
            environment = {"OPSIN_CACHE": str(Path(temporary) / "cache")}
            finished.append(
                run(opsin_command("demo", "--out", out, "--seed", str(seed)), environment=environment).require()
            )
            accuracies.append(json.loads((out / "run" / "report.json").read_text())["accuracy"]["value"])
        print(f"seed {seed}: accuracy {accuracies[-1]:.2%}, {finished[-1].seconds:.1f} s", flush=True)
    result.series += [
        Series("accuracy on held-out digits", "%", [100 * accuracy for accuracy in accuracies]),
        Series("the whole command", "s", [one.seconds for one in finished]),
        Series("peak memory", "MB", [one.peak_mb for one in finished]),
    ]
    result.figures += [
        Figure("mean accuracy over the seeds", 100 * statistics.fmean(accuracies), "%", at_least=98),
        Figure("slowest opsin demo", max(one.seconds for one in finished), "s", at_most=60),
    ]
    result.publish(options.results)


if __name__ == "__main__":
    main()

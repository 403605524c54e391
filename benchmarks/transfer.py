"""Transfer learning: `opsin train` beside Keras's own guide, from the command to an evaluated model.

Each seed is one round: Opsin with an empty cache, then the rival (`benchmarks.keras_guide`) on the very split that
Opsin made. The rival's seconds are from its first line to its last epoch; Opsin's are the whole command, from process
start to the report, with the export in them. With `--unfreeze` both then train MobileNetV2's top block.
"""

import csv
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.processes import opsin_command, run
from benchmarks.results import Figure, Result, Series, arguments, ratios

TOP_BLOCK = "block_16_expand"
RESAMPLES = 2000


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="class folders, or train/ and val/ or test/ of such")
    parser.add_argument("--weights", type=Path, required=True, help="MobileNetV2 (1.0, 224) without its head, .h5")
    parser.add_argument("--name", help="what the result is called (default: transfer_NAME-OF-DATA)")
    parser.add_argument(
        "--limit", type=int, help="at most so many training pictures a class (a quarter of it for tests)"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--epochs", type=int, default=10, help="of the rival (default: 10)")
    parser.add_argument("--unfreeze", action="store_true", help="then train the top block, too")
    parser.add_argument("--goal", type=float, help="how many times faster the whole command must be")
    options = parser.parse_args()
    name = options.name or f"transfer_{options.data.name}{'_top_block' if options.unfreeze else ''}"
    settings = {"data": options.data.name, "arch": "mobilenet_v2", "seeds": options.seeds, "epochs": options.epochs}
    result = Result(name, "python -m benchmarks.transfer --data DIR --weights FILE", settings)
    rounds = []
    with tempfile.TemporaryDirectory() as temporary:
        data = _limited(options.data, options.limit, Path(temporary) / "data") if options.limit else options.data
        for seed in options.seeds:
            rounds.append(_round(data, options, seed, Path(temporary) / str(seed)))
            print(json.dumps({k: v for k, v in rounds[-1].items() if not isinstance(v, dict)}), file=sys.stderr)
    settings["pictures"] = rounds[0]["pictures"]
    _report(result, rounds, options)
    result.publish(options.results)


def _limited(data: Path, limit: int, folder: Path) -> Path:
    """Link at most `limit` training pictures of each class, and a quarter of it for tests, into a folder."""
    for part, count in (("train", limit), ("test", limit // 4)):
        source = next(data / one for one in ((part, "val") if part == "test" else (part,)) if (data / one).is_dir())
        for class_folder in sorted(path for path in source.iterdir() if path.is_dir()):
            target = folder / part / class_folder.name
            target.mkdir(parents=True)
            for path in sorted(class_folder.iterdir())[:count]:
                (target / path.name).symlink_to(path.resolve())
    return folder


def _round(data: Path, options, seed: int, folder: Path) -> dict:
    folder.mkdir(parents=True)
    words = ["train", data, "--arch", "mobilenet_v2", "--weights", options.weights, "--seed", str(seed)]
    words += ["--unfreeze-blocks", "1", "--fine-tune-epochs", str(options.epochs)] if options.unfreeze else []
    environment = {"OPSIN_CACHE": str(folder / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    ours = run(opsin_command(*words, "--out", folder / "run"), environment=environment).require()
    split = _split(folder / "run", data, folder / "split")
    words = [sys.executable, "-m", "benchmarks.keras_guide", split, "--weights", options.weights]
    words += ["--epochs", str(options.epochs), "--seed", str(seed)]
    words += ["--unfreeze", TOP_BLOCK] if options.unfreeze else []
    theirs = run([*map(str, words)], environment=environment).require()
    rival = json.loads(theirs.output[theirs.output.index('{"epochs"') :])
    report = json.loads((folder / "run" / "report.json").read_text())
    events = [json.loads(line) for line in (folder / "run" / "events.jsonl").read_text().splitlines()]
    found = {
        "pictures": next(event["pictures"] for event in events if event["event"] == "run_started"),
        "seconds": ours.seconds,
        "processor": ours.processor_seconds,
        "rival_processor": theirs.processor_seconds,
        "peak_mb": ours.peak_mb,
        "accuracy": report["accuracy"]["value"],
        "right": _right(folder / "run"),
        "rival_seconds": rival["seconds"],
        "rival_peak_mb": theirs.peak_mb,
        "rival_accuracy": rival["fine_tuned" if options.unfreeze else "accuracy"]["accuracy"]
        if options.unfreeze
        else rival["accuracy"],
        "rival_right": rival["fine_tuned"]["right"] if options.unfreeze else rival["right"],
        "rival_epoch": float(np.median(rival["epochs"][1:] or rival["epochs"])),
        **_stages(events),
    }
    if options.unfreeze:
        ended = [event["seconds"] for event in events if event["event"] == "epoch_ended"]
        found["epoch"] = float(np.median(ended[1:] or ended))
        found["rival_fine_tuning_epoch"] = float(np.median(rival["fine_tuning_epochs"][1:]))
    shutil.rmtree(folder / "cache")
    return found


def _stages(events: list[dict]) -> dict[str, float]:
    """Return where Opsin's time went, in seconds."""
    times = {}
    for event in events:
        times.setdefault(event["event"], event["time"])
    last = {event["event"]: event["time"] for event in events}
    return {
        "to the network": times["network_built"] - times["run_started"],
        "to the first features": times["features"] - times["network_built"],
        "features": last["features"] - times["features"],
        "head, saving, report": last["run_finished"] - last["features"],
    }


def _split(run_folder: Path, data: Path, folder: Path) -> Path:
    """Lay the split of a run out in folders, by links."""
    with (run_folder / "files.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"]]
    for row in rows:
        target = folder / row["split"] / row["label"] / row["path"].replace("/", "__")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to((data / row["path"]).resolve())
    return folder


def _right(run_folder: Path) -> dict[str, bool]:
    """Return which test pictures the run has right, by the names that the rival sees."""
    with np.load(run_folder / "predictions.npz") as archive:
        held_out = archive["split"] == "test"
        right = archive["logits"].argmax(axis=1) == archive["labels"]
        return {
            path.replace("/", "__"): bool(one)
            for path, one in zip(archive["paths"][held_out], right[held_out], strict=True)
        }


def _report(result: Result, rounds: list[dict], options) -> None:
    def series(what: str, unit: str, key: str) -> Series:
        return Series(what, unit, [one[key] for one in rounds])

    ours, theirs = series("opsin train, whole command", "s", "seconds"), series("Keras guide", "s", "rival_seconds")
    faster = Series("Keras guide / opsin train", "", ratios(theirs.values, ours.values))
    spent = ratios([one["rival_processor"] for one in rounds], [one["processor"] for one in rounds])
    accuracy = [100 * one["accuracy"] for one in rounds]
    rival = [100 * one["rival_accuracy"] for one in rounds]
    result.series += [
        ours,
        theirs,
        faster,
        Series("the same, in processor time", "", spent),
        Series("accuracy, opsin", "%", accuracy),
        Series("accuracy, rival", "%", rival),
    ]
    result.series += [
        series(f"opsin: {stage}", "s", stage) for stage in rounds[0] if "to the" in stage or "feat" in stage
    ]
    result.series += [series("opsin: head, saving, report", "s", "head, saving, report")]
    result.series += [
        series("peak memory, opsin", "MB", "peak_mb"),
        series("peak memory, rival", "MB", "rival_peak_mb"),
    ]
    low, high = _difference(rounds)
    ten = [10 * one["rival_epoch"] / one["seconds"] for one in rounds]
    result.figures += [
        Figure(f"guide of {options.epochs} epochs / opsin train, whole commands", faster.median),
        Figure("the same, in processor time", float(np.median(spent))),
        Figure("ten of the guide's median epochs / opsin train", float(np.median(ten)), at_least=options.goal),
        Figure("mean accuracy, opsin", float(np.mean(accuracy)), "%"),
        Figure("mean accuracy, rival", float(np.mean(rival)), "%"),
        Figure("difference on the same pictures, 95 % interval from", low, "%"),
        Figure("difference on the same pictures, 95 % interval to", high, "%", at_least=0.0),
    ]
    if options.unfreeze:
        epochs = [one["rival_fine_tuning_epoch"] / one["epoch"] for one in rounds]
        result.series += [
            series("fine-tuning epoch, opsin", "s", "epoch"),
            series("fine-tuning epoch, rival", "s", "rival_fine_tuning_epoch"),
        ]
        result.figures.append(Figure("fine-tuning epoch, times faster", float(np.median(epochs)), at_least=4.0))


def _difference(rounds: list[dict]) -> tuple[float, float]:
    """Return the interval of the mean difference in accuracy, in percent: pictures drawn again, within each seed."""
    random = np.random.default_rng(0)
    differences = [
        np.array([float(one["right"][path]) - float(one["rival_right"][path]) for path in one["right"]])
        for one in rounds
    ]
    means = [
        np.mean([random.choice(difference, len(difference)).mean() for difference in differences])
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return 100 * float(low), 100 * float(high)


if __name__ == "__main__":
    main()

"""`opsin benchmark` on a model: every engine, float and 8-bit integers, in rounds.

With `--model` the model is a run of yours. With `--arch` it is that architecture with random weights (from scratch, no
training), whose speed is that of a trained one and whose accuracy means nothing.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.results import Figure, Result, Series, arguments
from opsin.data.dataset import ImageDataset
from opsin.evaluation.benchmark import benchmark
from opsin.evaluation.choose_part import choose_part
from opsin.evaluation.engine_results import Benchmark
from opsin.runtimes import INT8


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="class folders, or train/ and val/ or test/ of such")
    parser.add_argument("--model", type=Path, help="a run folder or model folder")
    parser.add_argument("--arch", help="an architecture of the catalogue, with random weights")
    parser.add_argument("--rounds", type=int, default=3, help="how often each engine is measured (default: 3)")
    options = parser.parse_args()
    if (options.model is None) == (options.arch is None):
        parser.error("Expected either --model or --arch.")
    data = ImageDataset.open(options.data)
    with tempfile.TemporaryDirectory() as temporary:
        model = options.model or _untrained(options.arch, data, Path(temporary))
        name, part = _architecture(model, data)
        settings = {"architecture": name, "data": options.data.name, "trained": options.model is not None}
        settings |= {"rounds": options.rounds}
        command = (
            f"python -m benchmarks.engines --data DIR {'--model RUN' if options.model else f'--arch {options.arch}'}"
        )
        result = Result(f"engines_{name}", command, settings)
        rounds = []
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            rounds.append(benchmark(model, part, say=lambda line: print(line, file=sys.stderr)))
    settings |= {"pictures": rounds[0].pictures, "left_out": rounds[0].left_out, "winner": rounds[-1].winner}
    _report(result, rounds, trained=options.model is not None)
    result.publish(options.results)


def _untrained(name: str, data: ImageDataset, folder: Path) -> Path:
    import keras

    from opsin.architectures import ARCHITECTURES, build_network
    from opsin.exporters.write_model import write_model
    from opsin.images.preprocess import Preprocess
    from opsin.model_folder import ModelCard

    keras.utils.set_random_seed(0)
    entry = ARCHITECTURES[name]
    height, width, _ = entry.input_shape
    card = ModelCard(data.class_names, Preprocess(height, width, color=entry.color), provenance={"architecture": name})
    for remark in write_model(folder / name, build_network(name, entry.input_shape, len(data.class_names)), card):
        print(remark, file=sys.stderr)
    return folder / name


def _architecture(model: Path, data: ImageDataset) -> tuple[str, ImageDataset]:
    from opsin.classifier import Classifier

    classifier = Classifier.open(model, "litert")
    return str(classifier.card.provenance["architecture"]), choose_part(classifier, data).dataset


def _report(result: Result, rounds: list[Benchmark], *, trained: bool) -> None:
    by_engine = {one.engine: [] for one in rounds[0].results}
    for found in rounds:
        for one in found.results:
            by_engine[one.engine].append(one)
    for engine, found in sorted(by_engine.items()):
        result.series += [
            Series(f"{engine}, batches of 16", "pictures/s", [one.pictures_per_second for one in found]),
            Series(f"{engine}, one picture", "ms", [one.latency_ms for one in found]),
            Series(f"{engine}, load and first answer", "s", [one.load_seconds for one in found]),
            Series(f"{engine}, size", "MB", [one.megabytes for one in found]),
        ]
        if found[0].peak_mb is not None:
            result.series.append(Series(f"{engine}, peak memory", "MB", [one.peak_mb for one in found]))
        if trained:
            result.series.append(Series(f"{engine}, accuracy", "%", [100 * one.accuracy.value for one in found]))
            result.series.append(Series(f"{engine}, agreement", "%", [100 * one.agreement for one in found]))
    _compare_int8(result, by_engine, trained=trained)


def _compare_int8(result: Result, by_engine: dict[str, list], *, trained: bool) -> None:
    speedups = []
    for engine in sorted(name for name in by_engine if name.endswith(INT8)):
        small, large = by_engine[engine][0], by_engine[engine.removesuffix(INT8)][0]
        result.figures.append(Figure(f"{engine} / float, size", small.megabytes / large.megabytes, at_most=0.3))
        if trained:
            lost = 100 * (large.accuracy.value - small.accuracy.value)
            result.figures.append(Figure(f"{engine}: accuracy lost", lost, "points", at_most=1.0))
        pairs = zip(by_engine[engine], by_engine[engine.removesuffix(INT8)], strict=True)
        ratio = Series(
            f"{engine} / float, pictures a second",
            "",
            [below.pictures_per_second / above.pictures_per_second for below, above in pairs],
        )
        result.series.append(ratio)
        speedups.append(ratio.median)
    if speedups:
        result.figures.append(Figure("the fastest 8-bit engine / itself in float", max(speedups), at_least=1.0))


if __name__ == "__main__":
    main()

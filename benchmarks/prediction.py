"""How close `Classifier.predict_many` on JPEG files comes to what decoding and the network alone leave possible.

With d pictures decoded a second and i pictures run a second, both on all cores, no program that does both on those
cores gives more than 1 / (1/d + 1/i) pictures a second. Each round measures all three, in a rotated order.
One picture at a time is measured as well: `Classifier.predict` beside decoding that file and running the network on it.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.results import Figure, Result, Series, arguments, ratios
from opsin.classifier import Classifier
from opsin.errors import PictureError
from opsin.images.reading import read_images

JPEG = (".jpg", ".jpeg")
PREDICT, DECODE, INFER = "predict_many on files", "decoding alone", "the network alone"


def seconds_of(action: Callable[[], object]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def find_jpegs(folder: Path, limit: int | None) -> list[Path]:
    """Return the JPEG files under a folder, at most `limit`, evenly spread over it."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in JPEG)
    if not paths:
        raise SystemExit(f"Expected JPEG files; there are none under {str(folder)!r}.")
    return paths if limit is None else paths[:: max(1, len(paths) // limit)][:limit]


def infer_seconds(classifier: Classifier, images: list[np.ndarray], batch_size: int) -> float:
    """Return the seconds that the network itself takes for all images, stacked and cast outside of the clock."""
    total = 0.0
    for start in range(0, len(images), batch_size):
        batch = np.stack(images[start : start + batch_size]).astype(np.float32)
        total += seconds_of(lambda batch=batch: classifier.runtime.run(batch))
    return total


def single_pictures(classifier: Classifier, paths: list[Path]) -> dict[str, list[float]]:
    """Return the milliseconds of each picture, by `predict` and by its two parts alone, one after the other."""

    def bare(path: Path) -> None:
        classifier.runtime.run(classifier.preprocess.read(path)[None].astype(np.float32))

    classifier.predict(paths[0])
    calls = {"Classifier.predict": classifier.predict, "decoding and the network": bare}
    found: dict[str, list[float]] = {name: [] for name in calls}
    for path in paths:
        for name, call in calls.items():
            found[name].append(1000 * seconds_of(lambda call=call, path=path: call(path)))
    return found


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a run folder or model folder")
    parser.add_argument("--data", type=Path, required=True, help="a folder with JPEG files in it, at any depth")
    parser.add_argument("--limit", type=int, help="at most so many pictures (default: all; they are held decoded)")
    parser.add_argument("--batch-size", type=int, default=16, help="pictures a batch (default: 16)")
    parser.add_argument(
        "--rounds", type=int, default=5, help="rounds after the first, which does not count (default: 5)"
    )
    parser.add_argument("--singles", type=int, default=100, help="pictures to predict one at a time (default: 100)")
    options = parser.parse_args()
    classifier = Classifier.open(options.model)
    found = find_jpegs(options.data, options.limit)
    decoded = list(read_images(found, classifier.preprocess))
    readable = [row for row, image in enumerate(decoded) if not isinstance(image, PictureError)]
    paths, images = [found[row] for row in readable], [decoded[row] for row in readable]
    settings = {
        "architecture": classifier.card.provenance.get("architecture"),
        "input": list(classifier.preprocess.shape),
        "data": options.data.name,
        "pictures": len(paths),
        "mean_kilobytes": round(sum(path.stat().st_size for path in paths) / len(paths) / 1e3, 1),
        "batch_size": options.batch_size,
        "rounds": options.rounds,
    }
    result = Result("prediction", "python -m benchmarks.prediction --model RUN --data DIR", settings)
    measures = {
        PREDICT: lambda: seconds_of(lambda: list(classifier.predict_many(paths, batch_size=options.batch_size))),
        DECODE: lambda: seconds_of(lambda: sum(1 for _ in read_images(paths, classifier.preprocess))),
        INFER: lambda: infer_seconds(classifier, images, options.batch_size),
    }
    rates: dict[str, list[float]] = {name: [] for name in measures}
    names = list(measures)
    for number in range(1 + options.rounds):
        for name in names[number % 3 :] + names[: number % 3]:
            rate = len(paths) / measures[name]()
            if number:
                rates[name].append(rate)
    possible = [1 / (1 / decode + 1 / infer) for decode, infer in zip(rates[DECODE], rates[INFER], strict=True)]
    shares = Series("predict_many / what is possible", "", ratios(rates[PREDICT], possible))
    result.series += [Series(name, "pictures/s", values) for name, values in rates.items()] + [shares]
    result.figures.append(
        Figure("predict_many / what decoding and network leave possible", shares.median, at_least=0.9)
    )
    latencies = single_pictures(classifier, paths[: options.singles])
    shares = Series("predict / decoding and the network, one picture", "", ratios(*latencies.values()))
    result.series += [Series(f"{name}, one picture", "ms", values) for name, values in latencies.items()] + [shares]
    result.figures.append(
        Figure("one picture: predict / decoding it and the network alone", shares.median, at_most=1.15)
    )
    result.publish(options.results)


if __name__ == "__main__":
    main()

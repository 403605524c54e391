"""How close feature extraction comes to what decoding and the network alone leave possible, and what memory it takes.

With d pictures decoded a second and i pictures run a second, both on all cores, no program that does both on those
cores gives more than 1 / (1/d + 1/i) pictures a second. Each round measures, in a rotated order, both of these and the
two roads that pictures take to features: `opsin embed` on files, and what `opsin train` does, which decodes into an
empty cache and then runs the frozen network over it. The network alone is the fastest of one call at a time and of so
many as the extractor has lanes.

Memory is that of `opsin embed` as a process of its own, for the pictures and for `--times` as many (links to them).
"""

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.prediction import find_jpegs, seconds_of
from benchmarks.processes import opsin_command, run
from benchmarks.results import Figure, Result, Series, arguments, ratios
from opsin.architectures import ARCHITECTURES, build_network
from opsin.architectures.cuts import part_before
from opsin.data.cache import Cache
from opsin.data.dataset import ImageDataset
from opsin.data.store import decode_datasets
from opsin.features.embedders import Embedder, open_embedder
from opsin.features.embedding import embed
from opsin.features.extraction import Extractor, extract, make_extractor
from opsin.images.reading import read_images

EMBED, TRAIN = "embed, on files", "decoding to the cache and features, as opsin train"
DECODE, INFER = "decoding alone", "the network alone"


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of class folders with JPEG files")
    parser.add_argument("--arch", default="mobilenet_v2", help="the backbone (default: mobilenet_v2)")
    parser.add_argument("--weights", type=Path, required=True, help="of the backbone, .h5")
    parser.add_argument("--rounds", type=int, default=5, help="after the first, which does not count (default: 5)")
    parser.add_argument("--times", type=int, default=4, help="how many times as many pictures for memory (default: 4)")
    options = parser.parse_args()
    paths = find_jpegs(options.data, None)
    settings = {"architecture": options.arch, "data": options.data.name, "pictures": len(paths)}
    settings |= {"rounds": options.rounds, "times": options.times}
    result = Result("extraction", "python -m benchmarks.extraction --data DIR --weights FILE", settings)
    # Before anything large is loaded here, which would count as theirs.
    few, many = (_peak(options, paths, times) for times in (1, options.times))
    embedder = open_embedder(options.arch, str(options.weights))
    extractor = _extractor(options.arch, options.weights)
    dataset = ImageDataset.open(options.data)
    images = list(read_images(paths, embedder.origin.preprocess))
    measures = {
        EMBED: lambda: seconds_of(lambda: embed(embedder, paths)) / len(paths),
        DECODE: lambda: seconds_of(lambda: sum(1 for _ in read_images(paths, embedder.origin.preprocess))) / len(paths),
        TRAIN: lambda: seconds_of(lambda: _as_in_training(extractor, dataset, embedder)) / len(dataset),
        INFER: lambda: _bare_seconds(extractor, images) / len(images),
    }
    spent: dict[str, list[float]] = {name: [] for name in measures}
    names = list(measures)
    for number in range(1 + options.rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            seconds = measures[name]()
            if number:
                spent[name].append(seconds)
    least = [decode + infer for decode, infer in zip(spent[DECODE], spent[INFER], strict=True)]
    result.series += [Series(name, "pictures/s", [1 / one for one in values]) for name, values in spent.items()]
    for name in (EMBED, TRAIN):
        shares = Series(f"{name} / what is possible", "", ratios(least, spent[name]))
        result.series.append(shares)
        result.figures.append(Figure(shares.what, shares.median, at_least=0.9))
    result.figures += [
        Figure(f"opsin embed: peak memory, {len(paths):,} pictures", few, "MB"),
        Figure(f"opsin embed: peak memory, {options.times * len(paths):,} pictures", many, "MB"),
        Figure("peak memory, many / few", many / few, at_most=1.1),
    ]
    result.publish(options.results)


def _extractor(name: str, weights: Path) -> Extractor:
    network = build_network(name, ARCHITECTURES[name].input_shape, 2, weights=weights)
    return make_extractor(part_before(network, network.get_layer("features").output))


def _as_in_training(extractor: Extractor, dataset: ImageDataset, embedder: Embedder) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder))
        stored = decode_datasets([dataset], embedder.origin.preprocess, cache=cache)
        extract(extractor, {"train": stored[0]}, cache=cache)


def _bare_seconds(extractor: Extractor, images: Sequence[np.ndarray]) -> float:
    batches = [
        np.stack(images[start : start + extractor.batch_size]).astype(np.float32)
        for start in range(0, len(images), extractor.batch_size)
    ]

    def of_threads(count: int) -> Callable[[], object]:
        def act() -> None:
            with ThreadPoolExecutor(count) as pool:
                list(pool.map(extractor.run, batches))

        return act

    return min(seconds_of(of_threads(count)) for count in {1, extractor.lanes})


def _peak(options, paths: Sequence[Path], times: int) -> float:
    """Return the megabytes that `opsin embed` takes at most, for each picture under several names."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        for number in range(times):
            for position, path in enumerate(paths):
                (pictures / f"{number}_{position}{path.suffix}").symlink_to(path.resolve())
        words = ("embed", options.arch, pictures, "--weights", options.weights, "--out", Path(folder) / "vectors.npz")
        return run(opsin_command(*words)).require().peak_mb


if __name__ == "__main__":
    main()

"""`opsin check`: how long it takes as data grows, which copies it finds, and which planted label errors.

Each size is one process of the command on that many linked pictures with an empty cache, then a second look. Copies
are written from `--data` (re-encoded, halved, cropped, brightened, mirrored) and looked for among their originals and
each other. With `--model`, 5 % of the labels are changed, and the ranking of `label-suspect` is compared with plain
out-of-fold logistic regression on the same features, ranked by the probability of the class that a picture bears.
"""

import itertools
import json
import math
import os
import random
import sys
import tempfile
from pathlib import Path

from benchmarks.processes import MemoryTogether, opsin_command, run
from benchmarks.results import Figure, Result, Series, arguments

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")
PLANTED, LOOKED_AT = 0.05, 0.08

TIME, PROCESSOR_TIME, MEMORY = "full check", "processor time", "peak memory of all processes together"
MEASURED = {TIME: "s", PROCESSOR_TIME: "s", "second look": "s", MEMORY: "MB"}
"""What is measured of each size, and its unit."""


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="class folders, or train/ and test/ of such")
    parser.add_argument("--model", type=Path, help="a run or a model folder, whose features tell doubtful labels")
    parser.add_argument("--name", help="what the result is called (default: checks_NAME-OF-DATA)")
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 20_000, 40_000, 60_000])
    parser.add_argument("--rounds", type=int, default=1, help="how often each size is checked (default: 1)")
    parser.add_argument("--copies", type=int, default=750, help="originals that copies are made of (default: 750)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options = parser.parse_args()
    settings = {"data": options.data.name, "rounds": options.rounds, "copies": options.copies, "seeds": options.seeds}
    command = f"python -m benchmarks.checks --data DIR{' --model RUN' if options.model else ''}"
    result = Result(options.name or f"checks_{options.data.name}", command, settings)
    pictures = sorted(path for path in options.data.rglob("*") if path.suffix.lower() in SUFFIXES)
    settings["pictures"] = len(pictures)
    with tempfile.TemporaryDirectory() as temporary:
        # First: a child's peak memory counts that of the process it was forked from.
        _measure_times(result, options, pictures, Path(temporary))
        if options.copies:
            _measure_copies(result, options, pictures, Path(temporary) / "copies")
    if options.model:
        _measure_labels(result, options)
    result.publish(options.results)


def _measure_times(result: Result, options, pictures: list[Path], folder: Path) -> None:
    sizes = sorted({min(size, len(pictures)) for size in options.sizes})
    found: dict[tuple[int, str], list[float]] = {(size, name): [] for size in sizes for name in MEASURED}
    for size in sizes:
        data = folder / f"{size}"
        for path in random.Random(0).sample(pictures, size):
            link = data / path.relative_to(options.data)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())
    for round_number, size in itertools.product(range(options.rounds), sizes):
        environment = {"OPSIN_CACHE": str(folder / f"cache {size} {round_number}")}
        command, memory = opsin_command("check", folder / f"{size}", "--json"), MemoryTogether()
        first = run(command, environment=environment, watch=memory).require()
        second = run(command, environment=environment).require()
        said = ", ".join(f"{one['code']} {len(one['paths']):,}" for one in json.loads(first.output)["findings"])
        print(f"{size:,} pictures: {first.seconds:.1f} s, again {second.seconds:.1f} s; {said}", file=sys.stderr)
        measured = (first.seconds, first.processor_seconds, second.seconds, memory.peak_mb)
        for name, value in zip(MEASURED, measured, strict=True):
            found[size, name].append(value)
    series = {key: Series(f"{key[0]:,} pictures, {key[1]}", MEASURED[key[1]], values) for key, values in found.items()}
    result.series += series.values()
    if sizes:
        _judge_times(result, sizes, {key: one.median for key, one in series.items()})


def _judge_times(result: Result, sizes: list[int], found: dict[tuple[int, str], float]) -> None:
    least, most = sizes[0], sizes[-1]
    seconds, memory = (15, None) if most <= 750 else (90, 1500) if most <= 60_000 else (None, None)
    result.figures += [
        Figure(f"full check of {most:,} pictures", found[most, TIME], "s", at_most=seconds),
        Figure(f"peak memory at {most:,} pictures", found[most, MEMORY], "MB", at_most=memory),
    ]
    if least < most:
        growth = (most * math.log(most)) / (least * math.log(least))
        result.figures += [
            Figure(
                f"{what} at {most:,} / at {least:,} pictures (n log n: {growth:.1f})",
                found[most, what] / found[least, what],
                at_most=growth,
            )
            for what in (TIME, PROCESSOR_TIME)
        ]


def _measure_copies(result: Result, options, pictures: list[Path], folder: Path) -> None:
    import numpy as np
    from PIL import Image, ImageEnhance, ImageOps

    from opsin.checks.survey import survey
    from opsin.data.dataset import ImageDataset
    from opsin.images.decode import open_picture

    def halved(image: Image.Image) -> Image.Image:
        return image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.LANCZOS)

    def cropped(image: Image.Image) -> Image.Image:
        width, height = round(image.width * 0.025), round(image.height * 0.025)
        return image.crop((width, height, image.width - width, image.height - height))

    kinds = {
        "re-encoded": (lambda image: image, {"format": "JPEG", "quality": 40}),
        "halved": (halved, {"format": "PNG"}),
        "cropped 5 %": (cropped, {"format": "PNG"}),
        "brightened 10 %": (lambda image: ImageEnhance.Brightness(image).enhance(1.1), {"format": "PNG"}),
        "mirrored (a choice: another picture)": (ImageOps.mirror, {"format": "PNG"}),
    }
    originals = random.Random(1).sample(pictures, min(options.copies, len(pictures)))
    for number, path in enumerate(originals):
        image = open_picture(path).image
        for kind, (change, saving) in {"original": (lambda image: image, {"format": "PNG"}), **kinds}.items():
            target = folder / "data" / str(["original", *kinds].index(kind)) / f"{number:06}.{saving['format'].lower()}"
            target.parent.mkdir(parents=True, exist_ok=True)
            change(image).save(target, **saving)
    found = survey(ImageDataset.open(folder / "data"), cache=folder / "cache")
    count = len(originals)
    kind_of, number_of = np.divmod(np.arange(count * (1 + len(kinds))), count)
    # Originals that are copies of each other are no false pairs.
    same = survey(ImageDataset.open(folder / "data").subset(np.arange(count)), cache=folder / "cache").groups
    pairs = np.array([pair for rows in found.same_content for pair in itertools.pairwise(rows)], dtype=int)
    pairs = np.concatenate([pairs.reshape(-1, 2), found.near_pairs])
    mirrored = kind_of == len(kinds)
    for index, kind in enumerate(kinds, start=1):
        group, own = found.groups[:count], found.groups[kind_of == index]
        share = 100 * float((group == own).mean())
        goal = None if index == len(kinds) else 95.0
        result.figures.append(Figure(f"copies found, {kind}", share, "%", at_least=goal))
    is_false = same[number_of[pairs[:, 0]]] != same[number_of[pairs[:, 1]]]
    is_false |= mirrored[pairs[:, 0]] != mirrored[pairs[:, 1]]
    all_pairs = len(kind_of) * (len(kind_of) - 1) / 2
    result.figures += [
        Figure("false pairs in a million pairs", 1e6 * float(is_false.sum()) / all_pairs, at_most=1.0),
        Figure("largest group of copies", float(np.bincount(found.groups).max())),
    ]


def _measure_labels(result: Result, options) -> None:
    import numpy as np

    from opsin.checks.labels import doubt, judge, scaled
    from opsin.data.dataset import ImageDataset
    from opsin.features.embedding import embed

    dataset = ImageDataset.open(options.data, patient=True)
    index = embed(options.model, dataset)
    label_of = dict(zip(dataset.paths, dataset.labels.tolist(), strict=True))
    labels = np.unique([label_of[os.path.abspath(path)] for path in index.paths], return_inverse=True)[1]  # noqa: PTH100
    features = np.asarray(index.vectors)
    count = len(labels)
    shares: dict[str, list[float]] = {"ours": [], "rival": [], "probably wrong": [], "right of these": []}
    for seed in options.seeds:
        changed, wrong = _planted(labels, seed)
        ranked, _, sure = doubt(judge(scaled(features), changed, np.arange(count)), changed)
        rival = _plain_ranking(features, changed)
        first = round(LOOKED_AT * count)
        shares["ours"].append(100 * float(np.isin(wrong, ranked[:first]).mean()))
        shares["rival"].append(100 * float(np.isin(wrong, rival[:first]).mean()))
        shares["probably wrong"].append(100 * float(sure.mean()))
        shares["right of these"].append(100 * float(np.isin(np.flatnonzero(sure), wrong).mean()) if sure.any() else 0.0)
        print(json.dumps({name: round(values[-1], 1) for name, values in shares.items()}), file=sys.stderr)
    where = f"planted errors among the first {LOOKED_AT:.0%}"
    result.series += [
        Series(f"{where}, opsin check", "%", shares["ours"]),
        Series(f"{where}, plain logistic regression", "%", shares["rival"]),
        Series("labels called probably wrong", "%", shares["probably wrong"]),
        Series("planted among these", "%", shares["right of these"]),
    ]
    result.figures += [
        Figure(f"{where}, opsin check, mean", float(np.mean(shares["ours"])), "%", at_least=75.0),
        Figure(f"{where}, plain logistic regression, mean", float(np.mean(shares["rival"])), "%"),
    ]


def _planted(labels, seed: int):
    """Return the labels with 5 % of them changed to another class, and the rows where."""
    import numpy as np

    generator = np.random.default_rng(seed)
    classes = int(labels.max()) + 1
    wrong = generator.permutation(len(labels))[: round(PLANTED * len(labels))]
    changed = labels.copy()
    changed[wrong] = (labels[wrong] + generator.integers(1, classes, len(wrong))) % classes
    return changed, wrong


def _plain_ranking(features, labels):
    """Return the rows in the order of the probability of their own class, by scikit-learn as it comes."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = LogisticRegression(max_iter=1000)
    probabilities = cross_val_predict(model, features, labels, cv=folds, method="predict_proba")
    return np.argsort(probabilities[np.arange(len(labels)), labels], kind="stable")


if __name__ == "__main__":
    main()

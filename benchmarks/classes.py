"""What `--recipe fast` does where there are many classes: epochs and network as for ten of them, and its own choice.

The classes are made of those of a data set: each picture has its colours swapped in one of six ways, and is turned
upside down or not, and which of the twelve it is has to be told beside what is on it. Each picture is used once, so
that 120 classes have as many pictures together as the ten that they come from.
"""

import itertools
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import opsin
from benchmarks.ablation import learn, spread
from benchmarks.results import Figure, Result, Series, arguments
from opsin.data.dataset import DatasetSplits
from opsin.training.recipes import FAST, FEW_CLASSES, NARROW, epochs_for

WAYS = list(itertools.product((False, True), itertools.permutations(range(3))))


def many_classes(dataset: opsin.ImageDataset, folder: Path) -> opsin.ImageDataset:
    """Write the pictures of a data set as those of twelve times as many classes."""
    for number, (path, label) in enumerate(zip(dataset.paths, dataset.labels, strict=True)):
        upside_down, order = WAYS[number % len(WAYS)]
        pixels = np.asarray(Image.open(path).convert("RGB"))[:: -1 if upside_down else 1, :, order]
        target = folder / f"{dataset.class_names[label]}-{number % len(WAYS):02d}"
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(target / f"{number}.png")
    return opsin.ImageDataset.from_folder(folder)


def main() -> None:
    """Parse, train, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--data", required=True, help="a folder of train/ and test/ with class folders in them")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each choice (default: 2)")
    parser.add_argument(
        "--limit", type=int, default=6000, help="so many pictures, and a third for tests (default: 6000)"
    )
    options = parser.parse_args()
    given = opsin.ImageDataset.open(options.data).split(val=0.1)
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["OPSIN_CACHE"] = str(Path(temporary) / "cache")
        whole = many_classes(spread(given.train, options.limit), Path(temporary) / "train")
        test = many_classes(spread(given.test, options.limit // 3), Path(temporary) / "test")
        shares = whole.split(val=0.1, test=0.0)
        parts = DatasetSplits(shares.train, shares.val, test)
        pictures, classes = len(parts.train), len(whole.class_names)
        few, many = epochs_for(pictures, FEW_CLASSES), epochs_for(pictures, classes)
        choices = [(name, epochs) for epochs in (few, many) for name in (NARROW, FAST)]
        settings = {"data": Path(options.data).name, "pictures": pictures, "classes": classes, "seeds": options.seeds}
        result = Result("classes", "python -m benchmarks.classes --data DIR", settings)
        accuracy = {choice: [] for choice in choices}
        seconds = {choice: [] for choice in choices}
        for seed in range(options.seeds):
            for name, epochs in choices:
                config = opsin.TrainConfig(recipe="fast", architecture=name, epochs=epochs, seed=seed)
                spent, share = learn(parts, config)
                accuracy[name, epochs].append(100 * share)
                seconds[name, epochs].append(spent)
                print(f"seed {seed}, {name}, {epochs} epochs: {100 * share:.2f} % in {spent:.1f} s", flush=True)
    for name, epochs in choices:
        result.series.append(Series(f"{name}, {epochs} epochs: test accuracy", "%", accuracy[name, epochs]))
        result.series.append(Series(f"{name}, {epochs} epochs: seconds of learning", "s", seconds[name, epochs]))
    gain = np.mean(accuracy[FAST, many]) - np.mean(accuracy[NARROW, few])
    result.figures.append(Figure("the recipe's choice: points more than that for ten classes", float(gain)))
    result.publish(options.results)


if __name__ == "__main__":
    main()

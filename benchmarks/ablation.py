"""What each part of `--recipe fast` is worth: the recipe without it, or with another choice, side by side.

Every variant is trained with the same seeds on the same pictures, in turns: one seed of each, then the next. Quoted is
the difference in test accuracy from the whole recipe with the same seed, which the spread of seeds hits alike, and the
ratio of the seconds of learning.
"""

import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import opsin
from benchmarks.results import Figure, Result, Series, arguments
from opsin.augmentation.policies import POLICIES, Policy
from opsin.data.dataset import DatasetSplits
from opsin.training.run_folder import RunFolder

WHOLE = "the whole recipe"
BY_CHANCE = "fast, flips by chance"
VARIANTS: dict[str, dict[str, Any]] = {
    WHOLE: {},
    "first convolution not whitened": {"whiten": False},
    "convolutions begun as the identity": {"identity_init": True},
    "logits not scaled": {"logit_scale": 1.0},
    "biases at the rate of all": {"bias_rate": 1.0},
    "labels not smoothed": {"label_smoothing": 0.0},
    "flips by chance, not alternating": {"augment": BY_CHANCE},
    "pictures as they are": {"augment": "none"},
    "normalisation's momentum 0.9": {"norm_momentum": 0.9},
    "pictures that grow from five eighths": {"start_size": 20},
    "GELU": {"activation": "gelu"},
    "SiLU": {"activation": "silu"},
    "half a cosine instead of one cycle": {"schedule": "cosine"},
    "moving average of the weights": {"ema": 0.98},
    "SGD in the place of Muon": {"optimizer": "sgd-nesterov"},
    "AdamW": {"optimizer": "adamw", "bias_rate": 1.0, "logit_scale": 1.0, "weight_decay": 0.05},
    "cifar_cnn by the recipe": {"architecture": "cifar_cnn"},
}


def main() -> None:
    """Parse, train all variants, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--data", required=True, help="a folder of class folders, or of train/ and test/ of such")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each variant (default: 2)")
    parser.add_argument("--epochs", type=int, help="default: the recipe's own")
    parser.add_argument(
        "--limit",
        type=int,
        help="learn from so many pictures, evenly spread, and validate with 1,000 at most (default: all)",
    )
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), help="some variants, and the whole recipe")
    options = parser.parse_args()
    POLICIES[BY_CHANCE] = Policy(horizontal_flip=0.5, translation=POLICIES["fast"].translation)
    parts = opsin.ImageDataset.open(options.data).split(val=0.1)
    if options.limit is not None:
        train, val = (spread(part, count) for part, count in ((parts.train, options.limit), (parts.val, 1000)))
        parts = DatasetSplits(train, val, parts.test)
    settings = {"data": Path(options.data).name, "pictures": len(parts.train), "seeds": options.seeds}
    result = Result("ablation_" + settings["data"], "python -m benchmarks.ablation --data DIR", settings)
    names = [name for name in VARIANTS if options.only is None or name in (WHOLE, *options.only)]
    accuracy = {name: [] for name in names}
    seconds = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["OPSIN_CACHE"] = cache
        for seed in range(options.seeds):
            for name in names:
                config = opsin.TrainConfig(recipe="fast", epochs=options.epochs, seed=seed).replace(**VARIANTS[name])
                spent, share = learn(parts, config)
                accuracy[name].append(100 * share)
                seconds[name].append(spent)
                print(f"seed {seed}, {name}: {100 * share:.2f} % in {spent:.1f} s", flush=True)
    for name in names:
        gains = [one - whole for one, whole in zip(accuracy[name], accuracy[WHOLE], strict=True)]
        times = [one / whole for one, whole in zip(seconds[name], seconds[WHOLE], strict=True)]
        result.series.append(Series(f"{name}: test accuracy", "%", accuracy[name]))
        if name != WHOLE:
            result.series += [
                Series(f"{name}: points more than the whole recipe", "", gains),
                Series(f"{name}: its time / that of the whole recipe", "", times),
            ]
            result.figures.append(Figure(f"{name}: mean points more", statistics.mean(gains)))
    result.publish(options.results)


def spread(part: opsin.ImageDataset, count: int) -> opsin.ImageDataset:
    """Return so many of the pictures, evenly spread."""
    return part.subset(np.linspace(0, len(part) - 1, min(count, len(part))).astype(int))


def learn(parts: DatasetSplits, config: opsin.TrainConfig) -> tuple[float, float]:
    """Return the seconds of learning and the test accuracy."""
    with tempfile.TemporaryDirectory() as folder:
        run = opsin.train(parts.train, parts.val, config, test=parts.test, out=RunFolder.create(Path(folder) / "run"))
        events = [json.loads(line) for line in (run.folder / "events.jsonl").read_text().splitlines()]
        begun = next(event["time"] for event in events if event["event"] == "epoch_started")
        ended = [event["time"] for event in events if event["event"] == "epoch_ended"][-1]
        return ended - begun, run.report.metrics.accuracy.value


if __name__ == "__main__":
    main()

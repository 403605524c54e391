"""`opsin predict --unknown`: how many pictures of other kinds are refused, and how many known ones are kept.

A classifier of the known pictures is trained for each seed; it has never seen the others. Beside the rule that its
card has, other measures from the literature are taken on the same features. Each of those gets the threshold that
keeps exactly 95 % of the held-out known pictures, so that only the measures differ and not how they are fitted.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.processes import opsin_command, run
from benchmarks.results import Figure, Result, Series, arguments
from opsin.classifier import Classifier
from opsin.data.dataset import ImageDataset
from opsin.data.splits import TEST, TRAIN, VAL
from opsin.deciding import FROM_CARD, KEEP, References, unit
from opsin.errors import PictureError
from opsin.evaluation.evaluate import BATCH
from opsin.images.reading import read_images
from opsin.names import PREDICTIONS
from opsin.runtimes.ahead import run_ahead
from opsin.runtimes.base import Outputs

Score = Callable[[np.ndarray], np.ndarray]
SHRINKAGE = 0.1


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--known", type=Path, required=True, help="pictures to train on, a folder for each class")
    parser.add_argument("--unknown", type=Path, nargs="+", required=True, help="folders of pictures of other kinds")
    parser.add_argument("--weights", type=Path, required=True, help="pretrained weights, a file or a folder of them")
    parser.add_argument("--arch", default="mobilenet_v2", help="the network (default: mobilenet_v2)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ... (default: 3)")
    options = parser.parse_args()
    others = [folder.name for folder in options.unknown]
    settings = {"known": options.known.name, "unknown": others, "architecture": options.arch, "seeds": options.seeds}
    result = Result("unknown", "python -m benchmarks.unknown --known DIR --unknown DIR --weights FILE", settings)
    rows: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for seed in range(options.seeds):
            out = Path(temporary) / str(seed)
            command = opsin_command("train", options.known, "--out", out, "--seed", str(seed), "--arch", options.arch)
            run([*command, "--weights", str(options.weights)]).require()
            for what, value in _measure(out, options.known, options.unknown).items():
                rows.setdefault(what, []).append(value)
                print(f"seed {seed}: {what}: {value:.2f}", flush=True)
    result.series += [Series(what, "ms" if "takes" in what else "%", values) for what, values in rows.items()]
    kept = statistics.fmean(rows["held-out known pictures kept by --unknown"])
    result.figures.append(Figure("held-out known pictures kept, mean over the seeds", kept, "%", at_least=100 * KEEP))
    for name in others:
        refused = statistics.fmean(rows[f"{name} refused by --unknown"])
        result.figures.append(Figure(f"{name} refused, mean over the seeds", refused, "%", at_least=90))
    result.publish(options.results)


def _measure(folder: Path, known: Path, unknown: list[Path]) -> dict[str, float]:
    classifier = Classifier.open(folder).deciding(threshold=FROM_CARD)
    with np.load(folder / PREDICTIONS) as archive:
        paths = {part: [known / path for path in archive["paths"][archive["split"] == part]] for part in (TRAIN, TEST)}
        labels = archive["labels"][archive["split"] == TRAIN]
        if not paths[TRAIN] or not paths[TEST]:
            raise SystemExit(f"Expected predictions of {TRAIN}, {VAL} and {TEST}; {folder} lacks some.")
    train, test = (_run(classifier, paths[part]) for part in (TRAIN, TEST))
    others = {one.name: _run(classifier, ImageDataset.open(one).paths) for one in unknown}
    started = time.perf_counter()
    found = {"held-out known pictures kept by --unknown": 100 - _refused(classifier, test)}
    found["the rule takes, a picture"] = 1000 * (time.perf_counter() - started) / len(test.logits)
    for name, outputs in others.items():
        found[f"{name} refused by --unknown"] = _refused(classifier, outputs)
    scores = measures(train.features, labels)
    for name, outputs in others.items():
        sure = [classifier.probabilities(one.logits).max(axis=1) for one in (test, outputs)]
        found[f"{name} refused by confidence alone"] = _below(*sure)
        for what, score in scores.items():
            found[f"{name} refused by {what}"] = _below(score(test.features), score(outputs.features))
    return found


def _run(classifier: Classifier, paths: list) -> Outputs:
    found = []
    for images, outputs in run_ahead(classifier.run, read_images(paths, classifier.preprocess), BATCH):
        if outputs is not None:
            found.append(outputs)
        if any(isinstance(image, PictureError) for image in images):
            raise SystemExit("Expected pictures that can be read; run opsin check on the folders.")
    return Outputs(*(np.concatenate([getattr(one, name) for one in found]) for name in ("logits", "features")))


def _refused(classifier: Classifier, outputs: Outputs) -> float:
    probabilities = classifier.probabilities(outputs.logits)
    return 100 * float(classifier.decision.refuses(probabilities, outputs.features).mean())


def _below(known: np.ndarray, others: np.ndarray) -> float:
    return 100 * float((others < np.quantile(known, 1 - KEEP)).mean())


def measures(features: np.ndarray, labels: np.ndarray) -> dict[str, Score]:
    """Return, by name, functions from features (N, d) to how much they look like known ones.

    Args:
        features: float (n, d), of the training pictures.
        labels: int (n,).
    """
    near = {f"{k} nearest, unit length": _nearest(features, k) for k in (1, 5, 10, 50)}
    return {
        **near,
        "Mahalanobis": _mahalanobis(features, labels, np.asarray),
        "Mahalanobis, unit length": _mahalanobis(features, labels, unit),
        "relative Mahalanobis, unit length": _mahalanobis(features, labels, unit, relative=True),
        "residual of 64 principal components, unit length": _residual(features, 64),
    }


def _nearest(features: np.ndarray, neighbour: int) -> Score:
    references = References(features, neighbour)
    return lambda new: -references.distances(new)


def _mahalanobis(features: np.ndarray, labels: np.ndarray, scale: Score, *, relative: bool = False) -> Score:
    """Lee et al. 2018, arXiv 1807.03888, eq. 2, shrunk; relative: Ren et al. 2021, arXiv 2106.09022, eq. 3."""
    known = scale(features).astype(np.float64)
    means = np.stack([known[labels == label].mean(axis=0) for label in np.unique(labels)])
    within = _precision(known - means[np.searchsorted(np.unique(labels), labels)])
    middle = known.mean(axis=0)
    overall = _precision(known - middle)

    def score(new: np.ndarray) -> np.ndarray:
        new = scale(new).astype(np.float64)
        nearest = np.min([_squared(new - mean, within) for mean in means], axis=0)
        return _squared(new - middle, overall) - nearest if relative else -nearest

    return score


def _precision(centred: np.ndarray) -> np.ndarray:
    covariance = centred.T @ centred / len(centred)
    size = len(covariance)
    return np.linalg.inv((1 - SHRINKAGE) * covariance + SHRINKAGE * np.trace(covariance) / size * np.eye(size))


def _squared(offsets: np.ndarray, precision: np.ndarray) -> np.ndarray:
    return ((offsets @ precision) * offsets).sum(axis=1)


def _residual(features: np.ndarray, components: int) -> Score:
    """Wang et al. 2022, arXiv 2203.10807, eq. 4, without the logits."""
    known = unit(features)
    middle = known.mean(axis=0)
    axes = np.linalg.svd(known - middle, full_matrices=False)[2][:components]

    def score(new: np.ndarray) -> np.ndarray:
        centred = unit(new) - middle
        return -np.linalg.norm(centred - (centred @ axes.T) @ axes, axis=1)

    return score


if __name__ == "__main__":
    main()

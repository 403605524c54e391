"""What a run folder knows of how its model came about: what it learned from, and how well it knew that."""

import csv
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from opsin.classifier import Classifier, softmax
from opsin.data.account import read_account
from opsin.data.splits import TRAIN, VAL
from opsin.errors import OpsinError
from opsin.names import CONFIG, FILES, HISTORY, PREDICTIONS


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What networks that had not seen some pictures said of them.

    Args:
        labels: int (m,).
        probabilities: float64 (m, k).
        paths: m.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    paths: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Background:
    """What is known beside a report; what is not known is empty.

    Args:
        train_counts: class name -> pictures that the model learned from.
        train_accuracy: the share of those that it has right, from 0 to 1.
        pretrained: whether it began with weights from elsewhere; None if that is not known.
        held_out: training pictures judged by heads that had not seen them, and those of validation.
        leaked: pictures of the report that are copies of training pictures.
        conflicting: pictures of the data that are the same pixel for pixel and have different labels, by picture.
    """

    train_counts: dict[str, int] = field(default_factory=dict)
    train_accuracy: float | None = None
    pretrained: bool | None = None
    held_out: HeldOut | None = None
    leaked: tuple[str, ...] = ()
    conflicting: tuple[tuple[str, ...], ...] = ()


def read_background(classifier: Classifier, judged: set[str]) -> Background:
    """Read what there is in the run folder that a model lies in; nothing of it is needed.

    Args:
        classifier: the model.
        judged: the report's pictures; they are not among those that were held out otherwise.
    """
    run = classifier.run_folder
    # Beside a model that was copied elsewhere, files of such names are somebody else's.
    if not (run / FILES).is_file():
        return Background()
    return Background(
        train_counts=_train_counts(run / FILES),
        train_accuracy=_train_accuracy(run / HISTORY),
        pretrained=_pretrained(run / CONFIG),
        held_out=_held_out(run / PREDICTIONS, classifier, judged),
    )


def _train_counts(path: Path) -> dict[str, int]:
    try:
        rows = read_account(path)
    except OpsinError:
        return {}
    return dict(Counter(row["label"] for row in rows if row["split"] == TRAIN and row["status"] == "used"))


def _train_accuracy(path: Path) -> float | None:
    """Return it where the weights were best on the validation pictures."""
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            rows = [row for row in csv.DictReader(handle) if row.get("accuracy") and row.get("val_accuracy")]
        return float(max(rows, key=lambda row: float(row["val_accuracy"]))["accuracy"]) if rows else None
    except (OSError, ValueError, csv.Error):
        return None


def _pretrained(path: Path) -> bool | None:
    try:
        return tomllib.loads(path.read_text("utf-8")).get("weights") != "none"
    except (OSError, ValueError):
        return None


def _held_out(path: Path, classifier: Classifier, judged: set[str]) -> HeldOut | None:
    try:
        with np.load(path) as archive:
            labels, logits, paths, split = (archive[name] for name in ("labels", "logits", "paths", "split"))
    except (OSError, ValueError, KeyError):
        return None
    # The report is on other data: what was said of the run's own pictures does not belong to it.
    if logits.ndim != 2 or len(logits) != len(paths) or not judged <= set(paths.tolist()):
        return None
    probabilities = softmax(logits, classifier.card.temperature)
    kept = np.isin(split, (TRAIN, VAL)) & ~np.isin(paths, sorted(judged))
    if not kept.any() or probabilities.shape[1] != len(classifier.class_names):
        return None
    return HeldOut(labels[kept], probabilities[kept], tuple(map(str, paths[kept])))

"""Why pictures were judged as they were: where the network looked, and which training pictures it takes them for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from opsin.classifier import Classifier
from opsin.data.account import read_account
from opsin.data.splits import TRAIN
from opsin.deciding import read_known_features, unit
from opsin.errors import PictureError
from opsin.evaluation.evidence import Explained, Neighbour
from opsin.evaluation.mistakes import mistaken_rows
from opsin.evaluation.novelty import choose_references
from opsin.evaluation.report import Report
from opsin.images.decode import decode_image
from opsin.images.preprocess import Preprocess
from opsin.images.reading import read_images
from opsin.names import ENVIRONMENT, FILES, KNOWN

if TYPE_CHECKING:
    from opsin.explanation.network import ImageNetwork

EXPLAINED = 12
"""Mistakes that are looked into: as many as anybody looks at."""

NEIGHBOURS = 3

SIDE = 96
"""The longer side of a heat map in a report, in pixels; what a network sees is coarser."""


@dataclass(frozen=True, eq=False)
class Known:
    """Pictures that the network learned from, as it sees them.

    Args:
        features: float (m, d).
        paths: m paths, relative to the report's root.
        labels: m class names.
    """

    features: np.ndarray
    paths: Sequence[str]
    labels: Sequence[str]


def worst_rows(report: Report, limit: int = EXPLAINED) -> np.ndarray:
    """Return int (m,), the rows of the most confident mistakes, those to look into."""
    return mistaken_rows(report)[:limit]


def look_into(
    report: Report,
    rows: np.ndarray,
    *,
    heat: Mapping[int, tuple[np.ndarray, float]] | None = None,
    features: np.ndarray | None = None,
    known: Known | None = None,
) -> Report:
    """Return the report with what is known of why some pictures were judged as they were, beside what it has of that.

    Args:
        report: the report.
        rows: int (m,), which of its pictures.
        heat: row -> heat map and its peak, as `heat_of` gives them.
        features: float (m, d), what the network sees in these pictures.
        known: what it learned from.
    """
    explained = dict(report.evidence.explained)
    similar = [()] * len(rows) if features is None or known is None else nearest(features, known, NEIGHBOURS + 1)
    for row, neighbours in zip(rows.tolist(), similar, strict=True):
        path = report.paths[row]
        before = explained.get(path, Explained())
        # Of a training picture that is judged, the nearest one is itself.
        others = tuple(one for one in neighbours if one.path != path)[:NEIGHBOURS]
        explained[path] = Explained(*(heat or {}).get(row, (before.heat, before.peak)), others or before.neighbours)
    return report.with_evidence(explained=explained)


def nearest(features: np.ndarray, known: Known, limit: int = NEIGHBOURS) -> list[tuple[Neighbour, ...]]:
    """Return for each picture the training pictures whose features point in the most similar direction.

    Args:
        features: float (n, d).
        known: what the network learned from.
        limit: how many.
    """
    similarities = unit(features) @ unit(known.features).T
    best = np.argsort(-similarities, axis=1, kind="stable")[:, :limit]
    return [
        tuple(Neighbour(known.paths[i], known.labels[i], float(similarity[i])) for i in row)
        for row, similarity in zip(best, similarities, strict=True)
    ]


def heat_of(
    report: Report, rows: np.ndarray, images: np.ndarray, network: "ImageNetwork"
) -> dict[int, tuple[np.ndarray, float]]:
    """Return where in pictures the evidence lies for what was said of them, by Grad-CAM.

    Args:
        report: the report.
        rows: int (m,), which of its pictures.
        images: uint8 (m, h, w, c), these pictures by the network's recipe.
        network: the one that was judged. TensorFlow only.

    Returns:
        Row -> heat map, float32 (h, w), from 0 to 1, on the upright picture, and its peak before it was scaled.
        Pictures that cannot be read any more have none.
    """
    from opsin.explanation.heat_maps import heat_maps

    said = report.probabilities[rows].argmax(axis=1)
    maps, peaks = heat_maps(network, images, said)
    laid = {}
    for row, heat, peak in zip(rows.tolist(), maps, peaks.tolist(), strict=True):
        try:
            laid[row] = (_lay(heat, network.preprocess, _path(report, row)), peak)
        except PictureError:
            continue
    return laid


def explain_worst(report: Report, classifier: Classifier) -> Report:
    """Return the report with heat maps of its worst mistakes, read anew from the disk.

    Raises:
        MissingPackageError: TensorFlow is not installed.
        ModelError: the classifier is an export, which has no gradients, or its network cannot be explained.
        UsageError: its network has several inputs, say.
    """
    rows, images = _read_worst(report, classifier)
    if not len(rows):
        return report
    from opsin.explanation.opening import open_network

    return look_into(report, rows, heat=heat_of(report, rows, images, open_network(classifier)))


def compare_worst(report: Report, classifier: Classifier) -> Report:
    """Return the report with the training pictures that its worst mistakes are most like, if the run remembers them.

    Loads no TensorFlow.

    Raises:
        ModelError: the features of the training pictures are missing or altered.
        DataError: the run's account of its files is damaged.
    """
    known = read_known(classifier, report.root)
    if known is None:
        return report
    rows, images = _read_worst(report, classifier)
    if not len(rows):
        return report
    return look_into(report, rows, features=classifier.run(images).features, known=known)


def read_known(classifier: Classifier, root: Path | None) -> Known | None:
    """Return the training pictures whose features lie in the model folder, named by the account of the run around it.

    Args:
        classifier: of a run folder; a model folder that was copied elsewhere knows no pictures.
        root: the report's; training pictures that are not under it have whole paths.

    Returns:
        None if nothing is known of them, or they are gone.

    Raises:
        ModelError: their features are missing or altered.
        DataError: the account is damaged.
    """
    run, card = classifier.run_folder, classifier.card
    if KNOWN not in card.files or not (run / FILES).is_file():
        return None
    features = read_known_features(card, classifier.folder)
    used = [row for row in read_account(run / FILES) if row["split"] == TRAIN and row["status"] == "used"]
    if not {row["label"] for row in used} <= set(card.class_names):
        return None
    chosen = choose_references([card.class_names.index(row["label"]) for row in used], features.shape[1])
    names = _found([used[row]["path"] for row in chosen], [root, _data_of(run)])
    if names is None or len(names) != len(features):
        return None
    return Known(features, names, [used[row]["label"] for row in chosen])


def _found(names: list[str], roots: Sequence[Path | None]) -> list[str] | None:
    """Return where files are: as they are called under the first of the roots, whole paths under another."""
    for number, root in enumerate(roots):
        if root is not None and names and (root / names[0]).is_file():
            return names if number == 0 else [str((root / name).absolute()) for name in names]
    return None


def _data_of(run: Path) -> Path | None:
    """Return the folder that a run's pictures were in."""
    try:
        return Path(json.loads((run / ENVIRONMENT).read_text("utf-8"))["data"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_worst(report: Report, classifier: Classifier) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the mistakes to look into that can be read, int (m,), and their images, uint8 (m, h, w, c)."""
    rows = worst_rows(report)
    read = list(read_images([_path(report, row) for row in rows.tolist()], classifier.preprocess))
    there = [number for number, image in enumerate(read) if not isinstance(image, PictureError)]
    return rows[there], np.stack([read[number] for number in there]) if there else np.empty(0, np.uint8)


def _lay(heat: np.ndarray, preprocess: Preprocess, path: Path) -> np.ndarray:
    from opsin.explanation.geometry import onto_picture

    height, width = decode_image(path, least_size=(SIDE, SIDE)).shape[:2]
    shrink = SIDE / max(height, width)
    return onto_picture(heat, preprocess, max(1, round(height * shrink)), max(1, round(width * shrink)))


def _path(report: Report, row: int) -> Path:
    return (report.root or Path()) / report.paths[row]

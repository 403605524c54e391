"""Why pictures were judged as they were: where the network looked, and which training pictures it takes them for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from opsin.classifier import Classifier
from opsin.deciding import unit
from opsin.errors import PictureError
from opsin.evaluation.evidence import Explained, Neighbour
from opsin.evaluation.mistakes import mistaken_rows
from opsin.evaluation.report import Report
from opsin.images.decode import decode_image
from opsin.images.preprocess import Preprocess
from opsin.images.reading import read_images

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
    """Return the report with what is known of why some pictures were judged as they were.

    Args:
        report: the report.
        rows: int (m,), which of its pictures.
        heat: row -> heat map and its peak, as `heat_of` gives them.
        features: float (m, d), what the network sees in these pictures.
        known: what it learned from.
    """
    similar = [()] * len(rows)
    if features is not None and known is not None:
        similar = nearest(features, known)
    explained = {
        report.paths[row]: Explained(*(heat or {}).get(row, (None, 0.0)), neighbours)
        for row, neighbours in zip(rows.tolist(), similar, strict=True)
    }
    return report.with_evidence(explained={**report.evidence.explained, **explained})


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
    rows = worst_rows(report)
    if not len(rows):
        return report
    from opsin.explanation.opening import open_network

    network = open_network(classifier)
    read = list(read_images([_path(report, row) for row in rows.tolist()], classifier.preprocess))
    there = [number for number, image in enumerate(read) if not isinstance(image, PictureError)]
    if not there:
        return report
    heat = heat_of(report, rows[there], np.stack([read[number] for number in there]), network)
    return look_into(report, rows, heat=heat)


def _lay(heat: np.ndarray, preprocess: Preprocess, path: Path) -> np.ndarray:
    from opsin.explanation.geometry import onto_picture

    height, width = decode_image(path, least_size=(SIDE, SIDE)).shape[:2]
    shrink = SIDE / max(height, width)
    return onto_picture(heat, preprocess, max(1, round(height * shrink)), max(1, round(width * shrink)))


def _path(report: Report, row: int) -> Path:
    return (report.root or Path()) / report.paths[row]

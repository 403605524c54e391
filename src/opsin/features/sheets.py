"""Contact sheets: the pictures that are similar to one, and those of each cluster."""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from opsin.atomic import replacing
from opsin.catalog import choose
from opsin.data.walk import exists
from opsin.errors import PictureError, UsageError
from opsin.features.clusters import Cluster, list_clusters
from opsin.features.index import FeatureIndex, Match
from opsin.images.drawing import SAVED_AS, contact_sheet, save_image
from opsin.images.preprocess import Preprocess
from opsin.images.reading import read_images

MAT = (235, 235, 235)
"""What is left free around a picture, so that a white one has edges on the white sheet."""

THUMBNAIL = Preprocess(160, 160, fit="pad", background=MAT)
COLUMNS, CLUSTER_COLUMNS = 6, 8
OF_EACH_CLUSTER = 48
MOST_ROWS = 80
"""Of one sheet: 14,566 pixels, and a WebP file takes no more than 16,383."""

TABLE = "clusters.csv"
_OURS = re.compile(rf"cluster-\d+\.png|{re.escape(TABLE)}")

Tile = tuple[str | None, str]
"""A picture's file, None for an empty place, and the caption under it."""


def draw_matches(pictures: Sequence[str], answers: Sequence[Sequence[Match]]) -> np.ndarray:
    """Draw each picture, followed by those that were found to be similar to it.

    Args:
        pictures: the files that were asked about.
        answers: what was found for each.

    Returns:
        uint8 (H, W, 3), RGB, 0 to 255.

    Raises:
        UsageError: these are more pictures than fit on a sheet.
    """
    require_room(len(pictures), max(map(len, answers)))
    tiles: list[Tile] = []
    for picture, matches in zip(pictures, answers, strict=True):
        tiles += [
            (picture, f"similar to {Path(picture).name}"),
            *(_tile(m.path, m.similarity, m.label) for m in matches),
        ]
        tiles += [(None, "")] * (-len(tiles) % COLUMNS)
    return _draw(tiles, COLUMNS)


def require_room(pictures: int, top: int) -> None:
    """Raise `UsageError` unless so many pictures, each with so many similar ones, fit on one sheet."""
    rows = pictures * -(-(1 + top) // COLUMNS)
    if rows > MOST_ROWS:
        raise UsageError(
            f"Expected at most {MOST_ROWS} rows of {COLUMNS} on a sheet; {pictures} pictures with {top} similar ones "
            f"each take {rows}. Ask about fewer, give a lower --top, or leave out --sheet."
        )


def draw_cluster(index: FeatureIndex, cluster: Cluster) -> np.ndarray:
    """Draw up to 48 pictures of a cluster, from the most typical to the most unusual one.

    Returns:
        uint8 (H, W, 3), RGB, 0 to 255.
    """
    return _draw(_of_cluster(index, cluster, OF_EACH_CLUSTER), CLUSTER_COLUMNS)


def draw_clusters(index: FeatureIndex) -> np.ndarray:
    """Draw all clusters on one sheet: of each a row, from the most typical to the most unusual picture.

    Returns:
        uint8 (H, W, 3), RGB, 0 to 255.

    Raises:
        UsageError: these are more pictures than fit on a sheet.
    """
    clusters = list_clusters(index)
    require_room_for_clusters(len(clusters))
    tiles: list[Tile] = []
    for cluster in clusters:
        (path, _), *others = _of_cluster(index, cluster, CLUSTER_COLUMNS)
        tiles += [(path, f"cluster {cluster.number}: {len(cluster):,} pictures"), *others]
        tiles += [(None, "")] * (-len(tiles) % CLUSTER_COLUMNS)
    return _draw(tiles, CLUSTER_COLUMNS)


def require_room_for_clusters(count: int) -> None:
    """Raise `UsageError` unless so many clusters fit on one sheet."""
    if count > MOST_ROWS:
        raise UsageError(
            f"Expected at most {MOST_ROWS} clusters on one sheet; received {count}. Give a folder instead of a file, "
            "for a sheet of each."
        )


def save_cluster_sheets(index: FeatureIndex, folder: str | Path) -> None:
    """Write a folder with a sheet of each cluster, and `clusters.csv`, which names all their pictures.

    A folder of such sheets is replaced; another one is not, unless it is empty.

    Raises:
        UsageError: there is something else at that place.
        SavingError: it cannot be written.
    """
    require_folder(folder)
    clusters = list_clusters(index)
    digits = len(str(len(clusters)))
    with replacing(folder) as temporary:
        temporary.mkdir()
        for cluster in clusters:
            save_image(draw_cluster(index, cluster), temporary / f"cluster-{cluster.number:0{digits}}.png")
        _write_table(index, clusters, temporary / TABLE)


def require_folder(folder: str | Path) -> None:
    """Raise `UsageError` unless a folder of sheets can be written to this place, and nothing else be lost."""
    folder = Path(folder)
    foreign = [p.name for p in folder.iterdir() if not _OURS.fullmatch(p.name)] if folder.is_dir() else []
    if foreign or (folder.exists() and not folder.is_dir()):
        what = f"holds {foreign[0]!r}" if foreign else "is a file"
        raise UsageError(
            f"Expected a new or empty folder for the sheets; {str(folder)!r} {what}. Choose another --sheet."
        )


def require_file(path: str | Path, pictures: Iterable[str], *, option: str = "--sheet") -> None:
    """Raise `UsageError` unless a sheet can be written to this file, which is none of the pictures.

    Args:
        path: the file.
        pictures: those that must not be replaced.
        option: what it was given with.
    """
    choose("suffix of a sheet", Path(path).suffix.lower(), SAVED_AS)
    if Path(path).is_dir():
        raise UsageError(f"Expected a file for the sheet; {str(path)!r} is a folder. Choose another {option}.")
    if exists(path) and any(exists(one) and Path(path).samefile(one) for one in pictures):
        raise UsageError(
            f"Expected another file for the sheet; {str(path)!r} is one of the pictures. Choose another {option}."
        )


def _write_table(index: FeatureIndex, clusters: Iterable[Cluster], path: Path) -> None:
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["path", "label", "cluster", "similarity"])
        for cluster in clusters:
            for row, similarity in zip(cluster.rows, cluster.similarities, strict=True):
                label = index.labels[row] if index.labels else ""
                writer.writerow([index.paths[row], label, cluster.number, f"{similarity:.6f}"])


def _of_cluster(index: FeatureIndex, cluster: Cluster, most: int) -> list[Tile]:
    shown = np.linspace(0, len(cluster) - 1, min(most, len(cluster))).astype(int)
    return [
        _tile(index.paths[row], similarity, index.labels[row] if index.labels else "")
        for row, similarity in zip(cluster.rows[shown], cluster.similarities[shown], strict=True)
    ]


def _tile(path: str, similarity: float, label: str) -> Tile:
    return path, " ".join([f"{similarity:.2f}", *([f"{label},"] if label else []), Path(path).name])


def _draw(tiles: Sequence[Tile], columns: int) -> np.ndarray:
    images = read_images([path for path, _ in tiles if path is not None], THUMBNAIL)
    empty = np.full(THUMBNAIL.shape, 255, dtype=np.uint8)
    shown, captions = [], []
    for path, caption in tiles:
        image = empty if path is None else next(images)
        # It may have been moved since its vector was computed.
        lost = isinstance(image, PictureError)
        shown.append(np.full(THUMBNAIL.shape, 200, dtype=np.uint8) if lost else image)
        captions.append(f"{caption} ({image.reason})" if lost else caption)
    return contact_sheet(shown, columns=columns, labels=captions)

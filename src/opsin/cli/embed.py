"""`opsin embed`: a vector for each picture, by which pictures are compared and grouped."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from opsin.cli.account import left_out, one_line
from opsin.cli.program import program
from opsin.errors import ExitCode, UsageError
from opsin.runtimes import IN_THE_MODEL

if TYPE_CHECKING:
    from opsin.data.pictures import PictureList
    from opsin.features.clusters import Cluster
    from opsin.features.index import FeatureIndex

EXAMPLES = (
    "opsin embed RUN photos/ --out vectors.npz",
    "opsin embed mobilenet_v2 photos/ --out vectors.parquet",
    "opsin embed RUN photos/ --out vectors.npz --clusters 8 --sheet clusters.png",
)


def embed(
    model: str = typer.Argument(
        metavar="MODEL_OR_BACKBONE", help="A run folder, a model folder, or an architecture (see opsin archs)."
    ),
    data: Path = typer.Argument(
        metavar="DATA", help="A folder of pictures, in class folders or not, or a CSV with the columns path, label."
    ),
    out: Path = typer.Option(..., help="The index to write: .npz, or .parquet (needs opsin\\[parquet])."),
    weights: str | None = typer.Option(
        None,
        help="Of an architecture: imagenet (downloaded once; the default), a file (.h5, .weights.h5, .keras) or a "
        "folder of files named after architectures.",
    ),
    offline: bool = typer.Option(False, "--offline", help="Never download weights."),
    clusters: int | None = typer.Option(
        None, min=2, help="Group the pictures into so many clusters (k-means), and draw each."
    ),
    sheet: Path | None = typer.Option(
        None,
        help="Where the clusters are drawn: a folder, for a sheet of each, or one .png, .jpg or .webp for all; "
        "default: the folder NAME-OF-OUT_clusters.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
    runtime: str = typer.Option("litert", help=f"Of a model: {' or '.join(IN_THE_MODEL)}; keras needs opsin\\[train]."),
) -> None:
    """Write the feature vectors of pictures, by a finished model or a pretrained backbone, to an index.

    A finished model needs no TensorFlow. A picture that cannot be read is left out, and the exit code is then 3.
    An index that stands at the same place is replaced, another file is not.
    """
    from opsin.cli.bars import progress_bar
    from opsin.data.pictures import find_pictures
    from opsin.features.embedders import open_embedder
    from opsin.features.embedding import embed as embed_pictures
    from opsin.features.index_files import require_place

    require_place(out)
    pictures = find_pictures(data)
    sheet = None if clusters is None and sheet is None else _place_of_sheets(clusters, sheet, out, data, pictures)
    embedder = open_embedder(model, weights, offline=offline, runtime=runtime, say=_say)
    with progress_bar("embedding") as advance:
        index = embed_pictures(embedder, pictures, progress=advance)
    # Before anything is made of them: vectors take long.
    index.save(out)
    found = ()
    if clusters is not None and sheet is not None:
        index, found = _group(index, clusters, sheet)
        index.save(out)
    _account(index, pictures)
    document = _document(index, out, found, sheet)
    print(json.dumps(document, indent=2) if as_json else _text(index, out, found, sheet))
    if index.skipped:
        raise typer.Exit(ExitCode.UNUSABLE)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _place_of_sheets(clusters: int | None, sheet: Path | None, out: Path, data: Path, pictures: "PictureList") -> Path:
    """Return where the clusters will be drawn, and raise before the network runs if that cannot be."""
    from opsin.catalog import require_installed
    from opsin.features.clusters import require_count
    from opsin.features.sheets import require_file, require_folder, require_room_for_clusters

    if clusters is None:
        raise UsageError(
            f"Expected --clusters with --sheet, since clusters are drawn there; received only --sheet {sheet}."
        )
    require_installed(["sklearn"], "finding clusters")
    require_count(clusters, len(pictures))
    # Without dots, since what follows one would be taken for a suffix.
    sheet = sheet or out.with_name(f"{out.stem}_clusters".replace(".", "_"))
    if os.path.isdir(data) and sheet.resolve().is_relative_to(data.resolve()):
        raise UsageError(
            f"Expected a place for the sheets outside of {str(data)!r}, or they would be among its pictures next time; "
            f"received {str(sheet)!r}. Give another one with --sheet."
        )
    if _is_file(sheet):
        require_file(sheet, pictures.paths)
        require_room_for_clusters(clusters)
    else:
        require_folder(sheet)
    return sheet


def _is_file(sheet: Path) -> bool:
    return bool(sheet.suffix) and not sheet.is_dir()


def _group(index: "FeatureIndex", count: int, sheet: Path) -> "tuple[FeatureIndex, tuple[Cluster, ...]]":
    from opsin.features.clusters import list_clusters, with_clusters
    from opsin.features.sheets import draw_clusters, save_cluster_sheets
    from opsin.images.drawing import save_image

    index = with_clusters(index, count)
    if _is_file(sheet):
        save_image(draw_clusters(index), sheet)
    else:
        save_cluster_sheets(index, sheet)
    return index, list_clusters(index)


def _account(index: "FeatureIndex", pictures: "PictureList") -> None:
    for path, reason in index.skipped:
        _say(f"{one_line(path)}  error: {one_line(reason)}")
    for line in left_out(pictures.root, (one for one in pictures.skipped if not one.lost)):
        _say(line)
    if index.skipped:
        total = len(index) + len(index.skipped)
        _say(f"{len(index.skipped):,} of {total:,} pictures could not be read.")


def _document(index: "FeatureIndex", out: Path, clusters: "tuple[Cluster, ...]", sheet: Path | None) -> dict:
    return {
        "index": str(out),
        "pictures": len(index),
        "dimensions": index.dimensions,
        "origin": index.origin.to_dict(),
        "clusters": [{"cluster": one.number, "pictures": len(one), "labels": one.labels} for one in clusters],
        "sheet": None if sheet is None else str(sheet),
        "skipped": [{"path": path, "reason": reason} for path, reason in index.skipped],
    }


def _text(index: "FeatureIndex", out: Path, clusters: "tuple[Cluster, ...]", sheet: Path | None) -> str:
    lines = [f"{out}: {len(index):,} pictures, {index.dimensions:,} numbers each, by {index.origin.name}"]
    width = len(f"{max(map(len, clusters), default=0):,}")
    for cluster in clusters:
        mostly = ", ".join(f"{label} {count / len(cluster):.0%}" for label, count in list(cluster.labels.items())[:3])
        lines.append(
            f"  cluster {cluster.number:>{len(str(len(clusters)))}}  {len(cluster):>{width},} pictures  {mostly}"
        )
    if sheet is not None:
        lines.append(f"Look at them: {sheet}")
    lines.append(f"Look for similar pictures: {shlex.join([program(), 'similar', str(out)])} PICTURE")
    return "\n".join(line.rstrip() for line in lines)

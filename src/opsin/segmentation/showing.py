"""The page of a report, with the pictures that it is about: the worst first."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from opsin.atomic import write_text
from opsin.images.decode import decode_image
from opsin.segmentation.cards import MOST, JudgedPicture
from opsin.segmentation.dataset import SegmentationDataset
from opsin.segmentation.evaluate import SegmentationReport
from opsin.segmentation.page import PageContent, segmentation_page
from opsin.segmentation.road import read_upright_mask
from opsin.segmentation.segmenter import Segmenter


def save_page(
    path: str | Path,
    report: SegmentationReport,
    segmenter: Segmenter,
    dataset: SegmentationDataset,
    *,
    tiles: bool = False,
    history: Sequence[Mapping[str, Any]] = (),
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write a report as one HTML page; the pictures that it shows are segmented once more.

    Args:
        path: where to.
        report: what `evaluate` found.
        segmenter: whose answers were judged.
        dataset: the pictures that they were judged on.
        tiles: as they were judged.
        history: the training's epochs, for its curves.
        settings: name -> value, shown as a list.
    """
    content = PageContent(
        report.metrics,
        segmenter.classes,
        pictures=_worst(report, segmenter, dataset, tiles),
        subtitle=f"{dataset.root.name}{f', {report.split}' * bool(report.split)}",
        history=history,
        skipped=report.skipped,
        settings=settings or {},
    )
    write_text(path, segmentation_page(content))


def _worst(
    report: SegmentationReport, segmenter: Segmenter, dataset: SegmentationDataset, tiles: bool
) -> Iterator[JudgedPicture]:
    places = {name: place for place, name in enumerate(dataset.names)}
    for name, iou in report.worst[:MOST]:
        path = dataset.paths[places[name]]
        truth = read_upright_mask(path, dataset.mask_paths[places[name]], dataset.classes)
        yield JudgedPicture(name, iou, decode_image(path), truth, segmenter.segment(path, tiles=tiles).mask)

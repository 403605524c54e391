"""`opsin detect`: what found boxes are worth, and what they look like."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from opsin.errors import DataError, ExitCode, UsageError

if TYPE_CHECKING:
    import numpy as np

    from opsin.detection.annotations import BoxedPicture, FoundBoxes, TrueBoxes
    from opsin.detection.report import DetectionReport

HELP = "Measure and draw boxes that a detector, any detector, has found."

EXAMPLES = {
    "evaluate": (
        "opsin detect evaluate annotations.json predictions.json",
        "opsin detect evaluate annotations.json predictions.json --json > measures.json",
        "opsin detect evaluate annotations.json predictions.json --min ap50=0.8 --min ap50.mask=0.9",
    ),
    "draw": (
        "opsin detect draw annotations.json photos/ --out drawn/",
        "opsin detect draw annotations.json photos/ --out drawn/ --predictions predictions.json --score 0.5",
    ),
}

_TRUTH = "COCO's JSON of the true boxes: images, annotations, categories."
_PREDICTIONS = (
    "COCO's JSON of the found boxes: a list of image_id, category_id, bbox (left, top, width, height), score."
)


def evaluate(
    truth: Path = typer.Argument(metavar="GT.json", help=_TRUTH),
    predictions: Path = typer.Argument(metavar="PREDICTIONS.json", help=_PREDICTIONS),
    least: list[str] = typer.Option(
        None,
        "--min",
        metavar="NAME=NUMBER",
        help="Exit with 1 if this is less: ap, ap50, ap75, ap_small, ar_100, voc_ap and the others of --json; "
        "ap50.CLASS, ap.CLASS of one class. May be given again.",
        show_default=False,
    ),
    score: float = typer.Option(0.25, help="Found boxes with at least this score are in the confusion matrix."),
    iou: float = typer.Option(
        0.5,
        min=0.01,
        max=1.0,
        help="From this overlap on a box is found, in the matrix, the curves and Pascal VOC's AP.",
    ),
    renumber: bool = typer.Option(
        False, "--renumber", help="Number annotations from 1: pycocotools never counts the one with the id 0 as found."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document, curves included."),
) -> None:
    """Measure found boxes: COCO's average precision and recall, Pascal VOC's, each class, which is taken for which.

    The numbers are those of pycocotools.
    """
    from opsin.detection.coco import read_coco, read_coco_predictions
    from opsin.detection.report import judge, read_least

    true = read_coco(truth)
    true = true.renumbered() if renumber else true
    gates = read_least(least or [], true.class_names)
    found = read_coco_predictions(predictions, true)
    for note in (*(note for note in true.notes if not (renumber and "--renumber" in note)), *found.notes):
        print(f"Note: {note}", file=sys.stderr)
    report = judge(true, found, iou=iou, score=score)
    passages = [(name, wanted, report.value_of(name)) for name, wanted in gates]
    print(_json(report, passages) if as_json else _text(report))
    failed = [one for one in passages if one[2] is None or one[2] < one[1]]
    for name, wanted, measured in failed:
        shown = "there is nothing to measure it on" if measured is None else f"measured {measured:.4f}"
        print(f"FAILED: {name}: wanted at least {wanted:g}, {shown}.", file=sys.stderr)
    if failed:
        raise typer.Exit(ExitCode.GATE_FAILED)


def draw(
    truth: Path = typer.Argument(metavar="GT.json", help=_TRUTH),
    pictures: Path = typer.Argument(metavar="PICTURES", help="The folder that its file names are in."),
    out: Path = typer.Option(..., help="The folder to write to, under the pictures' names; files there are replaced."),
    predictions: Path | None = typer.Option(
        None, help="Also draw these: solid lines, with scores; the true ones are dashed."
    ),
    score: float = typer.Option(0.25, help="Found boxes with less are not drawn."),
    first: int | None = typer.Option(None, min=1, help="Only so many pictures, from the start."),
) -> None:
    """Draw boxes with their names into pictures.

    Pictures are drawn upright; boxes that were drawn on the lying picture of a phone (its size in GT.json tells) turn
    with it.
    """
    from opsin.cli.account import one_line
    from opsin.cli.bars import progress_bar
    from opsin.detection.coco import read_coco, read_coco_predictions
    from opsin.images.drawing import SAVED_AS, save_image

    true = read_coco(truth)
    found = None if predictions is None else read_coco_predictions(predictions, true).above(score)
    if not pictures.is_dir():
        raise UsageError(f"Expected a folder with pictures; there is none at {str(pictures)!r}. Check the path.")
    if out.exists() and out.samefile(pictures):
        raise UsageError(f"Expected --out to be another folder than the pictures'; received {str(out)!r} for both.")
    failed, chosen = 0, range(len(true.pictures))[:first]
    with progress_bar("drawing") as advance:
        for index in chosen:
            picture = true.pictures[index]
            try:
                name = _inside(picture)
                image = _drawn(pictures / name, index, true, found)
                save_image(image, out / (name if name.suffix.lower() in SAVED_AS else f"{name}.png"))
            except DataError as error:
                failed += 1
                print(f"{one_line(picture.file_name)}  error: {one_line(str(error))}", file=sys.stderr)
            advance(index + 1, len(chosen))
    drawn = len(chosen) - failed
    print(f"{drawn:,} picture{'' if drawn == 1 else 's'} drawn to {one_line(str(out))}", file=sys.stderr)
    if failed:
        raise typer.Exit(ExitCode.UNUSABLE)


COMMANDS = (evaluate, draw)


def _inside(picture: "BoxedPicture") -> Path:
    """Return a picture's file name, if it does not lead out of the folder that it is in."""
    path = Path(os.path.normpath(picture.file_name))
    if not picture.file_name or path.is_absolute() or ".." in path.parts or path.drive:
        raise DataError(
            f"Expected a file name within the folder of pictures for the image {picture.id}; received "
            f"{picture.file_name!r}. Correct it in the JSON."
        )
    return path


def _drawn(file: Path, index: int, true: "TrueBoxes", found: "FoundBoxes | None") -> "np.ndarray":
    from opsin.detection.drawing import draw_boxes
    from opsin.images.decode import decode_image

    image, turn = decode_image(file), _turning(file, true.pictures[index])
    for boxes, line in ((true, "dashed" if found is not None else "solid"), (found, "solid")):
        if boxes is None:
            continue
        rows = boxes.picture_indices == index
        classes = boxes.class_indices[rows]
        names = [true.class_names[k] for k in classes]
        if boxes is found:
            names = [f"{name} {score:.2f}" for name, score in zip(names, boxes.scores[rows], strict=True)]
        elif found is not None:
            names = [""] * len(names)
        image = draw_boxes(
            image, turn(boxes.boxes[rows]), format="xywh", labels=names, class_indices=classes, line=line
        )
    return image


def _turning(file: Path, picture: "BoxedPicture") -> Any:
    """Return what brings boxes to the upright picture: nothing at all, for most."""
    from opsin.detection.orientation import drawn_on_stored, upright_boxes
    from opsin.images.decode import picture_orientation, picture_size

    if picture.height is None or picture.width is None:
        return lambda boxes: boxes
    size, orientation = (picture.height, picture.width), picture_orientation(file)
    if not drawn_on_stored(size, picture_size(file), orientation):
        return lambda boxes: boxes
    return lambda boxes: upright_boxes(boxes, orientation, format="xywh", stored_height=size[0], stored_width=size[1])


def _json(report: "DetectionReport", passages: list[tuple[str, float, float | None]]) -> str:
    gates = [
        {"name": name, "wanted": wanted, "measured": measured, "held": measured is not None and measured >= wanted}
        for name, wanted, measured in passages
    ]
    return json.dumps({**report.to_dict(), **({"gates": gates} if gates else {})}, indent=2)


def _text(report: "DetectionReport") -> str:
    from opsin.cli.account import one_line
    from opsin.detection.report import shown

    measures, head = report.coco, ("all", "IoU 0.5", "IoU 0.75", "small", "medium", "large")
    lines = [
        f"{report.pictures:,} pictures, {report.boxes:,} boxes to find, {report.found:,} found",
        "",
        f"{'':<20}" + "".join(f"{name:>10}" for name in head),
        f"{'average precision':<20}" + "".join(f"{shown(getattr(measures, name)):>10}" for name in report.APS),
        f"{'':<20}" + "".join(f"{name:>10}" for name in ("1 each", "10 each", "100 each", *head[3:])),
        f"{'average recall':<20}" + "".join(f"{shown(getattr(measures, name)):>10}" for name in report.ARS),
        f"{'Pascal VOC':<20}{shown(report.voc_ap):>10}  by eleven points {shown(report.voc_ap_11)}",
        "",
    ]
    width = max([len("class"), *(len(one_line(one.name)) for one in measures.per_class)]) + 2
    columns = ("boxes", "found", "AP", "AP50", "AP75", "AR", "best F1", "at score")
    lines.append(f"{'class':<{width}}" + "".join(f"{name:>10}" for name in columns))
    for one, curve in zip(measures.per_class, report.curves, strict=True):
        best = curve.best() or (None, None)
        values = (one.ap, one.ap50, one.ap75, one.ar_100, *best)
        counts = f"{one.boxes:>10,}{one.found:>10,}"
        lines.append(f"{one_line(one.name):<{width}}{counts}" + "".join(f"{shown(value):>10}" for value in values))
    return "\n".join([*lines, "", *_matrix(report, width)])


def _matrix(report: "DetectionReport", width: int) -> list[str]:
    """Return the confusion matrix as lines; of many classes, only what is confused most."""
    from opsin.cli.account import one_line
    from opsin.detection.curves import BACKGROUND

    names = [*(one.name for one in report.coco.per_class), BACKGROUND]
    told = f"Boxes with a score of at least {report.score:g}, by their overlap of at least {report.iou:g}:"
    ranked = sorted((-int(n), row, column) for (row, column), n in _cells(report.confusion) if n and row != column)
    lines = [
        f"{-n:>8,}  {one_line(names[row])} "
        + ("not found" if column == len(names) - 1 else f"taken for {one_line(names[column])}")
        if row < len(names) - 1
        else f"{-n:>8,}  {one_line(names[column])} found where nothing is"
        for n, row, column in ranked[:12]
    ]
    right = int(report.confusion.trace())
    return [
        told,
        f"{right:>8,}  right",
        *lines,
        *([f"          and {len(ranked) - 12:,} more kinds"] if ranked[12:] else []),
    ]


def _cells(matrix: "np.ndarray") -> Any:
    import numpy as np

    return np.ndenumerate(matrix)

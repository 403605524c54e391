"""Boxes in Pascal VOC's XML: a file for each picture.

Pascal VOC counts pixels from 1 and names the last one inside: `xmin=1, xmax=10` is 10 pixels wide. Many tools write
edges into the same fields; which of the two a folder holds, nobody can see, so it is said: `convention`.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from opsin.atomic import replacing
from opsin.catalog import choose
from opsin.detection.annotations import BoxedPicture, TrueBoxes
from opsin.detection.boxes import areas, convert
from opsin.errors import DataError, UsageError

CONVENTIONS = ("pixels", "edges")
"""`pixels`: Pascal VOC's own, from 1 on, the last one inside. `edges`: from 0 on, as everywhere else in Opsin."""

_SIDES = ("xmin", "ymin", "xmax", "ymax")


def read_voc(
    folder: str | Path, *, convention: str = CONVENTIONS[0], class_names: Sequence[str] | None = None
) -> TrueBoxes:
    """Read true boxes.

    Args:
        folder: holds XML files, one a picture.
        convention: one of `CONVENTIONS`.
        class_names: the classes in their order; None: those that there are, by the alphabet.

    Returns:
        The boxes; a picture's id is its XML file's name without the suffix.

    Raises:
        UsageError: there is no such folder, no XML in it, or no such convention.
        DataError: a file is no annotation, or a class is none of those given.
    """
    choose("convention of Pascal VOC's corners", convention, CONVENTIONS)
    files = sorted(Path(folder).glob("*.xml"))
    if not files:
        raise UsageError(f"Expected a folder with Pascal VOC's XML files; found none in {str(folder)!r}.")
    read = [_read(file, convention) for file in files]
    names = [name for _, objects in read for name, _, _ in objects]
    known = sorted(set(names)) if class_names is None else list(class_names)
    for name in names:
        choose(f"class in {str(folder)!r}", name, known)
    rows = [(index, *one) for index, (_, objects) in enumerate(read) for one in objects]
    corners = np.array([box for _, _, box, _ in rows], np.float64).reshape(-1, 4)
    boxes = convert(corners, source="xyxy", target="xywh")
    return TrueBoxes(
        tuple(picture for picture, _ in read),
        tuple(range(1, len(known) + 1)),
        tuple(known),
        np.array([index for index, *_ in rows], np.int64),
        np.array([known.index(name) for name in names], np.int64),
        boxes,
        areas(boxes, format="xywh"),
        np.zeros(len(rows), bool),
        np.array([difficult for *_, difficult in rows], bool),
        np.arange(1, len(rows) + 1),
    )


def write_voc(truth: TrueBoxes, folder: str | Path, *, convention: str = CONVENTIONS[0]) -> None:
    """Write true boxes, an XML file for each picture, those without boxes too.

    A file is named after its picture's, or its id. Crowds, which Pascal VOC does not have, are written as difficult.

    Args:
        truth: the boxes.
        folder: where the files shall be; files of the same names are replaced.
        convention: one of `CONVENTIONS`. As pixels, edges are rounded to whole ones.

    Raises:
        UsageError: two pictures would have one file.
        SavingError: a file cannot be written.
    """
    choose("convention of Pascal VOC's corners", convention, CONVENTIONS)
    stems = [Path(one.file_name).stem or str(one.id) for one in truth.pictures]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise UsageError(f"Expected pictures with names of their own; received {twice!r} twice. Rename one of them.")
    corners = convert(truth.boxes, source="xywh", target="xyxy")
    for index, (picture, stem) in enumerate(zip(truth.pictures, stems, strict=True)):
        root = _described(picture)
        for row in np.flatnonzero(truth.picture_indices == index):
            _add(root, truth, int(row), corners[row], convention)
        ElementTree.indent(root)
        with replacing(Path(folder) / f"{stem}.xml") as temporary:
            ElementTree.ElementTree(root).write(temporary, encoding="utf-8")


def _described(picture: BoxedPicture) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = picture.file_name or str(picture.id)
    size = ElementTree.SubElement(root, "size")
    for name, value in (("width", picture.width), ("height", picture.height), ("depth", 3)):
        ElementTree.SubElement(size, name).text = str(value or 0)
    return root


def _add(root: ElementTree.Element, truth: TrueBoxes, row: int, corners: np.ndarray, convention: str) -> None:
    one = ElementTree.SubElement(root, "object")
    ElementTree.SubElement(one, "name").text = truth.class_names[truth.class_indices[row]]
    ElementTree.SubElement(one, "difficult").text = str(int(not truth.counts[row]))
    box = ElementTree.SubElement(one, "bndbox")
    if convention == "pixels":
        texts = [str(round(float(value)) + first) for value, first in zip(corners, (1, 1, 0, 0), strict=True)]
    else:
        texts = [f"{value:.10g}" for value in corners]
    for side, text in zip(_SIDES, texts, strict=True):
        ElementTree.SubElement(box, side).text = text


Object = tuple[str, tuple[float, ...], bool]


def _read(file: Path, convention: str) -> tuple[BoxedPicture, list[Object]]:
    content = file.read_bytes()
    # Entities can make gigabytes of a few lines, and no annotation needs any.
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise DataError(f"Expected an annotation without <!DOCTYPE> and <!ENTITY> in {str(file)!r}. Take them out.")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise DataError(f"Expected XML in {str(file)!r}; it is none: {error}. Write the file again.") from error
    if root.tag != "annotation":
        raise DataError(f"Expected <annotation> in {str(file)!r}; received <{root.tag}>. Is it a Pascal VOC file?")
    sizes = [_number(root, f"size/{side}", file, default=0) for side in ("height", "width")]
    name = (root.findtext("filename") or "").strip()
    picture = BoxedPicture(file.stem, name, *(int(size) or None for size in sizes))
    return picture, [_object(one, file, convention) for one in root.iter("object")]


def _object(one: ElementTree.Element, file: Path, convention: str) -> Object:
    name = (one.findtext("name") or "").strip()
    if not name:
        raise DataError(f"Expected a <name> in every <object> of {str(file)!r}; one has none. Add it.")
    box = [_number(one, f"bndbox/{side}", file) for side in _SIDES]
    if convention == "pixels":
        box = [box[0] - 1, box[1] - 1, *box[2:]]
    if not (box[0] <= box[2] and box[1] <= box[3]):
        stated = ", ".join(f"{side} {one.findtext('bndbox/' + side)}" for side in _SIDES)
        raise DataError(
            f"Expected xmin <= xmax and ymin <= ymax in {str(file)!r}; received {name!r} with {stated}. Correct it."
        )
    return name, tuple(box), (one.findtext("difficult") or "0").strip() == "1"


def _number(element: ElementTree.Element, path: str, file: Path, default: float | None = None) -> float:
    text = element.findtext(path)
    if text is None and default is not None:
        return default
    try:
        number = float(text or "")
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise DataError(f"Expected a number as <{path}> in {str(file)!r}; received {text!r}. Correct it.")
    return number

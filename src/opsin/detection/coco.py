"""Boxes in COCO's JSON: true ones with their pictures and classes, and found ones with their scores."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from opsin.atomic import write_text
from opsin.detection.annotations import BoxedPicture, FoundBoxes, TrueBoxes
from opsin.detection.boxes import areas, outside
from opsin.errors import DataError, UsageError

_SHOWN = 5
_NUMBERS = {"id": np.int64, "image_id": np.int64, "category_id": np.int64}


def read_coco(path: str | Path) -> TrueBoxes:
    """Read true boxes.

    A box without area stays and can never be found; a box that reaches beyond its picture stays as it is, and so do
    copies: as in pycocotools, and `notes` says how many there are.

    Args:
        path: a JSON file with `images`, `annotations` and `categories`.

    Raises:
        UsageError: there is no such file.
        DataError: it is none, lacks something, or its ids do not fit together.
    """
    document = _load(path, dict, "an object with images, annotations and categories")
    images = _records(document, "images", path)
    categories = _records(document, "categories", path)
    rows = _records(document, "annotations", path)
    picture_ids = _unique(_column(images, "id", "images", path), "images", path)
    category_ids = _unique(_column(categories, "id", "categories", path), "categories", path)
    ids = _column(rows, "id", "annotations", path)
    _unique(ids, "annotations", path)
    order, class_order = np.argsort(picture_ids, kind="stable"), np.argsort(category_ids, kind="stable")
    boxes = _boxes(rows, "annotations", path)
    found = TrueBoxes(
        tuple(_picture(images[i]) for i in order),
        tuple(category_ids[class_order].tolist()),
        _class_names([categories[i] for i in class_order]),
        _known(rows, "image_id", picture_ids[order], "annotations", path),
        _known(rows, "category_id", category_ids[class_order], "annotations", path),
        boxes,
        _areas(rows, boxes, path),
        np.array([bool(row.get("iscrowd", 0)) for row in rows], bool),
        np.zeros(len(rows), bool),
        ids,
    )
    notes = [*_remarks(found, found), *_ignored(rows), *_zero(ids)]
    return TrueBoxes(**{**vars(found), "notes": tuple(notes)})


def read_coco_predictions(path: str | Path, truth: TrueBoxes) -> FoundBoxes:
    """Read found boxes.

    Args:
        path: a JSON file: a list of objects with `image_id`, `category_id`, `bbox` (xywh, pixels) and `score`. An empty
            list is fine: nothing was found.
        truth: whose pictures and classes they are about.

    Raises:
        UsageError: there is no such file.
        DataError: it is none, lacks something, or names pictures or classes that `truth` does not have.
    """
    rows = _load(path, list, "a list of objects with image_id, category_id, bbox and score")
    _require_objects(rows, "predictions", path)
    scores = np.array(_values(rows, "score", "predictions", path))
    scores = _as_numbers(scores, "score", "predictions", path).astype(np.float64)
    if not np.isfinite(scores).all():
        row = int((~np.isfinite(scores)).argmax())
        raise DataError(
            f"Expected finite scores; received {scores[row]} in entry {row} of {str(path)!r}, counted from 0. "
            "Leave such boxes out."
        )
    found = FoundBoxes(
        _known(rows, "image_id", np.array([one.id for one in truth.pictures]), "predictions", path),
        _known(rows, "category_id", np.array(truth.category_ids), "predictions", path),
        _boxes(rows, "predictions", path),
        scores,
    )
    return FoundBoxes(**{**vars(found), "notes": tuple(_remarks(found, truth))})


def write_coco(truth: TrueBoxes, path: str | Path) -> None:
    """Write true boxes so that `read_coco`, pycocotools and others read them.

    Boxes that are difficult (Pascal VOC) get the field `difficult`, which those do not know.
    """
    pictures = [
        {"id": one.id, "file_name": one.file_name, "height": one.height, "width": one.width}
        for one in (_numbered(index, one) for index, one in enumerate(truth.pictures))
    ]
    ids = [one["id"] for one in pictures]
    categories = [
        {"id": number, "name": name} for number, name in zip(truth.category_ids, truth.class_names, strict=True)
    ]
    annotations = [
        {
            "id": int(truth.ids[row]),
            "image_id": ids[truth.picture_indices[row]],
            "category_id": truth.category_ids[truth.class_indices[row]],
            "bbox": truth.boxes[row].tolist(),
            "area": float(truth.areas[row]),
            "iscrowd": int(truth.is_crowd[row]),
            **({"difficult": 1} if truth.is_difficult[row] else {}),
        }
        for row in range(len(truth))
    ]
    document = {"images": pictures, "categories": categories, "annotations": annotations}
    write_text(path, json.dumps(document, ensure_ascii=False) + "\n")


def write_coco_predictions(found: FoundBoxes, truth: TrueBoxes, path: str | Path) -> None:
    """Write found boxes so that `read_coco_predictions`, pycocotools and others read them."""
    ids = [_numbered(index, one).id for index, one in enumerate(truth.pictures)]
    rows = [
        {
            "image_id": ids[found.picture_indices[row]],
            "category_id": truth.category_ids[found.class_indices[row]],
            "bbox": found.boxes[row].tolist(),
            "score": float(found.scores[row]),
        }
        for row in range(len(found))
    ]
    write_text(path, json.dumps(rows) + "\n")


def _numbered(index: int, picture: BoxedPicture) -> BoxedPicture:
    # COCO wants numbers; Pascal VOC's names stay as file names.
    if isinstance(picture.id, str):
        return BoxedPicture(index + 1, picture.file_name, picture.height, picture.width)
    return picture


def _picture(image: dict[str, Any]) -> BoxedPicture:
    sizes = [image.get(side) for side in ("height", "width")]
    return BoxedPicture(
        int(image["id"]),
        str(image.get("file_name", "")),
        *(int(size) if isinstance(size, int | float) and size > 0 else None for size in sizes),
    )


def _class_names(categories: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return what classes are called; of those with one name, each with its id behind."""
    names = [str(one.get("name", one["id"])) for one in categories]
    ids = [one["id"] for one in categories]
    return tuple(
        name if names.count(name) == 1 else f"{name} ({number})" for name, number in zip(names, ids, strict=True)
    )


def _load(path: str | Path, kind: type, expected: str) -> Any:
    try:
        document = json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise UsageError(f"Expected a JSON file; there is nothing at {str(path)!r}. Check the path.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"Expected JSON in {str(path)!r}; it is none: {error}. Write the file again.") from error
    if not isinstance(document, kind):
        raise DataError(
            f"Expected {expected} in {str(path)!r}; received {_kind(document)}. Is it the other of the two files?"
        )
    return document


def _kind(document: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(document), "a number")


def _records(document: dict[str, Any], key: str, path: str | Path) -> list[dict[str, Any]]:
    if not isinstance(document.get(key), list):
        raise DataError(
            f"Expected a list {key!r} in {str(path)!r}; it has {', '.join(map(repr, document)) or 'nothing'}. "
            "COCO's files of true boxes have images, annotations and categories."
        )
    _require_objects(document[key], key, path)
    return document[key]


def _require_objects(rows: list[Any], what: str, path: str | Path) -> None:
    wrong = next((i for i, row in enumerate(rows) if not isinstance(row, dict)), None)
    if wrong is not None:
        raise DataError(
            f"Expected objects in {what} of {str(path)!r}; received {_kind(rows[wrong])} as entry {wrong}, "
            "counted from 0. Write the file again."
        )


def _values(rows: list[dict[str, Any]], key: str, what: str, path: str | Path) -> list[Any]:
    try:
        return [row[key] for row in rows]
    except KeyError:
        wrong = next(i for i, row in enumerate(rows) if key not in row)
        raise DataError(
            f"Expected {key!r} in every entry of {what} of {str(path)!r}; entry {wrong}, counted from 0, has only "
            f"{', '.join(rows[wrong]) or 'nothing'}. Add it."
        ) from None


def _as_numbers(values: np.ndarray, key: str, what: str, path: str | Path) -> np.ndarray:
    if values.size == 0:
        return values.astype(_NUMBERS.get(key, np.float64))
    whole = key in _NUMBERS
    if values.ndim != 1 or values.dtype.kind not in ("iu" if whole else "iuf"):
        raise DataError(
            f"Expected {'whole numbers' if whole else 'numbers'} as {key!r} in {what} of {str(path)!r}; received "
            f"{values.reshape(-1)[0]!r} among others. Write the file again."
        )
    return values


def _column(rows: list[dict[str, Any]], key: str, what: str, path: str | Path) -> np.ndarray:
    return _as_numbers(np.array(_values(rows, key, what, path)), key, what, path)


def _unique(ids: np.ndarray, what: str, path: str | Path) -> np.ndarray:
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise DataError(
            f"Expected an id of its own for each of the {what} in {str(path)!r}; received "
            f"{_listed(values[counts > 1])} more than once. Number them anew."
        )
    return ids


def _known(rows: list[dict[str, Any]], key: str, ids: np.ndarray, what: str, path: str | Path) -> np.ndarray:
    """Return the place of each row's id among those that there are, which are in rising order."""
    asked = _column(rows, key, what, path)
    places = np.searchsorted(ids, asked)
    unknown = np.append(ids, ids[:1] - 1)[places] != asked if len(ids) else np.ones(len(asked), bool)
    if unknown.any():
        of = "images" if key == "image_id" else "categories"
        raise DataError(
            f"Expected every {key} in {what} of {str(path)!r} to be one of the {len(ids):,} {of} of the true boxes "
            f"({_listed(ids)}); received {_listed(np.unique(asked[unknown]))}, in {int(unknown.sum()):,} of "
            f"{len(rows):,} entries. Are the two files of the same pictures, and are ids counted from the same number?"
        )
    return places


def _listed(values: Iterable[Any]) -> str:
    values = list(values)
    return ", ".join(str(value) for value in values[:_SHOWN]) + (", …" if len(values) > _SHOWN else "")


def _boxes(rows: list[dict[str, Any]], what: str, path: str | Path) -> np.ndarray:
    values = _values(rows, "bbox", what, path)
    try:
        boxes = np.array(values, np.float64).reshape(len(rows), 4)
    except (TypeError, ValueError):
        wrong = next(i for i, value in enumerate(values) if not _is_box(value))
        raise DataError(
            f"Expected four numbers as 'bbox' in {what} of {str(path)!r}: left, top, width, height in pixels. Received "
            f"{values[wrong]!r} in entry {wrong}, counted from 0. Correct it or leave the entry out."
        ) from None
    good = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] >= 0).all(axis=1)
    if not good.all():
        wrong = int(good.argmin())
        raise DataError(
            f"Expected 'bbox' in {what} of {str(path)!r} as left, top, width, height in pixels, finite, none of the "
            f"last two negative. Received {values[wrong]} in entry {wrong}, counted from 0 "
            f"({int((~good).sum()):,} such entries). If these are corners, write width and height instead."
        )
    return boxes


def _is_box(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 4
        and all(isinstance(number, int | float) and not isinstance(number, bool) for number in value)
    )


def _areas(rows: list[dict[str, Any]], boxes: np.ndarray, path: str | Path) -> np.ndarray:
    # Of the thing, where its outline is known; small, medium and large go by it.
    own = areas(boxes, format="xywh")
    stated = [row.get("area") for row in rows]
    values = [b if a is None else a for a, b in zip(stated, own.tolist(), strict=True)]
    wrong = next((i for i, a in enumerate(values) if not isinstance(a, int | float) or not a >= 0), None)
    if wrong is not None:
        raise DataError(
            f"Expected a number, 0 or more, as 'area' in annotations of {str(path)!r}; received {values[wrong]!r} in "
            f"entry {wrong}, counted from 0. Correct it or leave it out."
        )
    return np.array(values, np.float64)


def _remarks(boxes: TrueBoxes | FoundBoxes, truth: TrueBoxes) -> list[str]:
    """Return what there is to say of boxes that are used as they are."""
    sizes = np.array([(one.height or np.inf, one.width or np.inf) for one in truth.pictures]).reshape(-1, 2)
    height, width = sizes[boxes.picture_indices].T
    rows = np.column_stack([boxes.picture_indices, boxes.class_indices, boxes.boxes])
    copies = len(rows) - len(np.unique(rows, axis=0)) if len(rows) else 0
    is_true = isinstance(boxes, TrueBoxes)
    beyond = outside(boxes.boxes, format="xywh", height=height, width=width)
    found = (
        (copies, "is a copy of another (same picture, class and place)", "are copies of others"),
        (
            int((areas(boxes.boxes, format="xywh") == 0).sum()),
            "has no area and " + ("can never be found" if is_true else "finds nothing"),
            "have no area and " + ("can never be found" if is_true else "find nothing"),
        ),
        (int(beyond.sum()), "reaches beyond its picture", "reach beyond their pictures"),
    )
    kind = "true" if is_true else "found"
    notes = [f"{n:,} {kind} box{'' if n == 1 else 'es'} {one if n == 1 else more}." for n, one, more in found if n]
    if not is_true and not len(boxes):
        notes.append("Nothing was found: there is no prediction, and all that there is to find counts as missed.")
    return notes


def _ignored(rows: Sequence[dict[str, Any]]) -> list[str]:
    marked = sum(bool(row.get("ignore")) and not row.get("iscrowd") for row in rows)
    return [f"{marked:,} annotations have 'ignore': like pycocotools, only 'iscrowd' is heeded."] if marked else []


def _zero(ids: np.ndarray) -> list[str]:
    if (ids != 0).all():
        return []
    return [
        "An annotation has the id 0, which in pycocotools means 'not found': as there, finding it counts as a mistake. "
        "Number annotations from 1, or renumber them (--renumber)."
    ]

"""Boxes of many pictures as columns: what is true, and what was found."""

from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class BoxedPicture:
    """A picture that boxes were drawn on.

    Args:
        id: what the boxes' file calls it.
        file_name: its file; "" where that is not said.
        height: in pixels; None where that is not said.
        width: the same.
    """

    id: int | str
    file_name: str = ""
    height: int | None = None
    width: int | None = None


@dataclass(frozen=True, eq=False)
class TrueBoxes:
    """What there is to find, in n boxes.

    Attributes:
        pictures: all of them, those without boxes too, in the order of their ids.
        category_ids: what the file calls each of k classes, in rising order.
        class_names: what each is called.
        picture_indices: int64 (n,), into `pictures`.
        class_indices: int64 (n,), into `class_names`.
        boxes: float64 (n, 4), xywh, pixels: left, top, width, height.
        areas: float64 (n,), square pixels: of the thing where a mask was drawn, of the box otherwise.
        is_crowd: bool (n,): many things in one box (COCO); finding it counts neither for nor against.
        is_difficult: bool (n,): hard to see (Pascal VOC); the same.
        ids: int64 (n,), what the file calls each box.
        notes: what there is to say of the file, in sentences.
    """

    pictures: tuple[BoxedPicture, ...]
    category_ids: tuple[int, ...]
    class_names: tuple[str, ...]
    picture_indices: np.ndarray
    class_indices: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    is_crowd: np.ndarray
    is_difficult: np.ndarray
    ids: np.ndarray
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def counts(self) -> np.ndarray:
        """bool (n,): which boxes have to be found."""
        return ~(self.is_crowd | self.is_difficult)

    def renumbered(self) -> "TrueBoxes":
        """Return the same boxes with ids from 1 on: pycocotools never counts the one with the id 0 as found."""
        return replace(self, ids=np.arange(1, len(self) + 1))


@dataclass(frozen=True, eq=False)
class FoundBoxes:
    """What a network has found in the pictures of some `TrueBoxes`, in n boxes.

    Attributes:
        picture_indices: int64 (n,), into the pictures of those.
        class_indices: int64 (n,), into their class names.
        boxes: float64 (n, 4), xywh, pixels.
        scores: float64 (n,), the higher the surer.
        notes: what there is to say of the file, in sentences.
    """

    picture_indices: np.ndarray
    class_indices: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score: float) -> "FoundBoxes":
        """Return those with at least this score."""
        rows = self.scores >= score
        columns = (self.picture_indices[rows], self.class_indices[rows], self.boxes[rows], self.scores[rows])
        return FoundBoxes(*columns, notes=self.notes)

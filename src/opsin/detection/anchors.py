"""Anchor boxes: laid over a feature pyramid, matched with true boxes, and moved by what a network says."""

from dataclasses import dataclass

import numpy as np

from opsin.detection.boxes import convert
from opsin.detection.overlap import Sides, overlap_blocks
from opsin.errors import UsageError

NEGATIVE, BETWEEN = -1, -2
"""What stands for background, and for an anchor too near to a box to say so, which a loss leaves out."""

LARGEST = float(np.log(1000 / 16))
"""Of the logarithm of a size's ratio, what is decoded at most (Faster R-CNN's code): no box explodes."""


@dataclass(frozen=True)
class Pyramid:
    """Anchors of a feature pyramid; as they are, those of RetinaNet (Lin et al. 2017, arXiv 1708.02002, section 4).

    Args:
        strides: pixels between two anchors' centres, one for each level.
        sizes: side of a square anchor in pixels, one for each level, before scales.
        scales: what each size is multiplied by.
        ratios: height by width; the area stays.

    Raises:
        UsageError: there is nothing of one kind, another number of sizes than of strides, or one is not above 0.
    """

    strides: tuple[int, ...] = (8, 16, 32, 64, 128)
    sizes: tuple[float, ...] = (32, 64, 128, 256, 512)
    scales: tuple[float, ...] = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)

    def __post_init__(self):
        given = (self.strides, self.sizes, self.scales, self.ratios)
        if len(self.strides) != len(self.sizes) or not all(given) or min(map(min, given)) <= 0:
            raise UsageError(
                "Expected a size for each stride, scales and ratios, all above 0. Received strides "
                f"{self.strides}, sizes {self.sizes}, scales {self.scales}, ratios {self.ratios}."
            )

    def boxes(self, height: int, width: int, *, format: str) -> np.ndarray:
        """Return the anchors of a picture.

        Maps have as many places as strides fit into the picture, rounded up; the first centre is half a stride from
        the edge. Anchors reach beyond the picture: `clip_boxes` cuts them.

        Args:
            height: of the picture, in pixels.
            width: the same.
            format: one of `opsin.detection.boxes.FORMATS`.

        Returns:
            float32 (n, 4), pixels; by level, row, column, ratio and scale, the last fastest.

        >>> Pyramid((16,), (32,), (1.0,), (1.0,)).boxes(16, 32, format="xyxy").tolist()
        [[-8.0, -8.0, 24.0, 24.0], [8.0, -8.0, 40.0, 24.0]]
        """
        if height < 1 or width < 1:
            raise UsageError(f"Expected a picture of at least 1 x 1 pixels; received height {height}, width {width}.")
        levels = [self._level(height, width, *one) for one in zip(self.strides, self.sizes, strict=True)]
        return convert(np.concatenate(levels), source="cxcywh", target=format).astype(np.float32)

    def _level(self, height: int, width: int, stride: int, size: float) -> np.ndarray:
        sides = [
            (size * scale / ratio**0.5, size * scale * ratio**0.5) for ratio in self.ratios for scale in self.scales
        ]
        rows, columns = -(-height // stride), -(-width // stride)
        places = np.zeros((rows, columns, len(sides), 4))
        places[..., 0] = (np.arange(columns)[None, :, None] + 0.5) * stride
        places[..., 1] = (np.arange(rows)[:, None, None] + 0.5) * stride
        places[..., 2:] = sides
        return places.reshape(-1, 4)


def match_anchors(
    anchors: np.ndarray,
    truth: np.ndarray,
    *,
    format: str,
    positive: float = 0.5,
    negative: float = 0.4,
    every_box: bool = True,
) -> np.ndarray:
    """Say which true box each anchor is to find (Faster R-CNN, arXiv 1506.01497, section 3.1.2).

    An anchor takes the box that it overlaps most, of equal ones the first.

    Args:
        anchors: numbers (n, 4).
        truth: numbers (m, 4), in the same unit.
        format: one of `opsin.detection.boxes.FORMATS`, of both.
        positive: from this IoU on, an anchor is to find the box.
        negative: below this IoU, it is background.
        every_box: let a box that no anchor reaches have those that overlap it most, if they do at all.

    Returns:
        int64 (n,): index of the true box, `NEGATIVE` for background, `BETWEEN` for what lies between the thresholds.

    Raises:
        UsageError: thresholds are in the wrong order, or arrays are none.
        DataError: a box is none.

    >>> match_anchors([[0, 0, 4, 4], [9, 9, 12, 12]], [[0, 0, 4, 5]], format="xyxy").tolist()
    [0, -1]
    """
    if not 0 <= negative <= positive <= 1:
        raise UsageError(f"Expected 0 <= negative <= positive <= 1. Received {negative} and {positive}. Change them.")
    sides, boxes = Sides.of(anchors, format), Sides.of(truth, format)
    best, highest = np.zeros(len(sides.area), np.int64), np.zeros(len(sides.area))
    most = np.zeros(len(boxes.area))
    if not len(boxes.area):
        return np.full(len(sides.area), NEGATIVE)
    for rows, block in overlap_blocks(sides, boxes):
        best[rows], highest[rows] = block.argmax(axis=1), block.max(axis=1)
        np.maximum(most, block.max(axis=0), out=most)
    found = np.where(highest >= positive, best, np.where(highest < negative, NEGATIVE, BETWEEN))
    if every_box:
        # As in torchvision, such an anchor still finds the box that it overlaps most itself.
        for rows, block in overlap_blocks(sides, boxes):
            nearest = ((block == most) & (block > 0)).any(axis=1)
            found[rows][nearest] = best[rows][nearest]
    return found


def encode_offsets(
    boxes: np.ndarray, anchors: np.ndarray, *, format: str, scales: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
) -> np.ndarray:
    """Say how each anchor is to move to be its box (Faster R-CNN, equation 2).

    Args:
        boxes: numbers (n, 4).
        anchors: numbers (n, 4), a box's own in each row; none may be without area, boxes neither.
        format: one of `opsin.detection.boxes.FORMATS`, of both.
        scales: what the offsets are multiplied by; Faster R-CNN's code has (10, 10, 5, 5).

    Returns:
        float (n, 4): x and y by the anchor's width and height, logarithms of the width's and the height's ratio.

    >>> encode_offsets([[10, 10, 30, 30]], [[0, 0, 20, 20]], format="xyxy").tolist()
    [[0.5, 0.5, 0.0, 0.0]]
    """
    own, base = (convert(one, source=format, target="cxcywh") for one in (boxes, anchors))
    _require_same(len(own), len(base))
    for name, one in (("boxes", own), ("anchors", base)):
        if len(one) and one[:, 2:].min() <= 0:
            row = int((one[:, 2:] <= 0).any(axis=1).argmax())
            raise UsageError(
                f"Expected {name} with some area: offsets are measured by it. Received {one[row].tolist()} (cxcywh) as "
                f"row {row}, counted from 0. Leave it out."
            )
    offsets = np.concatenate([(own[:, :2] - base[:, :2]) / base[:, 2:], np.log(own[:, 2:] / base[:, 2:])], axis=1)
    return (offsets * np.array(scales)).astype(own.dtype)


def decode_offsets(
    offsets: np.ndarray, anchors: np.ndarray, *, format: str, scales: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
) -> np.ndarray:
    """Move anchors as a network says; the other way round than `encode_offsets`.

    Sizes grow to at most 62.5 times the anchor's (`LARGEST`), whatever the network says.

    Args:
        offsets: numbers (n, 4).
        anchors: numbers (n, 4).
        format: one of `opsin.detection.boxes.FORMATS`, of the anchors and of what comes back.
        scales: those that the offsets were encoded with.

    Returns:
        float (n, 4), boxes.

    >>> decode_offsets([[0.5, 0.5, 0, 0]], [[0, 0, 20, 20]], format="xyxy").tolist()
    [[10.0, 10.0, 30.0, 30.0]]
    """
    base = convert(anchors, source=format, target="cxcywh")
    offsets = np.asarray(offsets, base.dtype).reshape(-1, 4)
    _require_same(len(offsets), len(base))
    offsets = offsets / np.array(scales, base.dtype)
    centers = base[:, :2] + offsets[:, :2] * base[:, 2:]
    sides = base[:, 2:] * np.exp(np.minimum(offsets[:, 2:], LARGEST))
    return convert(np.concatenate([centers, sides], axis=1), source="cxcywh", target=format)


def _require_same(n: int, others: int) -> None:
    if n != others:
        raise UsageError(f"Expected a row for each of {others} anchors. Received {n} rows. Take the matched ones.")

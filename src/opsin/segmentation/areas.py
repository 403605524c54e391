"""How much of each picture each class takes, as a table."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from opsin.atomic import write_bytes
from opsin.segmentation.classes import IGNORED, ClassTable

COLUMNS = ("picture", "class", "pixels", "share")


def write_areas(path: str | Path, masks: Iterable[tuple[str, np.ndarray]], table: ClassTable) -> None:
    """Write a CSV with a line for each picture and class.

    Its columns are `COLUMNS`; `share` is a fraction from 0 to 1 of the picture's pixels, without ignored ones.

    Args:
        path: where to.
        masks: name and classes, uint8 (H, W), of each picture; 255 is no class.
        table: the classes.

    Raises:
        SavingError: it cannot be written.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for name, classes in masks:
        counts = np.bincount(classes.reshape(-1), minlength=256)[:IGNORED]
        total = max(1, int(counts.sum()))
        writer.writerows((name, table.names[c], int(counts[c]), f"{counts[c] / total:.6f}") for c in range(table.k))
    write_bytes(path, buffer.getvalue().encode("utf-8", "surrogateescape"))

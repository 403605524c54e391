"""Data without the pictures that a list names, for the commands that take `--skip`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsin.data.dataset import ImageDataset

NAMES_SHOWN = 3


def open_without(data: Path, listed: Mapping[str, str], *, patient: bool = False) -> "ImageDataset":
    """Open data without what is listed, as `ImageDataset.open` does, and say which names of the list it has not."""
    from opsin.data.dataset import ImageDataset

    dataset = ImageDataset.open(data, patient=patient, skip=listed)
    missing = dataset.missing(listed)
    if missing:
        shown = ", ".join(map(repr, missing[:NAMES_SHOWN])) + (", …" if len(missing) > NAMES_SHOWN else "")
        print(f"{len(missing):,} of {len(listed):,} names in the list are not in the data: {shown}", file=sys.stderr)
    return dataset

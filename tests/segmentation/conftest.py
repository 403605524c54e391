"""What the tests of segmentation share: folders of pictures and masks, written from arrays."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.images.drawing import draw_picture

Write = Callable[..., Path]


@pytest.fixture
def write_pairs(tmp_path: Path) -> Write:
    """Write masks with a drawn picture each: `write_pairs({"a": mask, "train/b": mask})` gives the folder.

    A mask is an array, a Pillow image, or the content of a file; what is before `/` is the part's folder.
    """

    def write(masks: Mapping[str, object], root: str = "cells") -> Path:
        folder = tmp_path / root
        for number, (name, mask) in enumerate(masks.items()):
            part, _, stem = name.rpartition("/")
            content = mask if isinstance(mask, bytes) else as_file(mask)
            width, height = Image.open(io.BytesIO(content)).size
            for kind, data in (("images", as_file(draw_picture(number, height, width))), ("masks", content)):
                (folder / part / kind).mkdir(parents=True, exist_ok=True)
                (folder / part / kind / f"{stem}.png").write_bytes(data)
        return folder

    return write


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Return the content of a file: `encode(array_or_image, "JPEG", quality=75)`; PNG unless said."""
    return as_file


def as_file(image: np.ndarray | Image.Image, format: str = "PNG", **settings) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))
    buffer = io.BytesIO()
    image.save(buffer, format, **settings)
    return buffer.getvalue()

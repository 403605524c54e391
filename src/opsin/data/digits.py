"""scikit-learn's 1,797 real handwritten digits, written out as class folders."""

from pathlib import Path

import numpy as np
from PIL import Image

from opsin.atomic import replacing
from opsin.catalog import require
from opsin.errors import UsageError


def write_digits(folder: str | Path) -> Path:
    """Write the digits as 8×8 PNG files, `folder/<digit>/<number>.png`, dark ink on white paper.

    The folder must be new or empty.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI (1998), as shipped by
    scikit-learn's `load_digits`.

    Raises:
        UsageError: there is something at that place.
        SavingError: the folder cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"Expected an empty place to write the digits to; {str(folder)!r} holds something.")
    digits = require("sklearn.datasets", "the digits of the demo").load_digits()
    # The set counts ink in 4×4 blocks, 0 to 16.
    images = (255 - np.rint(digits.images * 255 / 16)).astype(np.uint8)
    with replacing(folder) as temporary:
        for number, (image, label) in enumerate(zip(images, digits.target, strict=True)):
            path = temporary / str(label) / f"{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return folder

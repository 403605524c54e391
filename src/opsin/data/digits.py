"""scikit-learn's 1,797 real handwritten digits, written out as class folders."""

from pathlib import Path

import numpy as np
from PIL import Image

from opsin.atomic import replacing
from opsin.catalog import require


def write_digits(folder: str | Path) -> Path:
    """Write the digits as 8×8 PNG files, `folder/<digit>/<number>.png`, dark ink on white paper.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI (1998), as shipped by
    scikit-learn's `load_digits`.

    Raises:
        SavingError: the folder cannot be written.
    """
    digits = require("sklearn.datasets", "the digits of the demo").load_digits()
    # The set counts ink in 4×4 blocks, 0 to 16.
    images = (255 - np.rint(digits.images * 255 / 16)).astype(np.uint8)
    with replacing(folder) as temporary:
        for number, (image, label) in enumerate(zip(images, digits.target, strict=True)):
            path = temporary / str(label) / f"{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return Path(folder)

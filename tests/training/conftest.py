import numpy as np
import pytest
from PIL import Image

from opsin.data.dataset import ImageDataset

COLORS = {"blue": (40, 60, 220), "green": (30, 200, 60), "red": (220, 40, 40)}


@pytest.fixture(scope="package")
def colors(tmp_path_factory) -> ImageDataset:
    """60 noisy pictures of 24×24 pixels in three colours: easy, but not in one epoch."""
    root = tmp_path_factory.mktemp("colors")
    random = np.random.default_rng(0)
    for name, color in COLORS.items():
        (root / name).mkdir()
        for number in range(20):
            noise = random.normal(color, 60, (24, 24, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noise).save(root / name / f"{number}.png")
    return ImageDataset.from_folder(root)

"""Pictures with texture, which can be told apart, and clean data of them."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.checks.run import CheckReport, check_dataset
from opsin.data.dataset import ImageDataset

Texture = Callable[..., Image.Image]


def draw_texture(number: int, width: int = 128, height: int = 128) -> Image.Image:
    """Clouds of colour with grain: another picture for each number, of the same mean brightness on average."""
    random = np.random.default_rng(number)
    image = np.zeros((height, width, 3))
    for cells, strength in ((4, 60), (12, 40), (48, 25)):
        grid = random.integers(0, 256, (cells, cells, 3), np.uint8)
        clouds = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        image += (np.asarray(clouds, dtype=float) - 127.5) * strength / 74
    return Image.fromarray(np.clip(image + 127.5, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def texture() -> Texture:
    return draw_texture


@pytest.fixture(scope="session")
def _clean_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clean") / "photos"
    for folder_number, folder in enumerate(("train/cat", "train/dog", "test/cat", "test/dog")):
        (root / folder).mkdir(parents=True)
        for number in range(12):
            draw_texture(100 * folder_number + number).save(root / folder / f"{number}.png")
    return root


@pytest.fixture
def clean_data(_clean_data: Path, tmp_path: Path) -> Path:
    """12 textures of 128×128 pixels in each of train/cat, train/dog, test/cat and test/dog, to be spoiled."""
    # Times are kept: what a test does not change has been looked at by the test before.
    return shutil.copytree(_clean_data, tmp_path / "photos")


@pytest.fixture(scope="session")
def facts_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder for tests that do not ask what is remembered."""
    return tmp_path_factory.mktemp("facts")


@pytest.fixture
def check(facts_folder: Path) -> Iterator[Callable[..., CheckReport]]:
    """Check a folder or a CSV: `check(root, "blank", "dark")`, or all there is."""

    def run(data: Path, *codes: str, **options) -> CheckReport:
        options.setdefault("cache", facts_folder)
        return check_dataset(ImageDataset.open(data, patient=True), codes=codes or None, **options)

    return run

"""What tests of several packages share: pictures that are drawn, and one tiny classifier, trained once."""

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.images.drawing import draw_picture

# Before anything imports them: charts need no screen, TensorFlow's greeting no reader.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

Draw = Callable[[Mapping[str, int | Sequence[str]]], Path]


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's own cache of decoded pictures out of every test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSIN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def pictures(tmp_path: Path) -> Draw:
    """Write class folders: `pictures({"cat": 3, "train/dog": ["a.png"]})` gives the folder they are in.

    A number writes `0.png`, `1.png` and so on. All pictures are PNG, 8×6 pixels, and differ from each other.
    """
    drawn = 0

    def draw(folders: Mapping[str, int | Sequence[str]], root: str = "photos") -> Path:
        nonlocal drawn
        for folder, names in folders.items():
            (tmp_path / root / folder).mkdir(parents=True, exist_ok=True)
            for name in [f"{i}.png" for i in range(names)] if isinstance(names, int) else names:
                (tmp_path / root / folder / name).write_bytes(png(draw_picture(drawn, 6, 8)))
                drawn += 1
        return tmp_path / root

    return draw


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pictures of 24×24 pixels of each of three classes: blue checks, green stripes, red discs."""
    root = tmp_path_factory.mktemp("tiny") / "shapes"
    for name, pattern, color in (("checks", 3, 2), ("discs", 1, 0), ("stripes", 2, 1)):
        (root / name).mkdir(parents=True)
        for number in range(24):
            image = draw_picture(5 * number + pattern, 24, 24) // 3
            image[:, :, color] += 160
            (root / name / f"{number}.png").write_bytes(png(image))
    return root


@pytest.fixture(scope="session")
def tiny_run(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a tiny classifier, trained on `tiny_data` once for all tests: read it, never write to it."""
    import opsin
    from opsin.training.run_folder import RunFolder

    train, val, test = opsin.ImageDataset.from_folder(tiny_data).split(seed=0)
    config = opsin.TrainConfig(
        architecture="simple_cnn", image_size=24, epochs=3, batch_size=16, augment="none", learning_rate=0.003
    )
    folder = RunFolder.create(tmp_path_factory.mktemp("run") / "run")
    return opsin.train(train, val, config, test=test, out=folder).folder


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()

"""Every export of one tiny classifier, made once."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from opsin.images.drawing import draw_picture
from opsin.model_folder import ModelCard

TEMPERATURE = 2.5


@pytest.fixture(scope="session")
def exported_run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run whose logits are divided by a temperature, with all its exports: read it, never write to it."""
    import opsin
    from opsin.exporters import FORMATS, IN_INT8

    run = tmp_path_factory.mktemp("exported") / "run"
    shutil.copytree(tiny_run, run)
    replace(ModelCard.read(run / "model"), temperature=TEMPERATURE).save(run / "model")
    classifier = opsin.Classifier.open(run)
    for format in FORMATS:
        opsin.export(classifier, format=format)
    for format in IN_INT8:
        opsin.export(classifier, format=format, int8=True)
    return run


@pytest.fixture
def own_run(tiny_run: Path, tmp_path: Path) -> Path:
    """A tiny run to write into, without exports."""
    shutil.copytree(tiny_run, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Seven pictures of the size that the tiny classifier takes, uint8 (7, 24, 24, 3)."""
    return np.stack([draw_picture(200 + number, 24, 24) for number in range(7)])

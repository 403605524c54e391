"""The look before training: what is said of the data, and which pictures stay together."""

from pathlib import Path

import numpy as np
import pytest

from opsin.segmentation import quick
from opsin.segmentation.dataset import SegmentationDataset
from opsin.segmentation.quick import quick_pairs


@pytest.fixture
def masks() -> dict[str, np.ndarray]:
    half = np.zeros((24, 24), np.uint8)
    half[:, 12:] = 1
    return {str(number): half for number in range(20)}


def test_copies_of_a_picture_come_into_one_part(write_pairs, masks):
    root = write_pairs(masks)
    for copy in ("4", "9", "13"):
        (root / "images" / f"{copy}.png").write_bytes((root / "images" / "2.png").read_bytes())
    dataset = SegmentationDataset.from_folder(root)
    copies = {f"images/{name}.png" for name in ("2", "4", "9", "13")}

    look = quick_pairs(dataset)

    for seed in range(5):
        parts = [set(part.names) for part in dataset.split(seed=seed, together=look.together)]
        assert [copies & part for part in parts if copies & part] == [copies]
    assert "duplicate" in [one.code for one in look.report.findings]


def test_what_was_found_is_said_in_a_few_lines(write_pairs, masks):
    root = write_pairs({**masks, "x": np.full((24, 24), 255, np.uint8)})
    (root / "masks" / "3.png").unlink()

    lines = list(quick_pairs(SegmentationDataset.from_folder(root)).lines(Path("cells")))

    assert lines[0].startswith("Data error: 1 file has no partner")
    assert lines[-1] == "Look at them: opsin segment check cells --html findings.html"
    assert len(lines) <= 5


def test_of_very_many_pictures_it_says_that_it_did_not_look(write_pairs, masks, monkeypatch):
    monkeypatch.setattr(quick, "MOST_UNSEEN", 3)
    dataset = SegmentationDataset.from_folder(write_pairs(masks, "unseen"))

    look = quick_pairs(dataset)

    assert look.together.tolist() == list(range(20))
    (line,) = look.lines(Path("cells"))
    assert "Do so once: opsin segment check cells" in line

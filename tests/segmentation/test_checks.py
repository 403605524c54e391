"""What the checks of pictures and masks find, and what they leave alone."""

import json

import numpy as np
import pytest
from PIL import Image

from opsin.segmentation.checks import PAIR_CHECKS, check_pairs
from opsin.segmentation.classes import ClassTable
from opsin.segmentation.dataset import SegmentationDataset

TABLE = ClassTable(("ground", "cell"), ignore=(255,))


def mask(ones: int = 24) -> np.ndarray:
    values = np.zeros(48, np.uint8)
    values[:ones] = 1
    return values.reshape(6, 8)


@pytest.fixture
def found(tmp_path):
    """Return the findings of a folder by their code."""

    def check(root, table=TABLE) -> dict:
        dataset = SegmentationDataset.open(root, classes=table, patient=True)
        return {one.code: one for one in check_pairs(dataset, cache=tmp_path / "cache").findings}

    return check


def test_good_data_has_no_findings_and_its_shares_are_told(write_pairs, tmp_path):
    half = mask()
    half[0, 0] = 255
    dataset = SegmentationDataset.open(write_pairs({"a": half, "b": mask(12), "c": mask(12)}), classes=TABLE)

    report = check_pairs(dataset, cache=tmp_path / "cache")

    assert report.findings == ()
    assert report.is_clean
    summary = json.loads(report.to_json())["summary"]
    assert summary["classes"] == pytest.approx({"ground": 96 / 143, "cell": 47 / 143})
    assert (summary["pictures_with"], summary["ignored"]) == ({"ground": 3, "cell": 3}, pytest.approx(1 / 144))


def test_files_without_a_partner_are_said_once(write_pairs, found):
    root = write_pairs({"a": mask(), "b": mask(), "c": mask(), "d": mask()})
    (root / "masks" / "d.png").unlink()

    findings = found(root)

    assert list(findings) == ["missing-pair"]
    assert findings["missing-pair"].paths == ("images/d.png",)
    assert findings["missing-pair"].severity == "error"


def test_masks_that_cannot_be_used_are_errors(write_pairs, found, encode):
    root = write_pairs({"a": mask(), "b": mask(), "c": mask(), "d": mask() * 7, "e": mask(), "f": mask()})
    (root / "masks" / "e.png").write_bytes(b"no picture")
    (root / "masks" / "f.png").write_bytes(encode(mask().T))

    findings = found(root)

    assert set(findings) == {"unreadable-mask", "strange-value", "mask-size"}
    assert findings["unreadable-mask"].paths == ("masks/e.png",)
    assert findings["strange-value"].paths == ("masks/d.png",)
    assert findings["strange-value"].groups[0].note.startswith("24 of its pixels have the value 7")
    assert [(group.paths, group.note) for group in findings["mask-size"].groups] == [
        (("masks/f.png",), "6 × 8, its picture 8 × 6")
    ]


def test_masks_without_anything_in_them_are_said(write_pairs, found):
    root = write_pairs(
        {"a": mask(), "b": mask(), "c": mask(), "d": mask(0), "e": mask(48), "f": np.full((6, 8), 255, np.uint8)}
    )

    findings = found(root)

    assert set(findings) == {"one-class-mask", "all-ignored"}
    assert [group.note for group in findings["one-class-mask"].groups] == ["ground alone", "cell alone"]
    assert findings["all-ignored"].paths == ("masks/f.png",)


def test_one_class_in_all_masks_is_an_error(write_pairs, found):
    findings = found(write_pairs({"a": mask(0), "b": mask(0)}))

    assert findings["single-class"].message == (
        "Every pixel of every mask is of the class 'ground': there is nothing to tell apart."
    )
    assert findings["absent-class"].message == "In no mask: cell."


def test_classes_of_few_pixels_or_in_few_pictures_are_said(write_pairs, found):
    table = ClassTable(("ground", "cell", "rare"))
    rare = mask()
    rare[5, 7] = 2

    findings = found(write_pairs({"a": mask(), "b": mask(), "c": rare}), table)

    assert list(findings) == ["near-empty-class"]
    assert findings["near-empty-class"].message == "Nearly empty: rare (0.69% of pixels, in 1 picture)."
    assert findings["near-empty-class"].paths == ("masks/c.png",)


def test_jpeg_masks_are_found_and_said(write_pairs, found, encode):
    gray = np.zeros((48, 48), np.uint8)
    gray[10:30, 10:30] = 255
    table = ClassTable(("ground", "cell"), values=(0, 255))
    content = encode(gray, "JPEG", quality=60)

    findings = found(write_pairs({"a": content, "b": gray, "c": gray}), table)

    assert list(findings) == ["blurred-mask"]
    assert findings["blurred-mask"].paths == ("masks/a.png",)
    assert findings["blurred-mask"].groups[0].note.startswith("JPEG, ")


def test_a_mask_that_fits_a_turned_picture_both_ways_is_said(write_pairs, found, encode):
    root = write_pairs({"a": mask(), "b": mask(), "c": mask()})
    # Of a picture that lies, it is told by the mask's size on which of the two it was drawn.
    (root / "masks" / "c.png").write_bytes(encode(mask().T))
    for name, orientation in (("a", 3), ("b", 6), ("c", 6)):
        image = Image.open(root / "images" / f"{name}.png")
        exif = Image.Exif()
        exif[0x0112] = orientation
        (root / "images" / f"{name}.png").write_bytes(encode(image, exif=exif))

    findings = found(root)

    assert findings["turned-mask"].paths == ("masks/a.png",)
    assert "mask-size" not in findings


def test_leaks_and_copies_of_pictures_are_found_as_elsewhere(write_pairs, found, tmp_path):
    root = write_pairs({f"{part}/{n}": mask() for part in ("train", "test") for n in range(3)})
    (root / "test" / "images" / "0.png").write_bytes((root / "train" / "images" / "2.png").read_bytes())

    dataset = SegmentationDataset.open(root, classes=TABLE)
    together = check_pairs(dataset, cache=tmp_path / "cache").together

    assert found(root)["leakage"].severity == "error"
    names = dict(zip(dataset.names, together.tolist(), strict=True))
    assert names["train/images/2.png"] == names["test/images/0.png"]


def test_copies_of_a_picture_are_told_without_words_about_labels(write_pairs, found):
    root = write_pairs({str(n): mask() for n in range(4)})
    (root / "images" / "0.png").write_bytes((root / "images" / "2.png").read_bytes())

    assert found(root)["duplicate"].message == "1 picture is an exact copy of another one, pixel for pixel."
    assert "conflicting-mask" not in found(root)


def test_copies_of_a_picture_with_another_mask_are_said(write_pairs, found):
    other = mask()
    other[0, 0] = 1 - other[0, 0]
    root = write_pairs({"0": mask(), "1": mask(), "2": other})
    (root / "images" / "2.png").write_bytes((root / "images" / "0.png").read_bytes())

    assert found(root)["conflicting-mask"].paths == ("masks/0.png", "masks/2.png")


def test_every_finding_has_a_check_that_is_named_after_it():
    assert [code.replace("-", "_") for code in PAIR_CHECKS] == [value.split(":")[1] for value in PAIR_CHECKS.values()]

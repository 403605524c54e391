"""The page of what was found in pictures and masks."""

import re

import numpy as np
import pytest

from opsin.cli import main as door
from opsin.segmentation.checks import check_pairs
from opsin.segmentation.classes import ClassTable
from opsin.segmentation.dataset import SegmentationDataset

TABLE = ClassTable(("ground", '<b>"cell"'), ignore=(255,))


def half() -> np.ndarray:
    mask = np.zeros((8, 8), np.uint8)
    mask[:, 4:] = 1
    return mask


@pytest.fixture
def page(tmp_path):
    def made(root) -> str:
        dataset = SegmentationDataset.open(root, classes=TABLE, patient=True)
        check_pairs(dataset, cache=tmp_path / "cache").save_html(tmp_path / "page.html")
        return (tmp_path / "page.html").read_text("utf-8")

    return made


def test_findings_are_shown_with_the_pictures_under_their_masks(write_pairs, page):
    root = write_pairs({"a": half(), "b": half(), "c": half(), "<i>": half() * 0, "e": half() * 9, "f": half()})
    (root / "masks" / "f.png").write_bytes(b"no picture")

    shown = page(root)

    assert all(f'href="#finding{code}"' in shown for code in ("strangevalue", "unreadablemask", "oneclassmask"))
    # The picture under a mask, and the mask alone where it cannot be read as classes; of the last there is none.
    assert shown.count('src="data:image/jpeg') == 2
    assert shown.count("no picture</p>") == 1
    assert "32 of its pixels have the value 9" in shown
    assert "&lt;i&gt;" in shown


def test_the_page_runs_and_loads_nothing_and_escapes_names(write_pairs, page):
    shown = page(write_pairs({"a": half(), "b": half(), "c": half()}))

    assert "Nothing is the matter with it" in shown
    assert "&lt;b&gt;&quot;cell&quot;" in shown
    assert "<script" not in shown
    assert " style=" not in shown
    assert "default-src 'none'" in shown
    assert not [link for link in re.findall(r'(?:href|src)="([^"]*)"', shown) if not link.startswith(("#", "data:"))]
    assert "50.0 %" in shown


def test_the_command_writes_the_page(write_pairs, tmp_path, monkeypatch, capsys):
    root = write_pairs({"a": half(), "b": half(), "c": half()})
    monkeypatch.setattr(door, "_hush_native_libraries", lambda: None)
    monkeypatch.setattr("sys.argv", ["opsin", "segment", "check", str(root), "--html", str(tmp_path / "found.html")])

    with pytest.raises(SystemExit) as ended:
        door.main()

    assert not ended.value.code
    assert "The masks hold 0, 1: 2 classes." in capsys.readouterr().out
    assert "Check of pictures and masks" in (tmp_path / "found.html").read_text("utf-8")

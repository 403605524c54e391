"""Measured speeds: remembered from run to run, and never in the way of one."""

import json
import platform

import pytest

from opsin.features.speeds import FILE, recall_speed, remember_speed


def test_a_speed_that_was_remembered_is_recalled_in_a_later_run(tmp_path):
    remember_speed("mobilenet_v2", 224, 81.2345, tmp_path)
    assert recall_speed("mobilenet_v2", 224, tmp_path) == 81.23


def test_what_was_never_measured_is_not_known(tmp_path):
    remember_speed("mobilenet_v2", 224, 81, tmp_path)
    known = [recall_speed(name, side, tmp_path) for name, side in [("mobilenet_v2", 96), ("mobilenet", 224)]]
    assert known == [None, None]
    assert recall_speed("mobilenet_v2", 224, tmp_path / "elsewhere") is None


def test_the_last_measurement_counts_and_the_others_stay(tmp_path):
    remember_speed("mobilenet_v2", 224, 81, tmp_path)
    remember_speed("mobilenet_v2", 96, 300, tmp_path)
    remember_speed("mobilenet_v2", 224, 70, tmp_path)
    assert [recall_speed("mobilenet_v2", side, tmp_path) for side in (224, 96)] == [70, 300]


@pytest.mark.parametrize("part", ["machine", "processor"])
def test_another_processor_has_speeds_of_its_own(tmp_path, monkeypatch, part):
    remember_speed("mobilenet_v2", 224, 81, tmp_path)
    monkeypatch.setattr(platform, part, lambda: "another")
    assert recall_speed("mobilenet_v2", 224, tmp_path) is None
    remember_speed("mobilenet_v2", 224, 9, tmp_path)
    monkeypatch.undo()
    assert recall_speed("mobilenet_v2", 224, tmp_path) == 81


def test_speeds_lie_in_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    remember_speed("mobilenet_v2", 224, 81)
    assert recall_speed("mobilenet_v2", 224) == 81
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [FILE]


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path):
    (tmp_path / "file").write_text("no folder")
    remember_speed("mobilenet_v2", 224, 81, tmp_path / "file")
    assert recall_speed("mobilenet_v2", 224, tmp_path / "file") is None
    assert (tmp_path / "file").read_text() == "no folder"


@pytest.mark.parametrize("content", [b"", b'{"mobilenet_v2', b"[81]", b"null", b"\xff\xfe"])
def test_a_damaged_file_is_an_empty_memory_that_can_be_filled_again(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    assert recall_speed("mobilenet_v2", 224, tmp_path) is None
    remember_speed("mobilenet_v2", 224, 81, tmp_path)
    assert recall_speed("mobilenet_v2", 224, tmp_path) == 81


@pytest.mark.parametrize("value", ["fast", None, 0, -3, [81], float("nan")])
def test_what_is_no_speed_is_not_recalled_as_one(tmp_path, value):
    remember_speed("mobilenet_v2", 224, 81, tmp_path)
    (key,) = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps({key: value}))
    assert recall_speed("mobilenet_v2", 224, tmp_path) is None


def test_what_a_gpu_did_says_nothing_of_the_processor(tmp_path):
    remember_speed("mobilenet_v2", 224, 4000, tmp_path, gpu=True)

    assert recall_speed("mobilenet_v2", 224, tmp_path) is None
    assert recall_speed("mobilenet_v2", 224, tmp_path, gpu=True) == 4000

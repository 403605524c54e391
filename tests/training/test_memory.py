import pytest

from opsin.architectures import ARCHITECTURES
from opsin.errors import ModelError
from opsin.training import memory
from opsin.training.memory import free_memory, needed, require_memory


def test_a_network_that_does_not_fit_is_refused_with_one_that_does(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 3 * 2**30)

    with pytest.raises(ModelError, match=r"about 13\.9 GiB of free memory for convnext_xlarge.*has 3\.0 GiB.*--arch"):
        require_memory("convnext_xlarge")
    require_memory("mobilenet_v2")


def test_where_nothing_fits_nothing_is_proposed(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 2**20)

    with pytest.raises(ModelError, match=r"Free some\."):
        require_memory("mobilenet_v2")


def test_where_memory_cannot_be_told_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: None)

    require_memory("convnext_xlarge")


def test_a_containers_limit_counts(tmp_path, monkeypatch):
    (tmp_path / "max").write_text("5000\n")
    (tmp_path / "current").write_text("2000\n")
    (tmp_path / "stat").write_text("anon 1500\ninactive_file 500\n")
    files = tuple(str(tmp_path / name) for name in ("max", "current", "stat"))
    monkeypatch.setattr(memory, "CONTROL_GROUPS", (files,))

    assert free_memory() == 3500


def test_a_group_without_a_limit_does_not_count(tmp_path, monkeypatch):
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "current").write_text("2000\n")
    (tmp_path / "stat").write_text("inactive_file 0\n")
    files = tuple(str(tmp_path / name) for name in ("max", "current", "stat"))
    monkeypatch.setattr(memory, "CONTROL_GROUPS", (files,))
    monkeypatch.setattr(memory, "_of_the_machine", lambda: 7000)

    assert free_memory() == 7000


def test_the_estimate_grows_with_the_network():
    assert needed("mobilenet_v2_0.35") < needed("resnet50") < needed("convnext_xlarge")
    assert all(needed(name) > 0 for name in ARCHITECTURES)

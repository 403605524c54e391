"""Named choices: the closest name, the whole list, the install line."""

import sys

import pytest

from opsin.catalog import EXTRAS, choose, require, require_installed, resolve
from opsin.errors import MissingPackageError, UsageError


def test_a_name_that_exists_is_returned():
    assert choose("policy", "light", {"none": 0, "light": 1}) == "light"


def test_a_wrong_name_lists_all_and_says_the_closest():
    with pytest.raises(UsageError) as caught:
        choose("policy", "ligth", iter(["none", "light", "strong"]))
    assert str(caught.value) == (
        "Expected one of these as policy: none, light, strong. Received 'ligth'. Did you mean 'light'?"
    )


def test_where_no_name_is_close_none_is_suggested():
    with pytest.raises(UsageError) as caught:
        choose("policy", "zzz", ["none", "light"])
    assert str(caught.value) == "Expected one of these as policy: none, light. Received 'zzz'."


@pytest.mark.parametrize("name", [None, 3, ""])
def test_what_is_no_name_is_refused_in_the_same_words(name):
    with pytest.raises(UsageError, match=r"^Expected one of these as policy: light\. Received "):
        choose("policy", name, ["light"])


def test_a_reference_becomes_what_it_names():
    assert resolve("opsin.errors:UsageError") is UsageError


def test_a_package_that_is_there_is_imported():
    assert require("sklearn.metrics", "evaluation").accuracy_score([1, 0], [1, 1]) == 0.5


@pytest.mark.parametrize("package", sorted(EXTRAS))
def test_a_missing_package_gives_its_install_line(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError) as caught:
        require(package, "this test")
    assert str(caught.value) == (
        f"Expected the package {package!r}, which this test needs; it is not installed. "
        f"Install it with: pip install 'opsin[{EXTRAS[package]}]'"
    )


def test_a_package_that_misses_another_of_ours_names_that_one(monkeypatch, tmp_path):
    """Keras without TensorFlow, say."""
    (tmp_path / "tomli_w.py").write_text("import sklearn")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tomli_w", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingPackageError, match="'sklearn'"):
        require("tomli_w", "this test")


def test_a_package_that_is_broken_in_another_way_says_so_itself(monkeypatch, tmp_path):
    (tmp_path / "tomli_w.py").write_text("import no_such_package_at_all")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tomli_w", raising=False)
    with pytest.raises(ModuleNotFoundError, match="no_such_package_at_all"):
        require("tomli_w", "this test")


def test_a_package_that_is_not_installed_is_said_without_loading_the_others(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "tensorboard" else object())

    with pytest.raises(MissingPackageError, match=r"'tensorboard', which training needs.*opsin\[train\]"):
        require_installed(["keras", "tensorboard"], "training")

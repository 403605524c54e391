"""`opsin evaluate` and `opsin compare` from the outside, on the tiny classifier."""

import dataclasses
import json
import shutil
import sys

import pytest

from opsin.cli.evaluate import LAYOUTS
from opsin.errors import ExitCode
from opsin.evaluation.feature_map import METHODS
from opsin.model_folder import ModelCard


def test_gates_that_hold_are_told_and_the_command_ends_well(opsin, tiny_run, tiny_data):
    answer = opsin("evaluate", tiny_run, tiny_data, "--min", "accuracy=0.01", "--max", "log_loss=50")
    assert answer.code == ExitCode.DONE
    assert "held    accuracy: wanted at least 0.01" in answer.out
    assert "held    log_loss: wanted at most 50" in answer.out


def test_a_gate_that_fails_is_told_and_ends_with_1(opsin, tiny_run, tiny_data):
    answer = opsin("evaluate", tiny_run, tiny_data, "--max", "log_loss=0", "--json")
    assert answer.code == ExitCode.GATE_FAILED
    (gate,) = json.loads(answer.out)["gates"]
    assert (gate["name"], gate["held"]) == ("log_loss", False)
    assert "FAILED  log_loss" in answer.err


def test_a_gate_that_does_not_exist_is_told_before_anything_runs(opsin, tiny_run, tmp_path):
    answer = opsin("evaluate", tiny_run, tmp_path / "nowhere", "--min", "recall.disks=0.9")
    assert answer.code == ExitCode.USAGE
    assert "Did you mean 'recall.discs'" in answer.err


def test_a_model_is_not_worse_than_itself(opsin, tiny_run, tiny_data, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "copy")
    answer = opsin("compare", tiny_run, tmp_path / "copy", tiny_data, "--fail-if-worse")
    assert answer.code == ExitCode.DONE
    assert "right equally often" in answer.out
    assert "Comparing on" in answer.err


def test_a_model_that_got_worse_fails(opsin, tiny_run, tiny_data, tmp_path):
    """The second's classes are named in another order than it was trained with."""
    shutil.copytree(tiny_run, tmp_path / "worse")
    card = ModelCard.read(tmp_path / "worse" / "model")
    dataclasses.replace(card, class_names=card.class_names[::-1]).save(tmp_path / "worse" / "model")
    answer = opsin("compare", tiny_run, tmp_path / "worse", tiny_data, "--fail-if-worse", "--json", "--split", "all")
    assert answer.out, answer.err
    found = json.loads(answer.out)
    assert (answer.code, found["second_is_worse"]) == (ExitCode.GATE_FAILED, True)
    assert len(found["broken"]) == found["only_first"]
    assert "FAILED: worse is worse than run" in answer.err


def test_a_margin_is_for_a_gate(opsin, tiny_run, tiny_data):
    answer = opsin("compare", tiny_run, tiny_run, tiny_data, "--margin", "0.1")
    assert answer.code == ExitCode.USAGE
    assert "--fail-if-worse" in answer.err


def test_all_that_is_asked_for_is_in_one_document(opsin, tiny_run, tiny_data, tmp_path):
    (tmp_path / "costs.csv").write_text("truth,said,cost\ndiscs,checks,9\n")
    answer = opsin(
        *("evaluate", tiny_run, tiny_data, "--json", "--robustness", "--costs", tmp_path / "costs.csv"),
        *("--precision", "discs=0.9", "--html", tmp_path / "page.html"),
    )
    found = json.loads(answer.out)
    assert answer.code == ExitCode.DONE
    assert found["robustness"]["clean"]["n"] == found["n"]
    assert len(found["robustness"]["corrupted"]) == 25
    assert found["costs"]["matrix"][1] == [9, 0, 1]
    assert [(one["name"], one["wanted"]) for one in found["precisions"]] == [("discs", 0.9)]
    assert {"slices", "advice"} <= set(found)
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "How the network sees the pictures" in page


def test_without_keras_the_page_says_what_it_lacks(opsin, tiny_run, tiny_data, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] in ("keras", "tensorflow")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith(("opsin.explanation", "opsin.architectures.scaling"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    shutil.copytree(tiny_data, tmp_path / "data")
    # A mistake to be explained.
    mislaid = next((tmp_path / "data" / "discs").iterdir())
    mislaid.rename(tmp_path / "data" / "checks" / f"mislaid{mislaid.suffix}")

    answer = opsin("evaluate", tiny_run, tmp_path / "data", "--split", "all", "--html", tmp_path / "page.html")

    assert answer.code == ExitCode.DONE
    assert "The page has no heat maps: Expected the package" in answer.err
    assert "pip install 'opsin[train]'" in answer.err
    assert (tmp_path / "page.html").read_text("utf-8").startswith("<!doctype html>")


def test_what_to_do_next_ends_the_report(opsin, tiny_run, tiny_data, tmp_path):
    answer = opsin("evaluate", tiny_run, tiny_data, "--robustness", "--precision", "discs=1")
    assert answer.out.index("accuracy on spoilt pictures") < answer.out.index("what to do next")
    assert "discs, 1: " in answer.out
    assert "Judge the model on more pictures" in answer.out


def test_what_is_wrong_with_the_options_is_told_before_anything_runs(opsin, tiny_run, tmp_path):
    for options, words in (
        (["--precision", "disks=0.9"], "Did you mean 'discs'"),
        (["--precision", "discs=90"], "99 % is 0.99"),
        (["--precision", "discs"], "CLASS=SHARE"),
        (["--costs", tmp_path / "none.csv"], "none at"),
    ):
        answer = opsin("evaluate", tiny_run, tmp_path / "nowhere", *options)
        assert answer.code == ExitCode.USAGE
        assert words in answer.err


def test_one_picture_of_one_class_is_judged(opsin, tiny_run, tiny_data, tmp_path):
    (tmp_path / "one" / "discs").mkdir(parents=True)
    shutil.copy(tiny_data / "discs" / "3.png", tmp_path / "one" / "discs" / "3.png")
    answer = opsin("evaluate", tiny_run, tmp_path / "one", "--robustness", "--min", "recall.checks=0.1")
    assert answer.code == ExitCode.GATE_FAILED
    assert "nothing to measure it on" in answer.out
    assert "All pictures are of one class, discs" in answer.out


def test_another_way_to_lay_pictures_out_is_refused_before_anything_runs(opsin, tiny_run, tmp_path):
    answer = opsin("evaluate", tiny_run, tmp_path / "nothing", "--map", "tsne")
    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert "pca, umap" in answer.err


def test_the_command_knows_every_way_to_lay_pictures_out():
    assert LAYOUTS == METHODS


@pytest.mark.parametrize("command", [["evaluate", "RUN", "DATA"], ["compare", "RUN", "RUN", "DATA"]])
def test_the_model_itself_is_judged_whatever_of_its_exports_is_fastest(
    opsin, tiny_run, tiny_data, monkeypatch, command
):
    monkeypatch.setattr("opsin.runtimes.engines.recall_engine", lambda model: pytest.fail("asked for the fastest"))

    answer = opsin(*({"RUN": tiny_run, "DATA": tiny_data}.get(word, word) for word in command))

    assert answer.code == ExitCode.DONE

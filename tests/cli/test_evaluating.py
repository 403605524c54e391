"""`opsin evaluate` and `opsin compare` from the outside, on the tiny classifier."""

import dataclasses
import json
import shutil

from opsin.errors import ExitCode
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

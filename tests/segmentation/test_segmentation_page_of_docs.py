"""docs/segmentation.md names commands, options and settings that exist."""

import inspect
import re
from pathlib import Path

import pytest

from opsin.cli import segment
from opsin.segmentation import LOSSES
from opsin.segmentation.networks import NETWORKS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "segmentation.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^opsin segment (\w+) (.*?)(?:#.*)?$", TEXT, flags=re.M)


def _options(function):
    parameters = inspect.signature(function).parameters
    return {f"--{name.replace('_', '-')}" for name in parameters} | {"--min", "--json"}


@pytest.mark.parametrize(("name", "words"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_a_command_and_its_options_exist(name, words):
    function = {one.__name__: one for one in segment.COMMANDS}[name]

    assert set(re.findall(r"--[a-z][a-z-]*", words)) <= _options(function)


def test_every_option_in_the_text_is_one_of_some_command():
    known = set().union(*map(_options, segment.COMMANDS))

    assert set(re.findall(r"(?<!-)--[a-z][a-z-]+", TEXT)) <= known


def test_every_command_network_and_loss_is_in_it():
    assert {name for name, _ in COMMANDS} == {one.__name__ for one in segment.COMMANDS}
    assert all(f"`{name}`" in TEXT for name in (*NETWORKS, *LOSSES))


def test_every_command_has_examples():
    assert set(segment.EXAMPLES) == {one.__name__ for one in segment.COMMANDS}

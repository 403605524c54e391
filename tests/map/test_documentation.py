"""The documentation says what the code does."""

import importlib.util
import re
import sys
from pathlib import Path

import opsin
from opsin.architectures import ARCHITECTURES
from opsin.augmentation import AUGMENTATIONS
from opsin.catalog import resolve
from opsin.runtimes import RUNTIMES
from opsin.training.config import OPTIMIZERS, SCHEDULES

ROOT = Path(__file__).resolve().parents[2]


def load_tool(name: str):
    specification = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


def test_what_is_written_from_the_code_is_fresh():
    for path, content in load_tool("write_docs").documents().items():
        assert path.read_text(encoding="utf-8") == content, f"run: python tools/write_docs.py ({path.name} is stale)"


def test_every_path_that_architecture_md_names_exists():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## Module map")[0]
    for name in re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", text):
        assert (ROOT / "src" / "opsin" / name).is_file() or (ROOT / name).is_file(), name


def test_the_layers_that_architecture_md_draws_are_those_that_are_held():
    import tomllib

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    text = " ".join((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split())

    assert " › ".join(contracts[0]["layers"]) in text


def test_every_catalogue_entry_stands_for_something():
    references = [entry.builder for entry in ARCHITECTURES.values()]
    for catalogue in (AUGMENTATIONS, RUNTIMES, OPTIMIZERS, SCHEDULES):
        references += catalogue.values()

    assert all(callable(resolve(reference)) for reference in set(references))


def test_every_public_name_can_be_had():
    assert all(getattr(opsin, name) is not None for name in opsin.__all__)
    assert set(opsin.__all__) <= set(dir(opsin))


def test_readme_has_two_commands_for_a_fresh_machine_and_ci_runs_the_one_for_tests():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^python3 -m venv .*$", readme, flags=re.M)

    assert len(commands) == 2
    assert commands[0].endswith("opsin demo")
    assert commands[1].endswith("pytest -n 2")
    assert "grep -E '^python3 -m venv" in (ROOT / ".ci" / "run").read_text()


def test_every_option_that_readme_names_exists():
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for option in set(re.findall(r"(?<!-)--[a-z][a-z0-9-]+", readme)) - {"--help"}:
        assert f"`{option}`" in reference, option

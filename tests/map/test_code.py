"""Format, lint, and which way imports go."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff_has_nothing_to_say(command):
    done = subprocess.run([sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_import_contracts_hold():
    run = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"

    done = subprocess.run([sys.executable, "-c", run], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kept" in done.stdout


def test_no_file_is_longer_than_400_lines():
    long = {p.name: n for p in (ROOT / "src").rglob("*.py") if (n := len(p.read_text().splitlines())) > 400}

    assert not long


def test_importing_opsin_loads_nothing_heavy():
    check = "import sys, opsin; print(sorted({'numpy', 'PIL', 'keras', 'tensorflow', 'rich'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)

    assert done.stdout.strip() == "[]"


def test_nothing_is_left_unfinished():
    marks = ("TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error")
    unfinished = [p.name for p in (ROOT / "src").rglob("*.py") if any(mark in p.read_text() for mark in marks)]

    assert not unfinished


def test_every_module_says_what_it_is_for():
    silent = [p.name for p in (ROOT / "src").rglob("*.py") if not ast.get_docstring(ast.parse(p.read_text()))]

    assert not silent

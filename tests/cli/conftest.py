import sys
from dataclasses import dataclass

import pytest

from opsin.cli import main as door


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def opsin(monkeypatch, capsys):
    """Run the command line in this process: `opsin("train", folder)` -> exit code, stdout, stderr."""
    monkeypatch.setattr(door, "_hush_native_libraries", lambda: None)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["opsin", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            door.main()
        captured = capsys.readouterr()
        return Answer(int(ended.value.code or 0), captured.out, captured.err)

    return run

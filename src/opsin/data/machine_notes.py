"""Small notes on this kind of machine, kept from run to run beside the cache: how fast something was, what was best."""

import json
import platform
from pathlib import Path
from typing import Any

from opsin.atomic import write_text
from opsin.data.cache import default_folder
from opsin.errors import SavingError


def remember(file: str, name: str, value: Any, folder: Path | None = None) -> None:
    """Keep a note; where nothing can be written, nothing is kept.

    Args:
        file: the JSON file of such notes.
        name: what the note is on.
        value: what JSON can hold.
        folder: where to keep it; None for the cache folder.
    """
    folder = folder or default_folder()
    notes = _read(folder / file) | {_key(name): value}
    try:
        write_text(folder / file, json.dumps(notes, indent=1, sort_keys=True))
    except SavingError:
        return  # It is only a memory.


def recall(file: str, name: str, folder: Path | None = None) -> Any:
    """Return what was noted last on this kind of processor; None if nothing was."""
    notes = _read((folder or default_folder()) / file)
    # Asking for the processor's name takes a while: not where nothing is remembered.
    return notes.get(_key(name)) if notes else None


def _key(name: str) -> str:
    return f"{name} {platform.machine()} {platform.processor()}".strip()


def _read(path: Path) -> dict:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}

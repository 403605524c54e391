"""Which engine runs a model fastest on this machine, remembered from `opsin benchmark` beside the cache."""

import json
import platform
from pathlib import Path

from opsin.atomic import write_text
from opsin.data.cache import default_folder
from opsin.errors import SavingError

FILE = "engines.json"


def remember_engine(model: str, engine: str, folder: Path | None = None) -> None:
    """Keep which engine is the fastest for a model; where nothing can be written, nothing is kept.

    Args:
        model: the sha256 of its card.
        engine: one of `opsin.runtimes.ENGINES`.
        folder: where to keep it; None for the cache folder.
    """
    folder = folder or default_folder()
    engines = _read(folder) | {_key(model): engine}
    try:
        write_text(folder / FILE, json.dumps(engines, indent=1, sort_keys=True))
    except SavingError:
        return  # It is only a memory.


def recall_engine(model: str, folder: Path | None = None) -> str | None:
    """Return the engine that was fastest on this kind of machine; None if none was measured."""
    engines = _read(folder or default_folder())
    # Asking for the processor's name takes a while: not where nothing is remembered.
    engine = engines.get(_key(model)) if engines else None
    return engine if isinstance(engine, str) else None


def _key(model: str) -> str:
    return f"{model} {platform.machine()} {platform.processor()}".strip()


def _read(folder: Path) -> dict:
    try:
        document = json.loads((folder / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}

"""Which engine runs a model fastest on this machine, remembered from `opsin benchmark` beside the cache."""

from pathlib import Path

from opsin.data.machine_notes import recall, remember

FILE = "engines.json"


def remember_engine(model: str, engine: str, folder: Path | None = None) -> None:
    """Keep which engine is the fastest for a model; where nothing can be written, nothing is kept.

    Args:
        model: the sha256 of its card.
        engine: one of `opsin.runtimes.ENGINES`.
        folder: where to keep it; None for the cache folder.
    """
    remember(FILE, model, engine, folder)


def recall_engine(model: str, folder: Path | None = None) -> str | None:
    """Return the engine that was fastest on this kind of machine; None if none was measured."""
    engine = recall(FILE, model, folder)
    return engine if isinstance(engine, str) else None

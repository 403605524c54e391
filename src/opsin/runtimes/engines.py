"""Which engine is to run a model: the one asked for, or what `opsin benchmark` found fastest on this machine."""

from pathlib import Path

from opsin.data.machine_notes import recall, remember
from opsin.errors import ModelError, UsageError
from opsin.model_folder import Artefact, ModelCard, exported_folder, find_model_folder
from opsin.names import KNOWN, TWIN
from opsin.runtimes import IN_THE_MODEL, INT8, is_installed

FILE = "engines.json"


def remember_engine(model: str, engine: str, folder: Path | None = None) -> None:
    """Keep which engine is the fastest for a model; where nothing can be written, nothing is kept.

    Args:
        model: the sha256 of its card.
        engine: one of `ENGINES`.
        folder: where to keep it, beside the cache; None for the cache folder.
    """
    remember(FILE, model, engine, folder)


def recall_engine(model: str, folder: Path | None = None) -> str | None:
    """Return the engine that was fastest on this kind of machine; None if none was measured."""
    engine = recall(FILE, model, folder)
    return engine if isinstance(engine, str) else None


def choose_engine(
    folder: Path, card: ModelCard, runtime: str | None, *, by_distance: bool = False
) -> tuple[Path, ModelCard]:
    """Return the folder to open, and its card: the model's own, or that of its export.

    Args:
        folder: a model folder or an export.
        card: its card.
        runtime: one of `ENGINES`; None for the fastest that is known.
        by_distance: whether pictures are to be told apart by their distance from known ones, for which the fastest
            has to give features, if the model has such pictures.

    Raises:
        UsageError: it is an export, and not for that runtime; or the model has no such export.
        ModelError: the export was made from another model, one that was there before, say.
    """
    if card.artefact is not None:
        engine = engine_of(card.artefact)
        if runtime not in (None, engine):
            raise UsageError(
                f"Expected {engine!r} as runtime, which {str(folder)!r} was exported for; received {runtime!r}. Leave "
                "it out, or give the model that it was exported from."
            )
        return folder, card
    if runtime is None:
        return _fastest(folder, card, by_distance)
    if runtime in IN_THE_MODEL:
        return folder, card
    return find_export(folder, card, runtime)


def _fastest(folder: Path, card: ModelCard, by_distance: bool) -> tuple[Path, ModelCard]:
    """Return the export that was fastest here, if it is still there and can be run; else the model itself."""
    engine = recall_engine(card.sha256)
    if engine is None or engine in IN_THE_MODEL or not is_installed(engine):
        return folder, card
    try:
        place, found = find_export(folder, card, engine)
    except (UsageError, ModelError):
        return folder, card
    if by_distance and KNOWN in card.files and KNOWN not in found.files:
        return folder, card
    return place, found


def own_engine(folder: Path, card: ModelCard) -> str:
    """Return the name, in `ENGINES`, of what runs the network that lies in a folder itself.

    Args:
        folder: a model folder or an export.
        card: its card.
    """
    if card.artefact is not None:
        return engine_of(card.artefact)
    return "litert" if (folder / TWIN).is_file() else "keras"


def engine_of(artefact: Artefact) -> str:
    """Return the name, in `ENGINES`, of what runs an export."""
    return artefact.format + INT8 * artefact.int8


def find_export(folder: Path, card: ModelCard, engine: str) -> tuple[Path, ModelCard]:
    """Return a model's export and its card.

    Args:
        folder: the model folder.
        card: its card.
        engine: which export.

    Raises:
        UsageError: there is none where `opsin export` puts it.
        ModelError: it was made from another model, one that was there before, say.
    """
    command = f"opsin export MODEL --format {engine.removesuffix(INT8)}" + " --int8" * engine.endswith(INT8)
    place = exported_folder(folder, engine)
    try:
        place = find_model_folder(place)
    except (UsageError, ModelError):
        raise UsageError(
            f"Expected an export for {engine!r}; there is none at {str(place)!r}. Make it: {command}"
        ) from None
    found = ModelCard.read(place)
    if found.artefact is None or found.artefact.source != card.sha256:
        raise ModelError(
            f"Expected the export of {str(folder)!r}; what is at {str(place)!r} was made from another model. Make it "
            f"again: {command}"
        )
    return place, found

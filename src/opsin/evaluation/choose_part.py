"""Which part of some data to judge a model on, so that nobody scores training pictures by accident."""

from dataclasses import dataclass

import numpy as np

from opsin.catalog import choose
from opsin.classifier import Classifier
from opsin.data.account import is_about, read_parts
from opsin.data.dataset import ImageDataset
from opsin.data.splits import SPLITS, TEST, TRAIN, VAL
from opsin.errors import DataError
from opsin.names import FILES

AUTO, ALL = "auto", "all"

WARNING = "Warning: "


@dataclass(frozen=True)
class Part:
    """The chosen pictures.

    Args:
        dataset: them.
        name: `"test"`, `"val"`, `"train"` or `"all"`.
        notes: what the user should know about the choice, a sentence each.
    """

    dataset: ImageDataset
    name: str
    notes: tuple[str, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the notes that say that the figures are too good."""
        return tuple(note for note in self.notes if note.startswith(WARNING))


def choose_part(classifier: Classifier, data: ImageDataset, wanted: str = AUTO) -> Part:
    """Choose what to evaluate on.

    On the data that the model was trained on, with or without pictures added since, the run's `files.csv` says what
    was held out. Other data is judged by its own test part, else its val part, else as a whole, though some
    of its files may be called alike.

    Args:
        classifier: the model, opened from its run folder for its `files.csv` to be found.
        data: all of the data.
        wanted: `"auto"`, or the part to take.

    Raises:
        UsageError: there is no part of that name.
        DataError: the data has no such part.
    """
    choose("split", wanted, [AUTO, ALL, *SPLITS])
    account = classifier.run_folder / FILES
    parts = read_parts(account, data) if account.is_file() else {}
    learned = set(parts[TRAIN].names) if parts else set()
    seen = sum(len(part) for part in parts.values()) if is_about(account, data, parts) else 0
    trained_on_it = classifier.card.provenance.get("data", {}).get("fingerprint") == data.fingerprint
    notes: list[str] = []
    if not seen:
        parts = _given_parts(data)
        notes += _warnings(trained_on_it, parts, wanted)
    name = _pick(parts, wanted)
    if wanted == AUTO and name != ALL:
        why = "the model never saw them" if seen and name == TEST else f"its {name} part"
        notes.append(f"Evaluating on {len(parts[name]):,} of {len(data):,} pictures: {why}. (--split chooses others.)")
    if seen and name in (ALL, TRAIN):
        notes.append(
            f"{WARNING}the model learned from {len(parts[TRAIN]):,} of these pictures: the figures are too good."
        )
    if seen and seen < len(data) and wanted == AUTO:
        notes.append(
            f"{len(data) - seen:,} pictures are new since the training and not among them; to judge on those, put "
            "them in a folder of their own."
        )
    chosen = data if name == ALL else parts[name]
    if not seen and (alike := learned.intersection(chosen.names)):
        notes.append(
            f"{WARNING}{len(alike):,} of these pictures have the path and the size of ones that the model learned "
            "from: if they are those, the figures are too good."
        )
    if not len(chosen):
        raise DataError(f"Expected a {name} part in {str(data.root)!r}; it has none. Choose another --split.")
    return Part(chosen, name, tuple(notes))


def _pick(parts: dict[str, ImageDataset], wanted: str) -> str:
    if wanted != AUTO:
        return wanted
    return next((name for name in (TEST, VAL) if len(parts[name])), ALL)


def _given_parts(data: ImageDataset) -> dict[str, ImageDataset]:
    given = np.array(data.given_splits, dtype=object)
    return {name: data.subset(given == name) for name in SPLITS}


def _warnings(trained_on_it: bool, parts: dict[str, ImageDataset], wanted: str) -> list[str]:
    if trained_on_it and (wanted in (ALL, TRAIN) or _pick(parts, wanted) == ALL):
        return [
            f"{WARNING}the model was trained on pictures of this data, and which ones cannot be told without the run's "
            "files.csv: the figures are too good. Give the run folder, or pictures that are new to the model."
        ]
    return []

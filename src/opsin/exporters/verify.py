"""`verify`: a model folder or an export still is what was written, and still gives the same answers here."""

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from opsin.catalog import choose
from opsin.classifier import Classifier, softmax
from opsin.errors import ModelError, OpsinError
from opsin.exporters.parity import FLOAT
from opsin.model_folder import ModelCard, find_model_folder, golden_names, hash_files, read_proved
from opsin.names import CARD, GOLDEN, GOLDEN_LOGITS, GOLDEN_PROBABILITIES
from opsin.runtimes import ENGINES, IN_THE_MODEL
from opsin.runtimes.engines import find_export


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        what: it, in a few words.
        passed: whether it holds.
        detail: what was found.
    """

    what: str
    passed: bool
    detail: str

    def __str__(self) -> str:
        return f"{'ok    ' if self.passed else 'FAILED'}  {self.what}: {self.detail}"


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Args:
        folder: what was looked at.
        checks: in the order they were made.
        notes: what its user should know, a sentence each.
    """

    folder: Path
    checks: tuple[Check, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything holds."""
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values for a JSON document."""
        checks = [asdict(check) for check in self.checks]
        return {"folder": str(self.folder), "passed": self.passed, "checks": checks, "notes": list(self.notes)}

    def __str__(self) -> str:
        return "\n".join([str(self.folder), *map(str, self.checks), *self.notes])


def verify(path: str | Path, *, runtime: str | None = None) -> Verification:
    """Check every file of a model folder or an export, and replay its golden pictures.

    Args:
        path: a run folder, a model folder or an export.
        runtime: what runs the network, as `Classifier.open` takes it; of a model, one that runs an export of it
            stands for that export.

    Raises:
        UsageError: there is nothing at the path, or no such runtime.
        ModelError: it is no model, or its card is damaged or of a format that this version does not know.
        MissingPackageError: the runtime is not installed.
    """
    if runtime is not None:
        choose("runtime", runtime, ENGINES)
    folder = find_model_folder(path)
    card = ModelCard.read(folder)
    if card.artefact is None and runtime not in (None, *IN_THE_MODEL):
        folder, card = find_export(folder, card, runtime)
    found = check_files(folder, card)
    if not found.passed:
        return found
    opened = Classifier.open_own(folder) if runtime is None else Classifier.open(folder, runtime)
    return replace(found, checks=(*found.checks, replay(opened)))


def check_files(folder: Path, card: ModelCard) -> Verification:
    """Check that every file of a model folder is what was written."""
    files = [_check_file(folder, name, card) for name in card.files]
    unknown = sorted(set(hash_files(folder)) - set(card.files))
    notes = (f"Not of the model, and not looked at: {', '.join(unknown)}.",) if unknown else ()
    broken = [check for check in files if not check.passed]
    if broken:
        return Verification(folder, tuple(broken), notes)
    whole = Check("files", True, f"all {len(files)} have the sha256 that {CARD} says")
    return Verification(folder, (whole,), notes)


def _check_file(folder: Path, name: str, card: ModelCard) -> Check:
    try:
        read_proved(folder, name, card)
    except ModelError as error:
        return Check(name, False, str(error))
    return Check(name, True, "has the sha256 it was written with")


def replay(classifier: Classifier, *, rest: float = 0.0) -> Check:
    """Compare what a network gives for the golden pictures with what it gave when it was written.

    Args:
        classifier: the network; the pictures are in its folder.
        rest: how many seconds to leave the processor to others before each picture.
    """
    what = f"golden pictures in {type(classifier.runtime).__name__}"
    try:
        names, expected = _golden(classifier)
        images = [classifier.preprocess.read(classifier.folder / GOLDEN / name) for name in names]
        logits = []
        for image in images:
            time.sleep(rest)
            logits.append(classifier.run(image[None]).logits)
        received = classifier.probabilities(np.concatenate(logits))
        differences = np.abs(expected - received).max(axis=1)
    except (OpsinError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        return Check(what, False, str(error))
    artefact = classifier.card.artefact
    tolerance = FLOAT.tolerance if artefact is None else artefact.tolerance
    if not differences.max() <= tolerance:
        worst = int(differences.argmax())
        labels = [classifier.class_names[row[worst].argmax()] for row in (expected, received)]
        return Check(
            what,
            False,
            f"a probability of {names[worst]} differs by {differences[worst]:.3g} from when it was written, at most "
            f"{tolerance:g} is allowed; it said {labels[0]}, it says {labels[1]}. Versions here differ from those in "
            f"{CARD}, or this processor computes otherwise: export it again here, or install those versions.",
        )
    return Check(what, True, f"{len(names)} give the same probabilities, to {differences.max():.2g}")


def _golden(classifier: Classifier) -> tuple[list[str], np.ndarray]:
    folder = classifier.folder
    if classifier.card.artefact is not None:
        document = json.loads((folder / GOLDEN_PROBABILITIES).read_text(encoding="utf-8"))
        return golden_names(document, classifier.card), np.array(document["probabilities"])
    document = json.loads((folder / GOLDEN_LOGITS).read_text(encoding="utf-8"))
    return golden_names(document, classifier.card), softmax(np.array(document["logits"]), classifier.card.temperature)

"""The model folder: what is in it, how it is found, and how its files are proved to be what was written."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from opsin.atomic import write_text
from opsin.errors import ModelError, UsageError
from opsin.images.preprocess import Preprocess
from opsin.names import CARD, CHECKPOINT, EXPORTS, GOLDEN, KERAS, MODEL

FORMAT = 1

CLASSIFICATION, SEGMENTATION = "classification", "segmentation"
"""What a model is for: a class for each picture, or one for each pixel."""

_OTHER_TASK = {
    CLASSIFICATION: (
        "Expected a model that segments, giving a class to every pixel; the one in {folder!r} classifies whole "
        "pictures. Use opsin predict, evaluate, export and serve with it."
    ),
    SEGMENTATION: (
        "Expected a model that classifies whole pictures; the one in {folder!r} segments: it gives a class to every "
        "pixel. Use opsin segment predict, segment evaluate, segment export and opsin serve with it."
    ),
}


@dataclass(frozen=True)
class Tensor:
    """An end of an exported network.

    Args:
        name: what the network calls it.
        dtype: `"float32"` or `"uint8"`.
        shape: of one batch; None for any number of pictures.
        low: the smallest value it takes or gives.
        high: the largest.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    low: float
    high: float


@dataclass(frozen=True)
class Artefact:
    """What a card says of an exported network: one file, or one folder, from pictures to probabilities.

    Args:
        format: of the network, a name in `opsin.exporters.FORMATS`.
        file: the network's path in the folder; `"."` where the folder itself is the network.
        int8: whether it computes in 8-bit integers.
        input: where the preprocessed pictures go in.
        output: where the probabilities come out, calibrated.
        temperature: what the logits are divided by inside, before the softmax.
        tolerance: how far the probabilities of the golden pictures may be from those that were written with them:
            processors round differently.
        source: the sha256 of the card of the model that was exported.
        versions: of the packages that wrote it.
        parity: on how many pictures it was compared with the network that it comes from, and how near it is.
        notes: what its user should know, a sentence each.
        features: what the output of features, float32 (N, d), is called; None where there is none.
        page: what was asked for, a name in `opsin.exporters.PAGES`, where there is a page around the network.
    """

    format: str
    file: str
    int8: bool
    input: Tensor
    output: Tensor
    temperature: float
    tolerance: float
    source: str
    versions: dict[str, str] = field(default_factory=dict)
    parity: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    features: str | None = None
    page: str | None = None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Artefact":
        """Take it back from a card's JSON."""
        ends = {end: Tensor(**{**values[end], "shape": tuple(values[end]["shape"])}) for end in ("input", "output")}
        return cls(**{**values, **ends, "notes": tuple(values["notes"])})


@dataclass(frozen=True)
class ModelCard:
    """What `opsin.json` says about a model.

    Args:
        class_names: the k class names, in the order of the logits.
        preprocess: the recipe from picture to the network's input.
        temperature: logits are divided by it before the softmax.
        thresholds: decisions beside the largest probability, by name, fit for JSON; empty where there are none.
        provenance: where the model comes from: versions, architecture, data fingerprint, seed.
        files: sha256 of each file of the folder, by its path in the folder.
        artefact: of an export, which network it is; None of a model folder.
        segmentation: of a model that gives a class to every pixel: its class table and its recipe, fit for JSON; None
            of one that classifies pictures.
    """

    class_names: tuple[str, ...]
    preprocess: Preprocess
    temperature: float = 1.0
    thresholds: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    artefact: Artefact | None = None
    segmentation: dict[str, Any] | None = None

    def __post_init__(self):
        if len(set(self.class_names)) != len(self.class_names):
            raise UsageError(f"Expected each class name once; received {self.class_names}.")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise UsageError(f"Expected a temperature above 0; received {self.temperature}.")

    @property
    def task(self) -> str:
        """What the model is for: `CLASSIFICATION` or `SEGMENTATION`."""
        return CLASSIFICATION if self.segmentation is None else SEGMENTATION

    @property
    def sha256(self) -> str:
        """The hash of all that the card says, the hashes of the files included."""
        return sign(self._document())

    def save(self, folder: Path) -> None:
        """Write `opsin.json` into the folder; an older one is replaced at once."""
        document = self._document()
        document["sha256"] = sign(document)
        write_text(folder / CARD, json.dumps(document, indent=2) + "\n")

    def _document(self) -> dict[str, Any]:
        document = {
            "format": FORMAT,
            "class_names": list(self.class_names),
            "preprocess": self.preprocess.to_dict(),
            "calibration": {"temperature": self.temperature},
            "thresholds": self.thresholds,
            "provenance": self.provenance,
            "files": self.files,
        }
        if self.segmentation is not None:
            document |= {"task": SEGMENTATION, "segmentation": self.segmentation}
        return document if self.artefact is None else {**document, "artefact": dataclasses.asdict(self.artefact)}

    @classmethod
    def read(cls, folder: Path, *, task: str | None = CLASSIFICATION) -> "ModelCard":
        """Read `opsin.json` from the folder.

        Args:
            folder: the model folder.
            task: what the model must be for; None: whatever it is.

        Raises:
            ModelError: it is missing, damaged, altered, of a format that this version does not know, or of a model for
                another task.
        """
        card = cls._read(folder)
        if task not in (None, card.task):
            raise ModelError(_OTHER_TASK[card.task].format(folder=str(folder)))
        return card

    @classmethod
    def _read(cls, folder: Path) -> "ModelCard":
        path = folder / CARD
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["format"] != FORMAT:
                raise ModelError(
                    f"Expected a model of format {FORMAT}; {str(path)!r} is of format {document['format']!r}. "
                    f"{_wrote(document)} wrote it: use that version, or a newer one."
                )
            if document.pop("sha256") != sign(document):
                raise ValueError("it does not have the sha256 it was written with, so it was altered")
            card = cls(
                class_names=tuple(document["class_names"]),
                preprocess=Preprocess.from_dict(document["preprocess"]),
                temperature=float(document["calibration"]["temperature"]),
                thresholds=document["thresholds"],
                provenance=document["provenance"],
                files=dict(document["files"]),
                artefact=Artefact.from_dict(document["artefact"]) if document.get("artefact") else None,
                segmentation=document.get("segmentation"),
            )
            _require_inside([*card.files, *([card.artefact.file] if card.artefact else [])])
            return card
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
            raise ModelError(
                f"Expected {CARD} to describe the model; {str(path)!r} cannot be read: {_reason(error)}. "
                "Copy the model folder again from where it was trained."
            ) from error


def _require_inside(paths: Iterable[str]) -> None:
    for path in paths:
        posix = PurePosixPath(path)
        if posix.is_absolute() or ".." in posix.parts or "\\" in path or PureWindowsPath(path).drive:
            raise ValueError(f"it names {path!r}, which leads out of the folder")


def _wrote(document: dict[str, Any]) -> str:
    provenance = document.get("provenance")
    version = provenance.get("opsin") if isinstance(provenance, dict) else None
    return f"opsin {version}" if version else "Another version of opsin"


def _reason(error: Exception) -> str:
    return f"the key {error} is missing" if isinstance(error, KeyError) else str(error)


def find_model_folder(path: str | Path) -> Path:
    """Return the model folder that `path` is, or that the run folder `path` holds.

    Raises:
        UsageError: there is nothing at the path.
        ModelError: it is neither a run nor a model folder.
    """
    path = Path(path)
    if not path.exists():
        raise UsageError(f"Expected a run or a model folder; there is nothing at {str(path)!r}. Check the path.")
    for folder in (path, path / MODEL, *_newest_version(path)):
        if (folder / CARD).is_file():
            return folder
    if (path / CHECKPOINT).is_dir():
        raise ModelError(
            f"Expected a finished run; the training in {str(path)!r} has no model yet. "
            "Go on with it: opsin train DATA --out RUN --resume"
        )
    if (path / KERAS).is_file():
        raise ModelError(
            f"Expected {CARD} beside {KERAS}, for the class names and the recipe from picture to network; it is "
            f"missing in {str(path)!r}. Copy the whole model folder from where it was trained."
        )
    raise ModelError(
        f"Expected a run folder or a model folder (it holds {CARD}); {str(path)!r} is neither. "
        "Train a model with: opsin train DATA --out RUN"
    )


def _newest_version(path: Path) -> list[Path]:
    """Return the folder with the highest number in a folder of versions, as TensorFlow Serving would."""
    versions = [folder for folder in path.glob("[0-9]*") if folder.name.isdecimal()] if path.is_dir() else []
    return [max(versions, key=lambda folder: int(folder.name))] if versions else []


def exported_folder(folder: Path, engine: str) -> Path:
    """Return where a model's export is, unless its user chose another place.

    Args:
        folder: the model folder.
        engine: the format, with `-int8` behind it for one of 8-bit integers.

    Returns:
        `RUN/exports/ENGINE` for the model of a run; `MODEL-ENGINE`, beside it, for a model folder by itself.
    """
    folder = folder.resolve()
    return folder.parent / EXPORTS / engine if folder.name == MODEL else folder.with_name(f"{folder.name}-{engine}")


def hash_files(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file in the folder but the card, by path in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CARD)
    return {path.relative_to(folder).as_posix(): _sha256(path.read_bytes()) for path in files}


def read_proved(folder: Path, name: str, card: ModelCard) -> bytes:
    """Return a file's bytes, which are those that were written.

    Raises:
        ModelError: the file is missing or was altered.
    """
    try:
        content = (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise ModelError(
            f"Expected {name!r} in {str(folder)!r}; it is missing. Copy the model folder again from where it was "
            "trained."
        ) from error
    except OSError as error:
        raise ModelError(f"Expected {name!r} in {str(folder)!r}; it cannot be read: {error.strerror}.") from error
    expected = card.files.get(name)
    if _sha256(content) != expected:
        raise ModelError(
            f"Expected {name!r} in {str(folder)!r} to have the sha256 {expected}; it has {_sha256(content)}: it was "
            "altered or damaged. Copy the model folder again from where it was trained."
        )
    return content


def golden_names(document: dict[str, Any], card: ModelCard) -> list[str]:
    """Return the file names of the golden pictures that a model's own list names.

    Args:
        document: the list, of `golden/logits.json` or `golden/probabilities.json`: anyone may have written it.
        card: the model's card.

    Raises:
        ModelError: a name is not that of a file which the card has in `golden/`.
    """
    for name in document["pictures"]:
        if not (isinstance(name, str) and name == PurePosixPath(name).name and f"{GOLDEN}/{name}" in card.files):
            raise ModelError(
                f"Expected golden pictures of the model, files in {GOLDEN}/ that {CARD} has; its list names {name!r}. "
                "Copy the model folder again from where it was trained."
            )
    return list(document["pictures"])


def sign(document: dict[str, Any]) -> str:
    """Return the sha256 of what a card says, by which it is known to be as it was written."""
    return _sha256(json.dumps(document, sort_keys=True).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

"""`export`: a classifier in another format, delivered only if it gives the same answers."""

import contextlib
import importlib.metadata
import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from opsin.atomic import replacing
from opsin.catalog import choose, require, resolve
from opsin.classifier import Classifier, softmax
from opsin.data.dataset import ImageDataset
from opsin.errors import DataError, ModelError, ParityError, UsageError
from opsin.exporters import FORMATS, IN_INT8, PAGES, browser, proof_pictures
from opsin.exporters.feature_parity import compare_features
from opsin.exporters.litert import run_source
from opsin.exporters.parity import FLOAT, INT8, Limits, Parity, compare
from opsin.exporters.proof_pictures import Pictures
from opsin.exporters.written import FEATURES, Request, Written, with_probabilities
from opsin.images.preprocess import Preprocess
from opsin.model_folder import Artefact, ModelCard, exported_folder, golden_names, hash_files, read_proved
from opsin.names import CARD, GOLDEN, GOLDEN_LOGITS, GOLDEN_PROBABILITIES, KNOWN, MODEL
from opsin.runtimes import INT8 as INT8_SUFFIX
from opsin.runtimes.base import Outputs
from opsin.runtimes.engines import engine_of
from opsin.runtimes.keras import open_keras
from opsin.runtimes.saved_model import SavedModelRuntime

PACKAGES = ("opsin", "keras", "tensorflow", "ai-edge-litert", "tf2onnx", "onnx", "onnxruntime", "openvino", "nncf")
SHOWN_FLIPS = 10
SHOWN_FILES = 5
FILES_TOLERANCE = 0.05
"""How far probabilities may differ where TensorFlow decodes and resizes a picture, and not Opsin."""

BATCH = 16

Say = Callable[[str], None]


@dataclass(frozen=True)
class Export:
    """What was delivered.

    Args:
        folder: where the network is, with its card and its golden pictures.
        card: what `opsin.json` there says.
        parity: how near it is to the network that it comes from.
    """

    folder: Path
    card: ModelCard
    parity: Parity


def export(
    classifier: Classifier,
    out: str | Path | None = None,
    *,
    format: str = "saved_model",
    int8: bool = False,
    with_features: bool = False,
    data: ImageDataset | None = None,
    ort_web: str | Path | None = None,
    say: Say = lambda line: None,
) -> Export:
    """Write a classifier in another format and prove that it gives the same answers.

    The pictures it is proved on are those of `data` that the model did not learn from, at least 64 drawn ones where
    no data is given. TensorFlow is needed for it, not for running the result (but a SavedModel).

    Args:
        classifier: the classifier, opened from a run folder or a model folder.
        out: the folder to write, which must be empty, new or an earlier export; None: `exports/FORMAT` in the run. For
            `saved_model` it is the folder of all versions, and a new number is taken.
        format: a name in `opsin.exporters.FORMATS` or `PAGES`.
        int8: compute in 8-bit integers; the ranges are taken from pictures of the training data.
        with_features: give the features as a second output, so that the export, too, tells pictures that are none of
            the classes by their distance from known ones; of a `saved_model`, in `serving_default` alone.
        data: labelled pictures of the kind that the network will see; None: those it was trained on, where they were
            then, and only for `int8`.
        ort_web: for `browser`, the unpacked npm package `onnxruntime-web`, whose files are copied beside the page.
        say: is called with a line on each step.

    Raises:
        UsageError: there is no such format, or none of it in 8-bit integers, or something else is at `out`; or Keras
            does not run on TensorFlow.
        ParityError: what was written gives other answers; it was removed.
        ModelError: the network holds something that the format has not; or a file of the model was altered.
        DataError: 8-bit integers were asked for and there are no pictures.
        MissingPackageError: a package that the format needs is not installed.
    """
    writer = _choose_writer(format, int8)
    if ort_web is not None and format not in PAGES:
        raise UsageError(f"Expected --format browser with --ort-web; received {format}. Leave one of them out.")
    package = browser.find_runtime(None if ort_web is None else Path(ort_web)) if format in PAGES else None
    classifier = classifier.at_source()
    if classifier.card.artefact is not None:
        raise UsageError(
            f"Expected the model itself; {str(classifier.folder)!r} is an export of one. Give the run folder that it "
            "was exported from."
        )
    target = place_for(classifier.folder, out, format, int8=int8)
    network = _network(classifier)
    calibration, proof = _pictures(classifier, int8, data)
    source = run_source(network, proof.images.astype(np.float32))
    expected = softmax(source.logits, classifier.card.temperature)
    request = Request(
        classifier.class_names,
        classifier.preprocess,
        name_of(classifier.folder, target, format),
        None if calibration is None else calibration.images,
    )
    say(f"writing {format}" + (f" in 8-bit integers, ranges from {len(calibration)} pictures" if int8 else ""))
    with leaving_no_empty_folders(target), replacing(target) as temporary:
        temporary.mkdir()
        ready = with_probabilities(network, classifier.card.temperature, features=with_features)
        written = writer(temporary, ready, request)
        if package is not None:
            page = browser.add_page(temporary, request.name, package)
            written = replace(written, notes=(*written.notes, *page))
        card = _card(classifier, format, int8, written)
        if with_features:
            card = _add_features(classifier, card, temporary)
        card = _add_golden(classifier, card, temporary)
        opened = Classifier.open(temporary)
        parity = compare(expected, _answers(opened, proof.images), proof.names, card.class_names, _limits(int8))
        say(str(parity))
        if parity.faults:
            raise ParityError(_refusal(card, parity))
        found = parity.to_dict() | _prove_the_rest(classifier, opened, source, proof.images)
        card = replace(card, artefact=replace(card.artefact, parity=found))
        card.save(temporary)
    return Export(target, card, parity)


def _choose_writer(format: str, int8: bool) -> Callable[[Path, Any, Request], Written]:
    choose("format", format, (*FORMATS, *PAGES))
    format = PAGES.get(format, format)
    if int8:
        choose("format of 8-bit integers", format, IN_INT8)
    return resolve(FORMATS[format])


def _network(classifier: Classifier) -> Any:
    """Return the network as it was trained: logits alone."""
    keras = require("keras", "exporting")
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise UsageError(
            f"Expected Keras to run on TensorFlow, which writes every format; it runs on {backend}. Set "
            "KERAS_BACKEND=tensorflow"
        )
    network = open_keras(classifier.folder, classifier.card).network
    return keras.Model(network.inputs[0], network.outputs[0], name=network.name)


@contextlib.contextmanager
def leaving_no_empty_folders(target: Path) -> Iterator[None]:
    """Remove the folders around an export again that were made for it, should it not be delivered."""
    before = {folder for folder in target.parents if folder.exists()}
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for folder in target.parents:
                if folder not in before:
                    folder.rmdir()
        raise


def _limits(int8: bool) -> Limits:
    return INT8 if int8 else FLOAT


def place_for(folder: Path, out: str | Path | None, format: str, *, int8: bool = False) -> Path:
    """Return the folder to write a model's export to; only an export of ours, left as it was, is ever replaced.

    Args:
        folder: the model folder.
        out: what the user said; None for the place that is looked in.
        format: a name in `opsin.exporters.FORMATS`.
        int8: whether it computes in 8-bit integers.

    Raises:
        UsageError: something else is there, or an export with files that were added or altered.
    """
    engine = format + INT8_SUFFIX * int8
    place = exported_folder(folder, engine) if out is None else Path(out)
    if format == "saved_model":
        return place / _next_version(place)
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        _require_export(place, engine)
    return place


def _require_export(place: Path, engine: str) -> None:
    card = _card_of_export(place, engine)
    if card is None:
        raise UsageError(
            f"Expected an empty place for the export, or an earlier one in the same format; {str(place)!r} is "
            "something else. Choose another with --out."
        )
    others = [repr(name) for name, sha256 in hash_files(place).items() if card.files.get(name) != sha256]
    if others:
        more = f" and {len(others) - SHOWN_FILES} more" if len(others) > SHOWN_FILES else ""
        raise UsageError(
            f"Expected the earlier export in {str(place)!r} as it was written, since it is replaced as a whole; it "
            f"holds other files: {', '.join(others[:SHOWN_FILES])}{more}. Move them away, or choose another place with "
            "--out."
        )


def _next_version(place: Path) -> str:
    numbers = [int(path.name) for path in place.glob("[0-9]*") if path.name.isdecimal()] if place.is_dir() else []
    if place.exists() and not numbers and not (place.is_dir() and not any(place.iterdir())):
        raise UsageError(
            f"Expected an empty place for the versions of the export, or one with earlier versions; {str(place)!r} is "
            "something else. Choose another with --out."
        )
    return str(max(numbers, default=0) + 1)


def _card_of_export(place: Path, engine: str) -> ModelCard | None:
    try:
        card = ModelCard.read(place, task=None)
    except ModelError:
        return None
    artefact = card.artefact
    if artefact is None or (artefact.page or artefact.format) + INT8_SUFFIX * artefact.int8 != engine:
        return None
    return card


def name_of(folder: Path, target: Path, format: str) -> str:
    """Return what the network is called: a server calls a SavedModel by the folder of its versions."""
    if format == "saved_model":
        return target.resolve().parent.name
    folder = folder.resolve()
    return folder.parent.name if folder.name == MODEL else folder.name


def _pictures(classifier: Classifier, int8: bool, data: ImageDataset | None) -> tuple[Pictures | None, Pictures]:
    preprocess = classifier.preprocess
    data = proof_pictures.find_training_data(classifier) if int8 and data is None else data
    if int8 and (data is None or not len(data)):
        raise DataError(
            "Expected pictures that tell the ranges of 8-bit integers; the data that the model was trained on is not "
            "where it was. Say where there are pictures of its kind: --data DATA"
        )
    calibration, proof = None, proof_pictures.drawn(preprocess, proof_pictures.AT_LEAST)
    if data is not None and len(data):
        first, others = proof_pictures.share_out(classifier, data)
        proof = _enough(preprocess, first, others, proof)
        if int8:
            calibration = proof_pictures.sample(first, preprocess, proof_pictures.FOR_CALIBRATION)
    return calibration, proof


def _enough(preprocess: Preprocess, first: ImageDataset, others: ImageDataset, drawn: Pictures) -> Pictures:
    """Return pictures to prove on: others than those of the calibration, and only where they are few, those as well.

    Drawn ones come last: they lie outside the ranges that 8-bit integers got from real pictures.
    """
    found = proof_pictures.sample(others if len(others) else first, preprocess, proof_pictures.AT_MOST)
    missing = proof_pictures.AT_LEAST - len(found)
    if missing > 0 and len(others):
        found = found.and_then(proof_pictures.sample(first, preprocess, missing))
    return found if len(found) >= proof_pictures.AT_LEAST else found.and_then(drawn)


def _card(classifier: Classifier, format: str, int8: bool, written: Written) -> ModelCard:
    card = classifier.card
    artefact = Artefact(
        format=PAGES.get(format, format),
        file=written.file,
        int8=int8,
        input=written.input,
        output=written.output,
        temperature=card.temperature,
        tolerance=_limits(int8).tolerance,
        source=card.sha256,
        versions=versions(),
        notes=written.notes,
        page=format if format in PAGES else None,
    )
    # The temperature is inside: it must not be applied again to what comes out.
    return replace(card, temperature=1.0, artefact=artefact)


def _add_features(classifier: Classifier, card: ModelCard, folder: Path) -> ModelCard:
    """Say in the card that features come out as well, and put the known pictures beside the network."""
    if KNOWN in classifier.card.files:
        (folder / KNOWN).write_bytes(read_proved(classifier.folder, KNOWN, classifier.card))
    return replace(card, artefact=replace(card.artefact, features=FEATURES))


def versions() -> dict[str, str]:
    """Return the versions of the packages that write exports."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _add_golden(classifier: Classifier, card: ModelCard, folder: Path) -> ModelCard:
    """Put the model's golden pictures beside its export, with what that gives for them; return the card."""
    source = classifier.card
    names = golden_names(json.loads(read_proved(classifier.folder, GOLDEN_LOGITS, source)), source)
    (folder / GOLDEN).mkdir()
    for name in names:
        (folder / GOLDEN / name).write_bytes(read_proved(classifier.folder, f"{GOLDEN}/{name}", source))
    _save(card, folder)
    opened = Classifier.open(folder)
    images = np.stack([card.preprocess.read(folder / GOLDEN / name) for name in names])
    document = {"pictures": names, "probabilities": _answers(opened, images).round(7).tolist()}
    (folder / GOLDEN_PROBABILITIES).write_text(json.dumps(document))
    return _save(card, folder)


def _save(card: ModelCard, folder: Path) -> ModelCard:
    (folder / CARD).unlink(missing_ok=True)
    card = replace(card, files=hash_files(folder))
    card.save(folder)
    return card


def _prove_the_rest(
    classifier: Classifier, opened: Classifier, source: Outputs, images: np.ndarray
) -> dict[str, dict[str, float]]:
    """Prove what an export gives beside probabilities, and from whole files; return what was found, for the card."""
    found = {}
    artefact = opened.card.artefact
    if artefact.features:
        answers = _run(opened, images)
        found["features"] = compare_features(classifier, opened, source, answers, int8=artefact.int8)
    if isinstance(opened.runtime, SavedModelRuntime) and opened.runtime.reads_files:
        found["serve_bytes"] = _compare_files(opened)
    return found


def _answers(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    return classifier.probabilities(_run(classifier, images).logits)


def _run(classifier: Classifier, images: np.ndarray) -> Outputs:
    outputs = [classifier.run(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
    return Outputs(*(np.concatenate([getattr(one, name) for one in outputs]) for name in ("logits", "features")))


def _compare_files(opened: Classifier) -> dict[str, float]:
    """Compare what the graph makes of whole files with what it gives for pictures that Opsin has read.

    Raises:
        ParityError: they are further apart than two ways of resizing account for.
    """
    paths = sorted((opened.folder / GOLDEN).glob("*.png"))
    images = np.stack([opened.preprocess.read(path) for path in paths])
    received = opened.runtime.run_files([path.read_bytes() for path in paths])
    difference = float(np.abs(received - _answers(opened, images)).max())
    if not difference <= FILES_TOLERANCE:
        raise ParityError(
            f"Expected serve_bytes to read pictures as Opsin does; a probability differs by {difference:.2g}, at most "
            f"{FILES_TOLERANCE} is allowed. The export was removed."
        )
    return {"pictures": len(paths), "largest_difference": difference, "tolerance": FILES_TOLERANCE}


def _refusal(card: ModelCard, parity: Parity) -> str:
    flips = [f"  {flip}" for flip in parity.flipped[:SHOWN_FLIPS]]
    more = len(parity.flipped) - len(flips)
    return "\n".join(
        [
            f"Expected the {engine_of(card.artefact)} export to give the model's answers; of {parity.pictures} "
            "pictures, " + "; ".join(parity.faults) + ". It was removed.",
            *flips,
            *([f"  and {more} more"] if more > 0 else []),
        ]
    )


def describe(export: Export) -> dict:
    """Give an export as plain values for a JSON document."""
    return {
        "folder": str(export.folder),
        "bytes": sum(path.stat().st_size for path in export.folder.rglob("*") if path.is_file()),
        "artefact": asdict(export.card.artefact),
    }

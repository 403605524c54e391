"""`benchmark`: a model in every engine that is installed here, and which one is fastest."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from opsin.catalog import choose, require_installed
from opsin.classifier import Classifier
from opsin.data.dataset import ImageDataset
from opsin.errors import ModelError, OpsinError, UsageError
from opsin.evaluation.engine_results import Benchmark, EngineResult
from opsin.evaluation.engine_speed import BATCH
from opsin.evaluation.evaluate import match_labels
from opsin.evaluation.intervals import estimate
from opsin.exporters.export import export
from opsin.exporters.proof_pictures import sample
from opsin.model_folder import ModelCard, find_model_folder
from opsin.names import KERAS, TWIN
from opsin.runtimes import ENGINES, IN_THE_MODEL, INT8, PACKAGES
from opsin.runtimes.engines import find_export, remember_engine

QUICK_TO_START = ("litert", "onnx", "openvino")
"""Those that load no TensorFlow: one of them is chosen for prediction."""

WORTH_CHANGING = 1.05
"""How many times faster than LiteRT another must be to take its place."""

PICTURES = 256

Say = Callable[[str], None]


def benchmark(
    model: str | Path,
    data: ImageDataset,
    *,
    engines: Sequence[str] | None = None,
    threads: int | None = None,
    seconds: float = 4.0,
    say: Say = lambda line: None,
) -> Benchmark:
    """Measure a model in every engine, each in a process of its own, and remember the fastest for this machine.

    Exports that are missing are made, where their packages are installed. Pictures are read beforehand: what is
    measured is the network alone.

    Args:
        model: a run folder or a model folder.
        data: labelled pictures that the model did not learn from.
        engines: which; None for all.
        threads: how many an engine may use; None for all cores of this process.
        seconds: how long each engine is measured, for single pictures and for batches each.
        say: is called with a line on each step.

    Raises:
        UsageError: the model is an export, or there is no such engine.
        DataError: there are no pictures, or they have classes that the model does not know.
        ModelError: no engine can run the model.
    """
    for engine in engines or ():
        choose("engine", engine, ENGINES)
    classifier = Classifier.open_own(_folder(model))
    all_labels = match_labels(classifier, data)
    pictures = sample(data, classifier.preprocess, PICTURES)
    index = {name: i for i, name in enumerate(data.names)}
    labels = all_labels[[index[name] for name in pictures.names]]
    left_out: dict[str, str] = {}
    measured: dict[str, tuple[dict, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        images = Path(temporary) / "images.npy"
        np.save(images, pictures.images)
        for engine in engines or ENGINES:
            try:
                folder, megabytes = _obtain(classifier, engine, data, say)
                say(f"measuring {engine}")
                measured[engine] = (
                    _measure(folder, engine, images, Path(temporary) / "out.json", seconds, threads),
                    megabytes,
                )
            except OpsinError as error:
                left_out[engine] = str(error)
                say(f"{engine} was left out: {error}")
    if not measured:
        raise ModelError("Expected an engine that can run the model; none can. " + " ".join(left_out.values()))
    results = _results(measured, labels)
    winner, reason = _choose(results)
    if winner is not None and engines is None:
        remember_engine(classifier.card.sha256, winner)
    return Benchmark(Path(model).resolve().name, len(labels), results, left_out, winner or results[0].engine, reason)


def _folder(model: str | Path) -> Path:
    folder = find_model_folder(model)
    if ModelCard.read(folder).artefact is not None:
        raise UsageError(
            f"Expected a run folder or a model folder; {str(folder)!r} is an export. Give what it was exported from."
        )
    return folder


def _obtain(classifier: Classifier, engine: str, data: ImageDataset, say: Say) -> tuple[Path, float]:
    """Return the folder that an engine opens, and the size of its network in megabytes; make an export if need be.

    Raises:
        OpsinError: it cannot be had.
    """
    runtime = engine.removesuffix(INT8)
    require_installed(PACKAGES[runtime], f"the engine {engine}")
    folder, card = classifier.folder, classifier.card
    if engine in IN_THE_MODEL:
        path = folder / (TWIN if engine == "litert" else KERAS)
        if not path.is_file():
            raise ModelError(f"the model was saved without {path.name}")
        return folder, path.stat().st_size / 1e6
    try:
        place, found = find_export(folder, card, engine)
    except (UsageError, ModelError):
        say(f"exporting to {engine}")
        made = export(classifier, format=runtime, int8=engine.endswith(INT8), data=data)
        place, found = made.folder, made.card
    names = [name for name in found.files if not name.startswith(("golden/", "assets.extra/"))]
    return folder, sum((place / name).stat().st_size for name in names) / 1e6


def _measure(folder: Path, engine: str, images: Path, out: Path, seconds: float, threads: int | None) -> dict:
    command = [sys.executable, "-m", "opsin.evaluation.engine_speed", folder, engine, images, out, seconds]
    ended = subprocess.run(
        [*map(str, command), *([str(threads)] if threads else [])], capture_output=True, text=True, errors="replace"
    )
    if ended.returncode != 0:
        reason = (ended.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise ModelError(f"it could not be run: {reason}")
    return json.loads(out.read_text())


def _results(measured: dict[str, tuple[dict, float]], labels: np.ndarray) -> tuple[EngineResult, ...]:
    source = next(engine for engine in ("keras", "litert", *measured) if engine in measured)
    expected = np.array(measured[source][0]["probabilities"]).argmax(axis=1)
    results = []
    for engine, (found, megabytes) in measured.items():
        predicted = np.array(found["probabilities"]).argmax(axis=1)
        milliseconds = 1000 * np.array(found["latencies"])
        results.append(
            EngineResult(
                engine=engine,
                megabytes=megabytes,
                load_seconds=found["load_seconds"],
                latency_ms=float(np.median(milliseconds)),
                latency_p95_ms=float(np.percentile(milliseconds, 95)),
                pictures_per_second=BATCH / float(np.median(found["batches"])),
                peak_mb=found["peak_mb"],
                agreement=float((predicted == expected).mean()),
                accuracy=estimate(int((predicted == labels).sum()), len(labels)),
            )
        )
    return tuple(sorted(results, key=lambda result: -result.pictures_per_second))


def _choose(results: Sequence[EngineResult]) -> tuple[str | None, str]:
    """Return the engine for prediction from now on, and why; only those that give the network's own answers."""
    speeds = {one.engine: one.pictures_per_second for one in results if one.engine in QUICK_TO_START}
    if not speeds:
        return None, "None of the engines that start quickly was measured."
    best = max(speeds, key=lambda engine: speeds[engine])
    if best != "litert" and "litert" in speeds and speeds[best] < WORTH_CHANGING * speeds["litert"]:
        return "litert", f"{best} is hardly faster than litert, which needs nothing else installed."
    in_8_bits = [one for one in results if one.engine.endswith(INT8)]
    faster = [one for one in in_8_bits if one.pictures_per_second > speeds[best]]
    more = (
        f" {faster[0].engine} is {faster[0].pictures_per_second / speeds[best]:.1f} times as fast and says the same of "
        f"{faster[0].agreement:.1%} of the pictures: --runtime {faster[0].engine}."
        if faster
        else ""
    )
    return best, f"Of those that give the network's own answers and start quickly, {best} is the fastest.{more}"

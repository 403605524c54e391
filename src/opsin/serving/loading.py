"""From a path to versions that answer: opened, proved on golden pictures, warmed up, and only then put in place."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from opsin.catalog import resolve
from opsin.classifier import FROM_CARD, Classifier
from opsin.errors import ModelError, OpsinError
from opsin.exporters.verify import replay
from opsin.images.reading import usable_cores
from opsin.model_folder import SEGMENTATION, ModelCard, find_model_folder
from opsin.names import CARD, MODEL
from opsin.serving.batching import Limits, Observer
from opsin.serving.classifier_servable import ClassifierServable, PictureLimits
from opsin.serving.models import AVAILABLE, END, LOADING, Model, Version
from opsin.serving.settings import Settings

log = logging.getLogger("opsin.serving")

Open = Callable[[Path, int], ClassifierServable]
"""Opens a folder as the version of this number."""

SEGMENTERS = "opsin.segmentation.servable:open_servable"
"""What opens models that give a class to every pixel. They are built on what is served here, and not it on them."""

REST = 0.02
"""Seconds between golden pictures for requests, where a network of the kind answers already."""

Stamp = tuple[tuple[str, int, int], ...]


def is_versioned(path: Path) -> bool:
    """Tell whether a path is a folder of numbered versions, rather than one model."""
    if not path.is_dir() or (path / CARD).is_file() or (path / MODEL / CARD).is_file():
        return False
    return bool(numbered(path))


def numbered(path: Path) -> dict[int, Path]:
    """Return the folders in a folder that are called by a number."""
    try:
        found = [folder for folder in path.iterdir() if folder.name.isdecimal() and folder.name.isascii()]
        return {int(folder.name): folder for folder in found if len(folder.name) < 19 and folder.is_dir()}
    except OSError:
        return {}


def find_servable(path: Path) -> None:
    """Refuse what is neither a model nor a folder of versions.

    Raises:
        UsageError: there is nothing at the path.
        ModelError: it is something else.
    """
    if not is_versioned(path):
        find_model_folder(path)


def name_of(path: Path) -> str:
    """Return what a model is called if nobody says: as its folder is, or its run's."""
    path = path.resolve()
    name = path.parent.name if path.name == MODEL else path.name
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name) or "model"


def opener(settings: Settings, observe: Callable[[int], Observer] | None = None) -> Open:
    """Return what opens a model folder, proves and warms it up; it runs in a thread and raises `OpsinError`."""

    threads = settings.threads or None
    if threads is None and settings.workers > 1:
        threads = max(1, usable_cores() // settings.workers)

    # By kind of network: a new version is of the kind that answers, and what is measured beside requests says little.
    batches: dict[tuple, int] = {}

    def open_model(path: Path, number: int) -> ClassifierServable:
        observer = observe(number) if observe else None
        card = ModelCard.read(find_model_folder(path), task=None)
        limits = Limits(settings.batch, settings.delay, settings.queue)
        pictures = PictureLimits(settings.max_pixels, settings.max_bytes)
        if card.task == SEGMENTATION:
            return resolve(SEGMENTERS)(path, limits, pictures, threads=threads, observer=observer)
        threshold = settings.threshold
        if threshold is None and card.thresholds.get("unknown") is not None:
            threshold = FROM_CARD
        classifier = Classifier.open(path, threads=threads, threshold=threshold)
        kind = (type(classifier.runtime), classifier.preprocess.shape, card.provenance.get("architecture"))
        proof = replay(classifier, rest=REST if kind in batches else 0.0)
        if not proof.passed:
            raise ModelError(f"Expected the answers that the model gave when it was written; {proof.detail}")
        servable = ClassifierServable(
            classifier, limits, pictures, batch=batches.get(kind), observer=observer, source=path
        )
        batches[kind] = servable.batcher.limits.batch
        return servable

    return open_model


class Source:
    """Where a model's versions come from.

    Args:
        model: what they are put into.
        path: a model, or a folder of numbered versions, which is watched.
        open_model: what opens one.
        keep: how many versions stay loaded.
    """

    def __init__(self, model: Model, path: Path, open_model: Open, keep: int = 2):
        self.model = model
        self.path = path
        self.watched = is_versioned(path)
        self._open = open_model
        self._keep = keep
        self._tried: dict[int, Stamp] = {}
        find_servable(path)

    async def start(self) -> None:
        """Load what there is.

        Raises:
            OpsinError: it is one model, and that cannot be used.
        """
        if self.watched:
            try:
                await self.look()
            finally:
                self.model.starting = False
            return
        self.model.versions[1] = Version(1)
        self.model.starting = False
        servable = await asyncio.to_thread(self._open, self.path, 1)
        self.model.put(Version(1, servable, close=servable.close))

    async def look(self) -> None:
        """Bring the model to what its folder has: load what is new, retire what is gone or too old."""
        if not self.watched:
            return
        there = await asyncio.to_thread(numbered, self.path)
        newest = sorted(there, reverse=True)
        named = {self.model.chosen, *self.model.labels.values()}
        good = 0
        for number in newest:
            if good < self._keep or number in named:
                await self._consider(number, there[number])
                good += self.model.versions[number].state == AVAILABLE
        available = [version.number for version in self.model.available()]
        kept = {*available[: self._keep], *named}
        remaining = [number for number in available if number in there]
        for number in available:
            # The last one that answers stays, even if somebody deletes it.
            if (number not in there and remaining) or (number in there and number not in kept):
                log.info("%s: version %d is retired", self.model.name, number)
                self.model.retire(number, forget=number not in there)
                self._tried.pop(number, None)
        for number in [one.number for one in self.model.versions.values() if one.state == END]:
            if number not in there:
                del self.model.versions[number]
                self._tried.pop(number, None)

    async def _consider(self, number: int, folder: Path) -> None:
        known = self.model.versions.get(number)
        stamp = await asyncio.to_thread(_stamp, folder)
        if stamp == self._tried.get(number):
            return
        first = number not in self._tried
        self._tried[number] = stamp
        if known is not None and known.state == AVAILABLE:
            log.warning("%s: the files of version %d have changed; what was loaded goes on", self.model.name, number)
            return
        if known is None or known.state == END:
            self.model.versions[number] = Version(number, state=LOADING)
        try:
            servable = await asyncio.to_thread(self._open, folder, number)
        except (OpsinError, OSError, ValueError, RuntimeError) as error:
            if first or known is None or known.code == "OK":
                log.error("%s: version %d is refused: %s", self.model.name, number, error)
            message = "It is refused: it is not whole, or gives other answers than when it was written."
            self.model.versions[number] = Version(number, state=END, code="FAILED_PRECONDITION", message=message)
            return
        self.model.put(Version(number, servable, close=servable.close))
        log.info("%s: version %d answers", self.model.name, number)


def _stamp(folder: Path) -> Stamp:
    """Return what changes when a file is written: names, sizes and times of all files."""
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            about = path.stat()
        except OSError:
            continue
        if path.is_file():
            found.append((path.relative_to(folder).as_posix(), about.st_size, about.st_mtime_ns))
    return tuple(found)

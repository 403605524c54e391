"""`Classifier`: a finished network with its recipe, class names and calibration, ready to predict."""

import functools
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from opsin.atomic import replacing
from opsin.catalog import choose, resolve
from opsin.deciding import FROM_CARD as FROM_CARD
from opsin.deciding import UNKNOWN, Decision, decide_by
from opsin.errors import ModelError, PictureError, UsageError
from opsin.images.link import Link
from opsin.images.preprocess import Preprocess
from opsin.model_folder import ModelCard, find_model_folder
from opsin.names import CARD
from opsin.runtimes import ENGINES, RUNTIMES
from opsin.runtimes.ahead import read_and_run
from opsin.runtimes.base import Outputs, Runtime, SideBySide
from opsin.runtimes.engines import choose_engine, own_engine
from opsin.runtimes.views import run_in_views

Source = str | os.PathLike | bytes | Link | Image.Image | np.ndarray
"""A picture: its file's path or content, its link, a Pillow image, or its pixels, uint8 (H, W, 3), RGB, 0 to 255."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a classifier says of one picture.

    Args:
        path: the picture's file or address; None if it came as bytes, as an image or as pixels.
        probabilities: float64 (k,), calibrated, from 0 to 1, summing to 1.
        class_names: the k names.
        refused: whether the classifier's `Decision` is to say none of them.
    """

    path: str | None
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    refused: bool = False

    @property
    def label(self) -> str:
        """The most probable class; `UNKNOWN` if that was refused."""
        return UNKNOWN if self.refused else self.class_names[int(self.probabilities.argmax())]

    @property
    def probability(self) -> float:
        """The probability of the most probable class."""
        return float(self.probabilities.max())

    def __str__(self) -> str:
        return f"{self.path or 'picture'}: " + ", ".join(f"{name} {share:.1%}" for name, share in self.top(3))

    def top(self, count: int) -> list[tuple[str, float]]:
        """Return the `count` most probable classes with their probabilities, best first."""
        best = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(self.class_names[i], float(self.probabilities[i])) for i in best]


class Classifier:
    """A finished network that predicts; open one with `Classifier.open`.

    Args:
        runtime: what runs the network.
        card: class names, recipe and calibration.
        folder: the model folder it was read from, or the export.
        source: the model folder that `folder` is an export of, where the model was asked for; None: `folder` itself.
        flips: whether each picture is seen mirrored left-right as well, and the two answers are averaged: a little
            better where left and right mean nothing, at twice the time.
        shifts: whether it is also seen moved a little to two corners, at three times the time; that helps networks
            trained from scratch on small pictures.
        decision: which pictures get the label `UNKNOWN`; None: the best class is always the answer.
    """

    def __init__(
        self,
        runtime: Runtime,
        card: ModelCard,
        folder: Path,
        *,
        source: Path | None = None,
        flips: bool = False,
        shifts: bool = False,
        decision: Decision | None = None,
    ):
        self.runtime = runtime
        self.card = card
        self.folder = folder
        self.source = source or folder
        self.flips = flips
        self.shifts = shifts
        self.decision = decision

    @classmethod
    def open(
        cls,
        path: str | Path,
        runtime: str | None = None,
        *,
        threads: int | None = None,
        flips: bool = False,
        shifts: bool = False,
        threshold: float | str | None = None,
        keep: float | None = None,
        precision: Mapping[str, float] | None = None,
    ) -> "Classifier":
        """Open a run folder, a model folder or an export; through LiteRT this loads no TensorFlow.

        Args:
            path: the folder.
            runtime: one of `opsin.runtimes.ENGINES`: `"litert"` for the model's twin, `"keras"` for `model.keras`
                itself (needs `opsin[train]`), another for the model's export of that name; None: that of the export
                if the folder is one, else what `opsin benchmark` found fastest on this machine and does all that is
                asked, else `"litert"`.
            threads: how many threads the runtime may use; None for all cores of this process.
            flips: average the answers to each picture and to its mirror image.
            shifts: and those to the picture moved a little to two corners.
            threshold: call a picture `UNKNOWN` whose best class is less probable, from 0 to 1; `FROM_CARD`: by what the
                card has for that; see `deciding` for more.
            keep: see `deciding`.
            precision: see `deciding`.

        Raises:
            UsageError: there is nothing at the path, no such runtime, export or rule, or less than one thread.
            ModelError: the folder is no model, or a file in it is missing or altered.
            MissingPackageError: the runtime is not installed.
        """
        if runtime is not None:
            choose("runtime", runtime, ENGINES)
        if threads is not None and threads < 1:
            raise UsageError(f"Expected at least 1 thread; received {threads}.")
        source = find_model_folder(path)
        by_distance = threshold == FROM_CARD
        folder, card = choose_engine(source, ModelCard.read(source), runtime, by_distance=by_distance)
        engine = runtime if card.artefact is None else card.artefact.format
        network = resolve(RUNTIMES[engine or "litert"])(folder, card, threads)
        _require_same_shape(network, card, folder)
        decision = decide_by(card, folder, threshold=threshold, keep=keep, precision=precision)
        return cls(network, card, folder, source=source, flips=flips, shifts=shifts, decision=decision)

    @classmethod
    def open_own(cls, path: str | Path, *, flips: bool = False, shifts: bool = False) -> "Classifier":
        """Open a run folder, a model folder or an export with what is in that folder itself, whatever is fastest here.

        Args:
            path: the folder.
            flips: see `open`.
            shifts: see `open`.

        Raises:
            UsageError: there is nothing at the path.
            ModelError: the folder is no model, or a file in it is missing or altered.
            MissingPackageError: the model was saved without a LiteRT twin, and Keras is not installed.
        """
        folder = find_model_folder(path)
        return cls.open(folder, own_engine(folder, ModelCard.read(folder)), flips=flips, shifts=shifts)

    def at_source(self) -> "Classifier":
        """Return the classifier of the model itself, where `open` took an export of it, the fastest here."""
        return self if self.folder == self.source else Classifier.open_own(self.source)

    def deciding(
        self,
        *,
        threshold: float | str | None = None,
        keep: float | None = None,
        precision: Mapping[str, float] | None = None,
    ) -> "Classifier":
        """Return the same classifier with another rule for which pictures are `UNKNOWN`.

        Args:
            threshold: how probable the best class must be, from 0 to 1; `FROM_CARD`: what the card has for that, and
                how far a picture may be, in feature space, from those of the training. An export, which gives no
                features, goes by its confidence alone.
            keep: with `FROM_CARD`, the share of known pictures that is not called `UNKNOWN`: 0.8, 0.9, 0.95, 0.98 or
                0.99; None for 0.95.
            precision: for some classes, the share of right ones that there shall be among the pictures of which the
                class is said: `{"phishing": 0.99}`. The rest of them are `UNKNOWN`.

        Raises:
            UsageError: the model has nothing of the kind, or it is none of what is expected.
            ModelError: a file is missing or altered.
        """
        decision = decide_by(self.card, self.folder, threshold=threshold, keep=keep, precision=precision)
        views = {"flips": self.flips, "shifts": self.shifts}
        return Classifier(self.runtime, self.card, self.folder, source=self.source, **views, decision=decision)

    @property
    def run_folder(self) -> Path:
        """What the model folder lies in: a run, with its account of the pictures, unless it was copied elsewhere."""
        return self.source.resolve().parent

    @property
    def class_names(self) -> tuple[str, ...]:
        """The k class names, in the order of the probabilities."""
        return self.card.class_names

    @property
    def labels(self) -> tuple[str, ...]:
        """All that a prediction's label can be: the class names, and `UNKNOWN` where there is a rule for it."""
        return self.class_names if self.decision is None else (*self.class_names, UNKNOWN)

    @property
    def temperature(self) -> float:
        """What the network's logits are divided by before the softmax; in an export, that is done inside."""
        return self.card.temperature if self.card.artefact is None else self.card.artefact.temperature

    @property
    def preprocess(self) -> Preprocess:
        """The recipe from a picture to the network's input."""
        return self.card.preprocess

    def run(self, images: np.ndarray) -> Outputs:
        """Run the network on preprocessed images, uint8 or float32 (N, h, w, c), 0 to 255.

        Raises:
            ModelError: the network gives something that is no number.
        """
        return self._run(self.runtime.run, images)

    @functools.cached_property
    def lanes(self) -> int:
        """How many calls of `run_beside` at a time make the most of the cores; 1 where one call uses all of them."""
        return self.runtime.lanes if isinstance(self.runtime, SideBySide) else 1

    def run_beside(self, images: np.ndarray) -> Outputs:
        """Run the network as `run` does, beside other such calls, from any thread."""
        return self._run(self.runtime.run_beside if self.lanes > 1 else self.runtime.run, images)

    def _run(self, run: Callable[[np.ndarray], Outputs], images: np.ndarray) -> Outputs:
        images = np.asarray(images, dtype=np.float32)
        outputs = run_in_views(run, images, flips=self.flips, shifts=self.shifts)
        if not np.isfinite(outputs.logits).all():
            raise ModelError(
                f"Expected numbers from the network in {str(self.folder)!r}; it gives NaN or infinity, as one does "
                "whose training diverged. Train it again."
            )
        return outputs

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Return float64 (N, k), calibrated probabilities for logits (N, k) or (N, 1).

        Raises:
            ModelError: the model has another number of class names.
        """
        probabilities = softmax(logits, self.card.temperature)
        if probabilities.shape[1] != len(self.class_names):
            raise ModelError(
                f"Expected a name for each of the network's {probabilities.shape[1]} classes; {CARD} in "
                f"{str(self.folder)!r} has {len(self.class_names)}. Copy the model folder again from where it was "
                "trained."
            )
        return probabilities

    def predict(self, source: Source) -> Prediction:
        """Predict one picture.

        Args:
            source: a path, a file's bytes, a `Link` on the web, a Pillow image, or an array, uint8 (H, W, 3), RGB.

        Raises:
            PictureError: it cannot be read.
            UsageError: it is none of these.
        """
        image = self.preprocess.read(source)
        (answer,) = self._answers(self.run(image[None]))
        return Prediction(_path(source), *answer)

    def predict_many(self, sources: Iterable[Source], *, batch_size: int = 16) -> Iterator[Prediction | PictureError]:
        """Predict any number of pictures, in order, with bounded memory.

        Pictures are decoded in threads, on the cores that the network leaves. One that cannot be read gives its
        `PictureError` in its place, and the rest go on.

        Args:
            sources: what `predict` takes, in a list, a generator or an array of several; may be endless.
            batch_size: how many pictures the network sees at once, or, where several calls go side by side, how many
                are under way.
        """
        if isinstance(sources, Source) and not _is_batch(sources):
            raise UsageError("Expected many pictures, in a list say; received a single one. Use predict.")
        if batch_size < 1:
            raise UsageError(f"Expected a batch size of at least 1; received {batch_size}.")
        paths: deque[str | None] = deque()  # Not the sources, as `tee` would keep, which may be large arrays.

        def noted() -> Iterator[Source]:
            for source in sources:
                paths.append(_path(source))
                yield source

        size, lanes = batch_size, self.lanes
        for images, outputs in read_and_run(self.run_beside, noted(), self.preprocess, batch_size=size, lanes=lanes):
            answers = iter([] if outputs is None else self._answers(outputs))
            for image in images:
                path = paths.popleft()
                if isinstance(image, PictureError):
                    yield image
                else:
                    yield Prediction(path, *next(answers))

    def _answers(self, outputs: Outputs) -> Iterator[tuple[np.ndarray, tuple[str, ...], bool]]:
        """Return what a `Prediction` says beside its path, of each image."""
        probabilities = self.probabilities(outputs.logits)
        if self.decision is None:
            return ((row, self.class_names, False) for row in probabilities)
        refused = self.decision.refuses(probabilities, outputs.features)
        return ((row, self.class_names, bool(no)) for row, no in zip(probabilities, refused, strict=True))

    def save(self, folder: str | Path) -> Path:
        """Copy the model folder to another place, which must be empty or not exist.

        Raises:
            UsageError: there is something at that place.
            SavingError: it cannot be written.
        """
        folder = Path(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"Expected an empty place to save the model in; {str(folder)!r} holds something.")
        with replacing(folder) as temporary:
            for path in list(self.source.rglob("*")):
                if path.is_file():
                    copy = temporary / path.relative_to(self.source)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, copy)
        return folder


def _require_same_shape(runtime: Runtime, card: ModelCard, folder: Path) -> None:
    # A network that takes any height has None (Keras) or -1 (LiteRT) in its place.
    shapes = zip(card.preprocess.shape, runtime.input_shape, strict=True)
    if any(made != taken for made, taken in shapes if taken not in (None, -1)):
        raise ModelError(
            f"Expected a recipe that makes what the network takes; {CARD} in {str(folder)!r} makes pictures of "
            f"{card.preprocess.shape}, the network takes {runtime.input_shape}. Copy the model folder again from where "
            "it was trained."
        )


def _path(source: Source) -> str | None:
    if isinstance(source, Link):
        return source.url
    return os.fspath(source) if isinstance(source, str | os.PathLike) else None


def _is_batch(sources: object) -> bool:
    return isinstance(sources, np.ndarray) and sources.ndim == 4


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return the probabilities that logits stand for.

    Args:
        logits: float (N, k); (N, 1) is one sigmoid unit, whose logit z is read as the pair (0, z).
        temperature: what logits are divided by first; above 1 makes the answer less sure.

    Returns:
        float64 (N, k), from 0 to 1, each row summing to 1; k is 2 for one sigmoid unit.

    >>> softmax(np.array([[0.0]])).tolist()
    [[0.5, 0.5]]
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    if scaled.shape[1] == 1:
        scaled = np.concatenate([np.zeros_like(scaled), scaled], axis=1)
    exponents = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)

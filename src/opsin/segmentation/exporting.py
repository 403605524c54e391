"""`export_segmenter`: a segmenter in another format, delivered only if it gives the same answers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from opsin.atomic import replacing
from opsin.catalog import choose, require, resolve
from opsin.errors import ParityError, UsageError
from opsin.exporters import FORMATS
from opsin.exporters.export import leaving_no_empty_folders, name_of, place_for, versions
from opsin.exporters.written import Request, with_probabilities
from opsin.images.drawing import draw_picture
from opsin.model_folder import Artefact, ModelCard, hash_files, read_proved
from opsin.names import CARD, GOLDEN, GOLDEN_LOGITS, KERAS
from opsin.runtimes.keras import load_network
from opsin.segmentation.segmenter import Segmenter

PROOF_PICTURES = 16

TOLERANCE = 1e-3
"""How far a probability may be from the network's own."""

MOST_FLIPPED = 1e-3
"""The share of pixels that may be told otherwise: those where two classes are equally probable but for rounding."""


@dataclass(frozen=True)
class SegmenterExport:
    """What was delivered.

    Args:
        folder: where the network is, with its card and its golden pictures.
        card: what `opsin.json` there says.
    """

    folder: Path
    card: ModelCard

    @property
    def parity(self) -> dict[str, float]:
        """How near it is to the network that it comes from."""
        return self.card.artefact.parity


def export_segmenter(
    segmenter: Segmenter,
    out: str | Path | None = None,
    *,
    format: str,
    say: Callable[[str], None] = lambda line: None,
) -> SegmenterExport:
    """Write a segmenter in another format and prove on drawn pictures that it gives the same answers.

    It takes preprocessed pictures, float32 (N, h, w, c), 0 to 255, and gives probabilities, float32 (N, h, w, k).

    Args:
        segmenter: opened from a run folder or a model folder.
        out: the folder to write, which must be empty, new or an earlier export; None: `exports/FORMAT` in the run. For
            `saved_model` it is the folder of all versions.
        format: a name in `opsin.exporters.FORMATS`.
        say: is called with a line on each step.

    Raises:
        UsageError: there is no such format, something else is at `out`, or Keras does not run on TensorFlow.
        ParityError: what was written gives other answers; it was removed.
        ModelError: the network holds something that the format has not; or a file of the model was altered.
        MissingPackageError: a package that the format needs is not installed.
    """
    writer = resolve(FORMATS[choose("format", format, FORMATS)])
    if segmenter.card.artefact is not None:
        raise UsageError(
            f"Expected the model itself; {str(segmenter.folder)!r} is an export of one. Give the run folder that it "
            "was exported from."
        )
    backend = require("keras", "exporting").backend.backend()
    if backend != "tensorflow":
        raise UsageError(f"Expected Keras to run on TensorFlow, which writes every format; it runs on {backend}.")
    target = place_for(segmenter.folder, out, format)
    read_proved(segmenter.folder, KERAS, segmenter.card)
    network = with_probabilities(load_network(segmenter.folder / KERAS), 1.0)
    recipe = segmenter.recipe.preprocess
    request = Request(segmenter.class_names, recipe, name_of(segmenter.folder, target, format), per_pixel=True)
    say(f"writing {format}")
    with leaving_no_empty_folders(target), replacing(target) as temporary:
        temporary.mkdir()
        written = writer(temporary, network, request)
        artefact = Artefact(
            format=format,
            file=written.file,
            int8=False,
            input=written.input,
            output=written.output,
            temperature=1.0,
            tolerance=TOLERANCE,
            source=segmenter.card.sha256,
            versions=versions(),
            notes=written.notes,
        )
        _copy_golden(segmenter, temporary)
        card = _save(replace(segmenter.card, artefact=artefact), temporary)
        parity = _compare(segmenter, Segmenter.open(temporary))
        say(f"{parity['pictures']} pictures, largest difference of a probability {parity['largest_difference']:.2g}")
        card = replace(card, artefact=replace(artefact, parity=parity))
        card.save(temporary)
    return SegmenterExport(target, card)


def _copy_golden(segmenter: Segmenter, folder: Path) -> None:
    (folder / GOLDEN).mkdir()
    for name in segmenter.card.files:
        if name.startswith(f"{GOLDEN}/") or name == GOLDEN_LOGITS:
            (folder / name).write_bytes(read_proved(segmenter.folder, name, segmenter.card))


def _save(card: ModelCard, folder: Path) -> ModelCard:
    (folder / CARD).unlink(missing_ok=True)
    card = replace(card, files=hash_files(folder))
    card.save(folder)
    return card


def _compare(segmenter: Segmenter, exported: Segmenter) -> dict[str, float]:
    """Compare on drawn pictures.

    Raises:
        ParityError: they differ by more than rounding accounts for.
    """
    height, width, channels = segmenter.recipe.shape
    images = np.stack([draw_picture(100 + n, height, width)[:, :, :channels] for n in range(PROOF_PICTURES)])
    expected, received = segmenter.run(images), exported.run(images)
    difference = float(np.abs(expected - received).max())
    flipped = float(np.mean(expected.argmax(axis=-1) != received.argmax(axis=-1)))
    if not (difference <= TOLERANCE and flipped <= MOST_FLIPPED):
        raise ParityError(
            f"Expected the export to give the model's answers; a probability differs by {difference:.2g}, at most "
            f"{TOLERANCE} is allowed, and {flipped:.2%} of the pixels get another class. It was removed."
        )
    return {"pictures": len(images), "largest_difference": difference, "flipped": flipped}

"""`verify_segmenter`: a model folder still is what was written, and still gives the same masks here."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from opsin.errors import OpsinError
from opsin.exporters.verify import Check, Verification, check_files
from opsin.model_folder import SEGMENTATION, ModelCard, find_model_folder, golden_names
from opsin.names import GOLDEN, GOLDEN_LOGITS
from opsin.segmentation.segmenter import Segmenter, on_grid, pixel_softmax

TOLERANCE = 1e-3
"""How far a probability may be from what it was when the model was written: processors round differently."""


def verify_segmenter(path: str | Path, *, runtime: str | None = None) -> Verification:
    """Check every file of a model that segments, and replay its golden pictures.

    Args:
        path: a run folder or a model folder.
        runtime: `"litert"` or `"keras"`; None for the first.

    Raises:
        UsageError: there is nothing at the path, or no such runtime.
        ModelError: it is no model that segments, or its card is damaged.
    """
    folder = find_model_folder(path)
    found = check_files(folder, ModelCard.read(folder, task=SEGMENTATION))
    if not found.passed:
        return found
    return replace(found, checks=(*found.checks, replay(Segmenter.open(folder, runtime))))


def replay(segmenter: Segmenter) -> Check:
    """Compare what a network gives for the golden pictures with what it gave when it was written."""
    what = "golden pictures"
    try:
        document = json.loads((segmenter.folder / GOLDEN_LOGITS).read_text(encoding="utf-8"))
        expected = pixel_softmax(np.array(document["logits"], dtype=np.float32))
        recipe = segmenter.recipe.preprocess
        names = golden_names(document, segmenter.card)
        images = np.stack([recipe.read(segmenter.folder / GOLDEN / name) for name in names])
        differences = np.abs(on_grid(segmenter.run(images)) - expected).max(axis=(1, 2, 3))
    except (OpsinError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        return Check(what, False, str(error))
    if not differences.max() <= TOLERANCE:
        worst = int(differences.argmax())
        return Check(
            what,
            False,
            f"a probability in {names[worst]} differs by {differences[worst]:.3g} from when it was "
            f"written, at most {TOLERANCE:g} is allowed. Versions here differ, or this processor computes otherwise.",
        )
    return Check(what, True, f"{len(differences)} give the same probabilities, to {differences.max():.2g}")

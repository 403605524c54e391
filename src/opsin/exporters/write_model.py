"""Writing a model folder from a trained network, proved on drawn pictures. TensorFlow writes the twin."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from opsin.architectures.summary import summarize
from opsin.atomic import replacing
from opsin.catalog import require
from opsin.errors import ModelError
from opsin.exporters.litert import convert, largest_difference, run_source
from opsin.images.drawing import draw_picture, save_image
from opsin.model_folder import ModelCard, hash_files
from opsin.names import GOLDEN, GOLDEN_LOGITS, KERAS, LAYERS, TWIN
from opsin.runtimes.base import Outputs

if TYPE_CHECKING:
    import keras

GOLDEN_PICTURES = 8
PROOF_PICTURES = 64

TOLERANCE = 1e-3
"""How far a twin's outputs may be from the network's, as a fraction of the largest of them."""


def write_model(folder: str | Path, network: "keras.Model", card: ModelCard, *, twin: bytes | None = None) -> list[str]:
    """Write `folder` with the network, its LiteRT twin and its golden pictures.

    The folder is complete or not there at all. A twin that cannot be written, does not run or does not agree
    with the network is left out.

    Args:
        folder: the model folder; an older one there is replaced.
        network: float32 (N, h, w, c), 0 to 255 → logits (N, k) or (N, 1).
        card: what `opsin.json` shall say; `files` is filled in here.
        twin: the network in LiteRT, if it is at hand; it is proved like one that is converted here, which takes its
            place if it fails.

    Returns:
        What the user should know, a sentence each; empty if all went as it should.

    Raises:
        SavingError: the folder cannot be written.
    """
    keras = require("keras", "saving a model")
    # A network that was compiled carries optimizer and loss; a bare one opens in plain Keras.
    bare = keras.Model(network.inputs[0], network.outputs[0], name=network.name)
    golden = [draw_picture(number, 96 + 16 * number, 192 - 8 * number) for number in range(GOLDEN_PICTURES)]
    with replacing(folder) as temporary:
        (temporary / GOLDEN).mkdir(parents=True)
        bare.save(temporary / KERAS)
        (temporary / LAYERS).write_text(json.dumps(summarize(bare).to_dict(), indent=1))
        names = [f"{number}.png" for number in range(GOLDEN_PICTURES)]
        for name, image in zip(names, golden, strict=True):
            save_image(image, temporary / GOLDEN / name)
        # Of sizes of their own, so that replaying them goes through the resizer as well.
        seen = [card.preprocess.read(temporary / GOLDEN / name) for name in names]
        proof = np.stack([*seen, *_drawn(bare)]).astype(np.float32)
        source = run_source(bare, proof)
        document = {"pictures": names, "logits": source.logits[: len(names)].tolist()}
        (temporary / GOLDEN_LOGITS).write_text(json.dumps(document))
        remarks = _write_twin(temporary, bare, source, proof, twin)
        replace(card, files=hash_files(temporary)).save(temporary)
    return remarks


def _drawn(network: "keras.Model") -> list[np.ndarray]:
    height, width, channels = network.inputs[0].shape[1:]
    return [draw_picture(100 + number, height, width)[:, :, :channels] for number in range(PROOF_PICTURES)]


def _write_twin(
    folder: Path, network: "keras.Model", source: Outputs, images: np.ndarray, twin: bytes | None
) -> list[str]:
    backend = require("keras", "saving a model").backend.backend()
    if backend != "tensorflow":
        return [f"{TWIN} was left out: it is written on the TensorFlow backend, this is {backend}."]
    try:
        content, difference = twin, np.nan
        if twin is not None:
            with contextlib.suppress(ModelError):
                difference = largest_difference(source, twin, images)
        if not difference <= TOLERANCE:
            content = convert(network)
            difference = largest_difference(source, content, images)
    except ModelError as error:
        return [f"{TWIN} was left out. {error}"]
    if not difference <= TOLERANCE:
        return [
            f"{TWIN} was left out: on {len(images)} drawn pictures its outputs differ from the network's by "
            f"{difference:.2g} of their size, more than {TOLERANCE}."
        ]
    (folder / TWIN).parent.mkdir()
    (folder / TWIN).write_bytes(content)
    return []

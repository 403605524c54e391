"""Running a finished segmentation network: images in, logits out; through LiteRT without TensorFlow."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from opsin.catalog import require, resolve
from opsin.errors import ModelError
from opsin.model_folder import ModelCard, read_proved
from opsin.names import KERAS, TWIN
from opsin.runtimes import RUNTIMES
from opsin.runtimes.base import as_input
from opsin.runtimes.litert import LiteRTNetwork

Network = Callable[[np.ndarray], np.ndarray]


def open_network(folder: Path, card: ModelCard, runtime: str | None, threads: int | None) -> Network:
    """Open the network of a model folder, or of an export.

    Args:
        folder: the model folder or the export.
        card: its card.
        runtime: `"litert"`, `"keras"`, or None for the first.
        threads: how many threads one call may use; None for the cores this process may use.

    Returns:
        A function from images, uint8 or float32 (N, h, w, c), 0 to 255, to logits, float32 (N, h, w, k).

    Raises:
        ModelError: the network was left out, or it is missing or altered.
    """
    if card.artefact is not None:
        export = resolve(RUNTIMES[card.artefact.format])(folder, card, threads)
        # Logarithms of probabilities: their softmax is the probabilities again.
        return lambda images: export.run(images).logits
    if runtime == "keras":
        return _open_keras(folder, card)
    if TWIN not in card.files and (folder / KERAS).is_file():
        raise ModelError(
            f"Expected {TWIN} in {str(folder)!r}, the network for use without TensorFlow; this model was saved without "
            f"it and has only {KERAS}. Open it with runtime='keras' (on the command line: --runtime keras), which "
            "needs: pip install 'opsin[train]'"
        )
    network = LiteRTNetwork(read_proved(folder, TWIN, card), threads)
    return lambda images: network.run(images)[0]


def _open_keras(folder: Path, card: ModelCard) -> Network:
    read_proved(folder, KERAS, card)
    # By its name: who predicts through LiteRT needs nothing of Keras.
    network = resolve("opsin.runtimes.keras:load_network")(folder / KERAS)
    ops = require("keras", "running a network").ops
    return lambda images: ops.convert_to_numpy(network(as_input(images, "float32"), training=False))

"""TensorFlow: runs exports as SavedModels, the way TensorFlow Serving does."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from opsin.catalog import require
from opsin.errors import ModelError
from opsin.model_folder import Artefact, ModelCard, read_proved
from opsin.runtimes.base import Outputs, as_input, outputs_of
from opsin.runtimes.saved_model_operations import require_harmless


class SavedModelRuntime:
    """The signature `serving_default` of a SavedModel.

    Args:
        folder: the SavedModel.
        artefact: what the export's card says of it.

    Raises:
        ModelError: an operation in it could do more than compute, or TensorFlow cannot open it.
    """

    def __init__(self, folder: Path, artefact: Artefact):
        self._tensorflow = require("tensorflow", "running a SavedModel")
        require_harmless(folder)
        try:
            self._loaded = self._tensorflow.saved_model.load(str(folder))
            self._signature = self._loaded.signatures["serving_default"]
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"Expected a SavedModel that TensorFlow can open; {str(folder)!r} is none: {error}"
            ) from error
        self._input, self._output = artefact.input, artefact.output
        self._outputs = [artefact.output.name, *([artefact.features] if artefact.features else [])]
        self.input_shape = tuple(artefact.input.shape[1:])

    def run(self, images: np.ndarray) -> Outputs:
        """Run the network on uint8 or float32 (N, h, w, c), 0 to 255, N ≥ 1."""
        tensor = self._tensorflow.constant(as_input(images, self._input.dtype))
        answers = self._signature(**{self._input.name: tensor})
        return outputs_of(*(answers[name].numpy() for name in self._outputs))

    @property
    def reads_files(self) -> bool:
        """Whether it takes whole picture files as well."""
        return "serve_bytes" in self._loaded.signatures

    def run_files(self, files: Sequence[bytes]) -> np.ndarray:
        """Return float32 (N, k), the probabilities of the signature `serve_bytes` for whole picture files."""
        answers = self._loaded.signatures["serve_bytes"](image_bytes=self._tensorflow.constant(list(files)))
        return answers[self._output.name].numpy()


def open_saved_model(folder: Path, card: ModelCard, threads: int | None = None) -> SavedModelRuntime:
    """Open an export as a SavedModel.

    Args:
        folder: the export's folder, which is the SavedModel.
        card: its card.
        threads: without meaning here; TensorFlow decides.

    Raises:
        ModelError: a file is missing or altered, or it cannot be opened.
        MissingPackageError: TensorFlow is not installed.
    """
    for name in card.files:
        read_proved(folder, name, card)
    return SavedModelRuntime(folder, card.artefact)

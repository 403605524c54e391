"""LiteRT: runs the twin that every model folder holds, without TensorFlow."""

import threading
from pathlib import Path

import numpy as np

from opsin.errors import ModelError
from opsin.images.reading import usable_cores
from opsin.model_folder import ModelCard, read_proved
from opsin.names import KERAS, TWIN
from opsin.runtimes.base import Outputs


class LiteRTRuntime:
    """A network in LiteRT's format (`.tflite`), on the CPU.

    Args:
        content: the file's bytes.
        threads: how many threads one call may use; None for the cores this process may use.

    Raises:
        ModelError: LiteRT cannot read the file, or it is not one of ours.
    """

    def __init__(self, content: bytes, threads: int | None = None):
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter = Interpreter(model_content=content, num_threads=threads or usable_cores())
            signature = self._interpreter.get_signature_runner()
            inputs, outputs = signature.get_input_details(), signature.get_output_details()
            self._input = inputs["image"]["index"]
            # The twin's concrete function returns the pair (logits, features), which LiteRT names by position.
            self._outputs = outputs["output_0"]["index"], outputs["output_1"]["index"]
        except (ValueError, KeyError, RuntimeError) as error:
            raise ModelError(
                f"Expected a LiteRT network with an input `image` and two outputs; it cannot be opened: {error}. "
                "Write the model again."
            ) from error
        self.input_shape = tuple(int(size) for size in inputs["image"]["shape_signature"][1:])
        self._shape: tuple[int, ...] | None = None
        # An interpreter has one set of buffers: two calls at a time would mix their pictures.
        self._lock = threading.Lock()

    def run(self, images: np.ndarray) -> Outputs:
        """Run the network.

        Args:
            images: float32 (N, h, w, c), 0 to 255, N ≥ 1.
        """
        with self._lock:
            if images.shape != self._shape:
                self._shape = None  # Should this fail, the next call starts from here again.
                self._interpreter.resize_tensor_input(self._input, images.shape)
                self._interpreter.allocate_tensors()
                self._shape = images.shape
            self._interpreter.set_tensor(self._input, np.ascontiguousarray(images, dtype=np.float32))
            self._interpreter.invoke()
            return Outputs(*(self._interpreter.get_tensor(index) for index in self._outputs))


def open_litert(folder: Path, card: ModelCard, threads: int | None = None) -> LiteRTRuntime:
    """Open a model folder's twin.

    Args:
        folder: the model folder.
        card: its card.
        threads: how many threads one call may use; None for the cores this process may use.

    Raises:
        ModelError: the twin was left out, or it is missing or altered.
    """
    if TWIN not in card.files and (folder / KERAS).is_file():
        raise ModelError(
            f"Expected {TWIN} in {str(folder)!r}, the network for prediction without TensorFlow; this model was "
            f"saved without it and has only {KERAS}. Open it with runtime='keras' (on the command line: "
            "--runtime keras), which needs: pip install 'opsin[train]'"
        )
    return LiteRTRuntime(read_proved(folder, TWIN, card), threads)

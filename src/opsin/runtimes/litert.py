"""LiteRT: runs the twin that every model folder holds, without TensorFlow."""

import queue
import threading
from pathlib import Path

import numpy as np

from opsin.errors import ModelError
from opsin.images.reading import usable_cores
from opsin.model_folder import ModelCard, read_proved
from opsin.names import KERAS, TWIN
from opsin.runtimes.base import Outputs, as_input, outputs_of

LANES_BYTES = 512 * 2**20
"""How much memory the lanes of a network may take for its weights, which each has twice: as they are, and packed."""


class LiteRTNetwork:
    """A network, or a part of one, in LiteRT's format (`.tflite`), on the CPU.

    Args:
        content: the file's bytes; its input is called `image`. It may be one of 8-bit integers.
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
            # `output_0`, `output_1`, … of a part of a network; of an export `probabilities`, perhaps `features`.
            self._outputs = [(outputs[name]["index"], outputs[name]["quantization"]) for name in sorted(outputs)]
        except (ValueError, KeyError, RuntimeError) as error:
            raise ModelError(
                f"Expected a LiteRT network with an input `image`; it cannot be opened: {error}. Write the model again."
            ) from error
        self._dtype = inputs["image"]["dtype"]
        self.input_shape = tuple(int(size) for size in inputs["image"]["shape_signature"][1:])
        self.output_count = len(self._outputs)
        # How far apart two values of an output are; 0 of one in float32.
        self.steps = tuple(float(scale) for _, (scale, _) in self._outputs)
        self._shape: tuple[int, ...] | None = None
        # An interpreter has one set of buffers: two calls at a time would mix their pictures.
        self._lock = threading.Lock()

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """Run the network; return its outputs, float32 (N, ...) each.

        Args:
            images: uint8 or float32 (N, h, w, c), 0 to 255, N ≥ 1.
        """
        with self._lock:
            if images.shape != self._shape:
                self._shape = None  # Should this fail, the next call starts from here again.
                self._interpreter.resize_tensor_input(self._input, images.shape)
                self._interpreter.allocate_tensors()
                self._shape = images.shape
            self._interpreter.set_tensor(self._input, as_input(images, self._dtype))
            self._interpreter.invoke()
            return [_in_float32(self._interpreter.get_tensor(index), *scale) for index, scale in self._outputs]


def _in_float32(values: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """Return float32 values for those of a network, which may be steps of `scale` from `zero_point`."""
    return (values.astype(np.float32) - zero_point) * np.float32(scale) if values.dtype != np.float32 else values


class LiteRTLanes:
    """The same network several times, for calls side by side: each call has a lane, with cores of its own.

    Calls that do not wait for each other's threads make more of the cores than one call on all of them, above all where
    the same threads decode the pictures. A lane is opened when there are so many calls at a time.

    Args:
        content: the file's bytes.
        threads: how many threads all lanes may use; None for the cores this process may use.
    """

    def __init__(self, content: bytes, threads: int | None = None):
        threads = threads or usable_cores()
        self.count = max(1, min(threads, LANES_BYTES // (2 * len(content))))
        self._content = content
        self._threads = threads // self.count
        # The last to be put back is the first to be taken: those that are not needed are never opened.
        self._free: queue.LifoQueue[LiteRTNetwork | None] = queue.LifoQueue()
        for _ in range(self.count):
            self._free.put(None)

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """Run the network in a lane that is free; see `LiteRTNetwork.run`."""
        network = self._free.get()
        try:
            network = network or LiteRTNetwork(self._content, self._threads)
            return network.run(images)
        finally:
            self._free.put(network)


class LiteRTRuntime:
    """A twin: a LiteRT network with the outputs logits and features.

    Args:
        content: the file's bytes.
        threads: how many threads one call may use; None for the cores this process may use.

    Raises:
        ModelError: LiteRT cannot read the file, or it is no twin.
    """

    def __init__(self, content: bytes, threads: int | None = None):
        self._network = LiteRTNetwork(content, threads)
        self.input_shape = self._network.input_shape
        if self._network.output_count != 2:
            raise ModelError(
                "Expected a LiteRT network with two outputs, logits and features; received one with "
                f"{self._network.output_count}. Write the model again."
            )
        self._lanes = LiteRTLanes(content, threads)
        self.lanes = self._lanes.count

    def run(self, images: np.ndarray) -> Outputs:
        """Run the network on uint8 or float32 (N, h, w, c), 0 to 255, N ≥ 1."""
        return Outputs(*self._network.run(images))

    def run_beside(self, images: np.ndarray) -> Outputs:
        """Run the network beside other such calls; see `opsin.runtimes.base.SideBySide`."""
        return Outputs(*self._lanes.run(images))


class LiteRTExport:
    """An export: a LiteRT network that gives probabilities, and perhaps features.

    Args:
        content: the file's bytes.
        threads: how many threads one call may use; None for the cores this process may use.

    Raises:
        ModelError: LiteRT cannot read the file.
    """

    def __init__(self, content: bytes, threads: int | None = None):
        self._network = LiteRTNetwork(content, threads)
        self.input_shape = self._network.input_shape
        self._lanes = LiteRTLanes(content, threads)
        self.lanes = self._lanes.count

    def run(self, images: np.ndarray) -> Outputs:
        """Run the network on uint8 or float32 (N, h, w, c), 0 to 255, N ≥ 1."""
        return self._outputs(self._network.run(images))

    def run_beside(self, images: np.ndarray) -> Outputs:
        """Run the network beside other such calls; see `opsin.runtimes.base.SideBySide`."""
        return self._outputs(self._lanes.run(images))

    def _outputs(self, given: list[np.ndarray]) -> Outputs:
        # In the order of their names.
        *features, probabilities = given
        # A zero of 8-bit integers is anything below half a step. A step is much where classes are many, so all of them
        # together get no more than that.
        least = self._network.steps[-1] / 2 / probabilities.shape[1]
        return outputs_of(probabilities, *features, least=least)


def open_litert(folder: Path, card: ModelCard, threads: int | None = None) -> LiteRTRuntime | LiteRTExport:
    """Open a model folder's twin, or an export in LiteRT's format.

    Args:
        folder: the model folder.
        card: its card.
        threads: how many threads one call may use; None for the cores this process may use.

    Raises:
        ModelError: the twin was left out, or it is missing or altered.
    """
    if card.artefact is not None:
        return LiteRTExport(read_proved(folder, card.artefact.file, card), threads)
    if TWIN not in card.files and (folder / KERAS).is_file():
        raise ModelError(
            f"Expected {TWIN} in {str(folder)!r}, the network for prediction without TensorFlow; this model was "
            f"saved without it and has only {KERAS}. Open it with runtime='keras' (on the command line: "
            "--runtime keras), which needs: pip install 'opsin[train]'"
        )
    return LiteRTRuntime(read_proved(folder, TWIN, card), threads)

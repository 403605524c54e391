"""What is served: signatures with named tensors, as TensorFlow Serving has them, and a way to run them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

PREDICT, CLASSIFY, REGRESS = (f"tensorflow/serving/{method}" for method in ("predict", "classify", "regress"))
DEFAULT_SIGNATURE = "serving_default"


class DType(NamedTuple):
    """One type of a tensor's values, under the names it has."""

    constant: str
    """In metadata."""
    text: str
    """In messages."""
    open_inference: str
    numpy: np.dtype


DTYPES = {
    "float16": DType("DT_HALF", "half", "FP16", np.dtype("float16")),
    "float32": DType("DT_FLOAT", "float", "FP32", np.dtype("float32")),
    "float64": DType("DT_DOUBLE", "double", "FP64", np.dtype("float64")),
    "int8": DType("DT_INT8", "int8", "INT8", np.dtype("int8")),
    "int16": DType("DT_INT16", "int16", "INT16", np.dtype("int16")),
    "int32": DType("DT_INT32", "int32", "INT32", np.dtype("int32")),
    "int64": DType("DT_INT64", "int64", "INT64", np.dtype("int64")),
    "uint8": DType("DT_UINT8", "uint8", "UINT8", np.dtype("uint8")),
    "uint16": DType("DT_UINT16", "uint16", "UINT16", np.dtype("uint16")),
    "uint32": DType("DT_UINT32", "uint32", "UINT32", np.dtype("uint32")),
    "uint64": DType("DT_UINT64", "uint64", "UINT64", np.dtype("uint64")),
    "bool": DType("DT_BOOL", "bool", "BOOL", np.dtype("bool")),
    "string": DType("DT_STRING", "string", "BYTES", np.dtype("object")),
}
"""By the name that a `TensorSpec` has; tensors of strings are arrays of `bytes`, dtype object."""


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a signature.

    Args:
        dtype: a name in `DTYPES`.
        shape: None for a dimension of any size, the batch say; None alone for any shape.
        name: what the graph calls it.
    """

    dtype: str
    shape: tuple[int | None, ...] | None = None
    name: str = ""

    @property
    def type(self) -> DType:
        """The type under all its names."""
        return DTYPES[self.dtype]

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Tell whether a tensor of this shape fits."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            wanted in (None, size) for wanted, size in zip(self.shape, shape, strict=True)
        )


@dataclass(frozen=True)
class Signature:
    """One way to call a model.

    Args:
        inputs: by name.
        outputs: by name.
        method: `PREDICT`, `CLASSIFY` or `REGRESS`.
    """

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    method: str = PREDICT


class Servable(Protocol):
    """A finished model that can be called."""

    signatures: Mapping[str, Signature]
    """By name; `DEFAULT_SIGNATURE` is what a request means that names none."""

    async def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Run a signature.

        Args:
            signature: its name, one of `signatures`.
            inputs: its inputs; their dtypes and shapes are those of its specs.

        Raises:
            StatusError: it cannot be run on these.
        """
        ...


def shape_text(shape: tuple[int | None, ...]) -> str:
    """Return a shape as messages have it.

    >>> shape_text((None, 224, 3))
    '[-1,224,3]'
    """
    return "[" + ",".join("-1" if size is None else str(size) for size in shape) + "]"

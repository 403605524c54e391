"""From tensors to the JSON of an answer, with TensorFlow Serving's way of writing numbers."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from opsin.serving.status import invalid

BYTES = "_bytes"
"""How the names of outputs end whose strings are written in base64."""


def size_of(outputs: Mapping[str, np.ndarray]) -> int:
    """Return about how many bytes tensors have as JSON."""
    return sum(
        sum(len(value) for value in values.flat) if values.dtype.kind == "O" else 10 * values.size
        for values in outputs.values()
    )


def write_predictions(outputs: Mapping[str, np.ndarray], *, by_rows: bool) -> str:
    """Return the answer to a `:predict` request.

    Args:
        outputs: by name; of one output alone, the name is not written.
        by_rows: whether it is `predictions`, a list with an element for each row; else `outputs`.

    Raises:
        StatusError: they are not all of the same number of rows.
    """
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    if by_rows:
        return f'{{\n    "predictions": [{", ".join(_rows(outputs))}]\n}}'
    texts = {name: write_values(name, values) for name, values in sorted(outputs.items())}
    return f'{{\n    "outputs": {_object(texts)}\n}}'


def _rows(outputs: Mapping[str, np.ndarray]) -> Iterable[str]:
    count = None
    for name, values in sorted(outputs.items()):
        if not values.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if count not in (None, len(values)):
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {len(values)} expecting: {count}")
        count = len(values)
    for number in range(count or 0):
        yield _object(
            {name: write_values(name, np.asarray(values[number])) for name, values in sorted(outputs.items())}
        )


def _object(texts: Mapping[str, str]) -> str:
    if len(texts) == 1:
        return next(iter(texts.values()))
    return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in texts.items()) + "}"


def write_values(name: str, values: np.ndarray) -> str:
    """Return a tensor as JSON: lists in lists, or one value."""
    values = np.asarray(values)
    write = _writer(values.dtype, name)
    # In Python's own numbers: NumPy's are slow one by one. Those of a float32 become the same in double precision.
    return _nested(values.tolist(), write)


def _nested(value: Any, write: Callable[[Any], str]) -> str:
    return "[" + ", ".join([_nested(one, write) for one in value]) + "]" if isinstance(value, list) else write(value)


def _writer(dtype: np.dtype, name: str) -> Callable[[Any], str]:
    if dtype.kind == "f":
        return decimal if dtype.itemsize < 8 else double
    if dtype.kind in "iu":
        return str
    if dtype.kind == "b":
        return lambda value: "true" if value else "false"
    return base64_object if name.endswith(BYTES) else text


def decimal(value: float) -> str:
    """Return a float32 as text: six digits if those are enough to have it back, else nine.

    >>> [decimal(float(np.float32(value))) for value in (0.2, 1 / 3, 16777216, 3)]
    ['0.2', '0.333333343', '16777216.0', '3.0']
    """
    return _decimal(value, np.float32, 9)


def double(value: float) -> str:
    """Return a float64 as text, as `decimal` does: six digits or seventeen."""
    return _decimal(value, float, 17)


def _decimal(value: float, precision: Callable[[Any], float], digits: int) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    short = f"{value:.6g}"
    if precision(short) != value:
        short = f"{value:.{digits}g}"
    return short if "." in short or "e" in short else short + ".0"


def text(value: bytes) -> str:
    """Return a string as JSON; what is no UTF-8 in it is replaced."""
    return json.dumps(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value), ensure_ascii=False)


def base64_object(value: bytes) -> str:
    """Return bytes as the JSON object that stands for them."""
    return f'{{"b64": "{base64.b64encode(value).decode()}"}}'

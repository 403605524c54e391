"""From the JSON of a `:predict` request to tensors, with TensorFlow Serving's rules and words."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from opsin.serving.json_reading import as_text
from opsin.serving.servable import Signature, TensorSpec, shape_text
from opsin.serving.status import StatusError, invalid

SIGNATURE, INSTANCES, INPUTS = "signature_name", "instances", "inputs"
_TYPES = {type(None): "Null", dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}
# The largest whole number up to which a float knows all of them.
_WHOLE = {"float32": 2**24, "float64": 2**53, "float16": 2**11}
# NumPy has no more than 64, the rows of a request being one.
_MOST_DIMENSIONS = 32
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]*+={0,2}\s*")


class PredictRequest(NamedTuple):
    """What a `:predict` request asks for."""

    inputs: dict[str, np.ndarray]
    by_rows: bool
    """Whether it came, and is to be answered, as `instances`."""


def read_predict(document: dict, signature: Signature, *, plain: bool = False) -> PredictRequest:
    """Read a request.

    Args:
        document: the request's JSON.
        signature: what it calls.
        plain: whether the JSON holds no `true` and no `false`, so that lists of numbers can be read at once.

    Raises:
        StatusError: it is not what the signature takes.
    """
    inputs = dict(sorted(signature.inputs.items()))
    if not inputs:
        raise invalid(f"Failed to get input map for signature: {read_signature_name(document) or 'DEFAULT'}")
    if INSTANCES in document and INPUTS in document:
        raise invalid(
            f"JSON Value: {as_text(document)} Not formatted correctly expecting only one of '{INPUTS}' or "
            f"'{INSTANCES}' keys to exist "
        )
    if INSTANCES in document:
        return PredictRequest(_read_rows(document, inputs, plain), True)
    if INPUTS in document:
        return PredictRequest(_read_columns(document[INPUTS], inputs, plain), False)
    raise invalid("Missing 'inputs' or 'instances' key")


def read_signature_name(document: dict) -> str:
    """Return the signature's name; empty if none is given.

    Raises:
        StatusError: it is no text.
    """
    name = document.get(SIGNATURE, "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {as_text(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def is_plain(body: bytes) -> bool:
    """Tell whether a request's JSON holds no `true` and no `false`, so that lists of numbers can be read at once."""
    return b"true" not in body and b"false" not in body


def require_shapes(signature: Signature, inputs: Mapping[str, np.ndarray]) -> None:
    """Refuse tensors whose shapes the signature does not take.

    Raises:
        StatusError: there is one.
    """
    for name, tensor in inputs.items():
        spec = signature.inputs[name]
        if not spec.accepts(tensor.shape):
            raise invalid(
                f"Expected input {name!r} of shape {shape_text(spec.shape)}; received {shape_text(tensor.shape)}."
            )


def _read_rows(document: dict, inputs: dict[str, TensorSpec], plain: bool) -> dict[str, np.ndarray]:
    rows = document[INSTANCES]
    if not isinstance(rows, list):
        raise invalid(f"JSON Value: {as_text(document)} Excepting '{INSTANCES}' to be an list/array")
    if not rows:
        raise invalid(f"JSON Value: {as_text(document)} No values in '{INSTANCES}' array")
    if not _is_named(rows[0]) and len(inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    if _is_named(rows[0]):
        return _named_rows(rows, inputs, plain)
    ((name, spec),) = inputs.items()
    tensor = _at_once(rows, spec) if plain else None
    return {name: _plain_rows(rows, spec) if tensor is None else tensor}


def _plain_rows(rows: list, spec: TensorSpec) -> np.ndarray:
    gathered = _Rows(spec)
    for number, row in enumerate(rows):
        if _is_named(row):
            raise invalid(f"Expecting value/list but got object at item {number} of input list")
        try:
            gathered.add(row)
        except StatusError as error:
            raise invalid(
                f"Failed to process element: {number} of 'instances' list. Error: {error.code}: {error.message}"
            ) from error
    return gathered.tensor()


def _named_rows(rows: list, inputs: dict[str, TensorSpec], plain: bool) -> dict[str, np.ndarray]:
    if plain and all(isinstance(row, dict) and row.keys() == inputs.keys() for row in rows):
        tensors = {name: _at_once([row[name] for row in rows], spec) for name, spec in inputs.items()}
        if all(tensor is not None for tensor in tensors.values()):
            return tensors
    gathered = {name: _Rows(spec) for name, spec in inputs.items()}
    for number, row in enumerate(rows):
        if not _is_named(row):
            raise invalid(f"Expecting object but got list at item {number} of input list")
        for name, value in row.items():
            try:
                if name not in inputs:
                    raise invalid(f"JSON object: does not have named input: {name[:200]}")
                gathered[name].add(value)
            except StatusError as error:
                raise invalid(
                    f"Failed to process element: {number} key: {name[:200]} of 'instances' list. "
                    f"Error: {error.code}: {error.message}"
                ) from error
        if row.keys() != inputs.keys():
            raise invalid(
                f"Failed to process element: {number} of 'instances' list. JSON object: {as_text(row)} keys must be "
                f"equal to: {','.join(inputs)}"
            )
    return {name: one.tensor() for name, one in gathered.items()}


def _read_columns(value: Any, inputs: dict[str, TensorSpec], plain: bool) -> dict[str, np.ndarray]:
    if not _is_named(value):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        value = {next(iter(inputs)): value}
    tensors = {}
    for name, spec in inputs.items():
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        tensors[name] = read_tensor(value[name], spec, plain=plain)
    return tensors


class _Rows:
    """Elements of `instances` that become one tensor."""

    def __init__(self, spec: TensorSpec):
        self._spec = spec
        self._shape: tuple[int, ...] | None = None
        self._values: list = []
        self._count = 0

    def add(self, value: Any) -> None:
        values, shape = _flatten(value, self._spec)
        if self._shape is None:
            self._shape = shape
            self._size = len(values)
        if len(values) != self._size:
            raise invalid(f"Expecting tensor size: {self._size} but got: {len(values)}")
        if shape != self._shape:
            raise invalid(f"Expecting shape {shape_text(self._shape)} but got: {shape_text(shape)}")
        self._values += values
        self._count += 1

    def tensor(self) -> np.ndarray:
        return _tensor(self._values, (self._count, *(self._shape or ())), self._spec)


def read_tensor(value: Any, spec: TensorSpec, *, plain: bool = False) -> np.ndarray:
    """Return the tensor that a JSON value, a scalar or lists in lists, is.

    Args:
        value: it.
        spec: what it is to be.
        plain: whether it holds no `true` and no `false`, so that lists of numbers can be read at once.

    Raises:
        StatusError: its lists are of different sizes, or a value is of another type.
    """
    tensor = _at_once(value, spec) if plain else None
    return _tensor(*_flatten(value, spec), spec) if tensor is None else tensor


def _tensor(values: list, shape: tuple[int, ...], spec: TensorSpec) -> np.ndarray:
    tensor = np.empty(len(values), spec.type.numpy)
    with np.errstate(over="ignore"):
        tensor[:] = values
    return tensor.reshape(shape)


def _flatten(value: Any, spec: TensorSpec) -> tuple[list, tuple[int, ...]]:
    shape = _shape_of(value)
    values: list = []
    _fill(value, 0, shape, spec, values)
    return values, shape


def _shape_of(value: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        if len(shape) > _MOST_DIMENSIONS:
            raise invalid(f"Expected a tensor of at most {_MOST_DIMENSIONS} dimensions; received one of more.")
        value = value[0]
    return tuple(shape)


def _fill(value: Any, level: int, shape: tuple[int, ...], spec: TensorSpec, values: list) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid(
                f"JSON Value: {as_text(value)} found at incorrect level: {level + 1} in the JSON DOM. Expected at "
                f"level: {len(shape)}"
            )
        values.append(_scalar(value, spec))
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for one in value:
        _fill(one, level + 1, shape, spec, values)


def _scalar(value: Any, spec: TensorSpec) -> Any:
    kind = spec.type.numpy.kind
    if kind == "O":
        return _bytes_of(value, spec)
    if kind == "b" and isinstance(value, bool):
        return value
    if kind == "f" and is_number(value):
        _require_lossless(value, spec)
        return value
    if kind in "iu" and is_number(value) and not is_decimal(value):
        limits = np.iinfo(spec.type.numpy)
        if limits.min <= value <= limits.max:
            return value
    raise _wrong_type(value, spec)


def _wrong_type(value: Any, spec: TensorSpec) -> StatusError:
    kind = str(value) if isinstance(value, bool) else _TYPES[type(value)]
    return invalid(f"JSON Value: {as_text(value)} Type: {kind} is not of expected type: {spec.type.text}")


def is_number(value: Any) -> bool:
    """Tell whether a JSON value is a number, which `true` is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_decimal(value: float) -> bool:
    """Tell whether a number is one with a point, or too large for 64 bits, which is read as one."""
    return isinstance(value, float) or not -(2**63) <= value < 2**64


def _require_lossless(value: float, spec: TensorSpec) -> None:
    if value != value or value in (float("inf"), float("-inf")):
        return
    limit = float(np.finfo(spec.type.numpy).max) if is_decimal(value) else _WHOLE[spec.dtype]
    if not -limit <= value <= limit:
        raise invalid(f"Cannot convert JSON value: {as_text(value)} to {spec.type.text} without loss of precision.")


def _bytes_of(value: Any, spec: TensorSpec) -> bytes:
    if isinstance(value, dict):
        if not is_base64(value):
            raise invalid(f"JSON Value: {as_text(value)} not formatted correctly for base64 data")
        return from_base64(value["b64"])
    if not isinstance(value, str):
        raise _wrong_type(value, spec)
    return as_bytes(value)


def as_bytes(text: str) -> bytes:
    """Return the bytes that a JSON string was.

    Raises:
        StatusError: it has half of a surrogate pair.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise invalid("JSON Parse error: The surrogate pair in string is invalid.") from error


def is_base64(value: Any) -> bool:
    """Tell whether a JSON value is an object that stands for bytes: `{"b64": "..."}`."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def from_base64(text: str) -> bytes:
    """Return the bytes that base64 stands for; its padding may be left out.

    Raises:
        StatusError: it is none.

    >>> from_base64("aGVsbG8")
    b'hello'
    """
    try:
        # Refuses what is no base64 at once, and megabytes of it in C.
        return binascii.a2b_base64(text, strict_mode=True)
    except (ValueError, binascii.Error):
        pass
    if not _BASE64.fullmatch(text):
        raise invalid("Unable to base64 decode")
    letters = "".join(text.split()).rstrip("=")
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise invalid("Unable to base64 decode") from error


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _at_once(value: Any, spec: TensorSpec) -> np.ndarray | None:
    """Return the tensor of lists of nothing but numbers; None for what has to be looked at value by value."""
    kind = spec.type.numpy.kind
    if kind not in "fiu" or not isinstance(value, list):
        return None
    try:
        found = np.array(value)
    except (ValueError, OverflowError):
        return None
    if found.dtype.kind not in ("iu" if kind in "iu" else "fiu"):
        return None
    finite = found[np.isfinite(found)] if found.dtype.kind == "f" else found
    if kind == "f":
        low, high = -_WHOLE[spec.dtype], _WHOLE[spec.dtype]
    else:
        low, high = np.iinfo(spec.type.numpy).min, np.iinfo(spec.type.numpy).max
    if finite.size and not (low <= finite.min() and finite.max() <= high):
        return None
    return found.astype(spec.type.numpy)

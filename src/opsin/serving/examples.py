"""`tf.Example`: from the JSON of `:classify` and `:regress` requests to its serialized form, and back to features.

The form is protocol buffers': a message is fields, each a tag (number and wire type) and a value. Only what an Example
has is read here, so that no TensorFlow is needed.
"""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from opsin.serving.json_reading import as_text
from opsin.serving.json_tensors import as_bytes, from_base64, is_base64, is_decimal
from opsin.serving.status import invalid

EXAMPLES, CONTEXT = "examples", "context"
_KINDS = ("bytes", "float", "int64")
"""Of a feature's values; their fields are 1, 2 and 3."""
_PARSED = {"bytes": "string", "float": "float", "int64": "int64"}
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_LARGEST_FLOAT = float(np.finfo(np.float32).max)


class Feature(NamedTuple):
    """A feature's values; `kind` is None where there is no value that has one."""

    kind: str | None
    values: list


Features = dict[str, Feature]


def read_examples(document: dict) -> list[bytes]:
    """Return the serialized examples of a request; what its `context` has is in front of each.

    Raises:
        StatusError: they are not as they must be.
    """
    context = serialize(_read_example(document[CONTEXT])) if CONTEXT in document else b""
    if EXAMPLES not in document:
        raise invalid(
            f"JSON Value: {as_text(document)} When method is classify, key '{EXAMPLES}' is expected and was not found"
        )
    examples = document[EXAMPLES]
    if not isinstance(examples, list):
        raise invalid(f"JSON Value: {as_text(document)} Expecting '{EXAMPLES}' value to be an list/array")
    if not examples:
        raise invalid(f"JSON Value: {as_text(document)} '{EXAMPLES}' value is an empty array")
    return [context + serialize(_read_example(example)) for example in examples]


def _read_example(value: Any) -> Features:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {_kind_of_json(value)}")
    return {name: _read_feature(name, content) for name, content in value.items()}


def _kind_of_json(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "Null", True: "True", False: "False"}[value]
    return {list: "Array", dict: "Object", str: "String"}.get(type(value), "Number")


def _read_feature(name: str, content: Any) -> Feature:
    kind, values = None, []
    for one in content if isinstance(content, list) else [content]:
        found, value = _read_value(name, one)
        if kind not in (None, found):
            raise invalid(f"Unexpected element type in feature: {name[:200]} expecting type: {kind}")
        kind = found
        values.append(value)
    return Feature(kind, values)


def _read_value(name: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, bool):
        return "int64", int(value)
    if is_base64(value):
        return "bytes", from_base64(value["b64"])
    if value is None or isinstance(value, list | dict):
        raise invalid(f"Feature: {name[:200]} has element with unexpected JSON type: {_kind_of_json(value)}")
    if isinstance(value, str):
        return "bytes", as_bytes(value)
    if is_decimal(value):
        if np.isfinite(float(value)) and abs(value) > _LARGEST_FLOAT:
            raise invalid(f"Cannot convert JSON value: {as_text(value)} to float without loss of precision.")
        return "float", float(value)
    if value >= 2**63:
        raise invalid(f"Feature: {name[:200]} has uint64 element. Only int64 is supported.")
    return "int64", value


# Writing


def serialize(features: Features) -> bytes:
    """Return the serialized `tf.Example` with these features."""
    entries = b"".join(
        _field(1, _field(1, as_bytes(name)) + _field(2, _serialize_feature(feature)))
        for name, feature in features.items()
    )
    return _field(1, entries)


def _serialize_feature(feature: Feature) -> bytes:
    if feature.kind is None:
        return b""
    if feature.kind == "bytes":
        values = b"".join(_field(1, value) for value in feature.values)
    elif feature.kind == "float":
        values = _field(1, np.asarray(feature.values, "<f4").tobytes())
    else:
        values = _field(1, b"".join(_varint(value % 2**64) for value in feature.values))
    return _field(_KINDS.index(feature.kind) + 1, values)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


# Reading


def parse_column(serialized: np.ndarray, name: str, kind: str, size: int | None = None) -> np.ndarray:
    """Return one feature of each example, as TensorFlow's `parse_example` does.

    Args:
        serialized: object (N), each a serialized `tf.Example`.
        name: the feature's.
        kind: `bytes`, `float` or `int64`.
        size: how many values it has in each example; None: one, and the column is (N).

    Raises:
        StatusError: an example is none, or its feature is missing or another.
    """
    dtype = {"bytes": object, "float": np.float32, "int64": np.int64}[kind]
    rows = [_values(parse(example, number), name, kind, number, size or 1) for number, example in enumerate(serialized)]
    column = np.empty((len(rows), size or 1), dtype)
    for number, row in enumerate(rows):
        column[number] = row
    return column[:, 0] if size is None else column


def _values(features: Features, name: str, kind: str, number: int, size: int) -> list:
    where, wanted = f"Name: <unknown>, Key: {name}, Index: {number}.  ", _PARSED[kind]
    feature = features.get(name)
    if feature is None or feature.kind is None:
        raise invalid(f"Name: <unknown>, Feature: {name} (data type: {wanted}) is required but could not be found.")
    if feature.kind != kind:
        raise invalid(f"{where}Data types don't match. Expected type: {wanted}, Actual type: {_PARSED[feature.kind]}")
    if len(feature.values) != size:
        raise invalid(
            f"{where}Number of {kind} values != expected.  values size: {len(feature.values)} but output shape: "
            f"[{size}]"
        )
    return feature.values


def parse(serialized: bytes, number: int = 0) -> Features:
    """Return the features of a serialized `tf.Example`.

    Args:
        serialized: it.
        number: which one it is, for the message.

    Raises:
        StatusError: it is none.
    """
    features: Features = {}
    try:
        for _, content in _fields(serialized, 1):
            for _, entry in _fields(content, 1):
                parts = dict(_fields(entry, 1, 2))
                features[parts.get(1, b"").decode("utf-8", "surrogateescape")] = _parse_feature(parts.get(2, b""))
    except (ValueError, IndexError, struct.error) as error:
        raise invalid(f"Could not parse example input, value: element {number} is no serialized tf.Example") from error
    return features


def _parse_feature(content: bytes) -> Feature:
    feature = Feature(None, [])
    for number, values in _fields(content, 1, 2, 3):
        kind = _KINDS[number - 1]
        feature = Feature(kind, list(_PARSERS[kind](values)))
    return feature


def _fields(content: bytes, *numbers: int) -> Iterator[tuple[int, bytes]]:
    """Yield the fields of these numbers that have a length; what else there is, is passed over."""
    position = 0
    while position < len(content):
        tag, position = _read_varint(content, position)
        end, begin = _end_of(content, position, tag & 7)
        if tag & 7 == _LENGTH and tag >> 3 in numbers:
            yield tag >> 3, content[begin:end]
        position = end


def _end_of(content: bytes, position: int, wire: int) -> tuple[int, int]:
    begin = position
    if wire == _VARINT:
        _, end = _read_varint(content, position)
    elif wire in (_FIXED64, _FIXED32):
        end = position + (8 if wire == _FIXED64 else 4)
    elif wire == _LENGTH:
        length, begin = _read_varint(content, position)
        end = begin + length
    else:
        raise ValueError("no such wire type")
    if end > len(content):
        raise ValueError("cut off")
    return end, begin


def _read_varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position
        if shift > 63:
            raise ValueError("too long")


def _bytes_values(content: bytes) -> Iterator[bytes]:
    return (value for _, value in _fields(content, 1))


def _float_values(content: bytes) -> Iterator[float]:
    position = 0
    while position < len(content):
        tag, position = _read_varint(content, position)
        end, begin = _end_of(content, position, tag & 7)
        if tag >> 3 == 1 and tag & 7 in (_LENGTH, _FIXED32):
            yield from np.frombuffer(content[begin:end], "<f4").tolist()
        position = end


def _int64_values(content: bytes) -> Iterator[int]:
    position = 0
    while position < len(content):
        tag, position = _read_varint(content, position)
        end, begin = _end_of(content, position, tag & 7)
        while tag >> 3 == 1 and tag & 7 in (_LENGTH, _VARINT) and begin < end:
            value, begin = _read_varint(content, begin)
            yield value - 2**64 if value >= 2**63 else value
        position = end


_PARSERS = {"bytes": _bytes_values, "float": _float_values, "int64": _int64_values}

"""JSON from a client: bounded before it is parsed, and read as TensorFlow Serving's parser (RapidJSON) reads it.

That is: NaN and Infinity are numbers, the first of equal keys counts, and what follows the document is not looked at.
"""

import json
import re
from typing import Any

import numpy as np

from opsin.serving.status import StatusError, invalid

MAX_DEPTH = 128
_CHUNK = 1 << 20

_MESSAGES = {
    "Expecting value": "Invalid value.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX escape": "Incorrect hex digit after \\u escape in string.",
    "Invalid control character at": "Invalid encoding in string.",
}
_TOO_BIG = "Number too big to be stored in double."
# A string, or the rest where its end is missing. Nothing is given back and tried anew: that would take memory for
# each letter, and of a body of quotes hours.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_TOKEN = re.compile(_STRING + r"|[\[\]{}]", re.DOTALL)
_SHORT_CONSTANT = re.compile(_STRING + r"|-?Inf(?!inity)|-NaN", re.DOTALL)
_COULD_OVERFLOW = re.compile(rb"[eE]\+?0*[1-9]\d\d|(?<!\d)\d{300}")


def parse_object(body: bytes, *, max_values: int) -> dict[str, Any]:
    """Parse a request's body.

    Args:
        body: the whole of it, in UTF-8; other bytes in strings survive as surrogates.
        max_values: how many values it may hold.

    Raises:
        StatusError: it is no JSON object, or larger or deeper than allowed.
    """
    document = parse(body, max_values=max_values)
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {as_text(document)} Is not object")
    return document


def parse(body: bytes, *, max_values: int) -> Any:
    """Parse a document, as `parse_object` does, of any kind."""
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    if body.count(b",") + body.count(b"[") + body.count(b"{") > max_values:
        raise StatusError("TOO_LARGE", f"Expected JSON of at most {max_values} values; received more. Send less.")
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deep(body):
        raise invalid(f"JSON Parse error: Expected at most {MAX_DEPTH} levels of nesting; received more.")
    text = body.decode("utf-8-sig", errors="surrogateescape")
    decoder = _STRICT if _COULD_OVERFLOW.search(body) else _DECODER
    try:
        return _decode(text, decoder)
    except json.JSONDecodeError as error:
        if text.startswith(("Inf", "-Inf", "-NaN"), error.pos):
            return _decode_again(text, decoder)
        raise _refused(error, text) from None
    except (OverflowError, ValueError) as error:
        raise invalid(f"JSON Parse error: {_TOO_BIG}") from error


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else dict(reversed(pairs))


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise OverflowError
    return value


def _whole(text: str) -> int:
    value = int(text)
    float(value)  # Raises where it is too big for that.
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_first_wins)
_STRICT = json.JSONDecoder(object_pairs_hook=_first_wins, parse_float=_finite, parse_int=_whole)


def _decode(text: str, decoder: json.JSONDecoder) -> Any:
    start = len(text) - len(text.lstrip(" \t\r\n"))
    return decoder.raw_decode(text, start)[0]


def _decode_again(text: str, decoder: json.JSONDecoder) -> Any:
    # RapidJSON takes `Inf` for `Infinity`, and a NaN may have a sign.
    longer = {"Inf": "Infinity", "-Inf": "-Infinity", "-NaN": "NaN"}
    text = _SHORT_CONSTANT.sub(lambda match: longer.get(match[0], match[0]), text)
    try:
        return _decode(text, decoder)
    except json.JSONDecodeError as error:
        raise _refused(error, text) from None


def _refused(error: json.JSONDecodeError, text: str) -> StatusError:
    position = error.pos
    offset = len(text[:position].encode(errors="surrogateescape"))
    return invalid(f"JSON Parse error: {_reason(error, text)} at offset: {offset}")


def _reason(error: json.JSONDecodeError, text: str) -> str:
    if not text.strip(" \t\r\n"):
        return "The document is empty."
    if error.msg != "Expecting ',' delimiter":
        return _MESSAGES.get(error.msg, "Invalid value.")
    if error.pos and text[error.pos - 1].isdigit():
        following = text[error.pos : error.pos + 1]
        if following == ".":
            return "Miss fraction part in number."
        if following in ("e", "E"):
            return "Miss exponent in number."
    inside = [None]
    for token in _TOKEN.finditer(text, 0, error.pos):
        if token[0] in "[{":
            inside.append(token[0])
        elif token[0] in "]}":
            inside.pop()
    if inside[-1] == "{":
        return "Missing a comma or } after an object member."
    return "Missing a comma or ] after an array element."


def _is_deep(body: bytes) -> bool:
    """Tell whether brackets outside of strings are nested more than `MAX_DEPTH` deep."""
    depth, in_string = 0, False
    # A quote after a backslash does not end a string; pairs of backslashes are no escape of what follows.
    plain = re.sub(rb"\\.", b"  ", body, flags=re.DOTALL) if b"\\" in body else body
    for start in range(0, len(plain), _CHUNK):
        values = np.frombuffer(plain, np.uint8, min(_CHUNK, len(plain) - start), start)
        quoted = (np.cumsum(values == ord('"')) + in_string) % 2 == 1
        opening = ((values == ord("[")) | (values == ord("{"))) & ~quoted
        closing = ((values == ord("]")) | (values == ord("}"))) & ~quoted
        depths = depth + np.cumsum(opening.astype(np.int64) - closing)
        if depths.max() > MAX_DEPTH:
            return True
        depth, in_string = int(depths[-1]), bool(quoted[-1])
    return False


def as_text(value: Any, limit: int = 200) -> str:
    """Return a value as messages show it, the beginning of a long one.

    >>> as_text({"x": [1, 2.5, None]})
    '{"x": [1, 2.5, null]}'
    """
    # What is long is cut before it is written: a client's body may be megabytes.
    text = json.dumps(_shortened(value, 20), ensure_ascii=False).encode("utf-8", "replace").decode()
    return text if len(text) <= limit else text[:limit] + "..."


def _shortened(value: Any, items: int) -> Any:
    if isinstance(value, list):
        return [_shortened(one, items // 2) for one in value[:items]]
    if isinstance(value, dict):
        return {key[:200]: _shortened(value[key], items // 2) for key in list(value)[:items]}
    return value[:300] if isinstance(value, str) else value

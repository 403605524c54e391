"""Multipart forms, read in memory: no part becomes a file, whatever it calls itself."""

from typing import NamedTuple

from opsin.catalog import require
from opsin.serving.status import StatusError, invalid

_MOST_HEADER_BYTES = 8192


class Part(NamedTuple):
    """A field of a form."""

    name: str
    filename: str | None
    content: bytes


def read_form(content_type: str, body: bytes, *, max_parts: int) -> list[Part]:
    """Return the parts of a form.

    Args:
        content_type: the request's header, with the boundary in it.
        body: the whole body.
        max_parts: how many there may be.

    Raises:
        StatusError: it is no whole form, or has too many parts.
    """
    multipart = require("python_multipart.multipart", "reading forms")
    _, options = multipart.parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise invalid("Expected a boundary in the Content-Type of a multipart form; received none.")
    reader = _Reader(multipart, max_parts)
    try:
        parser = multipart.MultipartParser(boundary, reader.callbacks())
        parser.write(body)
        parser.finalize()
    except multipart.FormParserError as error:
        raise invalid(f"Expected a multipart form; it is malformed: {str(error)[:200]}") from error
    if not reader.ended:
        raise invalid("Expected a whole multipart form; its last boundary is missing.")
    return reader.parts


class _Reader:
    def __init__(self, multipart: object, max_parts: int):
        self.parts: list[Part] = []
        self.ended = False
        self._multipart = multipart
        self._max_parts = max_parts
        self._header_bytes = 0

    def callbacks(self) -> dict:
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._header_end,
            "on_end": self._all,
        }

    def _begin(self) -> None:
        if len(self.parts) >= self._max_parts:
            raise StatusError("TOO_LARGE", f"Expected a form of at most {self._max_parts} parts; received more.")
        self._headers: dict[bytes, bytes] = {}
        self._field, self._value = bytearray(), bytearray()
        self._chunks: list[bytes] = []
        self._header_bytes = 0

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > _MOST_HEADER_BYTES:
            raise invalid(f"Expected a part's headers of at most {_MOST_HEADER_BYTES} bytes; received more.")

    def _header_end(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._chunks.append(data[start:end])

    def _end(self) -> None:
        _, options = self._multipart.parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name")
        if name is None:
            raise invalid("Expected a name in the Content-Disposition of each part of a form; one has none.")
        filename = options.get(b"filename")
        self.parts.append(
            Part(
                name.decode("utf-8", "replace"),
                None if filename is None else filename.decode("utf-8", "replace"),
                b"".join(self._chunks),
            )
        )

    def _all(self) -> None:
        self.ended = True

"""Reading a request's body: bounded in size, in time and in what it unpacks to."""

import asyncio
import zlib

from starlette.requests import Request

from opsin.serving.settings import Settings
from opsin.serving.status import StatusError, invalid

_MOST_TIMES = 200
"""How many times larger than it came a body may be when it is unpacked, once it is larger than `_HARMLESS`."""
_HARMLESS = 2**20
_STEP = 2**18


class Disconnected(Exception):  # noqa: N818 - nobody is there to be told
    """The client has gone."""


class Bodies:
    """Reads bodies, of which there are only so many bytes at a time.

    Args:
        settings: how large, and how slow, they may be.
    """

    def __init__(self, settings: Settings):
        self._most = settings.max_bytes
        self._seconds = settings.read_timeout
        self._most_in_flight = settings.max_bytes_in_flight
        self.in_flight = 0

    async def read(self, request: Request) -> bytes:
        """Return a request's body, unpacked.

        The bytes count as in flight until `release` is called with what is returned.

        Raises:
            StatusError: it is too large, there is no room for it, it comes too slowly, or is packed in another way
                than gzip.
            Disconnected: the client has gone.
        """
        coding = request.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "gzip", "x-gzip", ""):
            raise StatusError(
                "UNSUPPORTED_MEDIA_TYPE", f"Expected Content-Encoding gzip or none; received {coding[:100]!r}."
            )
        declared = request.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared[:20]) > self._most:
            raise self._too_large(f"{declared[:20]} bytes")
        try:
            async with asyncio.timeout(self._seconds):
                content = await self._receive(request)
        except TimeoutError:
            raise StatusError(
                "REQUEST_TIMEOUT", f"Expected the whole request within {self._seconds:g} s; it came too slowly."
            ) from None
        if coding in ("identity", "") or not content:
            return content
        try:
            unpacked = await asyncio.to_thread(unpack, content, self._most)
        finally:
            self.release(content)
        self.in_flight += len(unpacked)
        try:
            self._require_room()
        except StatusError:
            self.release(unpacked)
            raise
        return unpacked

    def release(self, content: bytes) -> None:
        """Let go of a body."""
        self.in_flight -= len(content)

    async def _receive(self, request: Request) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            while True:
                message = await request.receive()
                if message["type"] != "http.request":
                    raise Disconnected
                # Whoever refuses it need not wait for more.
                request.scope["opsin.read"] = not message.get("more_body")
                part = message.get("body", b"")
                size += len(part)
                self.in_flight += len(part)
                if size > self._most:
                    raise self._too_large("more")
                self._require_room()
                parts.append(part)
                if not message.get("more_body"):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
        except BaseException:
            self.in_flight -= size
            raise

    def _require_room(self) -> None:
        if self.in_flight > self._most_in_flight:
            raise StatusError(
                "RESOURCE_EXHAUSTED",
                f"Requests of {self._most_in_flight} bytes are in flight already. Try again.",
                {"Retry-After": "1"},
            )

    def _too_large(self, received: str) -> StatusError:
        return StatusError("TOO_LARGE", f"Expected a request of at most {self._most} bytes; received {received}.")


def unpack(content: bytes, most: int) -> bytes:
    """Return what was packed by gzip.

    Args:
        content: the packed bytes.
        most: how many bytes may come out.

    Raises:
        StatusError: it is damaged, or more comes out than may.
    """
    unpacker, out = zlib.decompressobj(wbits=31), bytearray()
    rest = content
    try:
        while not unpacker.eof and (rest or not out):
            out += unpacker.decompress(rest, _STEP)
            rest = unpacker.unconsumed_tail
            if len(out) > most:
                raise StatusError(
                    "TOO_LARGE", f"Expected a request of at most {most} bytes when it is unpacked; received more."
                )
            if len(out) > max(_HARMLESS, _MOST_TIMES * len(content)):
                raise StatusError(
                    "TOO_LARGE",
                    f"Expected gzip that unpacks to at most {_MOST_TIMES} times its size; received more.",
                )
            if not rest and not unpacker.eof:
                break
    except zlib.error as error:
        raise invalid("Expected a body packed by gzip, as Content-Encoding says; it cannot be unpacked.") from error
    if not unpacker.eof:
        raise invalid("Expected a whole body packed by gzip; it is cut off.")
    return bytes(out)

"""A client's connection: HTTP/1.1 as uvicorn speaks it, with an end to its patience."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_BYTES = 16 * 1024
"""How long an address and headers may be together, and what comes in vain between two parts of a body."""


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, with bounds.

    A client has only so long to send the headers of a request, what it goes on to send once it has its answer, and to
    take an answer; and headers are only so large.
    """

    _reads_headers = False
    _headers = 0
    """How long what was read of them is."""
    _in_vain = 0
    """Bytes since there last was something whole: the parser keeps what is not."""
    _waiting: asyncio.TimerHandle | None = None
    """For what the client has to send."""
    _writing: asyncio.TimerHandle | None = None
    """For what it has to take."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Go on waiting only while headers are not whole, or nobody reads what comes."""
        self._in_vain += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_vain > HEADER_BYTES:
            self.send_400_response("Invalid HTTP request received.")
        elif not self._reads_headers and self._is_answering():
            self._waited()
        elif self._waiting is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._waited()
        self._written()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for the client to take some of an answer."""
        super().pause_writing()
        self._write_by()

    def resume_writing(self) -> None:
        """Go on writing."""
        if not self.transport.is_closing():
            self._written()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Wait for the client to take all of an answer, after which the connection is closed."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._write_by()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that is not used; one whose client takes nothing, at once."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def on_message_begin(self) -> None:
        """Begin to read a request."""
        self._reads_headers, self._headers = True, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self._read_header(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        self._read_header(len(name) + len(value))
        # The parser leaves what may stand after a value; it is no part of it (RFC 9110, section 5.5).
        super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """Let the request be answered."""
        self._reads_headers, self._in_vain = False, 0
        super().on_headers_complete()
        if self.parser.should_upgrade():
            # To no other protocol; and the parser takes nothing after that.
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._in_vain = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        self._in_vain = 0
        super().on_message_complete()

    def _read_header(self, size: int) -> None:
        self._headers += size
        if self._headers > HEADER_BYTES:
            # The parser makes an error of its own of it, which is answered as other bad requests are.
            raise ValueError("the headers are too large")

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(self.config.timeout_keep_alive, self._give_up)

    def _waited(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _write_by(self) -> None:
        if self._writing is None:
            self._writing = self.loop.call_later(self.config.timeout_keep_alive, self.transport.abort)

    def _written(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _give_up(self) -> None:
        if self._is_answering():
            # It began another request meanwhile; what it asked before is answered.
            self._wait()
        else:
            self.transport.abort()

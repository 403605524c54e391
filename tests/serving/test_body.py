"""How many bytes of bodies are in flight."""

import asyncio
import gzip
import threading

import pytest
from starlette.requests import Request

from opsin.serving.body import Bodies
from opsin.serving.status import StatusError

from .conftest import settings


def packed(content):
    async def receive():
        return {"type": "http.request", "body": gzip.compress(content)}

    return Request({"type": "http", "headers": [(b"content-encoding", b"gzip")]}, receive)


def test_what_is_unpacked_counts_and_is_refused_where_there_is_no_room_for_it():
    bodies = Bodies(settings(max_bytes_in_flight=10_000))

    async def story():
        first = await bodies.read(packed(b"a" * 6000))
        with pytest.raises(StatusError, match="10000 bytes are in flight") as refused:
            await bodies.read(packed(b"b" * 6000))
        counted = bodies.in_flight
        bodies.release(first)
        return refused.value, counted, len(await bodies.read(packed(b"b" * 6000)))

    refused, counted, later = asyncio.run(story())

    assert (refused.http, refused.headers, counted, later) == (429, {"Retry-After": "1"}, 6000, 6000)


def test_what_is_given_up_while_it_is_unpacked_counts_no_more(monkeypatch):
    bodies = Bodies(settings())
    started, ended = threading.Event(), threading.Event()

    def unpack(content, most):
        started.set()
        ended.wait(20)
        return b""

    monkeypatch.setattr("opsin.serving.body.unpack", unpack)

    async def story():
        reading = asyncio.create_task(bodies.read(packed(b"a")))
        await asyncio.to_thread(started.wait, 20)
        reading.cancel()
        await asyncio.wait([reading])
        ended.set()
        return bodies.in_flight

    assert asyncio.run(story()) == 0

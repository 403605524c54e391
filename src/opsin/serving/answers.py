"""Answers in HTTP: JSON that worked, and errors in TensorFlow Serving's envelope."""

import asyncio
import contextlib
import json
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from opsin.serving.status import StatusError

JSON = "application/json"
_DRAIN_SECONDS = 1.0
_ENCODER = json.JSONEncoder(ensure_ascii=False)


def answer(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return JSON, of a document or of text that is JSON already."""
    content = document if isinstance(document, str) else _ENCODER.encode(document)
    return Response(content.encode("utf-8", "replace"), status, headers, JSON)


def failure(error: StatusError) -> Response:
    """Return an error: `{"error": "..."}`."""
    return answer({"error": error.message}, error.http, error.headers)


async def refuse(error: StatusError, receive: Receive, send: Send, scope: Scope | None = None) -> None:
    """Answer with an error before the request's body has been read, and close the connection."""
    await drain(receive)
    response = failure(error)
    response.headers["connection"] = "close"
    await response(scope or {"type": "http", "method": "POST"}, receive, send)


async def drain(receive: Receive) -> None:
    """Let a client send on for a moment: one that is cut off while it sends does not read the answer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body"):
                    return

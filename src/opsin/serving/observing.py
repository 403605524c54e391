"""Each request is counted, and is a line of JSON in the access log."""

import json
import logging
import random
import time
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opsin.serving.metrics import Metrics

access = logging.getLogger("opsin.serving.access")


class Observing:
    """Counts requests and writes them down.

    Args:
        app: what answers.
        metrics: where they are counted.
        log_requests: whether they are written.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, log_requests: bool = True):
        self._app = app
        self._metrics = metrics
        self._log = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request be answered, and note it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        noted = scope["opsin.log"] = {"verb": "other"}
        status, sent, identity = 500, 0, f"{random.getrandbits(64):016x}"

        async def send_noted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", identity.encode())]
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            seconds = time.perf_counter() - start
            self._metrics.answered(noted["verb"], status, seconds)
            if self._log:
                client = scope.get("client") or ("",)
                line = {
                    "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                    "request": identity,
                    "client": client[0],
                    "method": scope["method"],
                    "path": scope["path"][:500],
                    "status": status,
                    "ms": round(1000 * seconds, 2),
                    "bytes_out": sent,
                    **noted,
                }
                access.info(json.dumps(line, ensure_ascii=True))

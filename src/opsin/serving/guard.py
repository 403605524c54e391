"""Nobody where they do not belong: which hosts, origins and keys may ask, before anything else looks at a request."""

import hmac
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opsin.serving.answers import refuse
from opsin.serving.settings import Settings
from opsin.serving.status import StatusError

OPEN = ("/healthz", "/readyz")
"""What needs no key: those who ask whether a server lives have none."""
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; style-src 'self'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Guard:
    """Refuses requests by their `Host`, `Origin` and key; on every route and method.

    Args:
        app: what answers the others.
        settings: who may ask.
    """

    def __init__(self, app: ASGIApp, settings: Settings):
        self._app = app
        self._hosts = settings.hosts
        self._origins = frozenset(origin.lower().rstrip("/") for origin in settings.allow_origin)
        self._key = settings.api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        origin = headers.get(b"origin", [None])[0]
        extra = [*_HEADERS, *self._cors(origin)]

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        try:
            host = self._check_host(headers)
            # Browsers send no key when they ask whether they may ask.
            if scope["method"] == "OPTIONS" and self._cors(origin):
                await _preflight(send_guarded)
                return
            self._check_caller(scope, host, headers)
        except StatusError as error:
            await refuse(error, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _check_host(self, headers: dict[bytes, list[bytes]]) -> str:
        hosts = headers.get(b"host", [])
        if len(hosts) != 1:
            raise StatusError("INVALID_ARGUMENT", f"Expected one Host header; received {len(hosts)}.")
        host = hosts[0].decode("latin-1").lower()
        if "*" not in self._hosts and _name_of(host) not in self._hosts:
            raise StatusError(
                "MISDIRECTED",
                f"Expected a Host that this server is known by; received {host[:200]!r}. Whoever runs it can add one "
                "with --allow-host.",
            )
        return host

    def _check_caller(self, scope: Scope, host: str, headers: dict[bytes, list[bytes]]) -> None:
        if scope["method"] != "OPTIONS":
            # What may not be asked from elsewhere is not told so in CORS headers either: browsers then do not ask.
            self._check_origin(host, headers, scope.get("scheme", "http"))
        if self._key and scope["path"] not in OPEN and not self._has_key(headers):
            raise StatusError(
                "UNAUTHENTICATED",
                "Expected a valid key, as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'; received none.",
                {"WWW-Authenticate": "Bearer"},
            )

    def _check_origin(self, host: str, headers: dict[bytes, list[bytes]], scheme: str) -> None:
        for origin in headers.get(b"origin", []):
            text = origin.decode("latin-1").lower()
            if text != f"{scheme}://{host}" and text not in self._origins:
                raise StatusError(
                    "PERMISSION_DENIED",
                    f"Expected no web page of another origin; received {text[:200]!r}. Whoever runs this server can "
                    "allow it with --allow-origin.",
                )
        # A picture or a script that a foreign page embeds is asked for without an Origin.
        if b"cross-site" in headers.get(b"sec-fetch-site", []) and b"origin" not in headers:
            raise StatusError("PERMISSION_DENIED", "Expected no request from a web page of another origin.")

    def _has_key(self, headers: dict[bytes, list[bytes]]) -> bool:
        given = list(headers.get(b"x-api-key", []))
        given += [value[7:].strip() for value in headers.get(b"authorization", []) if value[:7].lower() == b"bearer "]
        return any(hmac.compare_digest(value, self._key) for value in given)

    def _cors(self, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        if origin is None or origin.decode("latin-1").lower() not in self._origins:
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", b"POST, GET"),
            (b"access-control-allow-headers", b"Content-Type, Authorization, X-API-Key"),
            (b"vary", b"Origin"),
        ]


def _name_of(host: str) -> str:
    """Return a host without its port.

    >>> _name_of("localhost:8501"), _name_of("[::1]:8501"), _name_of("127.0.0.1")
    ('localhost', '::1', '127.0.0.1')
    """
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


async def _preflight(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})

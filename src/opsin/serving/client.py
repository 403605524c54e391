"""`opsin.Client`: ask a server that runs elsewhere; the standard library alone."""

import http.client
import json
import os
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from opsin.errors import OpsinError, PictureError, UsageError

Picture = str | os.PathLike | bytes
_AGAIN = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


class ServerError(OpsinError):
    """A server did not answer as was hoped.

    Args:
        status: HTTP's; 0 if there was no answer.
        message: what it said.
        retry_after: in how many seconds to come again; None if it did not say.
    """

    def __init__(self, status: int, message: str, retry_after: float | None = None):
        super().__init__(f"Expected an answer from the server; it says {status}: {message}" if status else message)
        self.status = status
        self.retry_after = retry_after


class Client:
    """Asks `opsin serve`, or another server that speaks TensorFlow Serving's REST API.

    One connection a thread is kept open; a client may be used by several threads.

    Args:
        address: of the server: `http://localhost:8501`.
        api_key: what it wants to be sent, if anything.
        timeout: seconds to wait for an answer.

    Raises:
        UsageError: the address is none.

    >>> Client("localhost")
    Traceback (most recent call last):
    opsin.errors.UsageError: Expected an address as http://localhost:8501; received 'localhost'.
    """

    def __init__(self, address: str = "http://localhost:8501", *, api_key: str | None = None, timeout: float = 60.0):
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"Expected an address as http://localhost:8501; received {address!r}.")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._place = parts.hostname, parts.port
        self._path = parts.path.rstrip("/")
        self._headers = {} if api_key is None else {"X-API-Key": api_key}
        self._timeout = timeout
        self._local = threading.local()

    def classify(
        self, picture: Picture, model: str, *, version: int | None = None, top_k: int | None = None
    ) -> dict[str, Any]:
        """Name the class of one picture.

        Args:
            picture: its file's path, or its content.
            model: the model's name.
            version: of the model; None for the one that answers by default.
            top_k: how many classes to name; None for the server's choice.

        Returns:
            `label`, `probability`, `unknown` and `top`.

        Raises:
            PictureError: it cannot be read, here or there.
            ServerError: the server cannot be asked, or refuses.
        """
        (said,) = self.classify_many([picture], model, version=version, top_k=top_k)
        if "error" in said:
            raise PictureError(said["error"], None if isinstance(picture, bytes) else os.fspath(picture))
        return said

    def classify_many(
        self, pictures: Sequence[Picture], model: str, *, version: int | None = None, top_k: int | None = None
    ) -> list[dict[str, Any]]:
        """Name the classes of several pictures in one request; one that cannot be read has `error` in its place.

        Raises:
            PictureError: a file cannot be read here.
            ServerError: the server cannot be asked, or refuses.
        """
        # A new one each time: a picture that holds it would end where it says, and go on as others.
        boundary = secrets.token_hex(16)
        parts = []
        for number, picture in enumerate(pictures):
            content = picture if isinstance(picture, bytes) else _read(picture)
            head = f'Content-Disposition: form-data; name="images"; filename="{number}"\r\n\r\n'
            parts.append(f"--{boundary}\r\n{head}".encode() + content + b"\r\n")
        body = b"".join(parts) + f"--{boundary}--\r\n".encode()
        query = "" if top_k is None else f"?top_k={top_k}"
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        path = f"{_address(model, version)}:classify_image{query}"
        status, found, headers = self._ask("POST", path, body, kind)
        if "predictions" not in found:
            raise _refused(status, found, headers)
        said = found["predictions"]
        if not isinstance(said, list) or len(said) != len(pictures):
            raise ServerError(status, f"something else than {len(pictures)} predictions, one for each picture")
        return [{key: value for key, value in one.items() if key != "name"} for one in said]

    def predict(
        self, instances: Sequence[Any], model: str, *, version: int | None = None, signature: str | None = None
    ) -> list[Any]:
        """Run a signature on rows, as TensorFlow Serving's `:predict`; bytes become base64.

        Raises:
            ServerError: the server cannot be asked, or refuses.
        """
        document: dict[str, Any] = {"instances": [_plain(one) for one in instances]}
        if signature is not None:
            document["signature_name"] = signature
        kind = {"Content-Type": "application/json"}
        status, found, headers = self._ask(
            "POST", f"{_address(model, version)}:predict", json.dumps(document).encode(), kind
        )
        if status != 200 or "predictions" not in found:
            raise _refused(status, found, headers)
        return found["predictions"]

    def metadata(self, model: str, *, version: int | None = None) -> dict[str, Any]:
        """Return a model's signatures.

        Raises:
            ServerError: the server cannot be asked, or refuses.
        """
        status, found, headers = self._ask("GET", f"{_address(model, version)}/metadata")
        if status != 200 or "metadata" not in found:
            raise _refused(status, found, headers)
        return found

    def is_ready(self) -> bool:
        """Tell whether the server takes requests."""
        try:
            return self._ask("GET", "/readyz")[0] == 200
        except ServerError:
            return False

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any], http.client.HTTPMessage]:
        kept = getattr(self._local, "connection", None) is not None
        try:
            return self._send(method, path, body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            # A connection that was kept open may have been closed since; on a new one it is an answer.
            if kept and isinstance(error, _AGAIN):
                return self._ask(method, path, body, headers)
            where = f"{self._place[0]}:{self._place[1] or ''}".rstrip(":")
            raise ServerError(0, f"Expected a server at {where}; it cannot be asked: {error!r}.") from error

    def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str] | None
    ) -> tuple[int, dict[str, Any], http.client.HTTPMessage]:
        if getattr(self._local, "connection", None) is None:
            self._local.connection = self._kind(*self._place, timeout=self._timeout)
        connection = self._local.connection
        connection.request(method, self._path + path, body, {**self._headers, **(headers or {})})
        response = connection.getresponse()
        content = response.read()
        return response.status, _parse(content), response.headers


def _parse(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        # Proxies, and servers that have no room, answer in plain text.
        return {"error": content[:500].decode("utf-8", "replace")}
    return found if isinstance(found, dict) else {}


def _address(model: str, version: int | None) -> str:
    where = f"/v1/models/{quote(model, safe='')}"
    return where if version is None else f"{where}/versions/{version}"


def _read(path: str | os.PathLike) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise PictureError(f"it cannot be read: {error.strerror}", os.fspath(path)) from error


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        import base64

        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _refused(status: int, found: dict[str, Any], headers: http.client.HTTPMessage) -> ServerError:
    after = headers.get("Retry-After", "")
    return ServerError(status, str(found.get("error", "nothing")), float(after) if after.isdecimal() else None)

"""Pictures from the web: fetched from public addresses only, within limits of size and time."""

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

from opsin.errors import PictureError

if TYPE_CHECKING:
    from http.client import HTTPResponse

MAX_BYTES = 50_000_000
SECONDS = 10.0
"""How long fetching a picture may take in all."""
MAX_REDIRECTS = 3

_REDIRECTS = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}


def download(url: str) -> bytes:
    """Fetch a file from a public address.

    The machine's own network stays out of reach: a name is resolved once, every address it stands for must be public,
    and the connection is made to that very address, so that a name cannot change its meaning in between. Redirects are
    checked alike. Proxies are not used, since a proxy would resolve the name again. How long a name may take to be
    resolved is up to the system; all else has `SECONDS` together.

    Raises:
        PictureError: it cannot be had; the reason says why.
    """
    deadline = time.monotonic() + SECONDS
    with _explaining(deadline):
        for _ in range(MAX_REDIRECTS + 1):
            with _asking(_split(url), deadline) as response:
                if response.status not in _REDIRECTS:
                    return _content(response, deadline)
                url = urljoin(url, response.getheader("Location") or "")
    raise PictureError(f"it is redirected more than {MAX_REDIRECTS} times")


def require_public(address: str) -> None:
    """Raise unless an IP address belongs to the public internet.

    Raises:
        PictureError: it is private, loopback, link-local, multicast or reserved.

    >>> require_public("8.8.8.8")
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if ip.version == 6 and (ip.ipv4_mapped or ip in _NAT64):
        # An IPv4 address, written as IPv6: that is what would be connected to.
        ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    is_tunnel = ip.version == 6 and bool(ip.sixtofour or ip.teredo)
    if not ip.is_global or ip.is_multicast or ip.is_reserved or is_tunnel:
        raise PictureError(f"its address {address} is none of the public internet, and others are not fetched from")


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise PictureError(f"its address cannot be understood ({error})") from error
    if parts.scheme not in _PORTS or not host or port == 0:
        raise PictureError(f"it is at {url!r}; only http and https addresses are fetched")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise PictureError("its address has characters that must be written as %XX")
    return parts


@contextlib.contextmanager
def _asking(parts: SplitResult, deadline: float) -> "Iterator[HTTPResponse]":
    from http.client import HTTPConnection

    connection = HTTPConnection(parts.hostname or "")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Host": parts.netloc.rpartition("@")[2], "User-Agent": "opsin", "Accept": "image/*"}
    with _connecting(parts, deadline) as connection.sock:
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as response:
            yield response


@contextlib.contextmanager
def _connecting(parts: SplitResult, deadline: float) -> Iterator[socket.socket]:
    """Connect to the address that was checked; the name stays what is asked for, and what TLS proves."""
    host = parts.hostname or ""
    found = socket.getaddrinfo(host, parts.port or _PORTS[parts.scheme], type=socket.SOCK_STREAM)
    for *_, place in found:
        require_public(str(place[0]))
    opened = _open(found, deadline)
    if parts.scheme == "https":
        import ssl

        context = ssl.create_default_context()
        opened = context.wrap_socket(opened, server_hostname=host, do_handshake_on_connect=False)
    with opened, _ending(opened, deadline):
        if parts.scheme == "https":
            opened.do_handshake()
        yield opened


@contextlib.contextmanager
def _ending(opened: socket.socket, deadline: float) -> Iterator[None]:
    """End a connection at the deadline: a socket's own timeout starts anew with every byte that comes."""

    def end() -> None:
        with contextlib.suppress(OSError):
            # Past TLS, which would take its state away under the thread that reads.
            socket.socket.shutdown(opened, socket.SHUT_RDWR)

    timer = threading.Timer(max(0, deadline - time.monotonic()), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _open(found: list, deadline: float) -> socket.socket:
    for number, (family, kind, protocol, _, place) in enumerate(found, 1):
        opened = socket.socket(family, kind, protocol)
        try:
            _keep_to(opened, deadline)
            opened.connect(place)
        except OSError:
            opened.close()
            if number == len(found):
                raise
        else:
            return opened
    raise OSError("the name stands for no address")


def _content(response: "HTTPResponse", deadline: float) -> bytes:
    if response.status != 200:
        raise PictureError(f"the server answers {response.status} {response.reason}")
    # One more than is allowed tells that there is more, whatever the server says of the length.
    content = response.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise PictureError(f"it is larger than {MAX_BYTES:,} bytes, the most that is fetched")
    # Where no length was told, what ended at the deadline looks whole.
    if time.monotonic() >= deadline:
        raise TimeoutError
    if response.length:
        raise OSError("the connection ended before the picture did")
    return content


def _keep_to(opened: socket.socket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    opened.settimeout(left)


@contextlib.contextmanager
def _explaining(deadline: float) -> Iterator[None]:
    from http.client import HTTPException

    try:
        yield
    except (OSError, HTTPException, UnicodeError) as error:
        if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
            raise PictureError(f"it was not fetched within {SECONDS:g} seconds") from error
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise PictureError(f"it cannot be fetched: {reason}") from error

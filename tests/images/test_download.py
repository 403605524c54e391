"""Pictures from the web: public addresses only, checked where the connection is made, within limits."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from opsin.errors import PictureError
from opsin.images import download as downloading
from opsin.images.download import download, require_public
from opsin.images.link import Link
from opsin.images.preprocess import Preprocess

PICTURE = b"P2 1 1 255 7"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.headers["Host"], self.path))
        self.server.pages[self.path](self)

    def log_message(self, *words):
        pass


def answer(content=PICTURE, status=200, **headers):
    def page(handler):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return page


@pytest.fixture
def server():
    """A web server on this machine: `pages` says what is at each path, `asked` what was asked for."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.pages = [], {"/a.pgm": answer(Content_Length=len(PICTURE))}
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def let_in(monkeypatch):
    """Take 127.0.0.1, and no other, for a public address."""

    def check(address):
        if address != "127.0.0.1":
            require_public(address)

    monkeypatch.setattr(downloading, "require_public", check)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
        ),
        *("224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1"),
        *("ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::"),
        *("2001:db8::1", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
    ],
)
def test_an_address_that_is_not_of_the_public_internet_is_refused(address):
    with pytest.raises(PictureError, match="none of the public internet"):
        require_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_is_let_in(address):
    require_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_this_machine_is_not_asked_whatever_it_is_called(server, host):
    with pytest.raises(PictureError):
        download(f"http://{host}:{server.server_port}/a.pgm")
    assert server.asked == []


def test_a_picture_is_read_by_its_link_and_errors_name_it(server, let_in):
    server.pages["/no"] = answer(status=404)
    recipe = Preprocess(1, 1, color="gray")

    assert recipe.read(Link(f"{server.url}/a.pgm")).tolist() == [[[7]]]
    with pytest.raises(PictureError, match="the server answers 404 Not Found") as raised:
        recipe.read(Link(f"{server.url}/no"))
    assert raised.value.path == f"{server.url}/no"


def test_a_name_is_resolved_once_and_asked_at_the_address_that_was_checked(server, let_in, monkeypatch):
    resolved = []

    def resolve(host, port, **options):
        resolved.append(host)
        # The second time it would stand for another address, as a name whose owner means harm.
        place = "127.0.0.1" if len(resolved) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    assert download(f"http://pictures.example:{server.server_port}/a.pgm#here") == PICTURE
    assert resolved == ["pictures.example"]
    assert server.asked == [(f"pictures.example:{server.server_port}", "/a.pgm")]


def test_a_name_of_which_one_address_is_private_is_refused(server, let_in, monkeypatch):
    both = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, server.server_port)) for place in ("127.0.0.1", "10.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *words, **options: both)

    with pytest.raises(PictureError, match=r"10\.0\.0\.1 is none of the public internet"):
        download("http://pictures.example/a.pgm")
    assert server.asked == []


def test_redirects_are_followed_and_their_number_is_limited(server, let_in):
    for number in range(1, 5):
        target = "/a.pgm" if number == 1 else f"/{number - 1}"
        server.pages[f"/{number}"] = answer(b"", 302, Location=target)

    assert download(f"{server.url}/3") == PICTURE
    with pytest.raises(PictureError, match="more than 3 times"):
        download(f"{server.url}/4")


@pytest.mark.parametrize("target", ["http://127.0.0.2:{port}/a.pgm", "http://[::1]:{port}/a.pgm", "file:///etc/hosts"])
def test_a_redirect_is_checked_as_the_first_address_is(server, let_in, target):
    server.pages["/away"] = answer(b"", 302, Location=target.format(port=server.server_port))

    with pytest.raises(PictureError, match=r"none of the public internet|only http and https"):
        download(f"{server.url}/away")
    assert [path for _, path in server.asked] == ["/away"]


@pytest.mark.parametrize("headers", [{}, {"Content_Length": 101}], ids=["no length", "length"])
def test_what_is_too_large_is_refused(server, let_in, monkeypatch, headers):
    monkeypatch.setattr(downloading, "MAX_BYTES", 100)
    server.pages |= {"/large": answer(b"x" * 101, **headers), "/fits": answer(b"x" * 100)}

    assert download(f"{server.url}/fits") == b"x" * 100
    with pytest.raises(PictureError, match="larger than 100 bytes"):
        download(f"{server.url}/large")


@pytest.mark.parametrize("started", [b"", b"HTTP/1.0 200 OK\r\nX: ", b"HTTP/1.0 200 OK\r\n\r\nP2 1"])
def test_what_takes_too_long_is_given_up_whatever_has_come(server, let_in, monkeypatch, started):
    gone = threading.Event()

    def drip(handler):
        handler.wfile.write(started)
        while not gone.wait(0.01):
            try:
                handler.wfile.write(b"x")
            except OSError:
                gone.set()

    server.pages["/slow"] = drip
    monkeypatch.setattr(downloading, "SECONDS", 0.2)

    with pytest.raises(PictureError, match=r"not fetched within 0\.2 seconds"):
        download(f"{server.url}/slow")
    gone.set()


def test_a_picture_that_is_cut_off_on_the_way_is_an_error(server, let_in):
    server.pages["/cut"] = answer(PICTURE[:5], Content_Length=len(PICTURE))

    with pytest.raises(PictureError, match="ended before the picture did"):
        download(f"{server.url}/cut")


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example/b", "http://", "http:///a.png", "http://a:99999/", "http://a.example/b c", "http://a/\r\nX: y"],
)
def test_what_is_no_address_of_a_picture_is_an_error(url):
    with pytest.raises(PictureError):
        download(url)

"""Nobody where they do not belong, and nothing without bounds."""

import asyncio
import contextlib
import gzip
import json
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib

import pytest

from opsin.errors import UsageError
from opsin.serving.app import Server
from opsin.serving.json_reading import parse
from opsin.serving.models import Models
from opsin.serving.settings import Settings
from opsin.serving.status import StatusError

from .conftest import half_plus, model, running, settings

PREDICT = "/v1/models/half:predict"
BODY = '{"instances": [2.0]}'
ROUTES = ("/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/v1/models/half", "/v2", "/nowhere")


def serving(**changes):
    return running(Server(Models({"half": model("half", {1: half_plus(2)})}), settings(**changes)))


@pytest.fixture(scope="module")
def bounded():
    with serving(max_bytes=2000, read_timeout=0.3, max_values=100) as found:
        yield found


@pytest.fixture(scope="module")
def locked():
    with serving(
        api_key="a long secret", allow_origin=("https://app.example",), allow_host=("models.example",)
    ) as found:
        yield found


def talk(found, content, *, seconds=10.0):
    """Send bytes, and return all that comes until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", found.port), timeout=seconds) as connection:
        connection.sendall(content)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


# Host and Origin


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_a_foreign_host_is_refused_on_every_route_and_method(small, path, method):
    reply = small.ask(method, path, headers={"Host": "evil.example"})

    assert reply.status == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8501", "[::1]:1", "LOCALHOST"])
def test_this_machines_own_names_are_welcome(small, host):
    assert small.get("/healthz", Host=host).status == 200


@pytest.mark.parametrize("host", ["", "localhost.evil.example", "127.0.0.1.nip.io", "localhost:1@evil.example", "[::1"])
def test_names_that_look_like_it_are_not(small, host):
    assert small.get("/healthz", Host=host).status == 421


def test_one_host_is_expected(small):
    assert talk(small, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 400")
    twice = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"
    assert talk(small, twice).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "file://"])
def test_the_page_of_another_origin_is_refused(small, origin):
    reply = small.post(PREDICT, BODY, Origin=origin, Content_Type="text/plain")

    assert reply.status == 403
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_what_a_foreign_page_embeds_is_refused(small):
    assert small.get("/v1/models/half", **{"Sec-Fetch-Site": "cross-site"}).status == 403


def test_a_page_of_the_servers_own_is_welcome(small):
    host = f"localhost:{small.port}"
    assert small.post(PREDICT, BODY, Host=host, Origin=f"http://{host}").status == 200


def test_an_origin_that_was_allowed_is_let_in_and_told_so(locked):
    headers = {"Origin": "https://app.example", "X-API-Key": "a long secret"}

    # Browsers ask first, and send no key with that.
    asked = locked.ask("OPTIONS", PREDICT, headers={"Origin": "https://app.example"})
    done = locked.post(PREDICT, BODY, **headers)
    without = locked.post(PREDICT, BODY, Origin="https://app.example")

    assert (asked.status, done.status, without.status) == (200, 200, 401)
    assert asked.headers["access-control-allow-methods"] == "POST, GET"
    assert "X-API-Key" in asked.headers["access-control-allow-headers"]
    assert {reply.headers["access-control-allow-origin"] for reply in (asked, done)} == {"https://app.example"}


def test_a_preflight_of_another_origin_or_to_another_host_is_answered_as_ever(locked):
    other = locked.ask("OPTIONS", PREDICT, headers={"Origin": "https://evil.example"})
    elsewhere = locked.ask("OPTIONS", PREDICT, headers={"Origin": "https://app.example", "Host": "evil.example"})

    assert (other.status, elsewhere.status) == (401, 421)
    assert not [name for name in other.headers if name.startswith("access-control")]


# Keys


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"X-API-Key": "wrong"}, 401),
        ({"X-API-Key": "a long secret "}, 200),
        ({"Authorization": "Bearer a long secret"}, 200),
        ({"Authorization": "Basic a long secret"}, 401),
        ({"Authorization": "a long secret"}, 401),
    ],
)
def test_a_key_is_needed_where_one_is_set(locked, headers, status):
    assert locked.post(PREDICT, BODY, **headers).status == status
    assert locked.get("/metrics", **headers).status == status


def test_whether_it_lives_needs_no_key(locked):
    assert (locked.get("/healthz").status, locked.get("/readyz").status) == (200, 200)


def test_another_address_needs_a_key_or_the_word_that_there_is_none():
    with pytest.raises(UsageError, match=r"Expected --api-key with --host 0\.0\.0\.0"):
        Settings(host="0.0.0.0")
    assert Settings(host="0.0.0.0", no_auth=True).hosts == {"localhost", "127.0.0.1", "::1"}
    assert "a long secret" not in repr(Settings(api_key="a long secret"))


# Bodies


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read(bounded):
    request = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n".encode()

    received = talk(bounded, request)

    assert received.startswith(b"HTTP/1.1 413")
    assert b"at most 2000 bytes; received 99999999 bytes" in received


def test_a_body_in_chunks_is_counted(bounded):
    chunk = b"400\r\n" + b" " * 1024 + b"\r\n"
    request = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()

    received = talk(bounded, request + 3 * chunk)

    assert received.startswith(b"HTTP/1.1 413")


def test_a_client_that_does_not_send_its_body_is_not_waited_for(bounded):
    request = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n".encode()

    received = talk(bounded, request + b"{")

    assert received.startswith(b"HTTP/1.1 408")
    assert b"within 0.3 s" in received


def test_chunks_that_stop_are_not_waited_for(bounded):
    request = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()

    assert talk(bounded, request + b"5\r\nabcde\r\n").startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "beginning", [b"", b"GET /healthz HTTP/1.1\r\nHost: loc", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"]
)
def test_a_client_that_does_not_send_its_headers_is_not_waited_for(bounded, beginning):
    start = time.monotonic()

    assert talk(bounded, beginning) == b""

    assert time.monotonic() - start < 5


def test_a_client_that_has_its_answer_is_not_waited_for_to_send_the_rest_of_its_request(bounded):
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", bounded.port), timeout=10) as connection:
        connection.sendall(request)
        answered = b""
        while not answered.endswith(b"}"):
            answered += connection.recv(65536)
        connection.sendall(b"x")

        assert answered.startswith(b"HTTP/1.1 200")
        assert connection.recv(65536) == b""


@pytest.mark.parametrize("connection_header", ["keep-alive", "close"])
@pytest.mark.parametrize("values", [40_000, 5_000], ids=["more than is buffered", "as much as is buffered"])
def test_a_client_that_does_not_take_its_answer_is_not_waited_for(values, connection_header):
    body = json.dumps({"instances": [2] * values})
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection_header}\r\n"
    server = Server(Models({"half": model("half", {1: half_plus(2)})}), settings(read_timeout=1))
    with running(server, send_buffer=2048) as found, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", found.port))
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())

        found.wait_until(lambda: b"HTTP/1.1" in connection.recv(20, socket.MSG_PEEK))
        found.wait_until(lambda: not found.connections)


HALF_ASKED = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
IN_CHUNKS = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


@pytest.mark.parametrize(
    "request_",
    [
        HALF_ASKED + b"X: " + b"x" * 70000,
        HALF_ASKED + b"x" * 70000,
        HALF_ASKED + 1000 * b"Some-Header: and a value\r\n" + b"\r\n",
        b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"x" * 70000,
        b"\r\n" * 35000,
        IN_CHUNKS + b"1;" + b"x" * 700_000,
        IN_CHUNKS + b"1\r\n \r\n0\r\n" + b"X: " + b"x" * 700_000,
    ],
    ids=["value", "name", "many", "address", "half an address", "blank lines", "extension of a chunk", "trailer"],
)
def test_headers_are_bounded(request_):
    with (
        serving() as found,
        socket.create_connection(("127.0.0.1", found.port), timeout=10) as connection,
        # It closes what it need not read to its end.
        contextlib.suppress(ConnectionError),
    ):
        connection.sendall(request_)
        answered = b""
        while part := connection.recv(65536):
            answered += part

        assert answered.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: +3\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"X: a\nb: c\r\n\0",
    ],
)
def test_a_request_whose_end_is_in_doubt_is_refused(bounded, lines):
    """Who stands in front of the server could take another part of it for the next request."""
    request = b"POST " + PREDICT.encode() + b" HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n0\r\n\r\n"

    assert talk(bounded, request).startswith(b"HTTP/1.1 400")


def test_another_protocol_is_not_spoken(bounded):
    request = HALF_ASKED + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"

    received = talk(bounded, request)

    assert received.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in received


def test_an_answer_comes_though_the_next_request_does_not():
    slow = half_plus(2)
    at_once = slow.run

    async def run(signature, inputs):
        await asyncio.sleep(1.5)
        return await at_once(signature, inputs)

    slow.run = run
    asked = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}".encode()
    with running(Server(Models({"half": model("half", {1: slow})}), settings(read_timeout=1))) as found:
        received = talk(found, asked + HALF_ASKED)

    assert received.startswith(b"HTTP/1.1 200")
    assert b"3.0" in received


def test_gzip_is_bounded_in_what_it_unpacks_to(bounded):
    reply = bounded.post(PREDICT, gzip.compress(b" " * 100_000), Content_Encoding="gzip")

    assert (reply.status, "at most 2000 bytes when it is unpacked" in reply.error) == (413, True)


def test_gzip_is_bounded_in_its_ratio(small):
    bomb = gzip.compress(b" " * 20_000_000)

    reply = small.post(PREDICT, bomb, Content_Encoding="gzip")

    assert (reply.status, "at most 200 times its size" in reply.error) == (413, True)


@pytest.mark.parametrize(
    ("body", "coding", "status"),
    [
        (b"no gzip", "gzip", 400),
        # Without its time: workers must agree on a test's name.
        (gzip.compress(BODY.encode(), mtime=0)[:-9], "gzip", 400),
        (zlib.compress(BODY.encode()), "deflate", 415),
        (BODY.encode(), "br", 415),
        (gzip.compress(gzip.compress(BODY.encode(), mtime=0), mtime=0), "gzip, gzip", 415),
    ],
)
def test_what_is_no_gzip_is_refused(small, body, coding, status):
    reply = small.post(PREDICT, body, Content_Encoding=coding)

    assert reply.status == status
    # A connection goes on where the whole body was taken.
    assert (reply.headers.get("connection") == "close") == (status == 415)


# JSON


@pytest.mark.parametrize("levels", [20_000, 500_000])
@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_refused_and_nothing_falls_over(small, levels, brackets):
    deep = brackets[0] * levels + "1" + brackets[1] * levels

    reply = small.post(PREDICT, f'{{"instances": [2.0], "nested": {deep}}}')

    assert (reply.status, "at most 128 levels" in reply.error) == (400, True)
    assert small.post(PREDICT, BODY).status == 200


def test_brackets_in_strings_are_no_nesting(small):
    text = json.dumps('[{"\\' * 1000)

    assert small.post(PREDICT, f'{{"beside": {text}, "instances": [2.0]}}').json == {"predictions": [3.0]}


def test_deep_values_of_a_tensor_are_refused_where_numpy_has_no_more_dimensions(small):
    reply = small.post(PREDICT, '{"instances": ' + "[" * 100 + "1" + "]" * 100 + "}")

    assert reply.status == 400


def test_the_number_of_values_is_bounded(bounded):
    reply = bounded.post(PREDICT, json.dumps({"instances": [1] * 200}))

    assert (reply.status, "at most 100 values" in reply.error) == (413, True)


@pytest.mark.parametrize(
    "ask",
    [
        'from_base64(" " * 2**24 + "!")',
        """parse(b'{"a": Inf, "' + rb'\\"' * 2**22, max_values=9)""",
    ],
    ids=["blanks", "escaped quotes"],
)
def test_megabytes_that_match_nothing_are_looked_at_once(ask):
    # Looked at anew from each of their bytes, they take hours; and nobody can end that within this process.
    code = f"""
from opsin.serving.json_reading import parse
from opsin.serving.json_tensors import from_base64
from opsin.serving.status import StatusError
try:
    {ask}
except StatusError as error:
    print(error.code)
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.stdout.strip() == "INVALID_ARGUMENT", done.stderr


@pytest.mark.parametrize("body", [b'{"a": "%s" 1}', b'{"a": "%s", "b": Inf}'], ids=["no comma", "short constant"])
def test_a_long_string_beside_what_is_wrong_takes_no_more_memory_than_a_few_of_its_kind(body):
    body = body.replace(b"%s", b"x" * 2**20)
    tracemalloc.start()
    with contextlib.suppress(StatusError):
        parse(body, max_values=9)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 10 * len(body)


@pytest.mark.parametrize("body", [b"\xff\xfe{", b'{"instances": ["\\ud800"]}', b"\x00", b'{"\xff": 1}'])
def test_bytes_that_are_no_text_are_an_error_of_the_client(small, body):
    assert small.post(PREDICT, body).status == 400


# Errors


@pytest.mark.parametrize("path", ["/v1/models/..%2f..%2fetc%2fpasswd", "/v1/models/%00", "/v1/models/a%0d%0ab", "/%ff"])
def test_addresses_touch_no_file_and_break_nothing(small, path):
    reply = small.get(path)

    assert reply.status in (400, 404)
    assert "root:" not in reply.error


def test_a_model_that_fails_tells_nothing_of_itself(caplog):
    broken = half_plus(2)
    broken._functions["serving_default"] = lambda inputs: 1 / 0
    with running(Server(Models({"half": model("half", {1: broken})}), settings())) as found:
        reply = found.post(PREDICT, BODY)

    assert (reply.status, reply.error) == (500, "The server failed; its log says why.")


def test_a_request_that_takes_too_long_is_ended():
    slow = half_plus(2)

    async def run(signature, inputs):
        await asyncio.sleep(60)

    slow.run = run
    with running(Server(Models({"half": model("half", {1: slow})}), settings(timeout=0.2))) as found:
        reply = found.post(PREDICT, BODY)

    assert (reply.status, reply.error) == (504, "Expected an answer within 0.2 s; there is none yet.")


def test_an_own_timeout_of_the_network_is_not_taken_for_the_requests():
    hasty = half_plus(2)

    async def run(signature, inputs):
        raise TimeoutError

    hasty.run = run
    with running(Server(Models({"half": model("half", {1: hasty})}), settings())) as found:
        reply = found.post(PREDICT, BODY)

    assert (reply.status, reply.error) == (500, "The server failed; its log says why.")


def test_what_a_client_asked_that_has_gone_is_given_up():
    slow, began, given_up = half_plus(2), threading.Event(), threading.Event()

    async def run(signature, inputs):
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            given_up.set()
            raise

    slow.run = run
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(BODY)}\r\n\r\n"
    with running(Server(Models({"half": model("half", {1: slow})}), settings())) as found:
        with socket.create_connection(("127.0.0.1", found.port), timeout=10) as connection:
            connection.sendall(f"{head}{BODY}".encode())
            assert began.wait(10)
        assert given_up.wait(10)

        assert found.get("/healthz").status == 200
        found.wait_until(
            lambda: 'opsin_requests_total{status="499",verb="predict"} 1.0' in found.get("/metrics").content.decode()
        )


def test_answers_say_that_they_are_what_they_are(small):
    headers = small.get("/healthz").headers

    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers
    assert len(headers["x-request-id"]) == 16


def test_serving_loads_no_tensorflow():
    check = (
        "import sys, opsin.serving.run, opsin.serving.classifier_servable; "
        "print(sorted({'tensorflow', 'keras', 'torch'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)

    assert done.stdout.strip() == "[]"

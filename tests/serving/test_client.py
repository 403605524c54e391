"""`opsin.Client` and the server, one against the other."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import opsin
from opsin.classifier import FROM_CARD, Classifier
from opsin.errors import PictureError
from opsin.serving.app import Server
from opsin.serving.client import ServerError
from opsin.serving.models import Models

from .conftest import half_plus, model, running, settings
from .test_pictures import jpeg


@pytest.fixture
def client(flowers):
    with opsin.Client(f"http://127.0.0.1:{flowers.port}") as found:
        yield found


def test_a_picture_has_the_answer_of_the_model_itself(client, tiny_run, tmp_path):
    classifier = Classifier.open(tiny_run, threshold=FROM_CARD)
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(1))

    from_file, from_bytes = client.classify(path, "shapes", top_k=1), client.classify(jpeg(1), "shapes", version=1)

    wanted = classifier.predict(jpeg(1))
    assert (from_file["label"], from_file["probability"]) == (wanted.label, wanted.probability)
    assert [len(from_file["top"]), len(from_bytes["top"])] == [1, 3]
    assert from_bytes["top"][0]["probability"] == wanted.probability


def test_a_bad_picture_among_good_ones_has_its_error(client):
    good, bad = client.classify_many([jpeg(1), b"no picture"], "shapes")

    assert set(good) == {"label", "probability", "unknown", "top"}
    assert "none of the formats" in bad["error"]
    with pytest.raises(PictureError, match="none of the formats"):
        client.classify(b"no picture", "shapes")
    with pytest.raises(PictureError, match=r"'nowhere\.jpg'.*No such file"):
        client.classify("nowhere.jpg", "shapes")


def test_rows_go_to_any_signature(client, small, tiny_run):
    (row,) = client.predict([jpeg(2)], "shapes", signature="serve_bytes")
    with opsin.Client(f"http://127.0.0.1:{small.port}") as other:
        assert other.predict([1.0, 2.0], "two", version=1) == [2.5, 3.0]

    assert row == pytest.approx(Classifier.open(tiny_run).predict(jpeg(2)).probabilities.tolist(), rel=1e-6)
    assert "serve_bytes" in client.metadata("shapes")["metadata"]["signature_def"]["signature_def"]


def test_what_the_server_refuses_is_an_error_with_its_words(client):
    with pytest.raises(ServerError, match=r"404: Servable not found for request: Latest\(nope\)") as refused:
        client.classify(jpeg(1), "nope")
    assert refused.value.status == 404
    with pytest.raises(ServerError, match="Serving signature name"):
        client.predict([1], "shapes", signature="no")


@contextlib.contextmanager
def answering(status, content):
    """Let a server answer anything with that; gives its client, and the bodies that it is sent."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Retry-After", "7")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with opsin.Client(f"http://127.0.0.1:{server.server_port}") as client:
                yield client, asked
        finally:
            server.shutdown()


def test_no_picture_can_know_what_stands_between_it_and_the_next():
    with answering(200, b'{"predictions": [{"label": "a"}]}') as (client, asked):
        for _ in range(2):
            client.classify(b"picture", "half")

    assert len({body.partition(b"\r\n")[0] for body in asked}) == 2


@pytest.mark.parametrize("said", [[], [{"label": "a"}] * 3, {"label": "a"}])
def test_an_answer_for_more_or_fewer_pictures_is_none(said):
    content = json.dumps({"predictions": said}).encode()
    with answering(200, content) as (client, _), pytest.raises(ServerError, match="2 predictions") as refused:
        client.classify_many([b"1", b"2"], "half")
    assert refused.value.status == 200


@pytest.mark.parametrize(
    "ask", [lambda client: client.predict([1], "half"), lambda client: client.classify(b"", "half")]
)
def test_what_is_said_in_plain_text_keeps_its_status(ask):
    with answering(503, b"Service Unavailable") as (client, _), pytest.raises(ServerError) as refused:
        ask(client)

    assert (refused.value.status, refused.value.retry_after) == (503, 7.0)
    assert "503: Service Unavailable" in str(refused.value)


def test_a_page_that_is_no_answer_is_an_error():
    with answering(200, b"<html>") as (client, _), pytest.raises(ServerError, match="200: <html>"):
        client.predict([1], "half")


def test_a_key_is_sent():
    with running(
        Server(Models({"half": model("half", {1: half_plus(2)})}), settings(api_key="a long secret"))
    ) as found:
        address = f"http://127.0.0.1:{found.port}"
        assert opsin.Client(address, api_key="a long secret").predict([2], "half") == [3.0]
        with pytest.raises(ServerError, match="401"):
            opsin.Client(address).predict([2], "half")


def test_a_connection_that_was_closed_meanwhile_is_made_anew(client):
    assert client.is_ready()
    client._local.connection.sock.close()
    client._local.connection.sock = None

    assert client.is_ready()


def test_where_no_server_is_there_is_an_error():
    client = opsin.Client("http://127.0.0.1:1")
    assert not client.is_ready()
    with pytest.raises(ServerError, match=r"Expected a server at 127\.0\.0\.1:1; it cannot be asked"):
        client.predict([1], "half")

"""`opsin serve` as a process: it answers, drains at SIGTERM and says what is wrong with what it is given."""

import functools
import http.client
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

from opsin.images.drawing import draw_picture
from opsin.serving.app import name_models
from opsin.serving.loading import opener
from opsin.serving.processes import run_processes
from opsin.serving.settings import Settings, resolve_settings


def picture():
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(draw_picture(3, 24, 24)).save(buffer, "PNG")
    return buffer.getvalue()


class Process:
    def __init__(self, *arguments, **environment):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-c", "from opsin.cli.main import main; main()", "serve", *map(str, arguments)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,
        )

    def status(self, path="/readyz"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    def ready(self):
        until = time.monotonic() + 60
        while self.status() != 200:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < until
            time.sleep(0.05)
        return self

    def ask(self, path="/v1/models/run:classify_image", content=None, content_type="image/png"):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", content or picture(), {"Content-Type": content_type}
        )
        return json.load(urllib.request.urlopen(request, timeout=20))

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@pytest.fixture
def start():
    started = []

    def start(*arguments, **environment):
        started.append(Process(*arguments, **environment))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate(timeout=20)


def test_it_answers_logs_and_ends_with_zero(start, tiny_run):
    served = start(tiny_run).ready()

    said = served.ask()
    code, out, err = served.end()

    assert said["predictions"][0]["top"][0]["probability"] > 0.3
    line = next(json.loads(line) for line in out.splitlines() if "classify_image" in line)
    assert (line["status"], line["verb"], line["model"], line["version"], line["pictures"]) == (
        *(200, "classify_image", "run", 1, 1),
    )
    assert "Traceback" not in err
    assert code == 0


def begin(served, body):
    """Send the beginning of a request, 100 bytes of the picture."""
    slow = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    slow.putrequest("POST", "/v1/models/run:classify_image")
    slow.putheader("Content-Type", "image/png")
    slow.putheader("Content-Length", str(len(body)))
    slow.endheaders()
    slow.send(body[:100])
    time.sleep(0.3)  # Until the server has begun to read it.
    return slow


def test_at_sigterm_it_is_not_ready_takes_nothing_new_and_answers_what_is_there(start, tiny_run):
    served = start(tiny_run, OPSIN_SERVE_DRAIN="2", OPSIN_SERVE_ACCESS_LOG="0").ready()
    body = picture()
    slow = begin(served, body)

    ended = []
    ending = threading.Thread(target=lambda: ended.append(served.end()))
    ending.start()
    while served.status() == 200:
        time.sleep(0.02)
    refused = served.status("/readyz")
    with pytest.raises(urllib.error.HTTPError) as late:
        served.ask()
    slow.send(body[100:])
    answered = json.load(slow.getresponse())
    ending.join()

    assert (refused, late.value.code, late.value.headers["Retry-After"]) == (503, 503, "1")
    assert answered["predictions"][0]["label"]
    assert (ended[0][0], ended[0][1]) == (0, "")


def test_several_processes_answer_at_one_address_and_count_together(start, tiny_run):
    served = start(tiny_run, "--workers", "2", OPSIN_SERVE_ACCESS_LOG="0").ready()
    for _ in range(10):
        served.ask()

    with urllib.request.urlopen(f"http://127.0.0.1:{served.port}/metrics", timeout=20) as answer:
        counted = answer.read().decode()
    code, _, err = served.end()

    assert 'opsin_requests_total{status="200",verb="classify_image"} 10.0' in counted
    assert (code, "Traceback" in err) == (0, False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_of_its_processes_lets_them_answer_what_is_there(start, tiny_run, number):
    served = start(tiny_run, "--workers", "2", OPSIN_SERVE_DRAIN="1", OPSIN_SERVE_ACCESS_LOG="0").ready()
    body = picture()
    slow = begin(served, body)

    os.killpg(served.process.pid, number)
    while served.status() is not None:
        time.sleep(0.02)
    slow.send(body[100:])
    answered = json.load(slow.getresponse())
    _, err = served.process.communicate(timeout=30)

    assert answered["predictions"][0]["label"]
    assert (served.process.returncode, "Traceback" in err) == (0, False)


def test_processes_that_are_asked_twice_end_at_once(start, tiny_run):
    served = start(tiny_run, "--workers", "2", OPSIN_SERVE_DRAIN="1000", OPSIN_SERVE_ACCESS_LOG="0").ready()

    served.process.send_signal(signal.SIGTERM)
    while served.status() == 200:
        time.sleep(0.02)

    assert served.end()[0] == 0


FALLING = """
import json, os, pathlib, signal

def fall_once(folder, sock):
    metrics = pathlib.Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    found = [path.name for path in metrics.iterdir()]
    (metrics / f"gauge_livesum_{os.getpid()}.db").touch()
    if not (folder / "fell").exists():
        (folder / "fell").touch()
        return
    (folder / "found").write_text(json.dumps(found))
    os.kill(os.getppid(), signal.SIGTERM)
"""
"""A process ends at once and leaves a count of what is pending; the next one tells which counts there are."""


def test_what_a_fallen_process_had_pending_counts_no_more(tmp_path, monkeypatch):
    # Before there is a folder for several processes, which it would take for this one's own for good.
    importlib.import_module("prometheus_client")
    # Each process imports its work anew.
    (tmp_path / "falling.py").write_text(FALLING)
    monkeypatch.syspath_prepend(tmp_path)
    work = functools.partial(importlib.import_module("falling").fall_once, tmp_path)
    monkeypatch.setattr("opsin.serving.processes._PATIENCE", 0.0)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            run_processes(1, work, sock, stop_timeout=20)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

    assert json.loads((tmp_path / "found").read_text()) == []


@pytest.mark.parametrize(
    ("given", "threads"), [({"workers": 3}, 2), ({"workers": 20}, 1), ({"workers": 3, "threads": 8}, 8), ({}, None)]
)
def test_processes_share_the_cores(tiny_run, monkeypatch, given, threads):
    asked = []
    monkeypatch.setattr("opsin.serving.loading.usable_cores", lambda: 8)
    monkeypatch.setattr("opsin.serving.loading.Classifier.open", lambda path, **options: asked.append(options) or 1 / 0)

    with pytest.raises(ZeroDivisionError):
        opener(Settings(**given))(tiny_run, 1)

    assert asked[0]["threads"] == threads


def test_processes_that_do_not_start_end_it(start, tmp_path):
    (tmp_path / "opsin.json").write_text("{}")

    served = start(tmp_path, "--workers", "2")
    _, err = served.process.communicate(timeout=60)

    assert served.process.returncode == 3
    assert "Expected opsin.json to describe the model" in err


def test_several_models_and_their_names_come_from_a_file_too(start, tiny_run, tmp_path):
    config = tmp_path / "serve.toml"
    config.write_text(f'access_log = false\n[models]\nfirst = "{tiny_run}"\n')
    served = start(tiny_run / "model", "--config", config, "--name", "second").ready()

    said = [served.ask(f"/v1/models/{name}:classify_image") for name in ("first", "second")]

    assert [one["model"] for one in said] == ["first", "second"]
    assert said[0]["predictions"] == said[1]["predictions"]
    assert served.end()[0] == 0


def test_a_model_that_cannot_be_used_ends_it(start, tmp_path):
    (tmp_path / "opsin.json").write_text("{}")

    out, err = start(tmp_path).process.communicate(timeout=60)

    assert "Error: Expected opsin.json to describe the model" in err
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["nowhere"], 2, "there is nothing at"),
        ([], 2, "Expected a model to serve; received none."),
        (["{run}", "--host", "0.0.0.0"], 2, "Expected --api-key with --host 0.0.0.0"),
        (["{run}", "--api-key", "short"], 2, "at least 8 ASCII characters"),
        (["{run}", "{run}"], 2, "two models are called"),
        (["{run}", "--name", "a", "--name", "b"], 2, "at most a --name for each PATH, 1; received 2"),
        (["{run}", "--name", "a/b"], 2, "received 'a/b'"),
        (["{run}", "--label", "stable=1"], 2, "as MODEL:LABEL=NUMBER; received 'stable=1'"),
        (["{run}", "--label", "nope:stable=1"], 2, "Expected one of these as model of a --label: run. Received 'nope'"),
        (["{run}", "--batch", "0"], 2, "Expected --batch to be at least 1; received 0."),
        (["{run}", "--port", "99999"], 2, "Expected --port from 0 to 65535"),
        (["{run}", "--config", "none.toml"], 2, "Expected a TOML file; there is nothing at 'none.toml'"),
        (["{run}", "--max-pixels", "100000001"], 2, "Expected --max-pixels of at most 100000000; received 100000001."),
        (["{run}", "--allow-origin", "app.example"], 2, "as https://app.example"),
    ],
)
def test_what_is_wrong_with_the_options_is_told(opsin, tiny_run, arguments, code, text):
    answer = opsin("serve", *[argument.replace("{run}", str(tiny_run)) for argument in arguments])

    assert (answer.code, answer.out) == (code, "")
    assert text in answer.err


def test_an_address_that_is_taken_is_an_error(opsin, tiny_run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        answer = opsin("serve", tiny_run, "--port", taken.getsockname()[1])

    assert answer.code == 2
    assert "Expected an address that is free" in answer.err


# Settings


def test_options_go_before_the_environment_and_that_before_the_file(tmp_path):
    config = tmp_path / "serve.toml"
    config.write_text('port = 1\nqueue = 2\nbatch = 3\nallow_host = ["a"]\n[models]\nm = "path"\n')
    environment = {"OPSIN_SERVE_PORT": "10", "OPSIN_SERVE_QUEUE": "20", "OPSIN_SERVE_NO_AUTH": "1", "OTHER": "x"}

    settings, models = resolve_settings({"port": 100, "queue": None}, config=config, environment=environment)

    assert (settings.port, settings.queue, settings.batch) == (100, 20, 3)
    assert (settings.allow_host, settings.no_auth, models) == (("a",), True, {"m": "path"})


def test_lists_in_the_environment_may_be_empty_and_have_blanks():
    environment = {"OPSIN_SERVE_ALLOW_HOST": "", "OPSIN_SERVE_ALLOW_ORIGIN": " https://a.example, https://b.example ,"}

    settings, _ = resolve_settings({}, environment=environment)

    assert (settings.allow_host, settings.allow_origin) == ((), ("https://a.example", "https://b.example"))


def test_what_is_no_setting_is_an_error(tmp_path):
    config = tmp_path / "serve.toml"
    for text, told in (
        ("prot = 1", "Received also prot"),
        ('port = "many"', "Expected port in .* as int; received 'many'"),
        ("no_auth = 3", "Expected no_auth"),
        ("port = true", "Expected port"),
        ("port = ", "cannot be read"),
        ("models = 5", r"Expected \[models\]"),
    ):
        config.write_text(text)
        with pytest.raises(Exception, match=told):
            resolve_settings({}, config=config, environment={})


def test_a_model_is_called_as_its_run_is(tmp_path):
    run = tmp_path / "my flowers"
    (run / "model").mkdir(parents=True)

    assert list(name_models([run / "model"], [])) == ["my-flowers"]
    assert list(name_models([run], ["a"])) == ["a"]
    assert Settings(port=0).is_loopback

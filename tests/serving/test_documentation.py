"""The commands of docs/serving.md are run as they are printed."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from opsin.serving.app import Server
from opsin.serving.openapi import document, page

from .conftest import running, settings
from .test_pictures import jpeg

ROOT = Path(__file__).resolve().parents[2]


def examples():
    text = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    part = text.partition("<!-- examples:")[2].partition("<!-- end of examples -->")[0]
    return re.findall(r"```sh\n(.*?)\n```", part, re.DOTALL)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_commands_answer_as_they_are_printed(tiny_run, tmp_path):
    commands = examples()
    for number, name in enumerate(("cat.jpg", "dog.jpg")):
        (tmp_path / name).write_bytes(jpeg(number))
    with running(Server.of_paths({"flowers": tiny_run}, settings())) as found:
        answers = []
        for command in commands:
            there = command.replace("localhost:8501", f"127.0.0.1:{found.port}").replace("curl", "curl -s")
            done = subprocess.run(there, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)
            answers.append(json.loads(done.stdout))

    assert len(commands) == 5
    raw, form, encoded, predicted, metadata = answers
    assert [len(one["predictions"]) for one in (raw, form, encoded, predicted)] == [1, 2, 1, 1]
    assert [len(one["top"]) for one in (*raw["predictions"], *form["predictions"])] == [2, 1, 1]
    assert [one["name"] for one in form["predictions"]] == ["cat.jpg", "dog.jpg"]
    assert encoded["predictions"][0]["top"][0] == form["predictions"][0]["top"][0]
    assert max(predicted["predictions"][0]) == pytest.approx(form["predictions"][0]["probability"], rel=1e-6)
    assert metadata["model_spec"]["name"] == "flowers"


def test_the_page_of_the_api_needs_nothing_from_elsewhere(small):
    reply, style = small.get("/docs"), small.get("/docs.css")

    assert reply.headers["content-type"].startswith("text/html")
    assert style.headers["content-type"].startswith("text/css")
    links = re.findall(r'(?:href|src)="([^"]*)"', reply.content.decode())
    assert set(links) == {"docs.css", "openapi.json"}
    assert b"<script" not in reply.content
    assert b"url(" not in style.content


def test_every_address_of_the_document_is_answered(small):
    found = small.get("/openapi.json").json

    assert found == document(["half", "two", "types", "pairs"], small.server.settings)
    values = {"name": "two", "version": "1", "label": "stable"}
    for path, methods in found["paths"].items():
        for method in methods:
            reply = small.ask(method.upper(), path.format(**values), "{}" if method == "post" else None)
            assert reply.status in (200, 400, 415), path
            assert str(reply.status) in methods[method]["responses"], path
            assert path in page(found)


def test_the_container_needs_no_more_than_the_extra(tmp_path):
    import tomllib

    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]

    assert "pip install --no-cache-dir '.[serve]'" in text
    assert not [one for one in extras["serve"] if "tensorflow" in one or "keras" in one]
    assert "USER opsin" in text

"""`opsin predict --allow-url`: addresses are fetched where that is allowed, and only there."""

import json

import pytest

from opsin.errors import ExitCode, PictureError


@pytest.fixture
def web(monkeypatch, tiny_data):
    """A web with one picture in it; the list says what was asked for."""
    asked = []

    def download(url):
        asked.append(url)
        if url != "https://pictures.example/a.png?size=1":
            raise PictureError("the server answers 404 Not Found")
        return (tiny_data / "discs" / "0.png").read_bytes()

    monkeypatch.setattr("opsin.images.download.download", download)
    return asked


def test_pictures_on_the_web_are_answered_in_their_place(opsin, tiny_run, tiny_data, web):
    words = "https://pictures.example/a.png?size=1", tiny_data / "checks" / "0.png", "HTTP://pictures.example/b"

    done = opsin("predict", tiny_run, *words, "--allow-url", "--format", "jsonl")

    answers = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == ExitCode.UNUSABLE
    assert [answer["path"] for answer in answers] == list(map(str, words))
    assert [answer.get("label", answer.get("error")) for answer in answers] == [
        *("discs", "checks", "the server answers 404 Not Found"),
    ]


def test_an_address_is_refused_unless_addresses_are_allowed(opsin, tiny_run, web, monkeypatch):
    done = opsin("predict", tiny_run, "https://pictures.example/a.png?size=1")

    assert (done.code, done.out, web) == (ExitCode.USAGE, "", [])
    assert "Add --allow-url" in done.err


def test_an_address_on_stdin_is_refused_too(opsin, tiny_run, web, monkeypatch, tmp_path):
    (tmp_path / "list").write_text("https://pictures.example/a.png?size=1\n")
    with (tmp_path / "list").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        done = opsin("predict", tiny_run, "-")

    assert (done.code, done.out, web) == (ExitCode.USAGE, "", [])
    assert "Add --allow-url" in done.err


def test_what_the_output_holds_is_not_fetched_again(opsin, tiny_run, web, tmp_path):
    command = "predict", tiny_run, "https://pictures.example/a.png?size=1", "--allow-url", "--out", tmp_path / "a.csv"

    codes = [opsin(*command, "--resume").code for _ in range(2)]

    assert (codes, len(web)) == ([ExitCode.DONE] * 2, 1)


def test_pictures_that_are_no_files_are_not_copied(opsin, tiny_run, web, tmp_path):
    done = opsin("predict", tiny_run, "https://x.example/a", "--allow-url", "--copy-to", tmp_path / "sorted")

    assert (done.code, web) == (ExitCode.USAGE, [])
    assert "Expected files for --copy-to" in done.err

"""Where the answers of `opsin predict` go: formats, files, and what is left when a run is ended early."""

import csv
import json
from pathlib import Path

import pytest

from opsin.classifier import Classifier
from opsin.cli.answers import FORMATS, SUFFIXES
from opsin.cli.answers_kept import READERS
from opsin.errors import ExitCode, ModelError

ROWS = sorted(set(FORMATS) - {"table"})


@pytest.fixture
def photos(pictures):
    """Six pictures, of which the third cannot be read and the fifth has a line break in its name."""
    folder = pictures({"photos": ["a.png", "b.png", "c.png", "d.png", 'e "\n,.png', "f.png"]}) / "photos"
    (folder / "c.png").write_bytes(b"broken")
    return folder


@pytest.fixture
def end_after(monkeypatch):
    """Let prediction end with an error after so many answers; None: go on to the end again."""
    whole = Classifier.predict_many

    def arrange(count, error=KeyboardInterrupt):
        def some(self, sources, **options):
            for number, answer in enumerate(whole(self, sources, **options)):
                if number == count:
                    raise error
                yield answer

        monkeypatch.setattr(Classifier, "predict_many", some)

    return arrange


def read(file):
    """Return the rows of a file of answers as (file name, label or None)."""
    if file.suffix == ".jsonl":
        rows = [json.loads(line) for line in file.read_text().splitlines()]
    elif file.suffix == ".csv":
        with file.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
    else:
        rows = pytest.importorskip("pyarrow.parquet").read_table(file).to_pylist()
    return [(Path(row["path"]).name, row.get("label") or None) for row in rows]


@pytest.mark.parametrize("format", ROWS)
def test_a_file_holds_what_stdout_would_and_stdout_is_empty(opsin, tiny_run, photos, tmp_path, format):
    printed = [json.loads(line) for line in opsin("predict", tiny_run, photos, "--format", "jsonl").out.splitlines()]

    answer = opsin("predict", tiny_run, photos, "--out", tmp_path / f"new/answers.{format}")

    assert (answer.code, answer.out, answer.err) == (ExitCode.UNUSABLE, "", "")
    expected = [(Path(row["path"]).name, row.get("label")) for row in printed]
    assert read(tmp_path / f"new/answers.{format}") == expected
    assert [name for name, label in expected if label is None] == ["c.png"]


def test_a_parquet_table_has_the_columns_of_csv_with_nothing_where_there_is_nothing(opsin, tiny_run, photos, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    for format in ("csv", "parquet"):
        opsin("predict", tiny_run, photos, "--out", tmp_path / f"a.{format}", "--top", 2)

    table = parquet.read_table(tmp_path / "a.parquet")

    with (tmp_path / "a.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert table.column_names == list(rows[0]) == ["path", "label", "probability", "label_2", "probability_2", "error"]
    told = [{name: "" if value is None else str(value) for name, value in row.items()} for row in table.to_pylist()]
    assert told == rows


def test_a_table_for_people_goes_into_a_file_too_and_errors_to_stderr(opsin, tiny_run, photos, tmp_path):
    answer = opsin("predict", tiny_run, photos, "--out", tmp_path / "answers.txt")

    assert len((tmp_path / "answers.txt").read_text().splitlines()) == 5
    assert answer.err.splitlines()[-1] == "1 of 6 pictures could not be read."


def test_what_stands_at_out_is_not_replaced_unless_that_is_asked_for(opsin, tiny_run, photos, tmp_path):
    (tmp_path / "a.jsonl").write_text("mine\n")

    answer = opsin("predict", tiny_run, photos, "--out", tmp_path / "a.jsonl")
    assert (answer.code, (tmp_path / "a.jsonl").read_text()) == (ExitCode.USAGE, "mine\n")
    assert "--resume" in answer.err
    assert "--overwrite" in answer.err

    assert opsin("predict", tiny_run, photos, "--out", tmp_path / "a.jsonl", "--overwrite").code == ExitCode.UNUSABLE
    assert len(read(tmp_path / "a.jsonl")) == 6


def test_where_there_are_no_pictures_the_old_file_stays(opsin, tiny_run, tmp_path):
    (tmp_path / "a.jsonl").write_text("mine\n")
    (tmp_path / "empty").mkdir()

    answer = opsin("predict", tiny_run, tmp_path / "empty", "--out", tmp_path / "a.jsonl", "--overwrite")

    assert (answer.code, (tmp_path / "a.jsonl").read_text()) == (ExitCode.UNUSABLE, "mine\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "a.xml"], ".txt, .jsonl, .csv, .parquet"),
        (["--format", "parquet"], "--out FILE with --format parquet"),
        (["--json", "--out", "a.jsonl"], "--json or --out"),
        (["--resume"], "--out FILE with --resume"),
        (["--overwrite"], "--out FILE with --overwrite"),
        (["--out", "a.csv", "--resume", "--overwrite"], "received both"),
        (["--out", "a.txt", "--resume"], "which is for people"),
        (["--threshold", "0.5", "--unknown"], "received both"),
        (["--threshold", "50"], "from 0 to 1"),
    ],
)
def test_options_that_make_no_sense_together_are_wrong_usage(
    opsin, tiny_run, photos, tmp_path, monkeypatch, options, words
):
    monkeypatch.chdir(tmp_path)

    answer = opsin("predict", tiny_run, photos, *options)

    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert words in answer.err
    assert not list(tmp_path.glob("a.*"))


def test_every_suffix_stands_for_a_format():
    assert sorted(SUFFIXES.values()) == sorted(FORMATS)
    assert sorted(READERS) == ROWS


# What is left when a run is ended early


@pytest.mark.parametrize("format", ROWS)
@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_a_run_that_ctrl_c_ended_is_gone_on_with(opsin, tiny_run, photos, tmp_path, end_after, format, count):
    out, whole = (tmp_path / f"{name}.{format}" for name in ("out", "whole"))
    opsin("predict", tiny_run, photos, "--out", whole)

    end_after(count)
    stopped = opsin("predict", tiny_run, photos, "--out", out)
    assert (stopped.code, stopped.err) == (ExitCode.INTERRUPTED, "Stopped.\n")
    assert read(out) == read(whole)[:count]

    end_after(6 - count)
    assert opsin("predict", tiny_run, photos, "--out", out, "--resume").code == ExitCode.UNUSABLE
    assert read(out) == read(whole)
    if format != "parquet":
        assert out.read_bytes() == whole.read_bytes()


def test_an_error_of_the_network_leaves_what_was_answered_in_a_parquet_file(
    opsin, tiny_run, photos, tmp_path, end_after
):
    pytest.importorskip("pyarrow")
    end_after(2, ModelError("broken"))

    assert opsin("predict", tiny_run, photos, "--out", tmp_path / "a.parquet").code == ExitCode.UNUSABLE

    assert len(read(tmp_path / "a.parquet")) == 2
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt, ExitCode.INTERRUPTED), (ModelError("broken"), ExitCode.UNUSABLE)]
)
def test_a_json_document_has_what_was_answered_before_the_run_ended(opsin, tiny_run, photos, end_after, error, code):
    end_after(2, error)

    answer = opsin("predict", tiny_run, photos, "--json")

    assert answer.code == code
    assert [Path(row["path"]).name for row in json.loads(answer.out)] == ["a.png", "b.png"]


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_wherever_a_killed_run_ended_its_whole_rows_stay_and_the_rest_is_done_again(
    opsin, tiny_run, photos, tmp_path, format
):
    out = tmp_path / f"out.{format}"
    opsin("predict", tiny_run, photos, "--out", out)
    whole = out.read_bytes()
    place = whole.index(b'e \\"' if format == "jsonl" else b'e ""')

    for cut in (0, 1, 5, len(whole) // 3, place + 1, place + 4, place + 6, place + 20, len(whole) - 1, len(whole)):
        out.write_bytes(whole[:cut])
        assert opsin("predict", tiny_run, photos, "--out", out, "--resume").code == ExitCode.UNUSABLE
        assert out.read_bytes() == whole, cut


def test_what_is_held_already_is_not_predicted_again(opsin, tiny_run, photos, tmp_path, end_after):
    opsin("predict", tiny_run, photos, "--out", tmp_path / "a.csv")
    before = (tmp_path / "a.csv").read_bytes()
    end_after(0, AssertionError("predicted"))

    assert opsin("predict", tiny_run, photos, "--out", tmp_path / "a.csv", "--resume").code == ExitCode.UNUSABLE
    assert (tmp_path / "a.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", "notes of mine", "begins with"),
        ("a.jsonl", '{"name": "x"}\n', "other keys: name"),
        ("a.csv", "name,age\nx,3\n", "begins with"),
        ("a.parquet", "PAR1", "Parquet"),
        ("a.jsonl", '{"path": "x", "label": "cat", "probability": 1, "top": [1, 2, 3]}\n', "'cat' is none of this"),
        ("a.jsonl", '{"path": "x", "label": "discs", "probability": 1, "top": [1]}\n', "1 classes for each picture"),
    ],
)
def test_another_file_is_not_gone_on_with(opsin, tiny_run, photos, tmp_path, name, content, words):
    (tmp_path / name).write_text(content)

    answer = opsin("predict", tiny_run, photos, "--out", tmp_path / name, "--resume")

    assert answer.code == ExitCode.UNUSABLE
    assert words in answer.err
    assert (tmp_path / name).read_text() == content


# The bar


@pytest.mark.parametrize(("out", "wanted"), [(False, False), (True, True)])
def test_a_bar_is_shown_where_answers_go_elsewhere_than_the_terminal(
    opsin, tiny_run, photos, tmp_path, monkeypatch, out, wanted
):
    import contextlib

    shown = []

    @contextlib.contextmanager
    def bar(what, *, wanted):
        shown.append(wanted)
        yield lambda done, total: shown.append((done, total))

    monkeypatch.setattr("opsin.cli.bars.progress_bar", bar)
    monkeypatch.setattr("opsin.cli.answers.is_terminal", lambda: True)

    opsin("predict", tiny_run, photos / "a.png", photos / "b.png", *(["--out", tmp_path / "a.csv"] if out else []))

    assert shown == [wanted, (1, 2), (2, 2)]

"""`check_dataset`: what it gives to programs, and that it leaves the user's files alone."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

import opsin
from opsin.checks import CHECKS
from opsin.checks.survey import survey
from opsin.data.dataset import ImageDataset
from opsin.data.skip_list import read_skip_list, write_skip_list
from opsin.errors import DataError, SavingError, UsageError
from opsin.images.preprocess import Preprocess


@pytest.fixture
def spoiled(clean_data):
    """Clean data with one error, one warning and one note."""
    (clean_data / "train/cat/0.png").write_bytes(b"no picture")
    shutil.copy(clean_data / "train/dog/0.png", clean_data / "train/dog/copy.png")
    (clean_data / "train/dog/notes.txt").write_text("")
    return clean_data


def test_the_json_document_has_its_agreed_form(spoiled, check):
    document = json.loads(check(spoiled).to_json())

    assert document.keys() == {"summary", "findings"}
    assert document["summary"].keys() == {"pictures", "readable", "classes", "severities", "outcomes"}
    assert document["summary"]["pictures"] == 49
    assert document["summary"]["readable"] == 48
    assert document["summary"]["classes"] == {"cat": 24, "dog": 25}
    assert document["summary"]["severities"] == {"error": 1, "warning": 1, "note": 1}
    assert document["summary"]["outcomes"].keys() == CHECKS.keys()
    assert document["summary"]["outcomes"]["duplicate"] == "found"
    assert document["summary"]["outcomes"]["tiny"].startswith("not applicable: ")
    assert [finding["code"] for finding in document["findings"]] == ["unreadable", "duplicate", "ignored-file"]
    for finding in document["findings"]:
        assert finding.keys() == {"code", "severity", "message", "paths", "advice", "groups"}
        assert all(isinstance(finding[key], str) for key in ("code", "severity", "message", "advice"))
        assert finding["paths"] == [path for group in finding["groups"] for path in group["paths"]]
        assert all(group.keys() == {"paths", "note", "beside"} for group in finding["groups"])


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_not_utf8_is_in_the_document_as_python_has_it(clean_data, check):
    name = os.fsdecode(b"caf\xe9.png")
    (clean_data / "train/cat" / name).write_bytes(b"")

    document = check(clean_data, "unreadable").to_json()

    assert document.isascii()
    assert json.loads(document)["findings"][0]["paths"] == [f"train/cat/{name}"]


def test_nothing_of_the_users_is_changed(spoiled, check, tmp_path):
    def state():
        return {
            path: (
                path.stat().st_mtime_ns,
                path.stat().st_mode,
                path.is_file() and hashlib.sha256(path.read_bytes()).digest(),
            )
            for path in [spoiled, *spoiled.rglob("*")]
        }

    before = state()

    report = check(spoiled, preprocess=Preprocess(64, 64), features=np.ones((49, 3)), cache=tmp_path / "cache")
    report.save_html(tmp_path / "page.html")
    report.write_list(tmp_path / "skip.csv")

    assert state() == before


def test_the_list_to_leave_out_is_read_back_and_taken_by_the_data_set(spoiled, check, tmp_path):
    count = check(spoiled).write_list(tmp_path / "skip.csv")

    reasons = read_skip_list(tmp_path / "skip.csv")
    assert count == 2
    assert reasons == {"train/cat/0.png": "unreadable", "train/dog/copy.png": "duplicate"}
    cleaned = ImageDataset.open(spoiled).without(reasons)
    assert len(cleaned) == 47
    assert check(spoiled).is_clean is False
    assert [finding.code for finding in opsin_check(cleaned)] == ["ignored-file"]


def opsin_check(dataset):
    from opsin.checks.run import check_dataset

    return check_dataset(dataset).findings


NAMES = [
    "a.png",
    'with "quotes", and comma.png',
    "new\nline\r.png",
    " space .png",
    "=1+1.png",
    "名前.png",
    "caf\udce9.png",
]


def test_any_name_goes_into_the_list_and_comes_back(tmp_path):
    reasons = {f"cat/{name}": "blank" for name in NAMES}

    write_skip_list(tmp_path / "skip.csv", reasons)

    assert read_skip_list(tmp_path / "skip.csv") == reasons


def test_a_list_made_by_hand_is_read(tmp_path):
    (tmp_path / "skip.csv").write_bytes("\ufeffnote,path\nmine,cat/a.png\n,\n,dog/b.png\n".encode())

    assert read_skip_list(tmp_path / "skip.csv") == {"cat/a.png": "listed", "dog/b.png": "listed"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"", "has nothing"),
        (b"name,reason\na.png,blank\n", "has name, reason"),
        (b'path,reason\n"a.png,blank\n', "cannot be read"),
        (b"\x89PNG\r\n\x1a\n\0\0", "column path"),
    ],
)
def test_what_is_no_such_list_is_an_error_that_says_so(content, message, tmp_path):
    if content is not None:
        (tmp_path / "skip.csv").write_bytes(content)

    with pytest.raises(UsageError, match=message):
        read_skip_list(tmp_path / "skip.csv")


def test_a_page_or_list_that_cannot_be_written_is_a_saving_error(clean_data, check, tmp_path):
    (tmp_path / "file").write_text("")
    report = check(clean_data, "unreadable")

    for write in (report.save_html, report.write_list):
        with pytest.raises(SavingError):
            write(tmp_path / "file" / "out")


def test_progress_goes_from_what_is_remembered_to_all(clean_data, tmp_path):
    dataset = ImageDataset.open(clean_data)
    survey(dataset.subset(range(10)), cache=tmp_path / "cache")
    seen = []

    survey(dataset, cache=tmp_path / "cache", progress=lambda done, total: seen.append((done, total)))

    assert seen[0] == (10, 48)
    assert seen[-1] == (48, 48)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_every_check_is_named_as_it_begins(clean_data, check):
    said = []

    check(clean_data, say=said.append)

    assert said == list(CHECKS)


def test_a_picture_in_two_classes_of_a_csv_is_a_conflict_and_no_duplicate(clean_data, check):
    lines = [
        "path,label",
        *(f"train/cat/{i}.png,cat" for i in range(11)),
        *(f"train/dog/{i}.png,dog" for i in range(11)),
    ]
    (clean_data / "data.csv").write_text("\n".join([*lines, "train/cat/3.png,dog"]))

    report = check(clean_data / "data.csv", "conflicting-label", "duplicate", "near-duplicate")

    assert [finding.code for finding in report.findings] == ["conflicting-label"]
    assert set(report.findings[0].paths) == {"train/cat/3.png"}


def test_a_file_that_is_listed_in_two_parts_is_a_leak_and_no_duplicate(clean_data, check):
    lines = ["path,label,split", "train/cat/1.png,cat,train", "train/cat/1.png,cat,test", "train/dog/1.png,dog,train"]
    (clean_data / "data.csv").write_text("\n".join(lines))

    report = check(clean_data / "data.csv", "leakage", "duplicate")

    assert [finding.code for finding in report.findings] == ["leakage"]


def test_files_that_a_csv_names_and_that_are_not_there_are_unreadable(clean_data, check):
    (clean_data / "data.csv").write_text("path,label\ntrain/cat/1.png,cat\nnowhere.png,dog\n")

    (finding,) = check(clean_data / "data.csv", "unreadable").findings

    assert (finding.paths, finding.groups[0].note) == (("nowhere.png",), "there is no such file")


def test_pictures_that_vanish_while_they_are_compared_end_nothing(clean_data, facts_folder):
    from opsin.checks.copies import duplicate

    for suffix in ("bmp", "ppm"):
        from PIL import Image

        Image.open(clean_data / "train/cat/0.png").save(clean_data / f"train/cat/copy.{suffix}")
    looked = survey(ImageDataset.open(clean_data), cache=facts_folder)
    shutil.rmtree(clean_data)

    assert duplicate(looked) is None


def test_a_file_too_large_for_memory_is_unreadable_and_not_read(clean_data, check, monkeypatch):
    monkeypatch.setattr("opsin.checks.survey.LARGEST_FILE", 1000)

    report = check(clean_data, "unreadable", cache=clean_data.parent / "cache")

    assert len(report.findings[0].paths) == 48
    assert report.findings[0].groups[0].note == "its file has more than 1,000 bytes"


def test_processes_see_what_threads_see(clean_data, tmp_path, monkeypatch):
    monkeypatch.setattr("opsin.checks.survey.WORTH_PROCESSES", 10)
    (clean_data / "train/cat/0.png").write_bytes(b"no picture")
    dataset = ImageDataset.open(clean_data)

    in_processes = survey(dataset, cache=tmp_path / "one", processes=2)

    assert in_processes.facts == survey(dataset, cache=tmp_path / "other").facts


def test_a_process_that_is_ended_from_outside_is_an_error_that_says_so(clean_data, tmp_path, monkeypatch):
    from concurrent.futures.process import BrokenProcessPool

    class Broken:
        def submit(self, *_):
            raise BrokenProcessPool

        def shutdown(self, **_):
            pass

    monkeypatch.setattr("opsin.checks.survey._pool", lambda count, processes: (Broken(), 1))

    with pytest.raises(DataError, match="ended from outside"):
        survey(ImageDataset.open(clean_data), cache=tmp_path / "cache")


def test_checking_loads_no_tensorflow(clean_data, tmp_path):
    code = (
        "import sys, opsin; report = opsin.check_dataset(opsin.ImageDataset.open(sys.argv[1]));"
        "sys.exit(any(name.partition('.')[0] in ('tensorflow', 'keras', 'torch') for name in sys.modules))"
    )
    environment = {**os.environ, "OPSIN_CACHE": str(tmp_path / "cache")}

    assert subprocess.run([sys.executable, "-c", code, clean_data], env=environment).returncode == 0


def test_the_public_name_is_there():
    assert callable(opsin.check_dataset)

"""`opsin check`: what it prints, what it writes, how it ends."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.checks.memory import Memory
from opsin.classifier import Classifier
from opsin.errors import ExitCode


@pytest.fixture
def photos(tmp_path):
    """12 pictures of each of two classes, clear enough for every check."""
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            grid = Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8))
            grid.resize((64, 64), Image.Resampling.BICUBIC).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_clean_data_is_said_to_be_clean(opsin, photos):
    answer = opsin("check", photos, "--image-size", "64", "--strict")

    assert (answer.code, answer.err) == (ExitCode.DONE, "")
    lines = answer.out.splitlines()
    assert lines[0] == f"24 pictures, 2 classes in {photos}"
    assert lines[2].startswith("Looked for and not found: unreadable, conflicting-label, empty-class, rare-class, ")
    assert (
        "label-suspect not applicable: it takes a model that sees what the pictures show; give --model MODEL." in lines
    )


def test_a_finding_is_a_sentence_its_pictures_and_what_to_do(opsin, photos):
    shutil.copy(photos / "cat/0.png", photos / "cat/copy.png")

    answer = opsin("check", photos)

    assert answer.code == ExitCode.DONE
    assert (
        "warning duplicate: 1 picture is an exact copy of another one in the same class, pixel for pixel." in answer.out
    )
    assert "        cat/0.png, cat/copy.png\n        → Leave the copies out: they count twice." in answer.out


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda photos: None, ExitCode.DONE),
        (lambda photos: (photos / "cat/notes.txt").write_text(""), ExitCode.DONE),
        (lambda photos: (photos / "bird").mkdir(), ExitCode.GATE_FAILED),
        (lambda photos: (photos / "cat/0.png").write_bytes(b""), ExitCode.GATE_FAILED),
    ],
    ids=["clean", "note", "warning", "error"],
)
def test_strict_fails_on_warnings_and_errors(spoil, code, opsin, photos):
    spoil(photos)

    assert opsin("check", photos, "--strict").code == code
    assert opsin("check", photos).code == ExitCode.DONE


def test_json_is_one_document_and_nothing_else_on_stdout(opsin, photos, tmp_path):
    (photos / "cat/0.png").write_bytes(b"")

    answer = opsin(
        "check", photos, "--json", "--html", tmp_path / "page.html", "--write-list", tmp_path / "skip.csv", "--strict"
    )

    assert answer.code == ExitCode.GATE_FAILED
    assert json.loads(answer.out)["findings"][0]["paths"] == ["cat/0.png"]
    assert answer.err.splitlines() == [
        f"Page: {tmp_path / 'page.html'}",
        f"1 picture to leave out: {tmp_path / 'skip.csv'} (opsin train DATA --skip {tmp_path / 'skip.csv'})",
    ]
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "skip.csv").read_bytes() == b"path,reason\r\ncat/0.png,unreadable\r\n"


def test_only_some_checks_are_made_if_so_asked(opsin, photos):
    answer = opsin("check", photos, "--only", "duplicate", "--only", "blank", "--json")

    assert list(json.loads(answer.out)["summary"]["outcomes"]) == ["duplicate", "blank"]


def test_with_a_list_of_what_to_leave_out_a_gate_can_hold(opsin, photos, tmp_path):
    shutil.copy(photos / "cat/0.png", photos / "cat/copy.png")
    words = "check", photos, "--only", "duplicate", "--strict"

    before = opsin(*words, "--write-list", tmp_path / "skip.csv")
    after = opsin(*words, "--skip", tmp_path / "skip.csv")

    assert (before.code, after.code) == (ExitCode.GATE_FAILED, ExitCode.DONE)
    assert after.out.startswith("24 pictures")


def test_a_list_that_is_written_anew_keeps_what_was_listed(opsin, photos, tmp_path):
    (tmp_path / "skip.csv").write_text("path,reason\ncat/1.png,blurred\n")
    shutil.copy(photos / "cat/0.png", photos / "cat/copy.png")

    answer = opsin("check", photos, "--skip", tmp_path / "skip.csv", "--write-list", tmp_path / "skip.csv")

    assert answer.err.startswith("2 pictures to leave out")
    assert (tmp_path / "skip.csv").read_text().splitlines() == [
        "path,reason",
        "cat/1.png,blurred",
        "cat/copy.png,duplicate",
    ]


def test_names_of_a_list_that_the_data_has_not_are_said(opsin, photos, tmp_path):
    names = ["cat/1.png", *(f"cats/{number}.png" for number in range(4))]
    (tmp_path / "skip.csv").write_text("\n".join(["path", *names]) + "\n")

    answer = opsin("check", photos, "--skip", tmp_path / "skip.csv")

    assert answer.err == ("4 of 5 names in the list are not in the data: 'cats/0.png', 'cats/1.png', 'cats/2.png', …\n")


@pytest.mark.parametrize("option", ["--write-list", "--html"])
@pytest.mark.parametrize("given", ["data.csv", "skip.csv"])
def test_what_was_given_is_not_written_over(opsin, photos, tmp_path, option, given):
    (tmp_path / "data.csv").write_text("path,label\nphotos/cat/0.png,cat\nphotos/dog/0.png,dog\n")
    (tmp_path / "skip.csv").write_text("path,reason\nphotos/cat/0.png,blurred\n")
    before = (tmp_path / given).read_bytes()

    answer = opsin("check", tmp_path / "data.csv", "--skip", tmp_path / "skip.csv", option, tmp_path / given)

    kept = (option, given) != ("--write-list", "skip.csv")
    assert (answer.code == ExitCode.USAGE) == kept
    if kept:
        assert f"Expected {option} to name another file" in answer.err
        assert (tmp_path / given).read_bytes() == before


def test_a_group_that_names_tell_is_in_two_parts(opsin, photos):
    for name in ("cat", "dog"):
        for part, numbers in (("train", range(6)), ("test", range(6, 12))):
            (photos / part / name).mkdir(parents=True)
            for number in numbers:
                (photos / name / f"{number}.png").rename(photos / part / name / f"{number}.png")
        (photos / name).rmdir()
    (photos / "test/dog/11.png").rename(photos / "test/dog/3 later.png")

    alone = opsin("check", photos, "--only", "leakage")
    grouped = opsin("check", photos, "--only", "leakage", "--group-by", "/([0-9]+)")

    assert "leakage" in alone.out.splitlines()[-1]
    assert "1 of 12 held-out pictures (8.3%) is in another part as well" in grouped.out
    assert "test/dog/3 later.png, train/cat/3.png, train/dog/3.png  (the group 3: in test and train)" in grouped.out


@pytest.mark.skipif(os.name == "nt", reason="pipes end otherwise there")
def test_files_are_written_though_nobody_reads_what_is_printed(photos, tmp_path):
    command = [sys.executable, "-c", "from opsin.cli.main import main; main()", "check", str(photos)]
    process = subprocess.Popen(
        [*command, "--html", str(tmp_path / "page.html"), "--write-list", str(tmp_path / "skip.csv")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    process.stdout.close()
    process.wait(timeout=60)

    assert sorted(file.name for file in tmp_path.glob("*.*")) == ["page.html", "skip.csv"]


def test_a_page_that_cannot_be_written_does_not_keep_back_what_was_found(opsin, photos, tmp_path):
    shutil.copy(photos / "cat/0.png", photos / "cat/copy.png")
    (tmp_path / "page.html").mkdir()

    answer = opsin("check", photos, "--html", tmp_path / "page.html")

    assert answer.code == ExitCode.UNUSABLE
    assert "1 picture is an exact copy" in answer.out
    assert "Could not write" in answer.err


def test_a_model_tells_sizes_and_doubtful_labels(opsin, tiny_data, tiny_run, tmp_path):
    data = shutil.copytree(tiny_data, tmp_path / "shapes")
    shutil.move(data / "discs/0.png", data / "checks/disc.png")

    answer = opsin("check", data, "--model", tiny_run, "--json")

    document = json.loads(answer.out)
    assert document["summary"]["outcomes"]["tiny"] == "passed"
    assert document["summary"]["outcomes"]["label-suspect"] == "found"
    (finding,) = (one for one in document["findings"] if one["code"] == "label-suspect")
    assert finding["paths"][0] == "checks/disc.png"


def test_what_a_model_sees_is_remembered_until_a_file_changes(opsin, tiny_data, tiny_run, tmp_path, monkeypatch):
    data = shutil.copytree(tiny_data, tmp_path / "shapes")
    seen = []
    run = Classifier.run_beside
    monkeypatch.setattr(Classifier, "run_beside", lambda self, images: seen.append(len(images)) or run(self, images))

    first = opsin("check", data, "--model", tiny_run, "--json").out
    of_first = sum(seen)
    again = opsin("check", data, "--model", tiny_run, "--json").out

    assert (again, sum(seen)) == (first, of_first)
    shutil.copyfile(data / "discs/1.png", data / "discs/0.png")
    opsin("check", data, "--model", tiny_run, "--json")
    assert sum(seen) == 2 * of_first


def test_what_a_model_sees_is_not_remembered_where_a_picture_could_not_be_read(
    opsin, tiny_data, tiny_run, tmp_path, monkeypatch
):
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    data = shutil.copytree(tiny_data, tmp_path / "shapes")
    whole = (data / "discs/0.png").read_bytes()
    (data / "discs/0.png").write_bytes(b"x" * len(whole))
    opsin("check", data, "--model", tiny_run)

    with Memory() as memory:
        assert memory._query("SELECT key FROM results WHERE key LIKE 'features %'", []) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nowhere"], ExitCode.USAGE, ["nothing at", "nowhere", "Check the path"]),
        (["photos", "--only", "blury"], ExitCode.USAGE, ["Did you mean 'blurred'"]),
        (["photos", "--fit", "squash"], ExitCode.USAGE, ["'squash'", "stretch"]),
        (["photos", "--image-size", "0"], ExitCode.USAGE, ["--image-size"]),
        (["photos", "--model", "nowhere"], ExitCode.USAGE, ["nothing at"]),
        (["photos", "--html", "photos/cat/0.png/page.html"], ExitCode.UNUSABLE, ["Could not write"]),
    ],
)
def test_what_cannot_be_ends_in_one_message(arguments, code, words, opsin, photos, monkeypatch):
    monkeypatch.chdir(photos.parent)

    answer = opsin("check", *arguments)

    assert answer.code == code
    assert answer.err.startswith(("Error: ", "Usage: "))
    assert "Traceback" not in answer.err
    for word in words:
        assert word in answer.err


def test_a_file_that_is_no_data_is_a_usage_error(opsin, photos):
    assert opsin("check", photos / "cat/0.png").code == ExitCode.USAGE


@pytest.mark.parametrize("loose", [0, 2])
def test_a_folder_without_pictures_in_classes_says_how_it_should_be(loose, opsin, tmp_path):
    for number in range(loose):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{number}.png")

    answer = opsin("check", tmp_path)

    assert answer.code == ExitCode.UNUSABLE
    assert "Expected a folder for each class with pictures in it" in answer.err
    assert ("2 pictures that are in no class folder" if loose else "no pictures") in answer.err


def test_one_class_is_looked_at(opsin, photos):
    shutil.rmtree(photos / "dog")

    answer = opsin("check", photos)

    assert answer.code == ExitCode.DONE
    assert answer.out.startswith("12 pictures, 1 class in")
    assert "imbalance not applicable: there is one class only." in answer.out


def test_one_picture_is_looked_at(opsin, tmp_path):
    (tmp_path / "cat").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "cat/1.png")

    assert opsin("check", tmp_path, "--image-size", "224").code == ExitCode.DONE


def test_a_csv_with_a_picture_in_two_classes_is_a_finding_not_an_error(opsin, photos):
    lines = [f"{name}/{number}.png,{name}" for name in ("cat", "dog") for number in range(12)]
    (photos / "data.csv").write_text("\n".join(["path,label", *lines, "cat/0.png,dog"]))

    answer = opsin("check", photos / "data.csv")

    assert answer.code == ExitCode.DONE
    assert "error   conflicting-label: 1 picture is in more than one class" in answer.out


def test_parts_with_different_classes_are_a_finding_not_an_error(opsin, photos):
    (photos / "train").mkdir()
    (photos / "test").mkdir()
    shutil.move(photos / "cat", photos / "train/cat")
    shutil.move(photos / "dog", photos / "test/dog")

    answer = opsin("check", photos)

    assert answer.code == ExitCode.DONE
    assert (
        "error   class-mismatch: The parts have different classes: train lacks 'dog'; test lacks 'cat'." in answer.out
    )


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be given there")
def test_names_that_no_terminal_shows_break_no_line(opsin, photos):
    shutil.move(photos / "cat", photos / "two\nlines")
    (photos / "two\nlines" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    (photos / "dog" / os.fsdecode(b"a.x\xff")).write_bytes(b"")

    answer = opsin("check", photos)

    assert answer.code == ExitCode.DONE
    assert "two\\nlines/\\udcff.png" in answer.out
    assert "\udcff" not in answer.out


def test_links_in_a_loop_and_pipes_do_not_hold_it_up(opsin, photos):
    (photos / "cat/again").symlink_to(photos, target_is_directory=True)
    (photos / "dog/loop.png").symlink_to(photos / "dog/loop.png")
    if hasattr(os, "mkfifo"):
        os.mkfifo(photos / "dog/pipe.png")

    answer = opsin("check", photos)

    assert answer.code == ExitCode.DONE
    assert "a link to a folder that it is in" in answer.out
    assert "not a regular file (a broken link, say)" in answer.out


@pytest.mark.skipif(os.name == "nt", reason="signals are others there")
def test_after_ctrl_c_what_was_looked_at_is_remembered(photos, tmp_path):
    from opsin.checks.survey import count_unseen
    from opsin.data.dataset import ImageDataset

    code = f"""
import signal, sys, time
# What a shell starts in the background ignores it, and so does all that this starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
from opsin.checks import survey
looked = survey.look
def slowly(content):
    time.sleep(0.1)
    return looked(content)
survey.look, survey.CHUNK = slowly, 2
sys.argv = ["opsin", "check", {str(photos)!r}, "--debug"]
from opsin.cli.main import main
main()
"""
    for number in range(12, 300):
        shutil.copy(photos / "cat/0.png", photos / f"cat/{number}.png")
        with (photos / f"cat/{number}.png").open("ab") as file:
            file.write(str(number).encode())
    cache = tmp_path / "cache"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "OPSIN_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    dataset = ImageDataset.open(photos)
    deadline = time.monotonic() + 60
    while count_unseen(dataset, cache) == len(dataset) and process.poll() is None and time.monotonic() < deadline:
        # Without a pause this would keep the database, and a core, from what it waits for.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)

    unseen = count_unseen(dataset, cache)
    assert process.returncode == ExitCode.INTERRUPTED, f"{unseen} of {len(dataset)} not looked at: {said.decode()}"
    assert 0 < unseen < len(dataset)
    assert [file for file in Path(cache).iterdir() if not file.name.startswith("facts-")] == []

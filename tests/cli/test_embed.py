"""`opsin embed`: an index that is sure to be written before the network runs, and an account of what is left out."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.errors import ExitCode
from opsin.features.index import FeatureIndex


@pytest.fixture
def no_network(monkeypatch):
    """What is wrong is said before anything is opened."""

    def refuse(*arguments, **options):
        raise AssertionError("a network was opened")

    monkeypatch.setattr("opsin.features.embedders.open_embedder", refuse)


def test_pictures_become_an_index(opsin, tiny_run, tiny_data, tmp_path):
    answer = opsin("embed", tiny_run, tiny_data, "--out", tmp_path / "v.npz")

    index = FeatureIndex.load(tmp_path / "v.npz")
    assert answer.code == ExitCode.DONE
    assert answer.out.startswith(f"{tmp_path / 'v.npz'}: 72 pictures, {index.dimensions} numbers each, by simple_cnn\n")
    assert f"similar {tmp_path / 'v.npz'} PICTURE" in answer.out
    assert answer.err == ""
    assert index.labels == ("checks",) * 24 + ("discs",) * 24 + ("stripes",) * 24
    assert Path(index.paths[30]) == (tiny_data / "discs" / "6.png").resolve()
    assert index.clusters is None
    assert [path.name for path in tmp_path.iterdir()] == ["v.npz"]


def test_a_table_can_be_written(opsin, tiny_run, tiny_data, tmp_path):
    assert opsin("embed", tiny_run, tiny_data / "discs", "--out", tmp_path / "v.parquet").code == ExitCode.DONE

    assert len(FeatureIndex.load(tmp_path / "v.parquet")) == 24


def test_an_unreadable_picture_is_named_and_the_rest_are_written(opsin, tiny_run, pictures, tmp_path):
    root = pictures({".": ["a.png", "b.png"]})
    (root / "broken.png").write_bytes(b"broken")
    (root / "notes.txt").touch()

    answer = opsin("embed", tiny_run, root, "--out", tmp_path / "v.npz")

    assert answer.code == ExitCode.UNUSABLE
    index = FeatureIndex.load(tmp_path / "v.npz")
    assert index.paths == (str(root / "a.png"), str(root / "b.png"))
    (path, reason) = index.skipped[0]
    assert answer.err.splitlines() == [
        f"{path}  error: {reason}",
        f"Left out of {root}: 1 × not a picture's suffix (.txt).",
        "1 of 3 pictures could not be read.",
    ]


def test_a_document_says_it_all(opsin, tiny_run, pictures, tmp_path):
    root = pictures({"a": 3, "b": 3})
    (root / "a" / "broken.png").write_bytes(b"")
    out, sheets = tmp_path / "v.npz", tmp_path / "sheets"

    answer = opsin("embed", tiny_run, root, "--out", out, "--clusters", 2, "--sheet", sheets, "--json")

    document = json.loads(answer.out)
    index = FeatureIndex.load(out)
    assert answer.code == ExitCode.UNUSABLE
    assert (document["index"], document["pictures"], document["dimensions"]) == (str(out), 6, index.dimensions)
    assert document["origin"]["sha256"] == index.origin.sha256
    assert document["sheet"] == str(sheets)
    assert document["skipped"] == [{"path": str(root / "a" / "broken.png"), "reason": "the file is empty"}]
    assert [one["cluster"] for one in document["clusters"]] == [1, 2]
    assert sum(one["pictures"] for one in document["clusters"]) == 6
    assert sum(count for one in document["clusters"] for count in one["labels"].values()) == 6


# Clusters


def test_clusters_are_written_and_drawn_beside_the_index(opsin, tiny_run, tiny_data, tmp_path):
    answer = opsin("embed", tiny_run, tiny_data, "--out", tmp_path / "v.npz", "--clusters", 3)

    index = FeatureIndex.load(tmp_path / "v.npz")
    sizes = np.bincount(index.clusters)[1:]
    assert answer.code == ExitCode.DONE
    assert len(sizes) == 3
    assert list(sizes) == sorted(sizes, reverse=True)
    assert f"cluster 1  {sizes[0]} pictures  " in answer.out
    assert sorted(path.name for path in (tmp_path / "v_clusters").iterdir()) == [
        "cluster-1.png",
        "cluster-2.png",
        "cluster-3.png",
        "clusters.csv",
    ]
    assert "clusters" in answer.out.splitlines()[-2]


def test_an_index_with_a_dot_in_its_name_has_a_folder_of_sheets_too(opsin, tiny_run, tiny_data, tmp_path):
    answer = opsin("embed", tiny_run, tiny_data / "discs", "--out", tmp_path / "v1.2.npz", "--clusters", 2)

    assert answer.code == ExitCode.DONE
    assert (tmp_path / "v1_2_clusters" / "cluster-1.png").is_file()


def test_all_clusters_fit_on_one_sheet(opsin, tiny_run, tiny_data, tmp_path):
    sheet = tmp_path / "all.jpg"

    answer = opsin("embed", tiny_run, tiny_data, "--out", tmp_path / "v.npz", "--clusters", 3, "--sheet", sheet)

    assert answer.code == ExitCode.DONE
    assert Image.open(sheet).size == (6 + 8 * 166, 6 + 3 * 182)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.jpg", "v.npz"]


def test_vectors_are_kept_when_too_few_pictures_can_be_read_for_the_clusters(opsin, tiny_run, pictures, tmp_path):
    root = pictures({".": 2})
    (root / "broken.png").write_bytes(b"")

    answer = opsin("embed", tiny_run, root, "--out", tmp_path / "v.npz", "--clusters", 3)

    assert answer.code == ExitCode.USAGE
    assert "as many as there are pictures, 2; received 3" in answer.err
    assert len(FeatureIndex.load(tmp_path / "v.npz")) == 2


# What is wrong is said before the network runs


@pytest.mark.usefixtures("no_network")
class TestWrongUsage:
    """Nothing is opened, nothing written."""

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--out", "v.txt"], "as suffix of an index: .npz, .parquet"),
            (["--out", "mine.npz"], "'mine.npz' is something else, and would be lost"),
            (["--out", "v.npz", "--clusters", "1"], "--clusters"),
            (["--out", "v.npz", "--clusters", "5"], "as many as there are pictures, 4; received 5"),
            (["--out", "v.npz", "--sheet", "s.png"], "Expected --clusters with --sheet"),
            (["--out", "v.npz", "--clusters", "2", "--sheet", "mine"], "'mine' holds 'thesis.txt'"),
            (["--out", "v.npz", "--clusters", "2", "--sheet", "s.gif"], ".png, .jpg"),
            (["--out", "v.npz", "--clusters", "2", "--sheet", "photos/s.png"], "outside of"),
            (["--out", "photos/v.npz", "--clusters", "2"], "outside of"),
            ([], "--out"),
        ],
    )
    def test_options(self, opsin, tiny_run, pictures, tmp_path, monkeypatch, options, words):
        root = pictures({".": 4})
        monkeypatch.chdir(tmp_path)
        Path("mine.npz").write_text("years of work")
        Path("mine").mkdir()
        Path("mine/thesis.txt").touch()
        before = sorted(tmp_path.rglob("*"))

        answer = opsin("embed", tiny_run, root, *options)

        assert (answer.code, answer.out) == (ExitCode.USAGE, "")
        assert words in answer.err
        assert sorted(tmp_path.rglob("*")) == before
        assert Path("mine.npz").read_text() == "years of work"

    def test_a_place_that_cannot_be_written(self, opsin, tiny_run, pictures, tmp_path):
        (tmp_path / "file").touch()

        answer = opsin("embed", tiny_run, pictures({".": 1}), "--out", tmp_path / "file" / "v.npz")

        assert (answer.code, answer.out) == (ExitCode.UNUSABLE, "")
        assert "Could not write" in answer.err

    def test_no_such_folder(self, opsin, tiny_run, tmp_path):
        answer = opsin("embed", tiny_run, tmp_path / "no", "--out", tmp_path / "v.npz")

        assert (answer.code, answer.out) == (ExitCode.USAGE, "")
        assert "nothing at" in answer.err

    def test_a_folder_without_pictures(self, opsin, tiny_run, tmp_path):
        (tmp_path / "notes.txt").touch()

        answer = opsin("embed", tiny_run, tmp_path, "--out", tmp_path / "v.npz")

        assert (answer.code, answer.out) == (ExitCode.UNUSABLE, "")
        assert "not a picture's suffix (.txt)" in answer.err


@pytest.mark.parametrize(("model", "words"), [("no/RUN", "Check the path"), ("mobilnet", "Did you mean 'mobilenet'")])
def test_no_such_model(opsin, pictures, tmp_path, model, words):
    answer = opsin("embed", model, pictures({".": 1}), "--out", tmp_path / "v.npz")

    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert words in answer.err


def test_pictures_of_which_none_can_be_read(opsin, tiny_run, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").touch()

    answer = opsin("embed", tiny_run, tmp_path / "photos", "--out", tmp_path / "v.npz")

    assert (answer.code, answer.out) == (ExitCode.UNUSABLE, "")
    assert "none of the 1 can" in answer.err
    assert not (tmp_path / "v.npz").exists()


def test_a_run_and_help_load_no_tensorflow(tiny_run, tiny_data, tmp_path):
    program = """
import sys
from opsin.cli.main import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
heavy = {name.partition(".")[0] for name in sys.modules} & {"tensorflow", "keras", "numpy"}
print(sorted(heavy), file=sys.stdout)
"""
    for arguments, loaded in (
        (["embed", "--help"], "[]"),
        (["similar", "--help"], "[]"),
        (["embed", tiny_run, tiny_data, "--out", tmp_path / "v.npz"], "['numpy']"),
        (["similar", tmp_path / "v.npz", tiny_data / "discs" / "0.png", "--sheet", tmp_path / "s.png"], "['numpy']"),
    ):
        done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == loaded

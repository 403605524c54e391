"""`FeatureIndex`: what is nearest, by hand; files that come back as they were, and files that are none of ours."""

import json
import sys

import numpy as np
import pytest

from opsin.errors import DataError, MissingPackageError, SavingError, UsageError
from opsin.features import index as indexing
from opsin.features.index import FeatureIndex, Origin
from opsin.images.preprocess import Preprocess

ORIGIN = Origin("tiny", "ab12", Preprocess(2, 3, fit="pad", color="gray"), "/models/RUN", weights="imagenet")
SUFFIXES = (".npz", ".parquet")


def make(vectors, **more) -> FeatureIndex:
    vectors = np.array(vectors, dtype=np.float32)
    return FeatureIndex(vectors, tuple(f"/photos/{i}.png" for i in range(len(vectors))), ORIGIN, **more)


@pytest.fixture
def full():
    return make(
        [[1, 0, 0.5], [0, -2, 1e-30]],
        labels=("čeština", ""),
        clusters=np.array([1, 2], dtype=np.int32),
        skipped=(("/photos/x.png", "the file is empty"),),
    )


def said(index: FeatureIndex) -> tuple:
    clusters = None if index.clusters is None else index.clusters.tolist()
    return index.vectors.tolist(), index.paths, index.origin, index.labels, clusters, index.skipped


# What is nearest


def test_the_cosine_decides_whatever_the_lengths():
    index = make([[1, 0], [0, 1], [3, 3], [0, 0], [-5, 0]], labels=("right", "up", "both", "", "left"))

    matches = index.nearest(np.array([2.0, 0.0]), 5)

    assert [match.row for match in matches] == [0, 2, 1, 3, 4]
    assert [match.label for match in matches] == ["right", "both", "up", "", "left"]
    assert np.allclose([match.similarity for match in matches], [1, 0.5**0.5, 0, 0, -1], atol=1e-7)
    assert matches[1].path == "/photos/2.png"


def test_of_equally_similar_pictures_the_first_come_first():
    index = make([[0, 1], *[[1, 1]] * 5, [1, 0]])

    assert [match.row for match in index.nearest(np.array([1, 1]), 3)] == [1, 2, 3]


def test_a_zero_vector_is_similar_to_nothing():
    assert [(m.row, m.similarity) for m in make([[1, 0], [0, 1]]).nearest(np.zeros(2), 2)] == [(0, 0.0), (1, 0.0)]


def test_very_long_and_very_short_vectors_keep_their_direction():
    index = make([[1e30, 1e30], [1e-30, 0], [0, -1e-30]])

    matches = index.nearest(np.array([1e-20, 0.0]), 3)

    assert [match.row for match in matches] == [1, 0, 2]
    assert np.allclose([match.similarity for match in matches], [1, 0.5**0.5, 0])


def test_more_than_there_are_gives_all_and_an_empty_index_none():
    assert len(make([[1, 0], [0, 1]]).nearest(np.ones(2), 99)) == 2
    assert make(np.zeros((0, 2))).nearest(np.ones(2)) == ()


def test_comparing_in_blocks_gives_what_all_at_once_gives(monkeypatch):
    monkeypatch.setattr(indexing, "BLOCK", 7)
    random = np.random.default_rng(0)
    vectors, question = random.normal(size=(100, 9)).astype(np.float32), random.normal(size=9)
    cosines = vectors @ question / np.linalg.norm(vectors, axis=1) / np.linalg.norm(question)

    matches = make(vectors).nearest(question, 20)

    assert [match.row for match in matches] == np.argsort(-cosines)[:20].tolist()
    assert np.allclose([match.similarity for match in matches], np.sort(cosines)[::-1][:20], atol=1e-6)


def test_no_similarity_is_above_one():
    vectors = np.random.default_rng(1).normal(size=(200, 33)).astype(np.float32)
    index = make(vectors)

    assert max(index.nearest(vector, 1)[0].similarity for vector in vectors) <= 1


@pytest.mark.parametrize(
    ("vector", "count", "words"),
    [
        (np.ones(3), 1, r"2 finite numbers; received float64 \(3,\)"),
        (np.array([1.0, np.nan]), 1, "2 finite numbers"),
        (np.ones(2), 0, "at least 1 picture; received 0"),
    ],
)
def test_a_question_that_makes_no_sense_is_wrong_usage(vector, count, words):
    with pytest.raises(UsageError, match=words):
        make([[1, 0]]).nearest(vector, count)


@pytest.mark.parametrize(
    "changed",
    [
        {"vectors": np.zeros((2, 2))},
        {"vectors": np.zeros(2, np.float32)},
        {"vectors": np.array([[1, np.inf], [0, 0]], np.float32)},
        {"paths": ("a",)},
        {"labels": ("a",)},
        {"clusters": np.zeros(2)},
        {"clusters": np.zeros(3, np.int32)},
    ],
)
def test_parts_that_do_not_fit_together_are_wrong_usage(changed):
    parts = {"vectors": np.zeros((2, 2), np.float32), "paths": ("a", "b"), "origin": ORIGIN}
    with pytest.raises(UsageError, match="received"):
        FeatureIndex(**{**parts, **changed})


# Files


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("empty", [True, False])
def test_an_index_comes_back_as_it_was(full, tmp_path, suffix, empty):
    index = make(np.zeros((0, 4))) if empty else full
    index.save(tmp_path / f"v{suffix}")

    again = FeatureIndex.load(tmp_path / f"v{suffix}")

    assert said(again) == said(index)
    assert again.vectors.shape == index.vectors.shape


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_left_out_stays_out(tmp_path, suffix):
    make([[1, 2]]).save(tmp_path / f"v{suffix}")

    again = FeatureIndex.load(tmp_path / f"v{suffix}")

    assert (again.labels, again.clusters, again.skipped) == ((), None, ())


def test_numpy_alone_can_read_the_npz(full, tmp_path):
    full.save(tmp_path / "v.npz")

    with np.load(tmp_path / "v.npz", allow_pickle=False) as arrays:
        assert arrays["vectors"].tolist() == full.vectors.tolist()
        assert arrays["paths"].tolist() == list(full.paths)
        assert arrays["labels"].tolist() == ["čeština", ""]
        assert arrays["clusters"].tolist() == [1, 2]
        assert json.loads(str(arrays["opsin"]))["origin"]["preprocess"]["fit"] == "pad"


def test_a_table_has_a_row_for_each_picture(full, tmp_path):
    from pyarrow import parquet

    full.save(tmp_path / "v.parquet")

    first, second = parquet.read_table(tmp_path / "v.parquet").to_pylist()
    assert first == {"path": "/photos/0.png", "label": "čeština", "cluster": 1, "vector": [1, 0, 0.5]}
    assert second["cluster"] == 2


def test_names_that_are_not_utf_8_are_kept_in_npz_and_refused_in_parquet(tmp_path):
    index = FeatureIndex(np.ones((1, 1), np.float32), ("/photos/\udcff.png",), ORIGIN)
    index.save(tmp_path / "v.npz")

    assert FeatureIndex.load(tmp_path / "v.npz").paths == index.paths
    with pytest.raises(SavingError, match=r"names in UTF-8.*write an \.npz"):
        index.save(tmp_path / "v.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["v.npz"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_older_index_is_replaced(full, tmp_path, suffix):
    path = tmp_path / "deeper" / f"v{suffix}"
    full.save(path)
    make([[7]]).save(path)

    assert FeatureIndex.load(path).vectors.tolist() == [[7]]


def test_an_empty_file_holds_nothing_that_could_be_lost(full, tmp_path):
    (tmp_path / "v.npz").touch()
    full.save(tmp_path / "v.npz")

    assert len(FeatureIndex.load(tmp_path / "v.npz")) == 2


def test_other_files_are_neither_replaced_nor_read(full, tmp_path):
    from pyarrow import parquet, table

    np.savez(tmp_path / "arrays.npz", vectors=np.zeros((2, 2)))
    (tmp_path / "text.npz").write_text("years of work")
    np.array([{}]).dump(tmp_path / "pickle.npz")
    parquet.write_table(table({"path": ["a"]}), tmp_path / "table.parquet")
    (tmp_path / "text.parquet").write_text("years of work")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    for name in before:
        with pytest.raises(UsageError, match="something else, and would be lost"):
            full.save(tmp_path / name)
        with pytest.raises(DataError, match=f"{name}' is none, or is damaged.*opsin embed MODEL"):
            FeatureIndex.load(tmp_path / name)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_folder_is_neither_replaced_nor_read(full, tmp_path, suffix):
    (tmp_path / f"v{suffix}").mkdir()

    with pytest.raises(UsageError, match="something else"):
        full.save(tmp_path / f"v{suffix}")
    with pytest.raises(DataError, match="is none, or is damaged"):
        FeatureIndex.load(tmp_path / f"v{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_was_cut_short_is_damaged(full, tmp_path, suffix):
    path = tmp_path / f"v{suffix}"
    full.save(path)
    content = path.read_bytes()
    for length in (1, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match="damaged"):
            FeatureIndex.load(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_bit_that_flips_is_found_or_changes_nothing(full, tmp_path, suffix):
    path = tmp_path / f"v{suffix}"
    full.save(path)
    content = path.read_bytes()
    found = 0
    for place in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[place] ^= 16
        path.write_bytes(damaged)
        try:
            assert said(FeatureIndex.load(path)) == said(full)
        except DataError:
            found += 1
    assert found > 20


def test_a_newer_format_asks_for_a_newer_version(full, tmp_path, monkeypatch):
    monkeypatch.setattr(indexing, "FORMAT", 2)
    full.save(tmp_path / "v.npz")
    monkeypatch.undo()

    with pytest.raises(DataError, match=r"of format 1; .* is of format 2"):
        FeatureIndex.load(tmp_path / "v.npz")


@pytest.mark.parametrize("name", ["v.csv", "v", "v.npy"])
def test_another_suffix_lists_what_there_is(full, tmp_path, name):
    with pytest.raises(UsageError, match=r"as suffix of an index: \.npz, \.parquet"):
        full.save(tmp_path / name)


def test_a_missing_file_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match=r"nothing at .*no\.npz"):
        FeatureIndex.load(tmp_path / "no.npz")


def test_a_place_below_a_file_cannot_be_written(full, tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(SavingError, match=r"Could not write .*: Not a directory\. Choose a place"):
        full.save(tmp_path / "file" / "deeper" / "v.npz")


def test_parquet_without_its_package_says_how_to_get_it(full, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(MissingPackageError, match=r"a \.parquet file needs.*opsin\[parquet\]"):
        full.save(tmp_path / "v.parquet")
    full.save(tmp_path / "v.npz")

"""An array in a folder: what was written comes back, of the shape and kind that is asked for, or not at all."""

import dataclasses
import json

import numpy as np
import pytest

from opsin.data import array_file
from opsin.data.array_file import ArrayFile, checksums, content_key, key_of
from opsin.data.cache import INDEX
from opsin.errors import SavingError

FEATURES = np.random.default_rng(0).normal(size=(5, 7)).astype("float16")


@pytest.fixture
def entry(tmp_path):
    """Where float16 features `(5, 7)` are to lie."""
    return ArrayFile(tmp_path / "entry", "features.bin", (5, 7), "float16", "features")


def write(entry, array=FEATURES, **facts):
    def fill(rows):
        rows[:] = array
        return facts

    entry.write(fill)


def open_silently(entry):
    array, index = entry.open(pytest.fail)
    return array, index


def test_half_precision_comes_back_bit_by_bit_with_what_its_writer_wants_to_know(entry):
    write(entry, seconds=1.5, paths=["a.png"])

    array, index = open_silently(entry)

    assert (array.dtype, array.shape) == (np.float16, (5, 7))
    assert array.tobytes() == FEATURES.tobytes()
    assert (index["seconds"], index["paths"]) == (1.5, ["a.png"])


def test_two_bytes_a_number_are_what_half_precision_takes(entry):
    write(entry)
    assert entry.size == (entry.folder / entry.name).stat().st_size == 5 * 7 * 2


def test_an_open_array_cannot_be_written_to(entry):
    write(entry)
    array, _ = open_silently(entry)
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1


def test_where_nothing_was_written_nothing_is_found_and_nothing_said(entry):
    assert entry.open(pytest.fail) is None


# The last two have the right number of bytes.
@pytest.mark.parametrize(
    "other",
    [{"shape": (6, 7)}, {"dtype": "float32"}, {"name": "pixels.bin"}, {"shape": (7, 5)}, {"dtype": "uint16"}],
    ids=str,
)
def test_an_array_of_another_kind_than_asked_for_is_said_to_be_damaged(entry, other):
    write(entry)
    said = []
    assert dataclasses.replace(entry, **other).open(said.append) is None
    assert said == [f"The features in {str(entry.folder)!r} are damaged; they are made anew."]


def test_checksums_that_are_not_the_bytes_own_are_not_trusted(entry):
    write(entry)
    index = json.loads((entry.folder / INDEX).read_text())
    (entry.folder / INDEX).write_text(json.dumps({**index, "checksums": []}))
    assert entry.open() is None


def test_writing_again_takes_the_place_of_what_was_there(entry):
    write(entry)
    write(entry, -FEATURES, again=True)
    array, index = open_silently(entry)
    np.testing.assert_array_equal(array, -FEATURES)
    assert index["again"]


def test_a_writer_that_fails_leaves_what_was_there(entry):
    write(entry)

    def fail(rows):
        rows[:] = 0
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        entry.write(fail)

    np.testing.assert_array_equal(open_silently(entry)[0], FEATURES)
    assert [path.name for path in entry.folder.parent.iterdir()] == [entry.folder.name]


def test_where_nothing_can_be_written_the_error_says_so(entry):
    entry.folder.parent.joinpath("file").touch()
    with pytest.raises(SavingError, match="Choose a place that can be written"):
        write(dataclasses.replace(entry, folder=entry.folder.parent / "file" / "entry"))


def test_checksums_are_those_of_each_block(monkeypatch):
    monkeypatch.setattr(array_file, "BLOCK_BYTES", 9)
    # The check value that every description of CRC-32 gives for these nine digits, and that of "a".
    assert checksums(np.frombuffer(b"123456789123456789a", "uint8")) == [0xCBF43926, 0xCBF43926, 0xE8B7BE43]


def test_the_same_content_has_the_same_key_wherever_it_lies_in_memory():
    turned = np.asfortranarray(FEATURES)
    every_second = np.repeat(FEATURES, 2, axis=1)[:, ::2]
    assert {content_key(array) for array in (FEATURES.copy(), turned, every_second)} == {content_key(FEATURES)}


def test_content_shape_kind_and_what_else_is_said_each_make_another_key():
    changed = FEATURES.copy()
    changed[4, 6] += 1
    others = [changed, FEATURES[::-1], FEATURES.reshape(7, 5), FEATURES.view("uint16"), FEATURES[:0]]
    keys = [content_key(FEATURES), *(content_key(array) for array in others), content_key(FEATURES, ["more"])]
    assert len(set(keys)) == 7


@pytest.mark.parametrize("block", [0, 1, 2])
def test_a_change_in_any_block_makes_another_key(monkeypatch, block):
    monkeypatch.setattr(array_file, "BLOCK_BYTES", 32)
    changed = FEATURES.copy()
    changed.reshape(-1)[16 * block] += 1
    assert content_key(changed) != content_key(FEATURES)


def test_a_key_is_a_name_of_an_entry_also_for_paths_that_are_no_text():
    key = key_of("caf\udce9.png", 1)
    assert len(key) == 32
    assert set(key) <= set("0123456789abcdef")
    assert key_of("caf\udce9.png", 1) == key != key_of("caf\udce8.png", 1)

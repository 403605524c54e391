"""A second look reads nothing, and never says what is no longer so."""

import contextlib
import os
import shutil
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.checks import shortcut as shortcuts
from opsin.checks import survey as surveying
from opsin.checks.facts import Facts, digest_of, look
from opsin.checks.memory import FILE, Memory
from opsin.checks.run import check_dataset
from opsin.checks.survey import count_unseen, survey
from opsin.data.dataset import ImageDataset


@pytest.fixture
def data(tmp_path, texture):
    (tmp_path / "photos/cat").mkdir(parents=True)
    for number in range(6):
        texture(number, 40, 30).save(tmp_path / f"photos/cat/{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def reads(monkeypatch):
    """The names of the files that were read, and of those whose pixels were looked at."""
    read, looked = [], []
    read_content, look_at = surveying.read_content, surveying.look

    def reading(path):
        read.append(Path(path).name)
        return read_content(path)

    def looking(content):
        looked.append(digest_of(content))
        return look_at(content)

    monkeypatch.setattr(surveying, "read_content", reading)
    monkeypatch.setattr(surveying, "look", looking)
    return read, looked


def facts_of(data, cache):
    return survey(ImageDataset.open(data), cache=cache).facts


def same(one: Facts, other: Facts) -> bool:
    return one == other and np.array_equal(one.thumbnail, other.thumbnail)


def test_a_second_look_reads_no_file_and_says_the_same(data, tmp_path, reads):
    first = facts_of(data, tmp_path / "cache")
    assert sorted(reads[0]) == [f"{number}.png" for number in range(6)]
    reads[0].clear()

    second = facts_of(data, tmp_path / "cache")

    assert reads[0] == []
    assert all(map(same, first, second))
    assert count_unseen(ImageDataset.open(data), tmp_path / "cache") == 0


def test_facts_come_back_from_bytes_as_they_were(texture, tmp_path):
    texture(0).save(tmp_path / "a.jpg", exif=_camera())
    facts = look((tmp_path / "a.jpg").read_bytes())

    assert facts.camera == "Maker X1"
    assert same(Facts.from_bytes(facts.to_bytes()), facts)


def _camera() -> Image.Exif:
    exif = Image.Exif()
    exif[271], exif[272], exif[274] = "Maker", "X1", 3
    return exif


def test_a_file_that_was_changed_in_place_is_looked_at_again(data, tmp_path, texture, reads):
    facts_of(data, tmp_path / "cache")
    reads[0].clear()
    texture(99, 50, 20).save(data / "cat/3.png")

    facts = facts_of(data, tmp_path / "cache")

    assert reads[0] == ["3.png"]
    assert (facts[3].width, facts[3].height) == (50, 20)


def test_a_file_of_the_same_size_but_another_time_is_looked_at_again(data, tmp_path, reads):
    (data / "cat/a.ppm").write_bytes(b"P5 2 2 255 \0\0\0\0")
    facts_of(data, tmp_path / "cache")
    reads[0].clear()
    status = (data / "cat/a.ppm").stat()
    (data / "cat/a.ppm").write_bytes(b"P5 2 2 255 \xff\xff\xff\xff")
    os.utime(data / "cat/a.ppm", ns=(status.st_atime_ns, status.st_mtime_ns + 1))

    facts = facts_of(data, tmp_path / "cache")

    assert reads[0] == ["a.ppm"]
    assert facts[-1].mean == 255


@pytest.mark.skipif(os.name == "nt", reason="a file keeps its time of change there")
@pytest.mark.parametrize("replaced", ["in place", "by another file"])
def test_a_file_of_the_same_size_and_time_is_looked_at_again(data, tmp_path, reads, replaced):
    file = data / "cat/a.ppm"
    file.write_bytes(b"P5 2 2 255 \0\0\0\0")
    facts_of(data, tmp_path / "cache")
    reads[0].clear()
    status = file.stat()
    written = file if replaced == "in place" else tmp_path / "new.ppm"
    written.write_bytes(b"P5 2 2 255 \xff\xff\xff\xff")
    os.utime(written, ns=(status.st_atime_ns, status.st_mtime_ns))
    written.replace(file)

    facts = facts_of(data, tmp_path / "cache")

    assert reads[0] == ["a.ppm"]
    assert facts[-1].mean == 255


def test_a_file_that_was_moved_or_touched_is_known_by_its_content(data, tmp_path, reads):
    first = facts_of(data, tmp_path / "cache")
    reads[1].clear()
    for path in data.glob("cat/*"):
        os.utime(path, (1, 1))
    data.rename(tmp_path / "elsewhere")

    second = facts_of(tmp_path / "elsewhere", tmp_path / "cache")

    assert reads[1] == []
    assert all(map(same, first, second))
    reads[0].clear()
    facts_of(tmp_path / "elsewhere", tmp_path / "cache")
    assert reads[0] == []


def test_what_could_not_be_read_is_tried_again(data, tmp_path, reads):
    (data / "cat/2.png").write_bytes((data / "cat/2.png").read_bytes()[:100])
    facts_of(data, tmp_path / "cache")
    reads[0].clear()

    facts_of(data, tmp_path / "cache")

    assert reads[0] == ["2.png"]


@pytest.mark.parametrize("damage", ["no database", "cut off", "middle", "empty", "other tables", "other content"])
def test_a_damaged_memory_is_begun_again(damage, data, tmp_path, reads):
    expected = facts_of(data, tmp_path / "cache")
    file = tmp_path / "cache" / FILE
    content = file.read_bytes()
    if damage == "no database":
        file.write_bytes(b"my diary, not a database" * 99)
    elif damage == "cut off":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "middle":
        file.write_bytes(content[:4096] + bytes(4096) + content[8192:])
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        database = sqlite3.connect(file)
        statement = "UPDATE facts SET content = 'x'" if damage == "other content" else "DROP TABLE facts"
        with database:
            database.execute(statement)
        database.close()

    found = [facts_of(data, tmp_path / "cache") for _ in range(3)]

    assert all(all(map(same, expected, facts)) for facts in found)
    reads[0].clear()
    facts_of(data, tmp_path / "cache")
    assert reads[0] == []


def test_a_memory_that_is_whole_outlives_an_error_of_the_moment(data, tmp_path, monkeypatch, reads):
    expected = facts_of(data, tmp_path / "cache")
    reads[0].clear()
    recall, failed = Memory.recall, []

    def fail_once(memory, stamps):
        with memory._coping():
            if not failed:
                failed.append(True)
                raise sqlite3.DatabaseError("of the moment")
        return recall(memory, stamps)

    monkeypatch.setattr(Memory, "recall", fail_once)

    assert all(map(same, expected, facts_of(data, tmp_path / "cache")))
    assert (failed, reads[0]) == ([True], [])


def test_without_a_place_to_remember_everything_works(data, tmp_path, reads):
    (tmp_path / "file").write_text("not a folder")

    facts = [facts_of(data, tmp_path / "file" / "cache") for _ in range(2)]

    assert all(map(same, *facts))
    assert len(reads[0]) == 12


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anything")
def test_a_read_only_cache_folder_changes_nothing(data, tmp_path):
    expected = facts_of(data, tmp_path / "cache")
    for path in (tmp_path / "cache" / FILE, tmp_path / "cache"):
        path.chmod(path.stat().st_mode & ~0o222)

    assert all(map(same, expected, facts_of(data, tmp_path / "cache")))


def test_a_memory_that_cannot_be_written_is_still_read(data, tmp_path, monkeypatch):
    expected = facts_of(data, tmp_path / "cache")
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda path, **options: connect(f"file:{path}?mode=ro", uri=True, **options)
    )

    assert all(map(same, expected, facts_of(data, tmp_path / "cache")))
    with Memory(tmp_path / "cache") as memory:
        memory.remember([(("/new", 1, 1), expected[0])])
        assert memory.recall([("/new", 1, 1)]) == {}
        assert same(memory.recall_content(expected[1].digest), expected[1])


def test_two_checks_at_once_share_one_memory(data, tmp_path):
    found: dict[int, tuple[Facts, ...]] = {}
    start = threading.Barrier(4)

    def check(number):
        start.wait()
        found[number] = facts_of(data, tmp_path / "cache")

    threads = [threading.Thread(target=check, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert all(all(map(same, found[0], found[number])) for number in (1, 2, 3))
    assert count_unseen(ImageDataset.open(data), tmp_path / "cache") == 0


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_not_utf8_are_remembered(data, tmp_path, reads):
    for name in (b"caf\xe9.png", "名前\n.png".encode(), b"\xff\xfe.png"):
        shutil.copy(data / "cat/0.png", os.fsencode(data / "cat") + b"/" + name)
    facts_of(data, tmp_path / "cache")
    reads[0].clear()

    facts = facts_of(data, tmp_path / "cache")

    assert reads[0] == []
    assert len(facts) == 9


def test_facts_of_another_version_are_not_used(data, tmp_path, monkeypatch, reads):
    facts_of(data, tmp_path / "cache")
    reads[1].clear()
    monkeypatch.setattr("opsin.checks.memory.FILE", "facts-other.sqlite")

    facts_of(data, tmp_path / "cache")

    assert len(reads[1]) == 6


def test_more_files_than_one_question_holds_are_recalled(texture, tmp_path):
    texture(0).save(tmp_path / "a.png")
    facts = look((tmp_path / "a.png").read_bytes())
    stamps = [(f"/{number}", number, number) for number in range(1203)]
    with Memory(tmp_path / "cache") as memory:
        memory.remember((stamp, facts) for stamp in stamps)

        found = memory.recall([*stamps[:-1], ("/1202", 1202, 1), ("/no", 1, 1)])

    assert found.keys() == {path for path, _, _ in stamps[:-1]}
    assert all(one == facts for one in found.values())


def test_pairs_of_nearly_the_same_pictures_are_looked_for_once(data, tmp_path, monkeypatch):
    with Image.open(data / "cat/3.png") as image:
        image.convert("RGB").save(data / "cat/copy.jpg", quality=60)
    dataset = ImageDataset.open(data)
    first = survey(dataset, cache=tmp_path / "cache").near_pairs
    monkeypatch.setattr(surveying, "near_duplicates", pytest.fail)

    assert survey(dataset, cache=tmp_path / "cache").near_pairs.tolist() == first.tolist()
    assert len(first) == 1


@pytest.mark.parametrize("damage", ["none", "emptied", "cut off"])
def test_a_result_is_worked_out_once_unless_it_is_damaged(damage, data, tmp_path):
    looked, asked = survey(ImageDataset.open(data), cache=tmp_path / "cache"), []

    def doubled(numbers):
        asked.append(numbers)
        return 2 * numbers

    def remembered():
        return looked.remembered("doubled", doubled, np.array([[1, 2]]))

    first = remembered()
    with contextlib.closing(sqlite3.connect(tmp_path / "cache" / FILE)) as database, database:
        if damage != "none":
            shorter = "x''" if damage == "emptied" else "substr(content, 1, 100)"
            database.execute(f"UPDATE results SET content = {shorter}")

    assert (remembered().tolist(), first.dtype) == ([[2, 4]], first.dtype)
    assert len(asked) == (1 if damage == "none" else 2)
    assert looked.remembered("doubled", doubled, np.array([[1], [2]])).tolist() == [[2], [4]]


def test_a_second_look_for_shortcuts_trains_no_tree(data, tmp_path, texture, monkeypatch):
    (data / "dog").mkdir()
    for number in range(12):
        texture(100 + number, 60, 30).save(data / f"dog/{number}.png")
        texture(200 + number, 40, 30).save(data / f"cat/more {number}.png")

    def found():
        report = check_dataset(ImageDataset.open(data), codes=["shortcut"], cache=tmp_path / "cache")
        return [finding.message for finding in report.findings], report.outcomes

    first = found()
    assert "size in pixels (100%)" in first[0][0]
    monkeypatch.setattr(shortcuts, "_score", pytest.fail)

    assert found() == first


def test_other_pictures_have_pairs_of_their_own(data, tmp_path):
    assert len(survey(ImageDataset.open(data), cache=tmp_path / "cache").near_pairs) == 0

    with Image.open(data / "cat/3.png") as image:
        image.convert("RGB").save(data / "cat/copy.jpg", quality=60)

    assert len(survey(ImageDataset.open(data), cache=tmp_path / "cache").near_pairs) == 1

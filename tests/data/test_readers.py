"""Which pictures there are: class folders, split folders, CSV files, and what is left out of them."""

import os

import pytest

from opsin.data.readers import Entry, read_csv, read_folder
from opsin.data.walk import Skipped, natural_order
from opsin.errors import DataError, UsageError


def paths(listing):
    return [entry.path for entry in listing.entries]


def write_csv(folder, text, encoding="utf-8"):
    (folder / "data.csv").write_bytes(text.encode(encoding))
    return folder / "data.csv"


# Class folders


def test_a_folder_is_a_class_and_classes_come_in_natural_order(pictures):
    listing = read_folder(pictures({"class 10": 1, "class 2": 2, "B": 1, "a": 1}))
    assert listing.class_names == ("a", "B", "class 2", "class 10")
    assert listing.entries[2:4] == (Entry("class 2/0.png", "class 2"), Entry("class 2/1.png", "class 2"))
    assert listing.skipped == ()


def test_a_label_of_very_many_digits_is_an_ordinary_name(pictures):
    root, long = pictures({"x": 3}), "9" * 5000

    listing = read_csv(write_csv(root, f"path,label\nx/0.png,{long}\nx/1.png,10\nx/2.png,a\n"))

    assert listing.class_names == (long, "10", "a")


def test_natural_order_is_total_and_takes_any_name():
    names = ["2", "10", "1", "01", "", "a", "A", "a1b", "a01b", "٣", "²", "-1", "x" * 300, "9" * 300]
    backwards = names[::-1]
    assert sorted(names, key=natural_order) == sorted(backwards, key=natural_order)
    assert sorted(["img10", "img9", "img1"], key=natural_order) == ["img1", "img9", "img10"]


def test_pictures_come_in_natural_order(pictures):
    listing = read_folder(pictures({"a": ["10.png", "9.png", "b.png"]}))
    assert paths(listing) == ["a/9.png", "a/10.png", "a/b.png"]


def test_folders_inside_a_class_belong_to_it(pictures):
    listing = read_folder(pictures({"cat": 1, "cat/at home/in bed": 1, "dog/outside": 1}))
    assert [(entry.path, entry.label) for entry in listing.entries] == [
        ("cat/0.png", "cat"),
        ("cat/at home/in bed/0.png", "cat"),
        ("dog/outside/0.png", "dog"),
    ]


def test_every_file_that_is_left_out_is_listed_with_its_reason(pictures):
    root = pictures(
        {"cat": ["0.png", "notes.txt", "noend", ".hidden.png", "Thumbs.db"], ".git": 1, "__MACOSX": 1, "cat/.old": 1}
    )
    (root / "loose.png").touch()
    (root / "Icon\r").touch()
    (root / "empty").mkdir()
    (root / "cat" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    listing = read_folder(root)
    assert paths(listing) == ["cat/0.png"]
    assert set(listing.skipped) == {
        Skipped(".git/", "hidden or system file"),
        Skipped("__MACOSX/", "hidden or system file"),
        Skipped("Icon\r", "hidden or system file"),
        Skipped("cat/.old/", "hidden or system file"),
        Skipped("cat/.hidden.png", "hidden or system file"),
        Skipped("cat/Thumbs.db", "hidden or system file"),
        Skipped("cat/notes.txt", "not a picture's suffix (.txt)"),
        Skipped("cat/noend", "not a picture's suffix (none)"),
        Skipped("cat/gone.jpg", "not a regular file (a broken link, say)", lost=True),
        Skipped("empty/", "a folder without pictures, so not a class"),
        Skipped("loose.png", "not in a class folder"),
    }
    assert listing.class_names == ("cat",)


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "png", "webp", "bmp", "gif", "tif", "TIFF", "avif"])
def test_every_usual_suffix_is_a_picture_in_any_case(pictures, suffix):
    assert paths(read_folder(pictures({"a": [f"x.{suffix}"]}))) == [f"a/x.{suffix}"]


STRANGE = [
    "with space",
    "ünï ☃",
    "new\nline",
    "carriage\rreturn",
    "-dash",
    'quo"te',
    "com,ma",
    os.fsdecode(b"b\xff\xfe"),
]


@pytest.mark.parametrize("name", STRANGE)
def test_strange_names_are_read_as_they_are(pictures, name):
    listing = read_folder(pictures({name: [f"{name}.png"]}))
    assert listing.entries == (Entry(f"{name}/{name}.png", name),)
    assert (listing.root / listing.entries[0].path).is_file()


def test_linked_class_folders_and_pictures_are_read(pictures, tmp_path):
    pictures({"cat": 1}, root="elsewhere")
    root = pictures({"dog": 1})
    (root / "cat").symlink_to(tmp_path / "elsewhere" / "cat")
    (root / "dog" / "1.png").symlink_to(root / "dog" / "0.png")
    assert paths(read_folder(root)) == ["cat/0.png", "dog/0.png", "dog/1.png"]


def test_a_link_to_its_own_class_is_not_followed(pictures):
    root = pictures({"cat": 1})
    (root / "cat" / "again").symlink_to(root / "cat")
    listing = read_folder(root)
    assert paths(listing) == ["cat/0.png"]
    assert listing.skipped == (Skipped("cat/again/", "a link to a folder that it is in"),)


def test_a_link_to_the_whole_data_brings_no_dogs_among_the_cats(pictures):
    root = pictures({"cat": 1, "dog": 1})
    (root / "cat" / "all").symlink_to(root)
    assert paths(read_folder(root)) == ["cat/0.png", "dog/0.png"]


def test_a_path_with_nothing_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="there is nothing at"):
        read_folder(tmp_path / "no")


def test_a_file_where_a_folder_is_expected_is_wrong_usage(pictures):
    file = pictures({"cat": 1}) / "cat" / "0.png"
    with pytest.raises(UsageError, match=r"Expected a folder with a folder for each class, or a \.csv file.*neither"):
        read_folder(file)


def test_an_empty_folder_says_how_it_should_look(tmp_path):
    with pytest.raises(DataError, match=r"has no pictures.*photos/cat/1.jpg"):
        read_folder(tmp_path)


def test_loose_pictures_are_counted_in_the_message(pictures):
    root = pictures({".": 3})
    with pytest.raises(DataError, match="has 3 pictures that are in no class folder"):
        read_folder(root)


@pytest.mark.parametrize("closed", ["photos", "photos/train", "photos/train/cat"])
def test_a_folder_without_permission_is_named(pictures, tmp_path, monkeypatch, closed):
    root = pictures({"train/cat": 1, "train/dog": 1})
    scan = os.scandir

    def scandir(path):
        if os.fspath(path) == os.fspath(tmp_path / closed):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=f"list the folder '{tmp_path / closed}': Permission denied"):
        read_folder(root)


def test_runs_and_models_beside_the_classes_are_no_classes_and_accounted_for(pictures):
    root = pictures({"cat": 2, "dog": 2, "runs/first/model/golden": 2, "cat/exported/golden": 2})
    for name in ("runs/first/config.toml", "runs/first/files.csv", "cat/exported/opsin.json"):
        (root / name).touch()

    listing = read_folder(root)

    assert listing.class_names == ("cat", "dog")
    assert [entry.path for entry in listing.entries] == ["cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png"]
    reasons = {skipped.path: skipped.reason for skipped in listing.skipped}
    assert reasons["runs/first/"] == reasons["cat/exported/"] == "a run or a model of Opsin"


def test_data_that_lies_in_a_run_folder_is_read(pictures):
    root = pictures({"cat": 2, "dog": 2})
    for name in ("config.toml", "files.csv"):
        (root / name).touch()

    assert len(read_folder(root).entries) == 4


# Split folders


@pytest.mark.parametrize("name", ["val", "validation", "valid"])
def test_split_folders_give_each_picture_its_part(pictures, name):
    root = pictures({f"{part}/{label}": 1 for part in ("train", name, "test") for label in ("cat", "dog")})
    listing = read_folder(root)
    assert listing.class_names == ("cat", "dog")
    assert {(entry.path, entry.label, entry.split) for entry in listing.entries} == {
        (f"{folder}/{label}/0.png", label, part)
        for folder, part in (("train", "train"), (name, "val"), ("test", "test"))
        for label in ("cat", "dog")
    }


def test_two_folders_for_validation_are_an_error(pictures):
    root = pictures({"train/cat": 1, "val/cat": 1, "validation/cat": 1})
    with pytest.raises(DataError, match=r"one folder for each part.*'val' and 'validation'"):
        read_folder(root)


def test_split_folders_may_be_written_with_capitals(pictures):
    listing = read_folder(pictures({"Train/cat": 1, "Train/dog": 1, "TEST/cat": 1, "TEST/dog": 1}))

    assert listing.class_names == ("cat", "dog")
    assert {entry.split for entry in listing.entries} == {"train", "test"}


def test_a_stray_picture_in_train_does_not_make_train_and_test_the_classes(pictures):
    root = pictures({"train/cat": 1, "train/dog": 1, "test/cat": 1, "test/dog": 1, "train": ["preview.jpg"]})

    with pytest.raises(DataError, match=r"only class folders in .*'preview\.jpg'"):
        read_folder(root)


def test_what_lies_beside_split_folders_is_listed(pictures):
    root = pictures({"train/cat": 1, "test/cat": 1, "extra/cat": 1, "train": ["note.md"]})
    (root / "README").touch()
    listing = read_folder(root)
    assert set(paths(listing)) == {"train/cat/0.png", "test/cat/0.png"}
    assert set(listing.skipped) == {
        Skipped("extra/", "beside train/, val/ and test/, and none of them"),
        Skipped("README", "not in a class folder"),
        Skipped("train/note.md", "not in a class folder"),
    }


def test_a_class_may_be_called_train(pictures):
    listing = read_folder(pictures({"train": 1, "train/steam": 1, "bus": 1}))
    assert listing.class_names == ("bus", "train")
    assert {entry.split for entry in listing.entries} == {None}


def test_folders_of_test_and_val_without_train_are_classes(pictures):
    assert read_folder(pictures({"val/x": 1, "test/x": 1})).class_names == ("test", "val")


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"val/cat": 1}, "lacks 'dog'"),
        ({"val/cat": 1, "val/dog": 1, "val/class 10": 1, "val/class 2": 1}, "has 'class 2', 'class 10', which train/"),
        ({"val/cat": 1, "val/yeti": 1}, "has 'yeti', which train/ has not and lacks 'dog'"),
    ],
)
def test_a_validation_folder_with_other_classes_names_the_difference(pictures, extra, said):
    root = pictures({"train/cat": 1, "train/dog": 1, **extra})
    with pytest.raises(DataError, match=said):
        read_folder(root)


def test_a_class_without_pictures_in_one_part_is_fine_if_its_folder_is_there(pictures):
    listing = read_folder(pictures({"train/cat": 1, "train/dog": 1, "val/cat": 1, "val/dog": 0}))
    assert listing.class_names == ("cat", "dog")
    assert Skipped("val/dog/", "a folder without pictures, so not a class") in listing.skipped


# CSV


def test_a_csv_names_paths_labels_parts_and_groups(pictures):
    root = pictures({"x": 3})
    listing = read_csv(
        write_csv(
            root,
            "more,group,path,label,split\n"
            "1,g1,x/0.png, cat ,Train\n"
            "2,,x/1.png,dog 10,validation\n\n"
            "3,g1,x/2.png,dog 9,test\n",
        )
    )
    assert listing.entries == (
        Entry("x/0.png", "cat", "train", "g1"),
        Entry("x/1.png", "dog 10", "val", ""),
        Entry("x/2.png", "dog 9", "test", "g1"),
    )
    assert listing.class_names == ("cat", "dog 9", "dog 10")
    assert listing.root == root


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(pictures, end, encoding):
    root = pictures({"x": 1})
    listing = read_csv(write_csv(root, f"path,label{end}x/0.png,größer{end}", encoding))
    assert listing.entries == (Entry("x/0.png", "größer"),)


@pytest.mark.parametrize("name", [name for name in STRANGE if name.isprintable() or "\n" in name or "\r" in name])
def test_quotes_commas_and_line_breaks_in_names_are_read(pictures, name):
    root = pictures({name: [f"{name}.png"]})
    quoted = name.replace('"', '""')
    listing = read_csv(write_csv(root, f'path,label\n"{quoted}/{quoted}.png","{quoted}"\n'))
    assert listing.entries == (Entry(f"{name}/{name}.png", name),)


def test_an_unquoted_comma_is_an_error_and_no_other_label(pictures):
    root = pictures({"x": 1})
    with pytest.raises(DataError, match=r"Expected 2 cells in line 2 .* received 3\. .*double quotes"):
        read_csv(write_csv(root, "path,label\nx/0.png,cat, black\n"))


def test_paths_are_taken_from_the_csv_absolute_or_upwards(pictures, tmp_path):
    pictures({"x": 2}, root="elsewhere")
    root = pictures({"..y": 1, "y": 1})
    far = tmp_path / "elsewhere" / "x"
    listing = read_csv(
        write_csv(root, f"path,label\n{far}/0.png,a\n../elsewhere/x/1.png,a\n./y/../y/0.png,b\n..y/0.png,b\n")
    )
    assert paths(listing) == [f"{far}/0.png", f"{far}/1.png", "y/0.png", "..y/0.png"]


def test_a_linked_csv_is_read_beside_the_link(pictures, tmp_path):
    root = pictures({"x": 1})
    file = write_csv(tmp_path, "path,label\nx/0.png,a\n")
    (root / "linked.csv").symlink_to(file)
    assert paths(read_csv(root / "linked.csv")) == ["x/0.png"]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("file,label", r"missing: path\. Its first line has: file, label\."),
        ("path,class", r"missing: label\."),
        ("path;label", r"missing: path and label\. Its first line has: path;label\."),
        ("", r"missing: path and label\. Its first line has: nothing\."),
    ],
)
def test_a_missing_column_is_named(tmp_path, header, said):
    with pytest.raises(DataError, match=said):
        read_csv(write_csv(tmp_path, header and f"{header}\nx,y\n"))


@pytest.mark.parametrize("row", ["x/0.png", "x/0.png,", ",cat", "x/0.png,  "])
def test_a_missing_cell_is_named_with_its_line(pictures, row):
    root = pictures({"x": 1})
    with pytest.raises(DataError, match="Expected a path and a label in line 3"):
        read_csv(write_csv(root, f"path,label\nx/0.png,cat\n{row}\n"))


def test_a_file_that_is_missing_is_left_out_as_lost(pictures):
    root = pictures({"x": 1})
    listing = read_csv(write_csv(root, "path,label\nx/0.png,cat\nx/9.png,dog\nx,dog\n"))
    assert paths(listing) == ["x/0.png"]
    assert listing.class_names == ("cat",)
    assert listing.skipped == tuple(Skipped(path, "there is no such file", lost=True) for path in ("x/9.png", "x"))


@pytest.mark.parametrize(("rows", "count"), [("", 0), ("a.png,cat\nb.png,dog\n", 2)])
def test_a_csv_of_which_no_file_exists_is_an_error(tmp_path, rows, count):
    with pytest.raises(DataError, match=f"of the {count} it lists, none exists.*the CSV's own folder"):
        read_csv(write_csv(tmp_path, f"path,label\n{rows}"))


def test_a_row_that_is_there_twice_counts_once(pictures):
    root = pictures({"x": 1})
    listing = read_csv(write_csv(root, "path,label\nx/0.png,cat\n./x//0.png,cat\n"))
    assert paths(listing) == ["x/0.png"]
    assert listing.skipped == (Skipped("x/0.png", "listed again in line 3 of the CSV"),)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("dog,train,g", "one label for each picture; 'x/0.png' has 'cat' and, in line 3 .*'dog'"),
        ("cat,test,g", "one split for each picture; 'x/0.png' has 'train' and, in line 3 .*'test'"),
        ("cat,train,h", "one group for each picture; 'x/0.png' has 'g' and, in line 3 .*'h'"),
    ],
)
def test_a_picture_with_two_labels_parts_or_groups_is_an_error(pictures, second, said):
    root = pictures({"x": 1})
    with pytest.raises(DataError, match=said):
        read_csv(write_csv(root, f"path,label,split,group\nx/0.png,cat,train,g\nx/0.png,{second}\n"))


def test_an_unknown_part_is_named_with_its_line(pictures):
    root = pictures({"x": 1})
    with pytest.raises(DataError, match=r"train, val or test as the split in line 2 .*'holdout'"):
        read_csv(write_csv(root, "path,label,split\nx/0.png,cat,holdout\n"))


def test_a_part_for_some_pictures_only_is_an_error(pictures):
    root = pictures({"x": 2})
    with pytest.raises(DataError, match=r"in every line of .* or in none"):
        read_csv(write_csv(root, "path,label,split\nx/0.png,cat,train\nx/1.png,cat,\n"))


@pytest.mark.parametrize("content", [b"path,label\n\xff,cat\n", b'path,label\n"x,cat\n', b"\x89PNG\r\n\x1a\n\0\xff"])
def test_what_is_no_csv_in_utf_8_is_said(tmp_path, content):
    (tmp_path / "data.csv").write_bytes(content)
    with pytest.raises(DataError, match="Expected a CSV file in UTF-8"):
        read_csv(tmp_path / "data.csv")


@pytest.mark.parametrize("name", ["no.csv", "."])
def test_no_csv_at_the_path_is_wrong_usage(tmp_path, name):
    with pytest.raises(UsageError, match="Expected a CSV file; there is none"):
        read_csv(tmp_path / name)


def test_other_columns_are_kept_beside_each_picture(pictures):
    root = pictures({"x": 3})
    text = "camera,path,label,group,light\nA, x/0.png,a,g,\nB,x/1.png,b,,dim \nA,x/2.png,a\n".replace(" x", "x")
    listing = read_csv(write_csv(root, text))
    assert listing.columns == ("camera", "light")
    assert [entry.more for entry in listing.entries] == [("A", ""), ("B", "dim"), ("A", "")]


def test_a_picture_that_is_listed_twice_is_the_same_whatever_other_columns_say(pictures):
    listing = read_csv(write_csv(pictures({"x": 1}), "path,label,note\nx/0.png,a,first\nx/0.png,a,second\n"))
    assert [entry.more for entry in listing.entries] == [("first",)]
    assert [skipped.reason for skipped in listing.skipped] == ["listed again in line 3 of the CSV"]

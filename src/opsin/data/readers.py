"""Reading which pictures there are, from class folders or a CSV, with an account of every file."""

import csv
import os
import sys
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from opsin.data.walk import (
    Skipped,
    Walk,
    children,
    exists,
    is_file,
    is_folder,
    is_hidden,
    natural_order,
)
from opsin.errors import DataError, UsageError
from opsin.images.decode import SUFFIXES

SPLIT_NAMES = {"train": "train", "val": "val", "validation": "val", "valid": "val", "test": "test"}

NO_GROUP = ""

_COLUMNS = ("path", "label", "split", "group")


@dataclass(frozen=True)
class Entry:
    """One picture as the data names it; paths are relative to the data's folder, with `/`.

    `more` has what the listing's other `columns` say of it: the same picture whatever they say.
    """

    path: str
    label: str
    split: str | None = None
    group: str = NO_GROUP
    more: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Listing:
    """What was found under `root`: the pictures, the class names, what is left out, and a CSV's other columns."""

    root: Path
    entries: tuple[Entry, ...]
    class_names: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    columns: tuple[str, ...] = ()


def read_folder(folder: str | Path, *, patient: bool = False) -> Listing:
    """List the pictures of a folder with a folder for each class, or with `train/`, `val/`, `test/` of such.

    Folders inside a class folder belong to the class. Hidden and system files are left out.

    Args:
        folder: where they are.
        patient: take splits of different classes, and folders that cannot be listed, as they are.

    Raises:
        UsageError: there is no such folder.
        DataError: it holds no pictures in class folders, or its splits have different classes.
    """
    root = Path(folder)
    if not exists(root):
        raise UsageError(f"Expected a folder of pictures; there is nothing at {str(root)!r}. Check the path.")
    if not is_folder(root):
        raise UsageError(f"Expected a folder with a folder for each class, or a .csv file; {str(root)!r} is neither.")
    root = root.resolve()
    walk = Walk(root, patient=patient)
    splits = _split_folders(walk)
    if splits is None:
        found = {None: _read_classes(walk, root, None)}
    else:
        found = {split: _read_classes(walk, path, split) for split, path in splits.items()}
        if not patient:
            _require_same_classes(found, splits)
    entries = [entry for classes in found.values() for entries in classes.values() for entry in entries]
    if not entries:
        raise DataError(_nothing_found(root, walk.skipped))
    names = sorted({entry.label for entry in entries}, key=natural_order)
    return Listing(root, tuple(entries), tuple(names), tuple(walk.skipped))


def read_csv(file: str | Path, *, patient: bool = False, skip: Container[str] = ()) -> Listing:
    """List the pictures that a CSV names: columns `path,label` and optionally `split`, `group`.

    Paths are relative to the CSV's own folder, or absolute. What other columns say is kept beside each picture.

    Args:
        file: the CSV.
        patient: take a picture that has two labels, parts or groups twice, as it is.
        skip: the same for these alone, which are going to be left out.

    Raises:
        UsageError: there is no such file.
        DataError: a column or a label is missing, a picture has two labels, or none of the files exist.
    """
    file = Path(file)
    if not is_file(file):
        raise UsageError(f"Expected a CSV file; there is none at {str(file)!r}. Check the path.")
    # Of a link to a CSV, the pictures lie beside the link.
    file = file.parent.resolve() / file.name
    entries: dict[object, Entry] = {}
    skipped: list[Skipped] = []
    columns: tuple[str, ...] = ()
    for line, row in csv_rows(file, ("path", "label")):
        columns = columns or tuple(name for name in row if name and name not in _COLUMNS)
        entry = _csv_entry(file, line, row, columns)
        key = entry if patient or entry.path in skip else entry.path
        known = entries.get(key)
        if known is None:
            entries[key] = entry
        elif known == entry:
            skipped.append(Skipped(entry.path, f"listed again in line {line} of the CSV"))
        else:
            raise DataError(_two_of_one(file, line, known, entry))
    present = [entry for entry in entries.values() if is_file(file.parent / entry.path)]
    there = {entry.path for entry in present}
    missing = dict.fromkeys(entry.path for entry in entries.values() if entry.path not in there)
    skipped += [Skipped(p, "there is no such file", lost=True) for p in missing]
    if not present:
        raise DataError(
            f"Expected {str(file)!r} to name pictures; of the {len(entries)} it lists, none exists. "
            "Paths are taken relative to the CSV's own folder."
        )
    if len({entry.split is None for entry in present}) == 2:
        raise DataError(f"Expected a split (train, val or test) in every line of {str(file)!r}, or in none.")
    names = sorted({entry.label for entry in present}, key=natural_order)
    return Listing(file.parent, tuple(present), tuple(names), tuple(skipped), columns)


def _split_folders(walk: Walk) -> dict[str, Path] | None:
    """Return the folders of train, val and test if `root` is laid out so; None if it holds classes."""
    named = {child: _split_name(child) for child in children(walk.root) if is_folder(child) and not is_hidden(child)}
    train = next((folder for folder, split in named.items() if split == "train"), None)
    if train is None or not _holds_folders(train):
        return None
    loose = _loose_pictures(train)
    if loose and None in named.values():
        return None
    if loose:
        # Nothing but train, val and test, and classes in train: to take those three for the classes cannot be meant.
        raise DataError(
            f"Expected only class folders in {str(train)!r}; it also holds {len(loose)} pictures that are in none "
            f"({loose[0].name!r}). Move them into a class folder, or out of it."
        )
    splits: dict[str, Path] = {}
    folders, files = walk.folder(walk.root)
    for folder in folders:
        split = _split_name(folder)
        if split is None:
            walk.skip(folder, "beside train/, val/ and test/, and none of them")
        elif split in splits:
            raise DataError(
                f"Expected one folder for each part; {str(walk.root)!r} has {splits[split].name!r} and "
                f"{folder.name!r}. Keep one of them."
            )
        else:
            splits[split] = folder
    for file in files:
        walk.skip(file, "not in a class folder")
    return splits


def _split_name(folder: Path) -> str | None:
    return SPLIT_NAMES.get(folder.name.casefold())


def _holds_folders(path: Path) -> bool:
    return any(is_folder(child) and not is_hidden(child) for child in children(path))


def _loose_pictures(path: Path) -> list[Path]:
    files = (child for child in children(path) if not is_hidden(child) and not is_folder(child))
    return [file for file in files if file.suffix.lower() in SUFFIXES]


def _read_classes(walk: Walk, folder: Path, split: str | None) -> dict[str, list[Entry]]:
    """Return the entries of each class folder; a folder without a picture has an empty list."""
    folders, files = walk.folder(folder)
    for file in files:
        walk.skip(file, "not in a class folder")
    # A link back to one of these would bring every other class's pictures into this one.
    parents = frozenset({os.path.realpath(walk.root), os.path.realpath(folder)})
    classes = {}
    for child in folders:
        paths = [walk.name_of(path) for path in walk.pictures(child, parents)]
        if not paths:
            walk.skip(child, "a folder without pictures, so not a class")
        classes[child.name] = [Entry(path, child.name, split) for path in paths]
    return classes


def _require_same_classes(found: dict[str, dict[str, list[Entry]]], splits: dict[str, Path]) -> None:
    known = {name for name, entries in found["train"].items() if entries}
    for split, classes in found.items():
        surplus = sorted({n for n, entries in classes.items() if entries} - known, key=natural_order)
        missing = sorted(known - set(classes), key=natural_order)
        if surplus or missing:
            said = [f"has {_names(surplus)}, which train/ has not"] if surplus else []
            said += [f"lacks {_names(missing)}"] if missing else []
            raise DataError(
                f"Expected the same classes in train/ and {splits[split].name}/; {str(splits[split])!r} "
                f"{' and '.join(said)}. Make the class folders the same (an empty one is fine)."
            )


def _names(names: list[str], most: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _nothing_found(root: Path, skipped: list[Skipped]) -> str:
    loose = sum(1 for s in skipped if s.reason == "not in a class folder" and Path(s.path).suffix.lower() in SUFFIXES)
    what = f"{loose} pictures that are in no class folder" if loose else "no pictures"
    return (
        f"Expected a folder for each class with pictures in it; {str(root)!r} has {what}. "
        "Put the pictures of each class into a folder named after the class: photos/cat/1.jpg, photos/dog/7.jpg."
    )


def csv_rows(file: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and the cells by column of each line of a CSV.

    Args:
        file: the CSV.
        needed: the columns that it must have, two or more.

    Raises:
        DataError: it cannot be read, lacks a column, or a line has another number of cells.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, strict=True)
            columns = reader.fieldnames or []
            missing = [name for name in needed if name not in columns]
            if missing:
                raise DataError(
                    f"Expected the columns {', '.join(needed[:-1])} and {needed[-1]} in {str(file)!r}; "
                    f"missing: {', '.join(missing[:-1])}{' and ' if missing[1:] else ''}{missing[-1]}. "
                    f"Its first line has: {', '.join(columns) or 'nothing'}."
                )
            for row in reader:
                if None in row:
                    raise DataError(
                        f"Expected {len(columns)} cells in line {reader.line_num} of {str(file)!r}; received "
                        f"{len(columns) + len(row[None])}. Put what holds a comma into double quotes."
                    )
                yield reader.line_num, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"Expected a CSV file in UTF-8; {str(file)!r} cannot be read as one: {error}.") from error
    except OSError as error:
        raise DataError(f"Could not read {str(file)!r}: {error.strerror}. Check its permissions.") from error


def _csv_entry(file: Path, line: int, row: dict[str, str], columns: tuple[str, ...]) -> Entry:
    path, label = row["path"] or "", (row["label"] or "").strip()
    if not path or not label:
        raise DataError(f"Expected a path and a label in line {line} of {str(file)!r}; received {path!r}, {label!r}.")
    # Few values stand in many lines: each is kept once.
    more = tuple(sys.intern((row[column] or "").strip()) for column in columns)
    return Entry(csv_name(file, path), label, csv_split(file, line, row), (row.get("group") or "").strip(), more)


def csv_split(file: Path, line: int, row: dict[str, str]) -> str | None:
    """Return the part that a line of a CSV names; None if it names none.

    Raises:
        DataError: it is no part's name.
    """
    split = (row.get("split") or "").strip().lower() or None
    if split is not None and split not in SPLIT_NAMES:
        raise DataError(
            f"Expected train, val or test as the split in line {line} of {str(file)!r}; received {split!r}."
        )
    return SPLIT_NAMES.get(split)


def csv_name(file: Path, path: str) -> str:
    """Return the name of a file that a CSV gives the path of: relative to the CSV's folder if it lies below that."""
    absolute = os.path.normpath(file.parent / path)
    relative = os.path.relpath(absolute, file.parent)
    return Path(absolute if Path(relative).parts[:1] == ("..",) else relative).as_posix()


def _two_of_one(file: Path, line: int, known: Entry, entry: Entry) -> str:
    what = next(name for name in ("label", "split", "group") if getattr(known, name) != getattr(entry, name))
    return (
        f"Expected one {what} for each picture; {entry.path!r} has {getattr(known, what)!r} and, in line {line} "
        f"of {str(file)!r}, {getattr(entry, what)!r}. Keep the right one."
    )

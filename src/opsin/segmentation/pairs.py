"""Reading which pictures and masks belong together, from folders or a CSV, with an account of every file."""

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opsin.data.readers import NO_GROUP, SPLIT_NAMES, Entry, Listing, csv_name, csv_rows, csv_split
from opsin.data.walk import Skipped, Walk, children, exists, is_file, is_folder, is_hidden, natural_order
from opsin.errors import DataError, UsageError

IMAGES, MASKS = "images", "masks"


@dataclass(frozen=True)
class Pair:
    """One picture and its mask; paths are relative to the data's folder, with `/`."""

    image: str
    mask: str
    split: str | None = None
    group: str = NO_GROUP


@dataclass(frozen=True)
class PairListing:
    """What was found under `root`: the pairs, and what is left out."""

    root: Path
    pairs: tuple[Pair, ...]
    skipped: tuple[Skipped, ...]

    @functools.cached_property
    def pictures(self) -> Listing:
        """The pictures alone, as those of one class."""
        entries = (Entry(pair.image, "picture", pair.split, pair.group) for pair in self.pairs)
        return Listing(self.root, tuple(entries), ("picture",), self.skipped)


def read_pair_folder(folder: str | Path, *, patient: bool = False) -> PairListing:
    """List the pairs of a folder with `images/` and `masks/`, or with `train/`, `val/`, `test/` of such folders.

    A picture's mask is the file in `masks/` at the same place and of the same name, whatever the suffixes. A picture
    without a mask, and a mask without a picture, are skipped and said.

    Args:
        folder: where they are.
        patient: take the first of two masks of one name, and folders that cannot be listed, as they are.

    Raises:
        UsageError: there is no such folder.
        DataError: it holds no pairs, or two files of one name.
    """
    root = Path(folder)
    if not exists(root):
        raise UsageError(
            f"Expected a folder with images/ and masks/; there is nothing at {str(root)!r}. Check the path."
        )
    if not is_folder(root):
        raise UsageError(f"Expected a folder with images/ and masks/, or a .csv file; {str(root)!r} is neither.")
    root = root.resolve()
    walk = Walk(root, patient=patient)
    places = _places(walk)
    if not places:
        raise DataError(
            f"Expected the folders images/ and masks/ in {str(root)!r}, or in train/, val/ and test/ of it. "
            f"It has: {', '.join(child.name for child in children(root)) or 'nothing'}."
        )
    pairs = [pair for split, place in places.items() for pair in _read_place(walk, place, split, patient)]
    if not pairs:
        raise DataError(_no_pairs(root, walk.skipped))
    return PairListing(root, tuple(pairs), tuple(walk.skipped))


def read_pair_csv(file: str | Path, *, patient: bool = False) -> PairListing:
    """List the pairs that a CSV names: columns `image,mask` and optionally `split`, `group`.

    Paths are relative to the CSV's own folder, or absolute.

    Args:
        file: the CSV.
        patient: take the first of two lines about one picture.

    Raises:
        UsageError: there is no such file.
        DataError: a column or a cell is missing, a picture has two masks, or none of the files exist.
    """
    file = Path(file)
    if not is_file(file):
        raise UsageError(f"Expected a CSV file; there is none at {str(file)!r}. Check the path.")
    # Of a link to a CSV, the pictures lie beside the link.
    file = file.parent.resolve() / file.name
    pairs: dict[str, Pair] = {}
    skipped: list[Skipped] = []
    for line, row in csv_rows(file, ("image", "mask")):
        pair = _pair(file, line, row)
        known = pairs.setdefault(pair.image, pair)
        if known is not pair and (known == pair or patient):
            skipped.append(Skipped(pair.image, f"listed again in line {line} of the CSV"))
        elif known is not pair:
            raise DataError(
                f"Expected one line for each picture; {pair.image!r} has {known} and, in line {line} of "
                f"{str(file)!r}, {pair}. Keep the right one."
            )
    present = []
    for pair in pairs.values():
        absent = [path for path in (pair.image, pair.mask) if not is_file(file.parent / path)]
        skipped += [Skipped(path, "there is no such file", lost=True) for path in absent]
        present += [] if absent else [pair]
    if not present:
        raise DataError(
            f"Expected {str(file)!r} to name pictures and masks; of the {len(pairs)} pairs it lists, none exists. "
            "Paths are taken relative to the CSV's own folder."
        )
    if len({pair.split is None for pair in present}) == 2:
        raise DataError(f"Expected a split (train, val or test) in every line of {str(file)!r}, or in none.")
    return PairListing(file.parent, tuple(present), tuple(skipped))


def _places(walk: Walk) -> dict[str | None, Path]:
    """Return the folders that have `images/` and `masks/`, by the part they are; {} if there are none."""
    if _has_both(walk.root):
        return {None: walk.root}
    folders, files = walk.folder(walk.root)
    places: dict[str | None, Path] = {}
    for folder in folders:
        split = SPLIT_NAMES.get(folder.name.casefold())
        if split is None or not _has_both(folder):
            walk.skip(folder, "not a part (train, val, test) with images/ and masks/")
        elif split in places:
            raise DataError(
                f"Expected one folder for each part; {str(walk.root)!r} has {places[split].name!r} and "
                f"{folder.name!r}. Keep one of them."
            )
        else:
            places[split] = folder
    for file in files:
        walk.skip(file, "neither in images/ nor in masks/")
    return places


def _has_both(folder: Path) -> bool:
    names = _named(folder)
    return IMAGES in names and MASKS in names


def _named(folder: Path) -> dict[str, Path]:
    """Return the folders in a folder by their names in lower case."""
    return {child.name.casefold(): child for child in children(folder) if not is_hidden(child) and is_folder(child)}


def _read_place(walk: Walk, place: Path, split: str | None, patient: bool) -> Iterator[Pair]:
    named = _named(place)
    folders, files = walk.folder(place)
    for other in (*folders, *files):
        if other not in (named[IMAGES], named[MASKS]):
            walk.skip(other, "neither in images/ nor in masks/")
    images, masks = (_by_name(walk, named[kind], patient) for kind in (IMAGES, MASKS))
    for name in sorted(images, key=natural_order):
        if name in masks:
            yield Pair(walk.name_of(images[name]), walk.name_of(masks[name]), split)
        else:
            walk.skip(images[name], f"there is no mask {name!r} (with any suffix) in {named[MASKS].name}/", lost=True)
    for name in sorted(set(masks) - set(images), key=natural_order):
        walk.skip(masks[name], f"there is no picture {name!r} (with any suffix) in {named[IMAGES].name}/", lost=True)


def _by_name(walk: Walk, folder: Path, patient: bool) -> dict[str, Path]:
    """Return the pictures in a folder and below it by their place in it, without the suffix."""
    found: dict[str, Path] = {}
    for path in walk.pictures(folder, frozenset({os.path.realpath(walk.root)})):
        name = path.relative_to(folder).with_suffix("").as_posix()
        known = found.setdefault(name, path)
        if known is not path and not patient:
            raise DataError(
                f"Expected one file of each name in {str(folder)!r}; there are {known.name!r} and {path.name!r}. "
                "Keep the right one."
            )
        if known is not path:
            walk.skip(path, f"another file of its name, {known.name!r}, is used")
    return found


def _no_pairs(root: Path, skipped: list[Skipped]) -> str:
    lost = [one.path for one in skipped if one.lost]
    shown = f" Without a partner are {len(lost)} files, {lost[0]!r} and {lost[-1]!r} say." if lost else ""
    return (
        f"Expected a mask of the same name for every picture; {str(root)!r} has not one such pair.{shown} "
        "Name them alike: images/01.jpg, masks/01.png."
    )


def _pair(file: Path, line: int, row: dict[str, str]) -> Pair:
    image, mask = row["image"] or "", row["mask"] or ""
    if not image or not mask:
        raise DataError(f"Expected an image and a mask in line {line} of {str(file)!r}; received {image!r}, {mask!r}.")
    group = (row.get("group") or "").strip()
    return Pair(csv_name(file, image), csv_name(file, mask), csv_split(file, line, row), group)

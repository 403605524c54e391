"""`ImageDataset`: pictures, their labels and their class names."""

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from opsin.data.parts import Candidates, assign_parts
from opsin.data.readers import Listing, read_csv, read_folder
from opsin.data.splits import SPLITS, require_fractions
from opsin.data.walk import Skipped
from opsin.errors import DataError, UsageError


class ImageDataset:
    """Pictures with one label each; nothing is decoded yet, and nothing ever changes.

    A part of a data set (a split, a subset) is an `ImageDataset` too; it shares the listing it came from.

    Args:
        listing: what was found on the disk.
        rows: int (n,), which of its entries this data set holds; None for all.

    >>> ImageDataset.from_folder("no/such/folder")
    Traceback (most recent call last):
    ...
    opsin.errors.UsageError: Expected a folder of pictures; there is nothing at 'no/such/folder'. Check the path.
    """

    def __init__(self, listing: Listing, rows: np.ndarray | None = None):
        self.listing = listing
        self.rows = np.arange(len(listing.entries)) if rows is None else np.asarray(rows, dtype=np.int64)

    @classmethod
    def open(cls, path: str | Path, *, patient: bool = False, skip: Mapping[str, str] | None = None) -> "ImageDataset":
        """Read a folder or a `.csv` file.

        Args:
            path: which.
            patient: take as it is what would otherwise be an error (splits of different classes, a picture with two
                labels), for a check that finds such things.
            skip: pictures to leave out, as `without` takes them; that these have two labels is no error.

        Raises:
            UsageError: there is nothing of the kind, or none of what is to be left out is in it.
            DataError: it holds no pictures that can be learned from, or `skip` leaves none.
        """
        is_csv = Path(path).suffix.lower() == ".csv" and Path(path).is_file()
        skip = skip or {}
        found = cls(read_csv(path, patient=patient, skip=skip) if is_csv else read_folder(path, patient=patient))
        if len(found) and skip and len(found.missing(skip)) == len(skip):
            raise UsageError(
                f"Expected pictures of the data to leave out, {found.names[0]!r} say; none of the {len(skip):,} that "
                f"are listed is in it, {next(iter(skip))!r} say. Names are relative to {str(found.root)!r}, with /."
            )
        left = found.without(skip) if skip else found
        if not len(left):
            raise DataError(f"Expected some pictures to be left; all {len(found):,} are listed as to be left out.")
        return left

    @classmethod
    def from_folder(cls, folder: str | Path) -> "ImageDataset":
        """Read a folder with a folder for each class, or with `train/`, `val/` and `test/` of such folders.

        Raises:
            UsageError: there is no such folder.
            DataError: it holds no pictures in class folders, or its splits have different classes.
        """
        return cls(read_folder(folder))

    @classmethod
    def from_csv(cls, file: str | Path) -> "ImageDataset":
        """Read a CSV with the columns `path,label` and optionally `split`, `group`.

        Raises:
            UsageError: there is no such file.
            DataError: a column or label is missing, a picture has two labels, or none of the files exist.
        """
        return cls(read_csv(file))

    @property
    def class_names(self) -> tuple[str, ...]:
        """All class names, in natural order; a label is an index into them."""
        return self.listing.class_names

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What lies beside the pictures and is not used, and why."""
        return self.listing.skipped

    @property
    def root(self) -> Path:
        """The folder that names are relative to."""
        return self.listing.root

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The pictures' paths relative to `root`, with `/`."""
        return tuple(self.listing.entries[row].path for row in self.rows)

    @functools.cached_property
    def paths(self) -> tuple[str, ...]:
        """The pictures' absolute paths."""
        return tuple(str(self.root / name) for name in self.names)

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """int32 (n,), class indices."""
        index = {name: i for i, name in enumerate(self.class_names)}
        return np.array([index[self.listing.entries[row].label] for row in self.rows], dtype=np.int32)

    @functools.cached_property
    def groups(self) -> tuple[str, ...]:
        """n names of groups that must stay together in a split; all empty where there are none."""
        return tuple(self.listing.entries[row].group for row in self.rows)

    @functools.cached_property
    def given_splits(self) -> tuple[str | None, ...]:
        """The part that the folders or the CSV put each picture in; None where they do not say."""
        return tuple(self.listing.entries[row].split for row in self.rows)

    @functools.cached_property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """What a CSV says of the pictures beside path, label, split and group: n values by the column's name."""
        more = [self.listing.entries[row].more for row in self.rows]
        return {name: tuple(values[i] for values in more) for i, name in enumerate(self.listing.columns)}

    @property
    def counts(self) -> dict[str, int]:
        """Number of pictures of each class."""
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        return dict(zip(self.class_names, counts.tolist(), strict=True))

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of the names, labels and file sizes of the whole listing: which data this is, wherever it lies."""
        digest = hashlib.sha256()
        for entry in sorted(self.listing.entries, key=lambda entry: entry.path):
            size = file_size(self.root / entry.path)
            digest.update(f"{entry.path}\0{entry.label}\0{size}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"ImageDataset({len(self)} pictures, {len(self.class_names)} classes, {str(self.root)!r})"

    def subset(self, positions: Sequence[int] | np.ndarray) -> "ImageDataset":
        """Return the pictures at these positions (ints, or a bool for each picture)."""
        chosen = np.asarray(positions) if len(positions) else np.zeros(0, dtype=np.int64)
        return ImageDataset(self.listing, self.rows[chosen])

    def without(self, reasons: Mapping[str, str]) -> "ImageDataset":
        """Return the data set without some pictures; these are accounted for as skipped.

        Args:
            reasons: why, by the picture's name; names of other pictures are ignored.
        """
        entries = [entry for entry in self.listing.entries if entry.path not in reasons]
        left_out = dict.fromkeys(entry.path for entry in self.listing.entries if entry.path in reasons)
        skipped = (*self.listing.skipped, *(Skipped(name, f"left out by a list: {reasons[name]}") for name in left_out))
        names = {entry.label for entry in entries}
        class_names = tuple(name for name in self.class_names if name in names)
        kept = set(self.names)
        listing = replace(self.listing, entries=tuple(entries), class_names=class_names, skipped=skipped)
        return ImageDataset(
            listing, np.array([i for i, entry in enumerate(entries) if entry.path in kept], dtype=np.int64)
        )

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return those of the names that neither a picture has nor anything that is skipped."""
        known = {*self.names, *(one.path for one in self.skipped)}
        return [name for name in names if name not in known]

    def grouped_by(self, pattern: str) -> "ImageDataset":
        """Return the data set with groups that the pictures' names tell, for those that have none.

        Args:
            pattern: a regular expression that is looked for in a picture's path; what its first parentheses match, or
                else the whole match, names the group: `"(patient[0-9]+)"`.

        Raises:
            UsageError: it is no regular expression, or it is found in no picture's path.
        """
        try:
            expression = re.compile(pattern)
        except re.error as error:
            raise UsageError(f"Expected a regular expression to group by; {pattern!r} is none: {error}.") from error
        found = [expression.search(entry.path) for entry in self.listing.entries]
        if not any(found):
            raise UsageError(
                f"Expected {pattern!r} to be found in the pictures' paths; it is in none of {len(found):,}, "
                f"{self.listing.entries[0].path!r} say."
            )
        names = ["" if one is None else (one.group(1) if expression.groups else one.group()) or "" for one in found]
        entries = (
            replace(entry, group=entry.group or name) for entry, name in zip(self.listing.entries, names, strict=True)
        )
        return ImageDataset(replace(self.listing, entries=tuple(entries)), self.rows)

    def split(
        self, val: float = 0.15, test: float = 0.15, seed: int = 0, *, together: np.ndarray | None = None
    ) -> "DatasetSplits":
        """Share the pictures out into training, validation and test parts.

        Splits that the folders or the CSV give are kept: without a test part their validation part is the one
        that is held out, and validation is taken from training. Otherwise the split is stratified by class, and
        by group where the pictures have groups.

        Args:
            val: fraction from 0 to 1 for validation (of the training part, where splits are given).
            test: fraction from 0 to 1 held out for the report.
            seed: the same seed gives the same split.
            together: int (n,), pictures of the same number come into the same part as far as it is drawn here: copies
                of each other, say; None: each stands alone.

        Returns:
            An object that unpacks into three data sets: `train, val, test = dataset.split()`.

        Raises:
            UsageError: the fractions make no sense.
            DataError: there is one class only, or a class with a single picture.
        """
        require_fractions(val, test)
        require_learnable(self)
        alone = np.arange(len(self)) if together is None else np.asarray(together)
        candidates = Candidates(self.names, self.labels, self.groups, self.given_splits, alone)
        parts, note = assign_parts(candidates, val=val, test=test, seed=seed)
        return DatasetSplits(*(self.subset(parts == part) for part in SPLITS), note=note)


@dataclass(frozen=True)
class DatasetSplits:
    """The three parts of a data set; unpacks as `train, val, test`."""

    train: ImageDataset
    val: ImageDataset
    test: ImageDataset
    note: str = ""
    """What was decided about splits that the data itself gives; empty if it gives none."""

    def __iter__(self) -> Iterator[ImageDataset]:
        return iter((self.train, self.val, self.test))


def require_learnable(dataset: ImageDataset) -> None:
    """Raise `DataError` unless there are two classes or more, with two pictures or more each."""
    counts = {name: count for name, count in dataset.counts.items() if count}
    if len(counts) < 2:
        raise DataError(
            f"Expected pictures of at least two classes; {str(dataset.root)!r} has only "
            f"{next(iter(counts), 'none')!r}. Put each class's pictures into a folder of their own."
        )
    single = [name for name, count in counts.items() if count == 1]
    if single:
        raise DataError(
            "Expected at least two pictures of each class, one to learn from and one to judge by; there is only one "
            f"of {', '.join(repr(name) for name in single[:8])}{' and others' if len(single) > 8 else ''}. "
            "Add pictures, or take the class out."
        )


def file_size(path: Path) -> int:
    """Return a file's size in bytes; -1 if it cannot be told."""
    try:
        return path.stat().st_size
    except OSError:
        return -1

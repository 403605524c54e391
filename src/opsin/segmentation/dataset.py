"""`SegmentationDataset`: pictures, their masks and the classes of their pixels."""

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from opsin.data.dataset import DatasetSplits, ImageDataset, file_size
from opsin.data.parts import Candidates, assign_parts
from opsin.data.splits import SPLITS, require_fractions
from opsin.data.walk import Skipped
from opsin.errors import DataError
from opsin.segmentation.classes import ClassTable
from opsin.segmentation.inferring import Wanted, infer_classes
from opsin.segmentation.mask_facts import look_at_masks
from opsin.segmentation.pairs import Pair, PairListing, read_pair_csv, read_pair_folder


class SegmentationDataset:
    """Pictures with a mask each; no picture is decoded yet, and nothing ever changes.

    A part of a data set (a split, a subset) is a `SegmentationDataset` too; it shares the listing it came from.

    Args:
        listing: what was found on the disk.
        classes: the classes of pixels.
        rows: int (n,), which of the listing's pairs this data set holds; None for all.
        note: how the classes were told, where nobody has said what they are.

    >>> SegmentationDataset.from_folder("no/such/folder")
    Traceback (most recent call last):
    ...
    opsin.errors.UsageError: Expected a folder with images/ and masks/; there is nothing at 'no/such/folder'. Check \
the path.
    """

    def __init__(self, listing: PairListing, classes: ClassTable, rows: np.ndarray | None = None, *, note: str = ""):
        self.listing = listing
        self.classes = classes
        self.rows = np.arange(len(listing.pairs)) if rows is None else np.asarray(rows, dtype=np.int64)
        self.note = note

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        classes: ClassTable | None = None,
        names: Sequence[str] = (),
        ignore: Sequence[int] = (),
        patient: bool = False,
    ) -> "SegmentationDataset":
        """Read a folder or a `.csv` file.

        Args:
            path: which.
            classes: the classes of pixels; None: every mask is looked at to tell them, and `note` says what was found.
            names: what the classes that are found are called, in the order of their values or colours.
            ignore: numbers in masks of pixels that are none of the classes.
            patient: take as it is what would otherwise be an error (two files of one name), for a check that finds
                such things.
        """
        is_csv = Path(path).suffix.lower() == ".csv" and Path(path).is_file()
        listing = read_pair_csv(path, patient=patient) if is_csv else read_pair_folder(path, patient=patient)
        return cls._of(listing, classes, Wanted(tuple(names), tuple(ignore)))

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        *,
        classes: ClassTable | None = None,
        names: Sequence[str] = (),
        ignore: Sequence[int] = (),
    ) -> "SegmentationDataset":
        """Read a folder with `images/` and `masks/`, or with `train/`, `val/` and `test/` of such folders.

        A picture's mask is the file of the same name, whatever its suffix; the arguments are those of `open`.

        Raises:
            UsageError: there is no such folder, or as many names as there are no classes.
            DataError: it holds no pairs, two files of one name, or masks that hold no classes.
        """
        return cls._of(read_pair_folder(folder), classes, Wanted(tuple(names), tuple(ignore)))

    @classmethod
    def from_csv(
        cls,
        file: str | Path,
        *,
        classes: ClassTable | None = None,
        names: Sequence[str] = (),
        ignore: Sequence[int] = (),
    ) -> "SegmentationDataset":
        """Read a CSV with the columns `image,mask` and optionally `split`, `group`.

        The arguments are those of `open`.

        Raises:
            UsageError: there is no such file, or as many names as there are no classes.
            DataError: a column or a cell is missing, a picture has two masks, none of the files exist, or the masks
                hold no classes.
        """
        return cls._of(read_pair_csv(file), classes, Wanted(tuple(names), tuple(ignore)))

    @classmethod
    def _of(cls, listing: PairListing, classes: ClassTable | None, wanted: Wanted) -> "SegmentationDataset":
        if classes is not None:
            return cls(listing, classes)
        facts = look_at_masks([str(listing.root / pair.mask) for pair in listing.pairs])
        classes, note = infer_classes(list(facts), wanted)
        return cls(listing, classes, note=note)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes are called; an array's class index is an index into them."""
        return self.classes.names

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What lies beside the pairs and is not used, and why."""
        return self.listing.skipped

    @property
    def root(self) -> Path:
        """The folder that names are relative to."""
        return self.listing.root

    @functools.cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """The pictures and masks, with the part and the group that the data puts them in."""
        return tuple(self.listing.pairs[row] for row in self.rows)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The pictures' paths relative to `root`, with `/`."""
        return tuple(pair.image for pair in self.pairs)

    @functools.cached_property
    def mask_names(self) -> tuple[str, ...]:
        """The masks' paths relative to `root`, with `/`."""
        return tuple(pair.mask for pair in self.pairs)

    @functools.cached_property
    def paths(self) -> tuple[str, ...]:
        """The pictures' absolute paths."""
        return tuple(str(self.root / name) for name in self.names)

    @functools.cached_property
    def mask_paths(self) -> tuple[str, ...]:
        """The masks' absolute paths."""
        return tuple(str(self.root / name) for name in self.mask_names)

    @functools.cached_property
    def groups(self) -> tuple[str, ...]:
        """n names of groups that must stay together in a split; all empty where there are none."""
        return tuple(pair.group for pair in self.pairs)

    @functools.cached_property
    def given_splits(self) -> tuple[str | None, ...]:
        """The part that the folders or the CSV put each picture in; None where they do not say."""
        return tuple(pair.split for pair in self.pairs)

    @functools.cached_property
    def pictures(self) -> ImageDataset:
        """The pictures alone, as a data set of one class: for what looks at pictures only."""
        return ImageDataset(self.listing.pictures, self.rows)

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of all names, file sizes and classes of the whole listing: which data this is, wherever it lies."""
        digest = hashlib.sha256(repr(sorted(self.classes.to_dict().items())).encode())
        for pair in sorted(self.listing.pairs, key=lambda pair: pair.image):
            sizes = f"{file_size(self.root / pair.image)}\0{file_size(self.root / pair.mask)}"
            digest.update(f"{pair.image}\0{pair.mask}\0{sizes}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"SegmentationDataset({len(self)} pictures, {self.classes.k} classes, {str(self.root)!r})"

    def subset(self, positions: Sequence[int] | np.ndarray) -> "SegmentationDataset":
        """Return the pairs at these positions (ints, or a bool for each pair)."""
        chosen = np.asarray(positions) if len(positions) else np.zeros(0, dtype=np.int64)
        return SegmentationDataset(self.listing, self.classes, self.rows[chosen], note=self.note)

    def split(
        self, val: float = 0.15, test: float = 0.15, seed: int = 0, *, together: np.ndarray | None = None
    ) -> DatasetSplits:
        """Share the pairs out into training, validation and test parts.

        Splits that the folders or the CSV give are kept: without a test part their validation part is the one that is
        held out, and validation is taken from training. Otherwise a hash of the seed and the pictures' names decides;
        groups stay together.

        Args:
            val: fraction from 0 to 1 for validation (of the training part, where splits are given).
            test: fraction from 0 to 1 held out for the report.
            seed: the same seed gives the same split.
            together: int (n,), pairs of the same number come into the same part as far as it is drawn here: copies of
                each other, say; None: each stands alone.

        Returns:
            An object that unpacks into three data sets: `train, val, test = dataset.split()`.

        Raises:
            UsageError: the fractions make no sense.
            DataError: there are too few pictures, or groups, for the parts.
        """
        require_fractions(val, test)
        alone = np.arange(len(self)) if together is None else np.asarray(together)
        labels = np.zeros(len(self), dtype=np.int64)
        candidates = Candidates(self.names, labels, self.groups, self.given_splits, alone)
        parts, note = assign_parts(candidates, val=val, test=test, seed=seed)
        found = DatasetSplits(*(self.subset(parts == part) for part in SPLITS), note=note)
        _require_pictures(found, val, test)
        return found


def _require_pictures(splits: DatasetSplits, val: float, test: float) -> None:
    empty = [
        name for name, share in (("train", 1), ("val", val), ("test", test)) if share and not getattr(splits, name)
    ]
    if empty:
        total = sum(len(part) for part in splits)
        raise DataError(
            f"Expected enough pictures for the parts train, val and test; of {total} none is left for "
            f"{' and '.join(empty)}. Add pictures, or ask for fewer parts (val=0, test=0)."
        )

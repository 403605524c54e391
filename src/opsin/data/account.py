"""`files.csv`: the account of every file of a run, used in which part or skipped and why."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from opsin.atomic import write_bytes
from opsin.data.dataset import ImageDataset, file_size
from opsin.data.splits import SPLITS
from opsin.data.walk import Skipped
from opsin.errors import DataError, UsageError

COLUMNS = ("path", "label", "split", "group", "bytes", "status", "reason")


def write_account(
    path: str | Path,
    parts: Mapping[str, ImageDataset],
    unreadable: Mapping[str, Sequence[Skipped]] | None = None,
) -> None:
    """Write the account of every file.

    Args:
        path: the CSV to write; its columns are `COLUMNS`.
        parts: the data sets by the name of their part.
        unreadable: by the name of the part, its pictures that could not be decoded; None if all could.
    """
    buffer = io.StringIO(newline="")
    # Of both characters of its line ends, Python's writer quotes what holds one: names may.
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    root = next(iter(parts.values())).root
    for part, dataset in parts.items():
        reasons = {skipped.path: skipped.reason for skipped in (unreadable or {}).get(part, ())}
        before = _before(dataset, root)
        for name, label, group in zip(dataset.names, dataset.labels, dataset.groups, strict=True):
            status = ("skipped", reasons[name]) if name in reasons else ("used", "")
            size = file_size(dataset.root / name)
            writer.writerow((before + name, dataset.class_names[label], part, group, size, *status))
    for dataset in {id(dataset.listing): dataset for dataset in parts.values()}.values():
        before = _before(dataset, root)
        writer.writerows((before + s.path, "", "", "", "", "skipped", s.reason) for s in dataset.skipped)
    write_bytes(path, buffer.getvalue().encode("utf-8", "surrogateescape"))


def account_of(parts: Mapping[str, ImageDataset]) -> Iterator[tuple[str, str, str, str]]:
    """Yield path, label, part and size of each picture, as the account has them."""
    root = next(iter(parts.values())).root
    for part, dataset in parts.items():
        before = _before(dataset, root)
        for name, label in zip(dataset.names, dataset.labels, strict=True):
            yield before + name, dataset.class_names[label], part, str(file_size(dataset.root / name))


def read_account(path: str | Path) -> list[dict[str, str]]:
    """Return the rows of an account that say which part a picture is in.

    Raises:
        UsageError: there is no such file.
        DataError: it is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"Expected the run's account of its files; there is none at {str(path)!r}.")
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as handle:
            # A picture that a CSV lists twice is in the account twice: used, and skipped the second time.
            return [row for row in csv.DictReader(handle, strict=True) if row["split"] and row["path"] and row["bytes"]]
    except (OSError, KeyError, csv.Error) as error:
        raise DataError(f"Expected the run's account of its files; {str(path)!r} is damaged: {error}.") from error


def read_parts(path: str | Path, dataset: ImageDataset) -> dict[str, ImageDataset]:
    """Share a data set out as an account says; a picture is known by its path and its size.

    Returns:
        A data set for each part. A picture that the account does not know is in none.

    Raises:
        UsageError: there is no such file.
        DataError: it is damaged.
    """
    part_of = {(row["path"], row["bytes"]): row["split"] for row in read_account(path)}
    known = [part_of.get((name, str(file_size(dataset.root / name))), "") for name in dataset.names]
    parts = np.array(known, dtype=object)
    return {part: dataset.subset(parts == part) for part in SPLITS}


def is_about(path: str | Path, dataset: ImageDataset, parts: Mapping[str, ImageDataset]) -> bool:
    """Tell whether an account is about a data set, and not about another with files of the same names and sizes.

    It is where half of the pictures of the one or of the other are in both.

    Args:
        path: the account.
        dataset: the data set.
        parts: what `read_parts` makes of the two.
    """
    known = sum(map(len, parts.values()))
    return known > 0 and (2 * known >= len(dataset) or 2 * known >= len(read_account(path)))


def known_parts(path: Path, dataset: ImageDataset) -> dict[str, ImageDataset]:
    """Share a data set out as `read_parts` does; empty where there is no account, or one about other data.

    Raises:
        DataError: it is damaged.
    """
    parts = read_parts(path, dataset) if path.is_file() else {}
    return parts if is_about(path, dataset, parts) else {}


def _before(dataset: ImageDataset, root: Path) -> str:
    """Return what tells pictures of another root from those of the first that have the same names."""
    return "" if dataset.root == root else f"{dataset.root}/"

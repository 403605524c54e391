"""Pictures to be looked at, not learned from: any folder of them, with class names where it has some."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from opsin.data.dataset import ImageDataset
from opsin.data.walk import Skipped, Walk, count_reasons, is_folder
from opsin.errors import DataError


@dataclass(frozen=True)
class PictureList:
    """Pictures in order; whether they can be read is not known yet.

    Args:
        root: the folder that `skipped` is relative to.
        paths: the n pictures' files, absolute.
        labels: n class names, empty for a picture that has none; no names at all if none of them has one.
        skipped: what lies beside the pictures and is not used, and why.
    """

    root: Path
    paths: tuple[str, ...]
    labels: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def lost(self) -> tuple[tuple[str, str], ...]:
        """Path and reason of each picture that was meant to be used and cannot be."""
        return tuple((str(self.root / one.path), one.reason) for one in self.skipped if one.lost)


def find_pictures(source: str | Path | ImageDataset | Iterable[str | Path]) -> PictureList:
    """List pictures.

    Args:
        source: a data set; a `.csv` file that lists one; files; or a folder, of which every picture is taken, at
            whatever depth. Those that lie as a data set's do have the label that they would have there.

    Raises:
        UsageError: there is nothing at the path.
        DataError: there are no pictures.
    """
    if isinstance(source, ImageDataset):
        return _of_dataset(source)
    if not isinstance(source, str | Path):
        return PictureList(Path.cwd(), tuple(str(Path(path).absolute()) for path in source))
    try:
        dataset = ImageDataset.open(source)
    except DataError:
        if not is_folder(source):
            raise
        return _of_folder(Path(source).resolve(), {})
    if not is_folder(source):
        return _of_dataset(dataset)
    labels = [dataset.class_names[label] for label in dataset.labels]
    return _of_folder(dataset.root, dict(zip(dataset.paths, labels, strict=True)))


def _of_dataset(dataset: ImageDataset) -> PictureList:
    labels = tuple(dataset.class_names[label] for label in dataset.labels)
    return PictureList(dataset.root, dataset.paths, labels, dataset.skipped)


def _of_folder(root: Path, labels: dict[str, str]) -> PictureList:
    """Walk through a folder instead of taking a data set's word: that leaves out what lies beside class folders."""
    walk = Walk(root, patient=True)
    paths = tuple(map(str, walk.pictures(root, frozenset())))
    if not paths:
        raise DataError(
            f"Expected pictures; found none in {str(root)!r}. Left out: {count_reasons(walk.skipped) or 'nothing'}."
        )
    return PictureList(
        root, paths, tuple(labels.get(path, "") for path in paths) if labels else (), tuple(walk.skipped)
    )

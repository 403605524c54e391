"""`FeatureIndex`: the feature vectors of many pictures, what made them, and which are closest to another."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from opsin.errors import DataError, OpsinError, UsageError
from opsin.features.index_files import Content, explain_damage, read_content, write_content
from opsin.images.preprocess import Preprocess

FORMAT = 1
BLOCK = 4096
"""Vectors that are compared at a time: 20 MB of a thousand numbers each."""


@dataclass(frozen=True)
class Origin:
    """What made the vectors of an index.

    Args:
        name: the network's architecture.
        sha256: a hash of the network, its weights and the recipe. Vectors are only comparable where it is the same.
        preprocess: the recipe from a picture to the network's input.
        source: what to open it with: the path of a model folder, or the name of an architecture.
        weights: of an architecture, `"imagenet"` or a file; None for a finished model.
    """

    name: str
    sha256: str
    preprocess: Preprocess
    source: str
    weights: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values for a JSON file."""
        return {**self.__dict__, "preprocess": self.preprocess.to_dict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Origin":
        """Take it back from what `to_dict` gave."""
        return cls(**{**values, "preprocess": Preprocess.from_dict(values["preprocess"])})


class Match(NamedTuple):
    """A picture of an index, as the answer to a question.

    Args:
        row: its place in the index.
        path: the picture's file.
        similarity: cosine, from -1 to 1.
        label: its class name; empty if it has none.
    """

    row: int
    path: str
    similarity: float
    label: str


@dataclass(frozen=True, eq=False)
class FeatureIndex:
    """The feature vectors of n pictures; `opsin.embed` makes one.

    Args:
        vectors: float32 (n, d), finite.
        paths: the n pictures' files, absolute.
        origin: what made the vectors.
        labels: n class names, empty for a picture that has none; no names at all if none of them has one.
        clusters: int32 (n,), the group each picture is in, 1 for the largest; None if they were not grouped.
        skipped: path and reason of each picture that could not be read; they are not among the n.

    Raises:
        UsageError: these do not fit together.

    >>> origin = Origin("tiny", "0", Preprocess(1, 1), "RUN")
    >>> index = FeatureIndex(np.eye(2, dtype=np.float32), ("a.png", "b.png"), origin)
    >>> [(match.path, match.similarity) for match in index.nearest(np.array([0.0, 2.0]), 1)]
    [('b.png', 1.0)]
    """

    vectors: np.ndarray
    paths: tuple[str, ...]
    origin: Origin
    labels: tuple[str, ...] = ()
    clusters: np.ndarray | None = None
    skipped: tuple[tuple[str, str], ...] = ()

    def __post_init__(self):
        if self.vectors.dtype != np.float32 or self.vectors.ndim != 2:
            raise UsageError(f"Expected vectors as float32 (n, d); received {_kind(self.vectors)}.")
        # In float64 no sum of finite float32 overflows; one value that is no number makes its whole sum none.
        if not np.isfinite(self.vectors.sum(axis=1, dtype=np.float64)).all():
            raise UsageError("Expected finite numbers in all vectors; received NaN or infinity.")
        if len(self.paths) != len(self) or len(self.labels) not in (0, len(self)):
            raise UsageError(
                f"Expected a path for each of {len(self)} vectors, and as many labels or none; received "
                f"{len(self.paths)} and {len(self.labels)}."
            )
        if self.clusters is not None and (self.clusters.dtype != np.int32 or self.clusters.shape != (len(self),)):
            raise UsageError(f"Expected clusters as int32 ({len(self)},); received {_kind(self.clusters)}.")

    def __len__(self) -> int:
        return len(self.vectors)

    def __repr__(self) -> str:
        return f"FeatureIndex({len(self)} pictures, {self.dimensions} numbers each, by {self.origin.name!r})"

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        return self.vectors.shape[1]

    def unit_vectors(self, rows: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Return float32 (N, d), the vectors of some rows, each divided by its length; a zero vector stays one."""
        return self.vectors[rows] / self._lengths[rows, None]

    def nearest(self, vector: np.ndarray, count: int = 10) -> tuple[Match, ...]:
        """Return the pictures whose vectors point in the most similar direction, the most similar one first.

        Every vector is compared. A zero vector has the similarity 0 to all others. Of equally similar pictures, those
        that come first in the index come first here.

        Args:
            vector: float (d,).
            count: how many to return at most.

        Raises:
            UsageError: the vector has another size or is not finite, or the count is below 1.
        """
        if np.shape(vector) != (self.dimensions,) or not np.isfinite(vector).all():
            raise UsageError(
                f"Expected a vector of {self.dimensions} finite numbers; received {_kind(np.asarray(vector))}."
            )
        if count < 1:
            raise UsageError(f"Expected to look for at least 1 picture; received {count}.")
        similarities = self._similarities(np.asarray(vector, dtype=np.float64))
        return tuple(
            Match(row, self.paths[row], float(similarities[row]), self.labels[row] if self.labels else "")
            for row in _largest(similarities, count).tolist()
        )

    def save(self, path: str | Path) -> None:
        """Write the index to a `.npz` file, or to `.parquet` (one row a picture; needs `opsin[parquet]`).

        An older index there is replaced, another file is not.

        Raises:
            UsageError: the file's suffix is another, or the file there is no index.
            SavingError: it cannot be written.
            MissingPackageError: pyarrow is not installed.
        """
        columns = {"vectors": self.vectors, "paths": self.paths}
        if self.labels:
            columns["labels"] = self.labels
        if self.clusters is not None:
            columns["clusters"] = self.clusters
        document = {
            "format": FORMAT,
            "origin": self.origin.to_dict(),
            "columns": sorted(columns),
            "skipped": self.skipped,
        }
        write_content(path, Content(document, columns))

    @classmethod
    def load(cls, path: str | Path) -> "FeatureIndex":
        """Read an index that `save` has written.

        Raises:
            UsageError: there is no such file, or its suffix is none of an index.
            DataError: the file is none of ours, damaged, or of a newer format.
            MissingPackageError: it is a `.parquet` file, and pyarrow is not installed.
        """
        content = read_content(path)
        document, columns = content.document, content.columns
        with explain_damage(path):
            if document["format"] != FORMAT:
                raise DataError(
                    f"Expected an index of format {FORMAT}; {str(path)!r} is of format {document['format']!r}. Use the "
                    "version of opsin that wrote it, or a newer one."
                )
            if sorted(columns) != document["columns"]:
                raise ValueError(f"it holds {', '.join(columns)} instead of {', '.join(document['columns'])}")
            try:
                return cls(
                    vectors=columns["vectors"],
                    paths=tuple(columns["paths"]),
                    origin=Origin.from_dict(document["origin"]),
                    labels=tuple(columns.get("labels", ())),
                    clusters=columns.get("clusters"),
                    skipped=tuple((picture, reason) for picture, reason in document["skipped"]),
                )
            except OpsinError as error:
                raise ValueError(str(error)) from error

    @functools.cached_property
    def _lengths(self) -> np.ndarray:
        """float32 (n,), each vector's length; 1 for a zero vector."""
        blocks = (self.vectors[start : start + BLOCK].astype(np.float64) for start in range(0, len(self), BLOCK))
        lengths = np.concatenate([np.zeros(0), *(np.linalg.norm(block, axis=1) for block in blocks)])
        return np.where(lengths == 0, 1, lengths).astype(np.float32)

    def _similarities(self, vector: np.ndarray) -> np.ndarray:
        """Return the cosine of the angle to each vector, float32 (n,)."""
        unit = (vector / (np.linalg.norm(vector) or 1)).astype(np.float32)
        blocks = (self.unit_vectors(slice(start, start + BLOCK)) @ unit for start in range(0, len(self), BLOCK))
        # Rounding leads just beyond 1.
        return np.clip(np.concatenate([np.zeros(0, np.float32), *blocks]), -1, 1)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Return where the largest values are, in falling order; of equal ones, the first."""
    count = min(count, len(values))
    if not count:
        return np.zeros(0, dtype=np.int64)
    least = np.partition(values, len(values) - count)[len(values) - count]
    candidates = np.flatnonzero(values >= least)
    return candidates[np.argsort(-values[candidates], kind="stable")][:count]


def _kind(array: np.ndarray) -> str:
    return f"{array.dtype} {array.shape}"

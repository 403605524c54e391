"""What a report knows beyond its numbers: where the classifier fails, why, and what to do next."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from opsin.evaluation.intervals import Estimate
from opsin.evaluation.selective import Costs


@dataclass(frozen=True)
class Slice:
    """The pictures that have something in common, beside all others.

    Args:
        kind: what they were sorted by: `"size"`, `"brightness"`, `"format"`, `"cut off"` by the crop, `"group"`, or a
            column of the CSV.
        name: which of them these are: `"up to 180 pixels"`.
        accuracy: the share judged rightly.
        others: the same of all other pictures.
        p_value: how often chance alone would part the two so far or farther within each class, corrected (Holm) for
            the number of slices that were looked at.
        paths: its mistakes, the most confident first; only where it did worse than others, and some twenty at most.
    """

    kind: str
    name: str
    accuracy: Estimate
    others: Estimate
    p_value: float
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Corrupted:
    """What is left of the accuracy on pictures that were spoilt a little.

    Args:
        kind: a name in `opsin.evaluation.robustness.CORRUPTIONS`.
        severity: from 1, hardly seen, to 5.
        accuracy: the share judged rightly.
    """

    kind: str
    severity: int
    accuracy: Estimate


@dataclass(frozen=True)
class Robustness:
    """How a classifier bears what cameras and networks do to pictures.

    Args:
        clean: the share judged rightly of the same pictures as they are.
        corrupted: each kind at each severity.
    """

    clean: Estimate
    corrupted: tuple[Corrupted, ...]


@dataclass(frozen=True)
class WantedPrecision:
    """What it takes to say a class with a wanted precision, on the report's own pictures.

    Args:
        name: the class.
        wanted: the precision, above 0 and at most 1.
        threshold: the least probability at which it is said then; None if no threshold is enough.
        precision: the share of right ones where it is said then, on so many pictures; the highest there is if none is
            enough; None if the class is never said.
        recall: the share of the class's pictures of which it is said then; None if it has no pictures.
    """

    name: str
    wanted: float
    threshold: float | None
    precision: Estimate | None
    recall: Estimate | None


@dataclass(frozen=True)
class Neighbour:
    """A training picture that the network sees as similar.

    Args:
        path: relative to the report's root.
        label: its class.
        similarity: cosine of the two feature vectors, from -1 to 1.
    """

    path: str
    label: str
    similarity: float


@dataclass(frozen=True, eq=False)
class Explained:
    """Why a picture was judged as it was.

    Args:
        heat: float32 (h, w), from 0 to 1, where the evidence for the class that was said lies on the upright picture;
            None if it was not computed.
        peak: the heat map's highest value before it was scaled; 0 says that there is no evidence.
        neighbours: the most similar training pictures, most similar first.
    """

    heat: np.ndarray | None = None
    peak: float = 0.0
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Pictures laid out so that what the network sees as similar is close.

    Args:
        points: float32 (m, 2).
        rows: int (m,), which of the report's pictures they are.
        method: how: `"PCA"` or `"UMAP"`.
    """

    points: np.ndarray
    rows: np.ndarray
    method: str


@dataclass(frozen=True)
class Advice:
    """One sentence on what to do next.

    Args:
        sentence: what to do.
        reason: the numbers that say so.
        gain: the accuracy that it could bring at most, a fraction from 0 to 1: what advice is ranked by.
        paths: the pictures that it is about.
    """

    sentence: str
    reason: str
    gain: float
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Evidence:
    """All of it; what was not looked for is empty.

    Args:
        slices: how pictures that have something in common did, those that are worse than others first.
        robustness: on pictures that were spoilt a little.
        costs: what the answers cost, where mistakes do not weigh the same.
        precisions: thresholds of classes that are to be said with a wanted precision.
        explained: path of a picture -> why it was judged as it was.
        map: the pictures laid out by similarity.
        advice: what to do next, the most promising first.
    """

    slices: tuple[Slice, ...] = ()
    robustness: Robustness | None = None
    costs: Costs | None = None
    precisions: tuple[WantedPrecision, ...] = ()
    explained: Mapping[str, Explained] = field(default_factory=dict)
    map: FeatureMap | None = None
    advice: tuple[Advice, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what of it is fit for `report.json`: neither heat maps nor points."""
        costs = None
        if self.costs is not None:
            matrices = {name: getattr(self.costs, name).tolist() for name in ("matrix", "confusion_matrix")}
            costs = {**asdict(self.costs), **matrices}
        return {
            "advice": [asdict(one) for one in self.advice],
            "slices": [asdict(one) for one in self.slices],
            "robustness": None if self.robustness is None else asdict(self.robustness),
            "costs": costs,
            "precisions": [asdict(one) for one in self.precisions],
        }

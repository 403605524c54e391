"""When a class is said, and when `unknown`: by confidence, distance from known pictures, and a class's precision.

A card's `thresholds` may hold:

- `unknown`: `neighbour`, which of the nearest known pictures is measured to; `pictures`, how many the rest was
  fitted on; and `keep`, by the share of known pictures that is kept (`"0.95"`): `confidence` and `distance`, for what
  gives features, and `confidence_alone`, for what gives probabilities only. An older card has a number, a confidence.
- `precision`: see `opsin.evaluation.thresholds.precision_table`.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opsin.errors import ModelError, UsageError
from opsin.model_folder import ModelCard, read_proved
from opsin.names import CARD, KNOWN

UNKNOWN = "unknown"
"""The label of a picture of which the classifier is not sure enough; its name in a card's `thresholds`, too."""
PRECISION = "precision"
FROM_CARD = "card"
"""The threshold that stands in the model's card."""
KEEP = 0.95
"""The share of known pictures that `unknown` keeps unless another is asked for."""


_FEW = 8
"""Pictures for which a product is quicker without BLAS, whose threads wait for each other: where others keep the cores
busy, that took a quarter of a server's time."""


@dataclass(frozen=True, eq=False)
class References:
    """Known pictures, by their features, to which others are compared.

    Args:
        features: float (m, d), m ≥ 1.
        neighbour: which of the nearest ones is measured to, from 1 on.
    """

    features: np.ndarray
    neighbour: int

    def __post_init__(self):
        object.__setattr__(self, "features", unit(self.features))

    def distances(self, features: np.ndarray, *, but: np.ndarray | None = None) -> np.ndarray:
        """Return how far pictures are from the known ones: float64 (N,), from 0 to 2.

        That is the Euclidean distance to the k-th nearest one, all features brought to length 1 (Sun et al. 2022,
        "Out-of-distribution detection with deep nearest neighbors", arXiv 2204.06507).

        Args:
            features: float (N, d).
            but: bool (N, m), which of the known ones do not count for which picture; None if all do.
        """
        features = unit(features)
        few = len(features) <= _FEW
        cosines = np.einsum("nd,md->nm", features, self.features) if few else features @ self.features.T
        if but is not None:
            cosines = np.where(but, -1.0, cosines)
        nearest = min(self.neighbour, cosines.shape[1])
        chosen = np.partition(cosines, -nearest, axis=1)[:, -nearest]
        return np.sqrt(np.maximum(2 - 2 * chosen.astype(np.float64), 0))


def unit(features: np.ndarray) -> np.ndarray:
    """Return features (N, d) at length 1, float32; those of length 0 stay."""
    features = np.asarray(features, dtype=np.float32)
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(length > 0, length, 1)


@dataclass(frozen=True, eq=False)
class Decision:
    """The rule: the most probable class is said, unless it is less probable or the picture further away than allowed.

    Args:
        confidence: float (k,), how probable each class must be to be said.
        distance: how far a picture may be from the references; None where that is not looked at.
        references: the known pictures; None where that is not looked at.
    """

    confidence: np.ndarray
    distance: float | None = None
    references: References | None = None

    def refuses(self, probabilities: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Return which pictures are `UNKNOWN`: bool (N,).

        Args:
            probabilities: float (N, k), calibrated.
            features: float (N, d), as a runtime gives them.
        """
        best = probabilities.argmax(axis=1)
        refused = probabilities[np.arange(len(best)), best] < self.confidence[best]
        if self.references is None:
            return refused
        return refused | (self.references.distances(features) > self.distance)


def decide_by(
    card: ModelCard,
    folder: Path,
    *,
    threshold: float | str | None = None,
    keep: float | None = None,
    precision: Mapping[str, float] | None = None,
) -> Decision | None:
    """Return the rule that is asked for; None if nothing is.

    Args:
        card: the model's.
        folder: the model's.
        threshold: how probable the best class must be; `FROM_CARD`: what the card has for that, with the distance
            from known pictures, where the model gives features.
        keep: with `FROM_CARD`, the share of known pictures that is not called `UNKNOWN`, one that the card has; None
            for `KEEP`.
        precision: what share of right ones each of these classes shall have among the pictures of which it is said.

    Raises:
        UsageError: the card has nothing of the kind, or it is none of what is expected.
        ModelError: the file of known pictures is missing or altered.
    """
    if keep is not None and threshold != FROM_CARD:
        raise UsageError(f"Expected --keep with --unknown; received --keep {keep} alone. Add --unknown.")
    if threshold is None and not precision:
        return None
    if UNKNOWN in card.class_names:
        raise UsageError(
            f"Expected no class called {UNKNOWN!r} with a threshold, which gives that label to pictures that it is not "
            "sure of; this model has such a class. Leave the threshold out, or train with another name for the class."
        )
    if threshold == FROM_CARD:
        decision = _from_card(card, folder, keep)
    else:
        decision = Decision(np.full(len(card.class_names), 0.0 if threshold is None else _fraction(threshold)))
    for name, wanted in (precision or {}).items():
        index, least = _for_precision(card, name, wanted)
        decision.confidence[index] = max(decision.confidence[index], least)
    return decision


def _fraction(threshold: float | str) -> float:
    if not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise UsageError(f"Expected a threshold from 0 to 1, or {FROM_CARD!r}; received {threshold!r}.")
    return float(threshold)


def _from_card(card: ModelCard, folder: Path, keep: float | None) -> Decision:
    fitted, count = card.thresholds.get(UNKNOWN), len(card.class_names)
    if fitted is None:
        raise UsageError(
            f"Expected a threshold for {UNKNOWN!r} in the model's {CARD}; it has none. Choose one: --threshold "
            "0.5, say, or in Python threshold=0.5."
        )
    if not isinstance(fitted, dict):
        if keep is not None:
            raise UsageError(
                f"Expected thresholds for several shares in the model's {CARD}; this older one has a single one, and "
                f"--keep {keep} was asked for. Leave it out, or train the model again."
            )
        return Decision(np.full(count, _fraction(fitted)))
    try:
        row = _row(fitted["keep"], KEEP if keep is None else keep)
        if KNOWN not in card.files:
            return Decision(np.full(count, float(row["confidence_alone"])))
        references = References(read_known_features(card, folder), int(fitted["neighbour"]))
        return Decision(np.full(count, float(row["confidence"])), float(row["distance"]), references)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"Expected thresholds for {UNKNOWN!r} in {CARD} of {str(folder)!r}; they cannot be read: {error!r}. Copy "
            "the model folder again from where it was trained."
        ) from error


def read_known_features(card: ModelCard, folder: Path) -> np.ndarray:
    """Return the features of the training pictures that others are compared with, float16 (m, d), of length 1.

    Raises:
        ModelError: their file is missing or altered.
    """
    return np.load(io.BytesIO(read_proved(folder, KNOWN, card)), allow_pickle=False)


def _row(rows: Mapping[str, Any], keep: float) -> Mapping[str, float]:
    if str(keep) not in rows:
        raise UsageError(f"Expected --keep to be one of {', '.join(rows)}; received {keep}.")
    return rows[str(keep)]


def _for_precision(card: ModelCard, name: str, wanted: float) -> tuple[int, float]:
    """Return a class's index, and the threshold of the next higher precision that the card has one for."""
    if name not in card.class_names:
        raise UsageError(
            f"Expected --precision with a class of the model ({', '.join(map(repr, card.class_names[:8]))}"
            f"{', …' if len(card.class_names) > 8 else ''}); received {name!r}."
        )
    if not 0 < wanted <= 1:
        raise UsageError(f"Expected a precision above 0 and at most 1; received {wanted} for {name!r}.")
    table = card.thresholds.get(PRECISION)
    if table is None:
        raise UsageError(
            f"Expected thresholds for precision in the model's {CARD}; it has none, as an older version trained it. "
            "Choose a --threshold, or train the model again."
        )
    rows = table["classes"].get(name, {})
    enough = [float(precision) for precision in rows if float(precision) >= wanted]
    if not enough:
        reached = f"the highest is {max(map(float, rows)):g}" if rows else "none is"
        raise UsageError(
            f"Expected a precision of {name!r} that some threshold reaches on the {table['pictures']} pictures it was "
            f"looked for on; received {wanted:g}, {reached} reached among those that the card has. Ask for less, or "
            "train with more pictures."
        )
    return card.class_names.index(name), float(rows[str(min(enough))][0])

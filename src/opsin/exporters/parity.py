"""Whether an export gives the answers of the network that it comes from."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

FEWEST = 8
"""Clear answers without which nothing is proved, where probabilities alone may be off."""


@dataclass(frozen=True)
class Limits:
    """What is asked of an export.

    Args:
        margin: a picture counts as decided where the two most probable classes are further apart than this.
        agreement: of the decided pictures, the least share that has the same most probable class.
        largest: how far a probability may be off; None: not asked.
        mean: how far probabilities may be off on average; None: not asked.
        tolerance: how far probabilities may be from those that the export itself gave when it was written.
    """

    margin: float
    agreement: float
    largest: float | None
    mean: float | None
    tolerance: float


FLOAT = Limits(margin=1e-3, agreement=1.0, largest=1e-3, mean=None, tolerance=1e-3)
INT8 = Limits(margin=0.1, agreement=0.95, largest=None, mean=0.05, tolerance=0.05)


@dataclass(frozen=True)
class Flip:
    """A picture of which an export says something else."""

    picture: str
    expected: str
    expected_probability: float
    received: str
    received_probability: float

    def __str__(self) -> str:
        return (
            f"{self.picture}: {self.expected} {self.expected_probability:.1%} became "
            f"{self.received} {self.received_probability:.1%}"
        )


@dataclass(frozen=True)
class Parity:
    """How near an export is to the network that it comes from.

    Args:
        pictures: how many were compared.
        decided: on how many of them the two most probable classes are clearly apart.
        agreement: of those, the share with the same most probable class.
        largest_difference: of any probability.
        mean_difference: of all probabilities.
        flipped: decided pictures of which it says something else.
        limits: what was asked.
    """

    pictures: int
    decided: int
    agreement: float
    largest_difference: float
    mean_difference: float
    flipped: tuple[Flip, ...]
    limits: Limits

    @property
    def faults(self) -> list[str]:
        """What does not hold, a phrase each; empty if the export agrees."""
        limits, found = self.limits, []
        if limits.largest is None and self.decided < FEWEST:
            found.append(f"only {self.decided} have a clear answer, at least {FEWEST} must for it to prove anything")
        if not self.agreement >= limits.agreement:
            found.append(f"{self.agreement:.1%} of the pictures keep their class, at least {limits.agreement:.0%} must")
        if limits.largest is not None and not self.largest_difference <= limits.largest:
            found.append(
                f"a probability is off by {self.largest_difference:.2g}, at most {limits.largest:g} is allowed"
            )
        if limits.mean is not None and not self.mean_difference <= limits.mean:
            found.append(
                f"probabilities are off by {self.mean_difference:.2g} on average, at most {limits.mean:g} is allowed"
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values for a JSON file."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.pictures} pictures compared: {self.agreement:.1%} of {self.decided} clear answers are the same, "
            f"probabilities differ by {self.largest_difference:.2g} at most"
        )


def compare(
    expected: np.ndarray, received: np.ndarray, pictures: Sequence[str], class_names: Sequence[str], limits: Limits
) -> Parity:
    """Compare two networks' answers.

    Args:
        expected: float (N, k), the probabilities of the network itself.
        received: float (N, k), those of its export.
        pictures: a name for each of the N pictures.
        class_names: the k class names.
        limits: what is asked.
    """
    differences = np.abs(expected - received)
    ordered = np.sort(expected, axis=1)
    decided = ordered[:, -1] - ordered[:, -2] > limits.margin
    before, after = expected.argmax(axis=1), received.argmax(axis=1)
    flipped = np.flatnonzero(decided & (before != after))
    return Parity(
        pictures=len(expected),
        decided=int(decided.sum()),
        agreement=1 - len(flipped) / max(1, int(decided.sum())),
        largest_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
        flipped=tuple(
            Flip(
                pictures[i],
                class_names[before[i]],
                float(expected[i, before[i]]),
                class_names[after[i]],
                float(received[i, after[i]]),
            )
            for i in flipped
        ),
        limits=limits,
    )

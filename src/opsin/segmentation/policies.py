"""How much pictures and their masks are changed in training: the settings, and the named ones."""

import dataclasses
from dataclasses import dataclass, field

from opsin.augmentation import ERASING, MIXING
from opsin.augmentation.policies import Policy, describe
from opsin.catalog import choose
from opsin.errors import UsageError

MOST_ELASTIC = 0.2
GRIDS = (2, 32)


@dataclass(frozen=True, kw_only=True)
class PairPolicy:
    """How much pictures and masks are changed; by default not at all.

    Args:
        base: crop, zoom, rotation, translation and flips, which move picture and mask alike, and changes of colour,
            which are made to the picture alone. Its `fill` is the picture's; what comes in at a mask's edges is
            ignored.
        elastic: the standard deviation of a smooth random displacement, as a fraction of the shorter side; 0 to 0.2.
        elastic_grid: how many bends there can be along the shorter side, 2 to 32.

    Raises:
        UsageError: a setting is not in its range, or `base` erases or mixes, which masks do not follow.

    >>> describe_pairs(PairPolicy(base=Policy(horizontal_flip=0.5), elastic=0.02))
    'mirror left-right (chance 0.5); edges: reflect, ignored in masks; bend by about 0.02 of the shorter side'
    """

    base: Policy = field(default_factory=Policy)
    elastic: float = 0.0
    elastic_grid: int = 3

    def __post_init__(self):
        wrong = [name for name in self.base.active() if name in ERASING or name in MIXING]
        if wrong:
            raise UsageError(
                f"Expected changes that a mask can follow. Received {', '.join(wrong)}: set {wrong[0]} to 0."
            )
        if not isinstance(self.elastic, int | float) or not 0 <= self.elastic <= MOST_ELASTIC:
            raise UsageError(f"Expected elastic to be a number from 0 to {MOST_ELASTIC}. Received {self.elastic!r}.")
        if not isinstance(self.elastic_grid, int) or not GRIDS[0] <= self.elastic_grid <= GRIDS[1]:
            raise UsageError(
                f"Expected elastic_grid to be a whole number from {GRIDS[0]} to {GRIDS[1]}. "
                f"Received {self.elastic_grid!r}."
            )

    def for_color(self, color: str) -> "PairPolicy":
        """Return the policy without the changes that pictures of a colour space do not take: their default, off."""
        kept = self.base.active(color)
        off = {f.name: f.default for f in dataclasses.fields(Policy) if f.name in self.base.active()}
        changed = {name: value for name, value in off.items() if name not in kept}
        return dataclasses.replace(self, base=dataclasses.replace(self.base, **changed))


PAIR_POLICIES = {
    "none": PairPolicy(),
    "light": PairPolicy(base=Policy(horizontal_flip=0.5, zoom=0.1, translation=0.05, brightness=0.1, contrast=0.1)),
    "standard": PairPolicy(
        base=Policy(horizontal_flip=0.5, zoom=0.15, rotation=10, translation=0.05, brightness=0.2, contrast=0.2)
    ),
    # Seen from above or through a microscope, nothing has an upper side; and tissue bends: Ronneberger et al. 2015,
    # arXiv 1505.04597, section 3.1, with displacements of 10 pixels in pictures of 512.
    "microscopy": PairPolicy(
        base=Policy(
            horizontal_flip=0.5,
            vertical_flip=0.5,
            zoom=0.15,
            rotation=180,
            translation=0.1,
            brightness=0.2,
            contrast=0.2,
        ),
        elastic=0.02,
    ),
    "strong": PairPolicy(
        base=Policy(
            **{"horizontal_flip": 0.5, "crop": 0.5, "rotation": 15, "brightness": 0.3, "contrast": 0.3},
            **{"saturation": 0.3, "hue": 10},
        ),
        elastic=0.015,
    ),
}


def get_pair_policy(name: str) -> PairPolicy:
    """Return a policy by its name.

    Raises:
        UsageError: there is none of that name; the message has the closest one and the whole list.
    """
    return PAIR_POLICIES[choose("augmentation policy", name, PAIR_POLICIES)]


def describe_pairs(policy: PairPolicy, color: str = "rgb") -> str:
    """Return one line that says what a policy does to pictures of a colour space and to their masks, for the log."""
    said = describe(policy.base, color)
    if said != "no changes":
        said += ", ignored in masks"
    if not policy.elastic:
        return said
    bend = f"bend by about {policy.elastic:g} of the shorter side"
    return bend if said == "no changes" else f"{said}; {bend}"

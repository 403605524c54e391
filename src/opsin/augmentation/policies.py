"""How much training pictures are changed: the settings, and the named ones."""

import dataclasses
from typing import Any

from opsin.augmentation import AUGMENTATIONS, COLOR
from opsin.catalog import choose
from opsin.errors import UsageError

FILLS = ("reflect", "nearest", "constant")


def _amount(says: str, low: float, high: float, off: float = 0.0) -> Any:
    return dataclasses.field(default=off, metadata={"says": says, "low": low, "high": high})


def _check_number(name: str, value: float, low: float, high: float) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        raise UsageError(f"Expected {name} to be a number from {low:g} to {high:g}. Received {value!r}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Policy:
    """How much training pictures are changed; by default not at all.

    Args:
        crop: least area of a random crop, as a fraction of the picture's; 0.01 to 1, where 1 is off.
        zoom: the scale is drawn from 1 - zoom to 1 + zoom; 0 to 0.9.
        rotation: most degrees either way, 0 to 180.
        translation: furthest shift as a fraction of each side, 0 to 1; always whole pixels.
        alternating_flip: share of the pictures that are mirrored left-right in every other epoch, 0 to 1, half of them
            in the first one: what chance would show twice is shown once each way (Jordan 2024, arXiv 2404.00498,
            section 3.6).
        horizontal_flip: probability that left and right are mirrored, 0 to 1.
        vertical_flip: probability that top and bottom are mirrored, 0 to 1.
        contrast: distances from the picture's mean are multiplied by 1 - contrast to 1 + contrast; 0 to 1.
        brightness: values are multiplied by 1 - brightness to 1 + brightness; 0 to 1.
        saturation: the same factor for their distance from the pixel's gray, 0 to 1; colour pictures only.
        hue: most degrees round the colour circle either way, 0 to 180; colour pictures only.
        erasing: probability that a box is overwritten with noise, 0 to 1.
        mixup: alpha of the Beta distribution that blending shares are drawn from, 0 to 10; 0 is off.
        cutmix: alpha of the Beta distribution that box areas are drawn from, 0 to 10; 0 is off. With mixup
            on as well, each batch gets one of the two, by the toss of a coin.
        fill: what comes in at the edges: `"reflect"`, `"nearest"` or `"constant"`.
        fill_value: the value of every channel for `"constant"`, 0 to 255.

    Raises:
        UsageError: a setting is not in its range.

    >>> describe(Policy(horizontal_flip=0.5, rotation=10))
    'rotate up to 10 degrees, mirror left-right (chance 0.5); edges: reflect'
    """

    crop: float = _amount("crop to at least {:g} of the area", 0.01, 1, off=1.0)
    zoom: float = _amount("zoom by up to {:g}", 0, 0.9)
    rotation: float = _amount("rotate up to {:g} degrees", 0, 180)
    translation: float = _amount("shift up to {:g} of each side", 0, 1)
    alternating_flip: float = _amount("mirror left-right in every other epoch (share of pictures {:g})", 0, 1)
    horizontal_flip: float = _amount("mirror left-right (chance {:g})", 0, 1)
    vertical_flip: float = _amount("mirror top-bottom (chance {:g})", 0, 1)
    contrast: float = _amount("contrast by up to {:g}", 0, 1)
    brightness: float = _amount("brightness by up to {:g}", 0, 1)
    saturation: float = _amount("saturation by up to {:g}", 0, 1)
    hue: float = _amount("hue up to {:g} degrees", 0, 180)
    erasing: float = _amount("erase a box (chance {:g})", 0, 1)
    mixup: float = _amount("mixup (alpha {:g})", 0, 10)
    cutmix: float = _amount("cutmix (alpha {:g})", 0, 10)
    fill: str = "reflect"
    fill_value: int = 0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if field.metadata:
                _check_number(field.name, getattr(self, field.name), field.metadata["low"], field.metadata["high"])
        _check_number("fill_value", self.fill_value, 0, 255)
        choose("fill", self.fill, FILLS)

    def active(self, color: str = "rgb") -> dict[str, float]:
        """Return the changes that are on and their amounts, in the order of the catalogue.

        Args:
            color: what the channels mean. Changes of colour are made to `"rgb"` and `"gray"` only: in other spaces,
                multiplying a channel is no change of light.
        """
        off = {field.name: field.default for field in dataclasses.fields(self)}
        passed_over = {"rgb": set(), "gray": {"saturation", "hue"}}.get(color, set(COLOR))
        names = [name for name in AUGMENTATIONS if name not in passed_over]
        return {name: getattr(self, name) for name in names if getattr(self, name) != off[name]}


POLICIES = {
    "none": Policy(),
    # For pretrained backbones, which have seen millions of pictures: enough that a few hundred are not
    # learned by heart.
    "light": Policy(horizontal_flip=0.5, translation=0.05, zoom=0.1, brightness=0.1, contrast=0.1),
    # For networks from scratch, mostly on small pictures: the flip and the shift by 4 of 32 pixels that CIFAR
    # networks have used since Lee et al. 2014, arXiv 1409.5185, filled by reflection as in Zagoruyko and
    # Komodakis 2016, arXiv 1605.07146. No zoom and no rotation: they would blur small pictures in training,
    # which are sharp when the network is used.
    "standard": Policy(horizontal_flip=0.5, translation=0.125, brightness=0.1, contrast=0.1),
    # For few epochs from scratch: no picture is seen twice the same way in two epochs, nothing else is made harder.
    "fast": Policy(alternating_flip=1.0, translation=0.0625),
    # For long training from scratch, or few pictures: what delays overfitting also delays learning.
    "strong": Policy(
        horizontal_flip=0.5,
        translation=0.125,
        zoom=0.2,
        rotation=10,
        brightness=0.2,
        contrast=0.2,
        saturation=0.3,
        hue=10,
        erasing=0.25,
        cutmix=1.0,
    ),
    # Screens stand upright and text reads one way: no flips, no rotation, and no reflected text at the edges.
    "screenshots": Policy(crop=0.7, zoom=0.05, brightness=0.15, contrast=0.1, fill="nearest"),
    # Letters and digits: a mirrored 3 is no 3, and 6 turned far enough is 9. The paper goes on at the edges,
    # whatever its colour.
    "characters": Policy(rotation=10, zoom=0.1, translation=0.1, fill="nearest"),
}


def get_policy(name: str) -> Policy:
    """Return a policy by its name.

    Raises:
        UsageError: there is none of that name; the message has the closest one and the whole list.
    """
    return POLICIES[choose("augmentation policy", name, POLICIES)]


def describe(policy: Policy, color: str = "rgb") -> str:
    """Return one line that says what a policy does to pictures of a colour space, for the log."""
    says = {field.name: field.metadata.get("says") for field in dataclasses.fields(policy)}
    changes = ", ".join(says[name].format(amount) for name, amount in policy.active(color).items())
    if not changes:
        return "no changes"
    edges = f"constant {policy.fill_value}" if policy.fill == "constant" else policy.fill
    return f"{changes}; edges: {edges}"

"""What the catalogue says of a network before anything is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CHANNELS = {"rgb": 3, "gray": 1}


@dataclass(frozen=True)
class Architecture:
    """One line of the catalogue.

    Args:
        builder: `"module:function"`; called as `function(input_shape, class_count, **options)`.
        description: one line for `opsin archs`.
        image_size: height and width it was drawn for, in pixels.
        least_size: least height and width it can take, in pixels. Below it a convolution or a pooling has
            nothing left to work on.
        color: the pictures it was drawn for, `"rgb"` or `"gray"`.
        needs_rgb: whether it takes three channels only.
        options: what else the builder is told, where one function builds several networks.
        top1: published accuracy on ImageNet's validation pictures, a fraction, of the weights that keras.applications
            offers; None where it offers none.
    """

    builder: str
    description: str
    image_size: int
    least_size: int
    color: str = "rgb"
    needs_rgb: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    top1: float | None = None

    @property
    def published(self) -> bool:
        """Whether keras.applications offers weights for it."""
        return self.top1 is not None

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """The `(h, w, c)` it was drawn for."""
        return (self.image_size, self.image_size, CHANNELS[self.color])

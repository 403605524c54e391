"""What commands are told of pictures and masks: where they are, and which classes the masks hold."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from opsin.errors import UsageError

if TYPE_CHECKING:
    from opsin.segmentation.dataset import SegmentationDataset

CLASSES = "Classes"

NAMES = typer.Option(
    None, help="What the classes are called, with commas, in the order of their values.", rich_help_panel=CLASSES
)
IGNORE = typer.Option(
    None,
    help="Numbers in masks, with commas, of pixels that are none of the classes.",
    rich_help_panel=CLASSES,
)
COLORS = typer.Option(
    None,
    help="A CSV with name,r,g,b (and value): classes by their colours in masks, or by these values.",
    rich_help_panel=CLASSES,
)


def opened(
    data: Path,
    names: str | None,
    ignore: str | None,
    colors: Path | None,
    *,
    classes: Any = None,
    patient: bool = False,
) -> "SegmentationDataset":
    """Open pictures and masks with what the command line says of their classes; `classes` where it says nothing."""
    from opsin.segmentation.classes import read_colors
    from opsin.segmentation.dataset import SegmentationDataset

    ignored = _numbers(ignore)
    if colors is not None:
        if names is not None:
            raise UsageError(
                "Expected the classes' names in --colors; received --names as well. Leave one of them out."
            )
        classes, ignored = read_colors(colors, ignore=ignored), ()
    named = tuple(name.strip() for name in names.split(",")) if names else ()
    return SegmentationDataset.open(data, classes=classes, names=named, ignore=ignored, patient=patient)


def _numbers(given: str | None) -> tuple[int, ...]:
    parts = [part.strip() for part in (given or "").split(",") if part.strip()]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise UsageError(f"Expected --ignore as whole numbers with commas, 0,255 say; received {given!r}.")
    return tuple(map(int, parts))

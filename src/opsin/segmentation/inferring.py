"""Telling the classes from the masks, where nobody has said what they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from opsin.errors import DataError, UsageError
from opsin.segmentation.classes import IGNORED, MOST_CLASSES, ClassTable, Color, default_palette
from opsin.segmentation.mask_facts import MaskFacts
from opsin.segmentation.masks import LEAST_GAP, MANY_STRANGERS

MOST_UNNAMED = 64
"""More different values or colours than this are no classes, unless somebody says so."""

_LEAST_COLOR_GAP = 2 * LEAST_GAP
"""JPEG keeps colours less well than brightness."""
_LEAST_SHARE = 0.005
"""In blurred masks, a value of fewer pixels than this share is no class."""
_NEAR_ENOUGH = 0.9
"""In blurred masks, this share of pixels or more lies near a class's value."""
_HIGHEST = {False: IGNORED, True: 65535}


class Inferred(NamedTuple):
    """The classes that masks show, and a sentence that says how they were told."""

    classes: ClassTable
    note: str


@dataclass(frozen=True)
class Wanted:
    """What is known of the classes before any mask is looked at.

    Args:
        names: what they are called, in the order of their values or colours; empty if nobody says.
        ignore: numbers in masks of pixels that are none of the classes.
    """

    names: tuple[str, ...] = ()
    ignore: tuple[int, ...] = ()


def infer_classes(facts: Sequence[MaskFacts], wanted: Wanted | None = None) -> Inferred:
    """Tell the classes from the masks.

    - Each number that occurs is a class: of palettes the index, of grey masks the level, in ascending order.
    - Where a mask is in colours, each colour that occurs in any mask is a class, in the order of #rrggbb.
    - 255 (in 16-bit masks 65535) is ignored where the other numbers are indices: where two of them follow each other.
    - Where JPEG compression or smoothing has left many values, the frequent ones that are at least 32 apart (of colours
      64) are classes.

    Args:
        facts: of every mask; those that cannot be read are passed over.
        wanted: what is known of them.

    Raises:
        DataError: no mask can be read, or they do not hold classes.
        UsageError: as many names were given as there are no classes.
    """
    wanted = wanted or Wanted()
    readable = [one for one in facts if not one.error]
    if not readable:
        first = f" The first: {facts[0].error}." if facts else ""
        raise DataError(f"Expected masks that can be read; none of the {len(facts)} can.{first}")
    if any(one.in_color for one in readable):
        return _from_colors(readable, wanted)
    return _from_values(readable, wanted)


def _from_values(facts: Sequence[MaskFacts], wanted: Wanted) -> Inferred:
    values, counts = _total([(one.values, one.counts) for one in facts])
    counted = ~np.isin(values, wanted.ignore)
    values, counts = values[counted], counts[counted]
    ignore, said = set(wanted.ignore), ""
    if _is_blurred(values, counts):
        values, said = _peaks(values, counts), _BLURRED
    elif (top := _HIGHEST[int(values.max(initial=0)) > IGNORED]) in values and _are_indices(values[values != top]):
        values = values[values != top]
        ignore.add(top)
        said = f" {top} is ignored; a class table (--colors) can say otherwise."
    numbers = tuple(values.tolist())
    names = _names(wanted, [str(number) for number in numbers])
    table = ClassTable(names, _palette_colors(facts, numbers), tuple(sorted(ignore)), numbers)
    return Inferred(table, f"The masks hold {_list(numbers)}: {_classes(len(numbers))}.{said}")


def _from_colors(facts: Sequence[MaskFacts], wanted: Wanted) -> Inferred:
    if wanted.ignore:
        raise UsageError(
            "Expected masks of numbers where numbers are to be ignored; these are in colours. Name the colour in a "
            "class table instead: a line `ignore,255,255,255` in the file of --colors."
        )
    colors, counts = _total([(_colors_of(one), one.counts) for one in facts])
    said = ""
    if len(colors) > MOST_UNNAMED:
        colors, said = _color_peaks(colors, counts), _BLURRED
    rgb = tuple((int(color) >> 16, int(color) >> 8 & 255, int(color) & 255) for color in colors)
    names = _names(wanted, [f"#{int(color):06x}" for color in colors])
    shown = _list([f"#{int(color):06x}" for color in colors])
    table = ClassTable(names, rgb, code="color")
    return Inferred(table, f"The masks hold the colours {shown}: {_classes(len(rgb))}.{said}")


_BLURRED = " They were compressed as JPEG or smoothed: each pixel goes to the nearest of these."


def _total(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    values, which = np.unique(np.concatenate([values for values, _ in pairs]), return_inverse=True)
    counts = np.bincount(which, np.concatenate([counts for _, counts in pairs]), minlength=len(values))
    return values, counts


def _colors_of(facts: MaskFacts) -> np.ndarray:
    if facts.in_color:
        return facts.values
    if facts.palette is not None and facts.values.max() < len(facts.palette):
        red, green, blue = facts.palette[facts.values].astype(np.int64).T
        return red << 16 | green << 8 | blue
    return np.minimum(facts.values, 255) * 0x010101


def _are_indices(values: np.ndarray) -> bool:
    """Tell indices, of which some follow each other, from levels of grey, which are apart."""
    return len(values) > 0 and bool((np.diff(values) == 1).any())


def _is_blurred(values: np.ndarray, counts: np.ndarray) -> bool:
    """Tell masks that JPEG has changed from those of many classes: most of their values are rare."""
    if len(values) < MANY_STRANGERS + 2:
        return False
    peaks = _peaks(values, counts)
    if len(peaks) < 2:
        return False
    near = np.abs(values[:, None] - peaks).min(axis=1) < LEAST_GAP // 2
    others = len(values) - len(peaks)
    rare = counts[~np.isin(values, peaks)].sum() < (1 - _NEAR_ENOUGH) * counts.sum()
    return bool(others >= MANY_STRANGERS and rare and _share(counts, near) >= _NEAR_ENOUGH)


def _share(counts: np.ndarray, chosen: np.ndarray) -> float:
    return float(counts[chosen].sum() / counts.sum())


def _peaks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the most frequent values that are `LEAST_GAP` apart, ascending."""
    peaks: list[int] = []
    for place in np.argsort(-counts, kind="stable"):
        if counts[place] < _LEAST_SHARE * counts.sum():
            break
        if all(abs(int(values[place]) - peak) >= LEAST_GAP for peak in peaks):
            peaks.append(int(values[place]))
    return np.array(sorted(peaks), dtype=np.int64)


def _color_peaks(colors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    rgb = np.stack([colors >> 16, colors >> 8 & 255, colors & 255], axis=1)
    peaks: list[int] = []
    for place in np.argsort(-counts, kind="stable"):
        if counts[place] < _LEAST_SHARE * counts.sum():
            break
        if all(np.abs(rgb[place] - rgb[peak]).max() >= _LEAST_COLOR_GAP for peak in peaks):
            peaks.append(int(place))
    near = np.zeros(len(colors), dtype=bool)
    for peak in peaks:
        near |= np.abs(rgb - rgb[peak]).max(axis=1) < _LEAST_COLOR_GAP
    if len(peaks) < 2 or _share(counts, near) < _NEAR_ENOUGH:
        raise DataError(
            f"Expected masks, a colour for each class; these hold {len(colors):,} colours, as photographs do. "
            "Check that masks/ holds the masks, or name the colours with --colors classes.csv."
        )
    return np.sort(colors[peaks])


def _palette_colors(facts: Sequence[MaskFacts], numbers: Sequence[int]) -> tuple[Color, ...]:
    """Return the colours that the first mask with a palette has for the numbers, if they differ; else default ones."""
    palette = next((one.palette for one in facts if one.palette is not None), None)
    if palette is not None and max(numbers, default=0) < len(palette):
        colors = tuple(tuple(palette[number].tolist()) for number in numbers)
        if len(set(colors)) == len(colors):
            return colors
    # Black, which is drawn as nothing, is for a background: nobody numbers an object 0.
    k = len(numbers)
    return default_palette(k) if 0 in numbers else default_palette(k + 1)[1:]


def _names(wanted: Wanted, found: Sequence[str]) -> tuple[str, ...]:
    if not 1 <= len(found) <= MOST_CLASSES:
        raise DataError(
            f"Expected masks that hold 1 to {MOST_CLASSES} classes; these hold {len(found)} different values. "
            "Masks are pictures in which each class has a number or a colour of its own."
        )
    if not wanted.names and len(found) > MOST_UNNAMED:
        raise DataError(
            f"Expected masks, a number for each class; these hold {len(found)} different numbers ({_list(found, 5)}), "
            "as photographs do. Check that masks/ holds the masks, or name the classes."
        )
    if not wanted.names:
        return tuple(found)
    if len(wanted.names) != len(found):
        raise UsageError(
            f"Expected a name for each of the {len(found)} classes that the masks hold ({_list(found)}). Received "
            f"{len(wanted.names)}: {', '.join(wanted.names)}. Ignore values that are no class (--ignore)."
        )
    return wanted.names


def _list(values: Sequence[object], most: int = 12) -> str:
    shown = ", ".join(str(value) for value in values[:most])
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")


def _classes(k: int) -> str:
    return f"{k} class{'' if k == 1 else 'es'}"

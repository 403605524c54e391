"""Sizes: pictures that are too small, needlessly large, or of other proportions than what is learned from."""

import numpy as np

from opsin.checks.finding import NOTE, WARNING, Finding, Group, NotApplicableError
from opsin.checks.survey import Survey
from opsin.counting import count
from opsin.images.preprocess import Preprocess

TINY = 0.5
"""Of the size that training uses: below it, more than three of four pixels are made up."""

HUGE_PIXELS = 12_000_000
ODD_ASPECT = 2.0
"""How many times longer one side may be than in the size that training uses."""

CUT_OFF = 0.25
"""Of a picture's area: what `crop` may cut off without a word."""


def tiny(survey: Survey) -> Finding | None:
    """Find pictures that have to be enlarged to more than twice their size."""
    recipe = _recipe(survey)
    sizes = _sizes(survey)
    scale = np.minimum(sizes[:, 0] / recipe.height, sizes[:, 1] / recipe.width)
    rows = np.flatnonzero(scale < TINY)
    if not len(rows):
        return None
    return Finding(
        "tiny",
        WARNING,
        f"{count(len(rows), 'picture')} of less than half the {recipe.width} × {recipe.height} pixels that training "
        "uses.",
        "Train at a smaller --image-size, or get larger pictures: enlarged ones hold nothing more.",
        _groups(survey, rows, sizes),
    )


def huge(survey: Survey) -> Finding | None:
    """Find pictures of very many pixels."""
    sizes = _sizes(survey)
    rows = np.flatnonzero(sizes.prod(axis=1) > HUGE_PIXELS)
    if not len(rows):
        return None
    return Finding(
        "huge",
        NOTE,
        f"{count(len(rows), 'picture')} of more than {HUGE_PIXELS / 1e6:.0f} million pixels{_used_of_these(survey)}.",
        "They take long to decode, once. If what matters in them is small, cut them into parts before training.",
        _groups(survey, rows, sizes),
    )


def odd_aspect(survey: Survey) -> Finding | None:
    """Find pictures that are squeezed, or cut, far out of their proportions."""
    recipe = _recipe(survey)
    sizes = _sizes(survey)
    aspect = (sizes[:, 1] / sizes[:, 0]) / (recipe.width / recipe.height)
    cut = np.array([recipe.cut_off(*size) for size in sizes.tolist()])
    rows = np.flatnonzero((np.maximum(aspect, 1 / aspect) >= ODD_ASPECT) | (cut > CUT_OFF))
    if not len(rows):
        return None
    effect = {
        "stretch": "stretching changes their proportions",
        "crop": f"cropping cuts off {cut[rows].mean():.0%} of them on average, {cut[rows].max():.0%} at most",
        "pad": "padding leaves much of the input empty",
    }[recipe.fit]
    others = " or ".join(f"--fit {fit}" for fit in ("stretch", "crop", "pad") if fit != recipe.fit)
    notes = [f"{cut[row]:.0%} cut off" if cut[row] else "" for row in rows]
    return Finding(
        "odd-aspect",
        WARNING if recipe.fit == "crop" else NOTE,
        f"{count(len(rows), 'picture')} of other proportions than the {recipe.width} × {recipe.height} pixels that "
        f"training uses: {effect}.",
        f"Look at them in the page as training sees them; if something that matters is lost, use {others}.",
        _groups(survey, rows, sizes, notes),
    )


def _recipe(survey: Survey) -> Preprocess:
    if survey.preprocess is None:
        raise NotApplicableError("the size that training will use is not known; give --image-size")
    return survey.preprocess


def _used_of_these(survey: Survey) -> str:
    recipe = survey.preprocess
    return "" if recipe is None else f", of which training makes {recipe.width} × {recipe.height}"


def _sizes(survey: Survey) -> np.ndarray:
    """Return int (m, 2), height and width in pixels of what can be read."""
    if not len(survey.readable):
        raise NotApplicableError("no picture can be read")
    return np.array([(survey.facts[row].height, survey.facts[row].width) for row in survey.readable])


def _groups(survey: Survey, rows: np.ndarray, sizes: np.ndarray, notes: list[str] | None = None) -> tuple[Group, ...]:
    names = [survey.dataset.names[survey.readable[row]] for row in rows]
    said = [f"{width} × {height} pixels" for height, width in sizes[rows].tolist()]
    more = notes or [""] * len(said)
    return tuple(
        Group((name,), ", ".join(filter(None, (size, note))))
        for name, size, note in zip(names, said, more, strict=True)
    )

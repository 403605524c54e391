"""What can be the matter with masks: one function a finding."""

import numpy as np

from opsin.checks.finding import ERROR, NOTE, WARNING, Finding, Group, one_each
from opsin.counting import count
from opsin.segmentation.checks import PairSurvey
from opsin.segmentation.orientation import LYING

LEAST_SHARE = 0.001
"""A class of fewer of all pixels is nearly empty, and a constant answer is hardly wrong."""
LEAST_PICTURES = 3
"""One to learn from, one to choose by, one to judge by."""


def missing_pair(survey: PairSurvey) -> Finding | None:
    """Find pictures without a mask, and masks without a picture."""
    lost = [(one.path, one.reason) for one in survey.dataset.skipped if one.lost]
    if not lost:
        return None
    return Finding(
        "missing-pair",
        ERROR,
        f"{count(len(lost), 'file')} {_have(lost)} no partner, or cannot be found.",
        "Give a picture and its mask the same name, or draw what is missing; training goes on without these.",
        one_each(*zip(*lost, strict=True)),
    )


def unreadable_mask(survey: PairSurvey) -> Finding | None:
    """Find masks that cannot be read."""
    found = [(name, mask.error) for name, mask in _named(survey) if mask.error]
    return _each(
        found,
        "unreadable-mask",
        ERROR,
        "{} cannot be read.",
        "Save them again from where they come from; training goes on without them.",
    )


def strange_value(survey: PairSurvey) -> Finding | None:
    """Find masks that hold something that is neither a class nor ignored."""
    found = [(name, mask.strange) for name, mask in _named(survey) if mask.strange]
    return _each(
        found,
        "strange-value",
        ERROR,
        "{} values that are neither a class's nor ignored.",
        "Name their classes (--colors classes.csv) or ignore them (--ignore); training goes on without these masks.",
        "holds",
        "hold",
    )


def mask_size(survey: PairSurvey) -> Finding | None:
    """Find masks of another size than their pictures."""
    found = []
    for (name, mask), facts in zip(_named(survey), survey.pictures.survey.facts, strict=True):
        sizes = [(facts.height, facts.width)]
        sizes += [(facts.width, facts.height)] if facts.orientation in LYING else []
        if mask.size != (0, 0) and not facts.error and mask.size not in sizes:
            found.append((name, f"{mask.size[1]} × {mask.size[0]}, its picture {facts.width} × {facts.height}"))
    return _each(
        found,
        "mask-size",
        ERROR,
        "{} another size than the picture.",
        "Bring each mask to its picture's size without averaging (nearest neighbour); training goes on without these.",
        "has",
        "have",
    )


def single_class(survey: PairSurvey) -> Finding | None:
    """Find data in which there is nothing to tell apart."""
    present = np.flatnonzero(survey.counts.any(axis=0))
    if len(present) > 1 or not len(survey.told):
        return None
    name = f"of the class {survey.dataset.class_names[present[0]]!r}" if len(present) else "ignored"
    return Finding(
        "single-class",
        ERROR,
        f"Every pixel of every mask is {name}: there is nothing to tell apart.",
        "Check that the masks are those of these pictures, and what is ignored.",
    )


def absent_class(survey: PairSurvey) -> Finding | None:
    """Find classes that no mask has."""
    absent = [
        name for name, seen in zip(survey.dataset.class_names, survey.counts.any(axis=0), strict=True) if not seen
    ]
    if not absent or not len(survey.told):
        return None
    return Finding(
        "absent-class",
        WARNING,
        f"In no mask: {', '.join(absent)}.",
        "Add pictures of them, or take them out of the class table: nothing can be learned of them.",
    )


def near_empty_class(survey: PairSurvey) -> Finding | None:
    """Find classes of very few pixels, or in very few pictures."""
    totals, pictures = survey.counts.sum(axis=0), (survey.counts > 0).sum(axis=0)
    shares = totals / max(1, totals.sum())
    rare = np.flatnonzero((totals > 0) & ((shares < LEAST_SHARE) | (pictures < LEAST_PICTURES)))
    if not len(rare):
        return None
    names = survey.dataset.class_names
    said = [f"{names[c]} ({shares[c]:.2%} of pixels, in {count(int(pictures[c]), 'picture')})" for c in rare]
    return Finding(
        "near-empty-class",
        WARNING,
        f"Nearly empty: {', '.join(said)}.",
        "Add pictures that have them; with few, no measure of them can be trusted. Weights of classes, or the Dice or "
        "focal loss, make them count more.",
        tuple(_group(survey, int(c), f"{names[c]}") for c in rare),
    )


def all_ignored(survey: PairSurvey) -> Finding | None:
    """Find masks in which every pixel is ignored."""
    names = [survey.dataset.mask_names[row] for row in survey.told[~survey.counts.any(axis=1)]]
    return _each(
        [(name, "") for name in names],
        "all-ignored",
        WARNING,
        "{} no pixel that is not ignored.",
        "Leave their pictures out: nothing is learned from them and nothing is judged by them.",
        "has",
        "have",
    )


def blurred_mask(survey: PairSurvey) -> Finding | None:
    """Find masks whose values JPEG compression or smoothing has changed, and those that are JPEGs."""
    found = []
    for name, mask in _named(survey):
        if mask.moved or mask.format == "JPEG":
            pixels = mask.size[0] * mask.size[1]
            found.append((name, mask.format + (f", {mask.moved / pixels:.2%} of its pixels" if mask.moved else "")))
    return _each(
        found,
        "blurred-mask",
        WARNING,
        "{} compressed as JPEG or smoothed; changed values are taken for the nearest class's, edges are uncertain.",
        "Save masks as PNG, and resize them without averaging (nearest neighbour).",
        "was",
        "were",
    )


def turned_mask(survey: PairSurvey) -> Finding | None:
    """Find masks of which it cannot be told whether they were drawn on the lying or on the upright picture."""
    found = []
    for (name, mask), facts in zip(_named(survey), survey.pictures.survey.facts, strict=True):
        is_open = facts.orientation not in LYING or facts.width == facts.height
        if not facts.error and facts.orientation != 1 and is_open and mask.size == (facts.height, facts.width):
            found.append((name, f"its picture has EXIF orientation {facts.orientation}"))
    return _each(
        found,
        "turned-mask",
        WARNING,
        "{} to a picture that EXIF turns, and fits it both ways; it is taken as drawn on the upright picture.",
        "Look at some of them (the report's overlays). If masks were drawn on the file's pixels, turn them.",
        "belongs",
        "belong",
    )


def conflicting_mask(survey: PairSurvey) -> Finding | None:
    """Find pictures that are there again, pixel for pixel, under another mask."""
    groups = []
    for rows in survey.pictures.survey.same_content:
        read = [row for row in rows if survey.masks[row].digest]
        if len({survey.masks[row].digest for row in read}) > 1:
            names = tuple(survey.dataset.mask_names[row] for row in read)
            groups.append(Group(names, "of the same picture"))
    if not groups:
        return None
    return Finding(
        "conflicting-mask",
        WARNING,
        f"{count(len(groups), 'picture')} {_have(groups)} copies with another mask: the same pixels in two classes.",
        "Decide for one mask and leave the others out: from both, only what they share can be learned.",
        tuple(groups),
    )


def one_class_mask(survey: PairSurvey) -> Finding | None:
    """Find masks of one class alone."""
    names, counts = survey.dataset.class_names, survey.counts
    rows = np.flatnonzero((counts > 0).sum(axis=1) == 1)
    found = [(survey.dataset.mask_names[survey.told[row]], f"{names[counts[row].argmax()]} alone") for row in rows]
    return _each(
        found,
        "one-class-mask",
        NOTE,
        "{} one class alone.",
        "That is fine where pictures show nothing else; if objects are missing in the masks, draw them.",
        "has",
        "have",
    )


def _named(survey: PairSurvey) -> list:
    return list(zip(survey.dataset.mask_names, survey.masks, strict=True))


def _each(
    found: list[tuple[str, str]], code: str, severity: str, message: str, advice: str, one: str = "", many: str = ""
) -> Finding | None:
    """Return a finding of each mask that there is a note on."""
    if not found:
        return None
    verb = one if len(found) == 1 else many
    subject = f"{count(len(found), 'mask')}{f' {verb}' if verb else ''}"
    return Finding(code, severity, message.format(subject), advice, one_each(*zip(*found, strict=True)))


def _group(survey: PairSurvey, c: int, note: str) -> Group:
    rows = survey.told[survey.counts[:, c] > 0]
    return Group(tuple(survey.dataset.mask_names[row] for row in rows), note)


def _have(found: list) -> str:
    return "has" if len(found) == 1 else "have"

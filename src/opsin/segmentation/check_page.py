"""What was found in pictures and masks, as one page: no other file, no script, no network."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image

from opsin.checks.finding import Finding, Group
from opsin.counting import count
from opsin.errors import PictureError
from opsin.evaluation.page.frame import LIMIT, document
from opsin.evaluation.page.markup import escaped, place, row, section, short, table
from opsin.evaluation.wording import percent
from opsin.images.decode import decode_image
from opsin.images.thumbnails import as_address, thumbnail
from opsin.segmentation.checks import PairCheckReport
from opsin.segmentation.classes import default_palette
from opsin.segmentation.masks import StoredMask, read_stored
from opsin.segmentation.overlay import overlay
from opsin.segmentation.road import read_upright_mask

GROUPS_SHOWN = 24
PICTURES_SHOWN = 8
"""Of a group."""
SIDE = 264
"""The longer side of a picture in the page, in pixels."""


def pair_check_page(report: PairCheckReport) -> str:
    """Return the page: what was found, with the pictures under their masks, and how much of them each class takes."""
    dataset = report.survey.dataset
    style = files("opsin.segmentation").joinpath("page.css").read_text("utf-8")
    title = "Check of pictures and masks"
    k = count(dataset.classes.k, "class", "classes")
    subtitle = f"{dataset.root.name}: {count(len(dataset), 'picture')} with masks, {k}"
    album = _Figures(report, LIMIT // 2)
    sections = [_headline(report), *(_section(finding, album) for finding in report.findings), _classes(report)]
    return document(title, subtitle, sections, "", more_style=style)


class _Figures:
    """Pictures under their masks, as many as there is room for."""

    def __init__(self, report: PairCheckReport, room: int):
        dataset = report.survey.dataset
        self.root, self.table, self.left = dataset.root, dataset.classes, room
        self.mask_of: dict[str, tuple[str, str]] = {}
        for pair in dataset.pairs:
            self.mask_of[pair.image] = self.mask_of[pair.mask] = (pair.image, pair.mask)

    def show(self, name: str) -> str:
        """Return a picture under its mask; the file alone where one of both cannot be read."""
        drawn = self._drawn(name) if self.left > 0 else ""
        self.left -= len(drawn)
        return f"{drawn}<p>{place(name)}</p>"

    def _drawn(self, name: str) -> str:
        try:
            image = self._image(name)
        except PictureError:
            return '<p class="quiet">no picture</p>'
        return f'<img class="thumb" loading="lazy" src="{as_address(image)}" alt="{escaped(Path(name).name)}">'

    def _image(self, name: str) -> Image.Image:
        picture, mask = (self.root / path for path in self.mask_of.get(name, (name, name)))
        try:
            return _small(overlay(decode_image(picture), read_upright_mask(picture, mask, self.table), self.table))
        except PictureError:
            # Of the two, the one that is in question.
            is_mask = name in self.mask_of and self.mask_of[name][1] == name
            return _small(_values_apart(read_stored(mask))) if is_mask else thumbnail(picture, SIDE)


def _small(drawn: np.ndarray) -> Image.Image:
    image = Image.fromarray(drawn)
    image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    return image


def _values_apart(stored: StoredMask) -> np.ndarray:
    """Return a mask in colours that can be told apart, whatever its values: as grey, 1 and 2 would both be black."""
    if stored.colors is not None:
        return stored.colors
    values, which = np.unique(stored.values, return_inverse=True)
    colors = np.array(default_palette(min(len(values), 32)), dtype=np.uint8)
    return colors[which.reshape(stored.size) % len(colors)]


def _headline(report: PairCheckReport) -> str:
    rows = [
        row(f'<a href="#{_place(one)}">{one.code}</a>', one.severity, escaped(one.message), words=(0, 1, 2))
        for one in report.findings
    ]
    nothing = "<p>Nothing is the matter with it, as far as was looked.</p>\n"
    found = (
        table("The most serious first", ("Finding", "How serious", "What"), rows, words=(0, 1, 2)) if rows else nothing
    )
    note = escaped(report.survey.dataset.note)
    return section("findings", "What was found", found, note=note)


def _section(finding: Finding, figures: _Figures) -> str:
    groups = "".join(_group(group, figures) for group in finding.groups[:GROUPS_SHOWN])
    more = len(finding.groups) - GROUPS_SHOWN
    rest = f'<p class="quiet">and {more:,} more; --json lists them all</p>\n' if more > 0 else ""
    said = f"<p>{escaped(finding.message)}</p>\n<p>{escaped(finding.advice)}</p>\n"
    return section(
        _place(finding), f"{finding.severity}: {finding.code}", said, f'<div class="found">{groups}</div>', rest
    )


def _group(group: Group, figures: _Figures) -> str:
    shown = "".join(f"<li>{figures.show(name)}</li>" for name in group.paths[:PICTURES_SHOWN])
    more = len(group.paths) - PICTURES_SHOWN
    rest = f'<p class="quiet">and {more:,} more</p>' if more > 0 else ""
    note = f"<p>{escaped(group.note)}</p>" if group.note else ""
    return f'<div class="card"><ul class="gallery found">{shown}</ul>{note}{rest}</div>\n'


def _place(finding: Finding) -> str:
    return "finding" + finding.code.replace("-", "")


def _classes(report: PairCheckReport) -> str:
    rows = list(_class_rows(report))
    head = ("Class", "Share of the pixels", "Pictures", "Median share where it is")
    return section("classes", "Classes", table("Of pixels that are not ignored", head, rows))


def _class_rows(report: PairCheckReport) -> Iterator[str]:
    counts = report.survey.counts
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for c, (name, share) in enumerate(report.shares.items()):
        has = shares[counts[:, c] > 0, c]
        yield row(short(name, 48), percent(share), f"{len(has):,}", percent(float(np.median(has))) if len(has) else "-")

"""What was found, as one page: no other file, no script, no network."""

import html
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image

from opsin.checks.finding import PASSED, Finding, Group
from opsin.checks.run import CheckReport
from opsin.counting import count
from opsin.errors import PictureError
from opsin.images.preprocess import Preprocess
from opsin.images.thumbnails import as_address, thumbnail

GROUPS_SHOWN = 24
PICTURES_SHOWN = 8
"""Of a group."""

CLASSES_SHOWN = 40
SIDE = 264
"""The longer side of a picture in the page, in pixels: twice as it is shown, for sharp screens."""

AS_TRAINING_SEES_IT = ("tiny", "huge", "odd-aspect", "odd-mode", "rotated")
"""Findings that show what becomes of a picture, beside it."""


def check_page(report: CheckReport) -> str:
    """Return the page."""
    dataset = report.survey.dataset
    title = (
        f"{dataset.root.name}: {count(len(dataset), 'picture')}, {count(len(dataset.class_names), 'class', 'classes')}"
    )
    sections = "".join(_section(report, finding) for finding in report.findings)
    style = files("opsin.checks").joinpath("page.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_escaped(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{_escaped(title)}</h1>\n{_headline(report)}{sections}{_outcomes(report)}{_classes(report)}"
        "</main>\n</body>\n</html>\n"
    )


def _headline(report: CheckReport) -> str:
    if not report.findings:
        return "<p>Nothing is the matter with it, as far as was looked.</p>\n"
    items = "".join(
        f'<tr><td><span class="severity {one.severity}">{one.severity}</span></td>'
        f'<td><a href="#{one.code}">{one.code}</a></td><td>{_escaped(one.message)}</td></tr>'
        for one in report.findings
    )
    return f"<table>{items}</table>\n"


def _section(report: CheckReport, finding: Finding) -> str:
    shown = finding.groups[:GROUPS_SHOWN]
    more = len(finding.groups) - len(shown)
    recipe = report.survey.preprocess if finding.code in AS_TRAINING_SEES_IT else None
    groups = "".join(_group(report, group, recipe) for group in shown)
    rest = f'<p class="quiet">and {more:,} more; --json lists them all</p>\n' if more else ""
    return (
        f'<section id="{finding.code}">\n<h2><span class="severity {finding.severity}">{finding.severity}</span>'
        f"<code>{finding.code}</code></h2>\n<p>{_escaped(finding.message)}</p>\n"
        f'<p class="advice">{_escaped(finding.advice)}</p>\n<div class="groups">{groups}</div>\n{rest}</section>\n'
    )


def _group(report: CheckReport, group: Group, recipe: Preprocess | None) -> str:
    shown = group.paths[:PICTURES_SHOWN]
    pictures = "".join(_figure(report, path) for path in shown)
    if recipe is not None:
        pictures += "".join(_figure_as_seen(report, path, recipe) for path in shown)
    note = f"<p>{_escaped(group.note)}</p>" if group.note else ""
    more = len(group.paths) - PICTURES_SHOWN
    rest = f'<p class="quiet">and {more:,} more</p>' if more > 0 else ""
    beside = "".join(_figure(report, path) for path in group.beside)
    compared = f'<p class="quiet">To compare:</p><div class="pictures">{beside}</div>' if beside else ""
    return f'<div class="group">{note}<div class="pictures">{pictures}</div>{rest}{compared}</div>\n'


def _figure(report: CheckReport, path: str) -> str:
    try:
        image = thumbnail(report.survey.dataset.root / path, SIDE)
    except PictureError:
        return _captioned('<div class="none">no picture</div>', path)
    return _captioned(_inline(image, path), path)


def _figure_as_seen(report: CheckReport, path: str, recipe: Preprocess) -> str:
    try:
        seen = recipe.read(report.survey.dataset.root / path)
    except PictureError:
        return ""
    image = Image.fromarray(seen[:, :, 0] if seen.shape[2] == 1 else seen)
    image.thumbnail((SIDE, SIDE))
    return _captioned(_inline(image, path), f"as training sees it, {recipe.width} × {recipe.height}")


def _captioned(content: str, caption: str) -> str:
    return f"<figure>{content}<figcaption>{_escaped(caption)}</figcaption></figure>"


def _inline(image: Image.Image, path: str) -> str:
    address = as_address(image.convert("RGB"))
    return f'<img loading="lazy" src="{address}" alt="{_escaped(Path(path).name)}">'


def _outcomes(report: CheckReport) -> str:
    passed = ", ".join(f"<code>{one.code}</code>" for one in report.outcomes if one.status == PASSED)
    others = "".join(
        f"<tr><td><code>{one.code}</code></td><td>{one.status}</td><td>{_escaped(one.reason)}</td></tr>"
        for one in report.outcomes
        if one.finding is None and one.status != PASSED
    )
    looked = f"<h2>Looked for and not found</h2>\n<p>{passed}</p>\n" if passed else ""
    return looked + (f"<h2>Not looked for</h2>\n<table>{others}</table>\n" if others else "")


def _classes(report: CheckReport) -> str:
    counts = sorted(report.survey.dataset.counts.items(), key=lambda item: -item[1])
    rows = _rows(counts[:CLASSES_SHOWN])
    more = len(counts) - CLASSES_SHOWN
    rest = f'<p class="quiet">and {more:,} more classes</p>' if more > 0 else ""
    sizes = np.array([(facts.width, facts.height) for facts in report.survey.facts if not facts.error])
    said = ""
    if len(sizes):
        width, height = np.median(sizes, axis=0).astype(int)
        said = (
            f'<p class="quiet">Median size {width} × {height} pixels; sides from {sizes.min()} to {sizes.max()}.</p>\n'
        )
    return f"<h2>Classes</h2>\n{said}<table>{rows}</table>{rest}\n"


def _rows(counts: Iterable[tuple[str, int]]) -> str:
    return "".join(f'<tr><td>{_escaped(name)}</td><td class="number">{number:,}</td></tr>' for name, number in counts)


def _escaped(text: str) -> str:
    # Marks that turn the direction of writing show another name than the file's; half a surrogate pair, a byte of a
    # name that is not valid UTF-8, can be written in no page.
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return html.escape(shown)

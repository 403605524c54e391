"""A report as one page: no other file, no script, no network. Its parts are in `page/`."""

from collections.abc import Mapping, Sequence
from typing import Any

from opsin.counting import count
from opsin.evaluation.page.advice import what_to_do
from opsin.evaluation.page.album import Album
from opsin.evaluation.page.classes import classes
from opsin.evaluation.page.conditions import conditions
from opsin.evaluation.page.confusion import confusions
from opsin.evaluation.page.feature_map import feature_map
from opsin.evaluation.page.frame import LIMIT, document
from opsin.evaluation.page.markup import section
from opsin.evaluation.page.mistakes import worst_mistakes
from opsin.evaluation.page.numbers import headline
from opsin.evaluation.page.sureness import sureness
from opsin.evaluation.page.training import chosen, left_out, training_curves
from opsin.evaluation.report import Report

_PARTS = {"test": "test pictures", "val": "validation pictures", "train": "training pictures", "all": "all pictures"}


def report_page(
    report: Report, *, history: Sequence[Mapping[str, Any]] = (), settings: Mapping[str, Any] | None = None
) -> str:
    """Return the report as an HTML page, in the order in which a reader asks; what there is nothing of is left out.

    Pictures are read from `report.root`, those that are shown and no others.

    Args:
        report: what to show.
        history: the training's epochs, as `training_curves` takes them; with none, no curves.
        settings: name -> value, shown as a list at the end.
    """
    album = Album(report.root)
    sections = [
        headline(report),
        what_to_do(report.evidence.advice, album),
        section("mistakes", "Where it fails", confusions(report, album), worst_mistakes(report, album)),
        classes(report),
        sureness(report),
        conditions(report),
        feature_map(report, album),
        training_curves(history),
        left_out(report.skipped),
        chosen(settings or {}),
    ]
    pictures, kinds = count(report.metrics.n, "picture"), count(len(report.class_names), "class", "classes")
    title, subtitle = f"Report on {_PARTS.get(report.split, report.split)}", f"{pictures}, {kinds}"
    if report.root is not None and report.root.name:
        subtitle = f"{report.root.name}: {subtitle}"
    words = document(title, subtitle, sections, "")
    return document(title, subtitle, sections, album.symbols(LIMIT - len(words.encode("utf-8"))))

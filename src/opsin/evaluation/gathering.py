"""Gathering evidence on a report: slices and advice, from what is at hand; robustness where it is asked for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from opsin.checks.survey import Survey, count_unseen, survey
from opsin.classifier import Classifier
from opsin.data.dataset import ImageDataset
from opsin.evaluation.advice import advise
from opsin.evaluation.background import read_background
from opsin.evaluation.leaks import FEW
from opsin.evaluation.report import Report
from opsin.evaluation.slices import find_slices

Progress = Callable[[int, int], None]


def gather_evidence(
    report: Report,
    classifier: Classifier,
    dataset: ImageDataset,
    *,
    leaked: tuple[str, ...] = (),
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Return a report with slices, and with advice that goes by all the evidence it has then.

    The network is not run. The judged pictures are looked at once and remembered; `opsin train` and `opsin check` have
    done so with those that they saw.

    Args:
        report: what the classifier says; with robustness or explanations, advice goes by these too.
        classifier: the classifier; the run folder that it lies in tells what it learned from.
        dataset: all of the data, or the pictures of the report: what else is there is looked at only as far as that was
            done before.
        leaked: those that are copies of training pictures, as `find_leaked` knows.
        cache: the cache folder, where what was seen of pictures is remembered; None for the user's.
        progress: is called with the number of pictures looked at and the number of all.
    """
    judged = set(report.paths)
    part = dataset.subset([row for row, name in enumerate(dataset.names) if name in judged])
    looked = survey(part, cache=cache, progress=progress or (lambda done, total: None))
    known = Survey(part, looked.facts, classifier.preprocess, cache=cache)
    report = report.with_evidence(slices=find_slices(report, part, known))
    background = replace(read_background(classifier, judged), leaked=leaked, conflicting=find_conflicts(dataset, cache))
    return report.with_evidence(advice=advise(report, background))


def find_conflicts(dataset: ImageDataset, cache: Path | None = None) -> tuple[tuple[str, ...], ...]:
    """Return the pictures that are the same pixel for pixel and have different labels; nothing if most are unseen.

    Args:
        dataset: the pictures.
        cache: the cache folder, where what was seen of pictures is remembered; None for the user's.
    """
    if count_unseen(dataset, cache) > FEW:
        return ()
    labels, names = dataset.labels, dataset.names
    return tuple(
        tuple(dict.fromkeys(names[row] for row in rows))
        for rows in survey(dataset, cache=cache).same_content
        if len({int(labels[row]) for row in rows}) > 1
    )

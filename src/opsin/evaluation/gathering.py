"""Gathering evidence on a report: slices and advice, from what is at hand; robustness where it is asked for."""

from collections.abc import Callable
from pathlib import Path

from opsin.checks.survey import Survey, survey
from opsin.classifier import Classifier
from opsin.data.dataset import ImageDataset
from opsin.evaluation.advice import advise
from opsin.evaluation.background import read_background
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
        dataset: the pictures of the report, or more.
        leaked: those that are copies of training pictures, as `find_leaked` knows.
        cache: the cache folder, where what was seen of pictures is remembered; None for the user's.
        progress: is called with the number of pictures looked at and the number of all.
    """
    judged = set(report.paths)
    part = dataset.subset([row for row, name in enumerate(dataset.names) if name in judged])
    looked = survey(part, cache=cache, progress=progress or (lambda done, total: None))
    known = Survey(part, looked.facts, classifier.preprocess, cache=cache)
    report = report.with_evidence(slices=find_slices(report, part, known))
    background = read_background(classifier, judged, leaked=leaked)
    return report.with_evidence(advice=advise(report, background))

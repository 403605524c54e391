"""`--engine ray`: the pictures of a command line in the workers of a cluster."""

import contextlib
import functools
import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from opsin.classifier import Classifier

if TYPE_CHECKING:
    from opsin.cli.answers import Answer


def predict_in_workers(
    classifier: Classifier,
    runtime: str | None,
    rule: dict,
    groups: Iterable[Iterable],
    *,
    batch_size: int,
    workers: int | None,
) -> "Iterator[Answer]":
    """Predict pictures in the workers of a cluster, by the same classifier.

    Args:
        classifier: as it was opened here.
        runtime: what the user said of it; None: nothing.
        rule: what `Classifier.deciding` was given.
        groups: the pictures.
        batch_size: how many pictures a network sees at once.
        workers: how many there are; None: as many as the cluster has cores.
    """
    from opsin.cluster import predict_on_cluster

    # What this machine found fastest is said, lest each node choose for itself.
    runtime = None if classifier.card.artefact else runtime or "litert"
    views = {"flips": classifier.flips, "shifts": classifier.shifts}
    open_classifier = functools.partial(_open, classifier.folder.resolve(), runtime, views, rule)
    sources = itertools.chain.from_iterable(groups)
    names = classifier.class_names
    return _apart(predict_on_cluster(open_classifier, sources, names, batch_size=batch_size, workers=workers))


def _apart(answers: "Iterator[Answer]") -> "Iterator[Answer]":
    """Yield answers; what Ray prints meanwhile, of workers that died say, goes to stderr and not among the rows."""
    with contextlib.redirect_stdout(sys.stderr):
        yield from answers


def _open(model: Path, runtime: str | None, views: dict, rule: dict) -> Classifier:
    # A worker has about one core for itself.
    return Classifier.open(model, runtime, threads=1, **views, **rule)

"""What the report at the end of a run knows beyond its numbers."""

from typing import TYPE_CHECKING

import numpy as np

from opsin.data.splits import TRAIN
from opsin.errors import ModelError, UsageError
from opsin.evaluation.feature_map import lay_out
from opsin.evaluation.gathering import gather_evidence
from opsin.evaluation.report import Report
from opsin.evaluation.why import Known, heat_of, look_into, worst_rows
from opsin.training.learned import Learned
from opsin.training.run_folder import RunFolder

if TYPE_CHECKING:
    from opsin.explanation.network import ImageNetwork

AGREES = 1e-2
"""How far the logits of the network in memory may be from those that were judged: it is the same, or it is not."""


def add_evidence(report: Report, learned: Learned, part: str, run: RunFolder) -> Report:
    """Look into the worst mistakes, lay the pictures out by what the network sees in them, and say what to do next.

    Args:
        report: on one part.
        learned: what came of the training, calibrated.
        part: which part the report is about.
        run: is told what could not be had.
    """
    features = learned.features[part]
    rows = worst_rows(report)
    train = learned.stored[TRAIN].dataset
    known = train if learned.known_rows is None else train.subset(learned.known_rows)
    report = look_into(
        report,
        rows,
        heat=_heat(report, rows, learned, part, run) if len(rows) else {},
        features=features[rows],
        known=Known(learned.features[TRAIN], known.names, [train.class_names[label] for label in known.labels]),
    )
    report = report.with_evidence(map=lay_out(features))
    return gather_evidence(report, learned.classifier, learned.stored[part].dataset)


def _heat(
    report: Report, rows: np.ndarray, learned: Learned, part: str, run: RunFolder
) -> dict[int, tuple[np.ndarray, float]]:
    images = np.stack([learned.stored[part].read(slice(row, row + 1))[0] for row in rows.tolist()])
    try:
        network = _network(learned, images, learned.logits[part][rows])
        return heat_of(report, rows, images, network)
    except (ModelError, UsageError) as error:
        run.say(f"The report has no heat maps: {error}")
        return {}


def _network(learned: Learned, images: np.ndarray, logits: np.ndarray) -> "ImageNetwork":
    """Return the network that was judged: the one in memory if it answers alike, else the one that was saved."""
    from opsin.explanation.network import ImageNetwork
    from opsin.explanation.opening import open_network

    card = learned.classifier.card
    if learned.network is not None:
        network = ImageNetwork(learned.network, card.preprocess, card.class_names, card.temperature)
        # Two, since all that a network works out on the way is held until it is done.
        few = slice(0, 2)
        if np.allclose(network.logits(images[few].astype(np.float32)), logits[few], atol=AGREES):
            return network
    return open_network(learned.classifier)

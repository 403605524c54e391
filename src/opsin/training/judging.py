"""The report at the end of a run, and the predictions it is made from."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from opsin.atomic import replacing
from opsin.data.splits import TEST, TRAIN, VAL
from opsin.data.store import StoredImages
from opsin.evaluation.evaluate import run_stored
from opsin.evaluation.report import Report
from opsin.names import PREDICTIONS, REPORT_HTML, REPORT_JSON
from opsin.training.config import TrainConfig
from opsin.training.evidence import add_evidence
from opsin.training.run_folder import RunFolder

if TYPE_CHECKING:
    from opsin.training.phases import Learned


def judge(learned: "Learned", *, config: TrainConfig, run: RunFolder) -> Report:
    """Run the classifier on validation and test pictures; write `predictions.npz` and the report.

    The report is about the test pictures, or about those of validation if there are none held out. Where cached
    features have given the logits already, nothing is run again.
    """
    classifier, history, stored = learned.classifier, learned.history, learned.stored
    judged = {part: stored[part] for part in (VAL, TEST) if len(stored[part])}
    logits = learned.logits or {part: run_stored(classifier, images).logits for part, images in judged.items()}
    if learned.out_of_fold is None:
        _write_predictions(run, judged, logits)
    else:
        out_of_fold = {TRAIN: learned.out_of_fold}
        _write_predictions(run, {TRAIN: stored[TRAIN], **judged}, {**out_of_fold, **logits})
    part = TEST if TEST in judged else VAL
    if part == VAL:
        run.say(
            "No pictures were held out: the report is about those that chose the best epoch, and a little too good."
        )
    report = Report.from_predictions(
        judged[part].dataset.labels,
        classifier.probabilities(logits[part]),
        judged[part].dataset.names,
        classifier.class_names,
        split=part,
        skipped=[(skipped.path, skipped.reason) for skipped in judged[part].unreadable],
        root=judged[part].dataset.root,
        temperature=classifier.temperature,
    )
    # Whatever becomes of the evidence: the numbers stand.
    report.save_json(run / REPORT_JSON)
    report = add_evidence(report, learned, part, run)
    report.save_html(run / REPORT_HTML, history=_curves(history), settings=dataclasses.asdict(learned.config or config))
    report.save_json(run / REPORT_JSON)
    run.emit("evaluated", split=part, accuracy=report.to_dict()["accuracy"])
    return report


def _curves(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that make curves: those of one training, not of a search among several."""
    return history if len(history) > 1 and not any("architecture" in row for row in history) else []


def _write_predictions(run: RunFolder, judged: Mapping[str, StoredImages], logits: Mapping[str, np.ndarray]) -> None:
    with replacing(run / PREDICTIONS) as temporary:
        np.savez_compressed(
            temporary,
            logits=np.concatenate([logits[part] for part in judged]),
            labels=np.concatenate([images.dataset.labels for images in judged.values()]),
            paths=np.array([name for images in judged.values() for name in images.dataset.names]),
            split=np.array([part for part, images in judged.items() for _ in range(len(images))]),
        )

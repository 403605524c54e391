"""Advice on the training and on what the numbers are worth: learned by heart, leaks, robustness, calibration."""

import math

import numpy as np

from opsin.counting import count
from opsin.evaluation.advice import Basis
from opsin.evaluation.evidence import Advice
from opsin.evaluation.wording import interval, percent, readable

GAP = 0.1
"""Training accuracy above that of the report, from which a model is said to have learned by heart."""

LEAK = 0.01
"""The share of the pictures that copies must be, to be worth a sentence."""

KNOWN = 0.8
"""Training accuracy below which a model has learned too little."""

MILD = 2
"""The severity up to which a corruption is called mild."""

FALL = 0.1
"""What accuracy may lose under it, before it is worth a sentence."""

WIDE = 0.1
"""The width of the accuracy's interval above which too little is known."""

WANTED_REACH = 0.03

SPOILT = {
    "blur": "are a little out of focus",
    "noise": "are noisy, as in the dark",
    "jpeg": "were saved as JPEGs of low quality",
    "brightness": "are too light",
    "rotation": "are not quite upright",
}


def no_better_than_one_answer(basis: Basis) -> list[Advice]:
    """Say so where always giving the most frequent class would do as well."""
    accuracy, (share, name) = basis.report.accuracy, _most_frequent(basis)
    # Where next to nothing is known of the accuracy, that is what to say.
    is_known = accuracy.high - accuracy.low <= WIDE
    if share == 1 or (accuracy.value > share and (accuracy.low > share or not is_known)):
        return []
    start = "begin with pretrained weights, and " if basis.background.pretrained is False else ""
    return [
        Advice(
            f"Look whether you can tell the classes apart yourself; {start}train longer or on more pictures: the model "
            f"is not surely better than always saying {name!r}.",
            f"Accuracy is {percent(accuracy.value)} ({interval(accuracy)}); {percent(share)} of the pictures are "
            f"{name!r}.",
            1 - accuracy.value,
        )
    ]


def _most_frequent(basis: Basis) -> tuple[float, str]:
    """Return the share of the pictures that are of the most frequent class, and its name."""
    supports = basis.report.metrics.confusion_matrix.sum(axis=1)
    index = int(supports.argmax())
    return float(supports[index] / supports.sum()), readable(basis.report.class_names[index])


def learned_by_heart(basis: Basis) -> list[Advice]:
    """Say so where training pictures are judged far better than others."""
    learned, accuracy = basis.background.train_accuracy, basis.report.accuracy
    if learned is None or basis.report.split == "train" or learned - accuracy.value < GAP or learned <= accuracy.high:
        return []
    is_scratch = basis.background.pretrained is False
    what = "Begin with pretrained weights, augment more, or train on" if is_scratch else "Train on"
    seen = sum(basis.background.train_counts.values())
    many = f" It learned from {count(seen, 'picture')}." if seen else ""
    return [
        Advice(
            f"{what} more pictures, and more varied ones: the model knows its training pictures by heart.",
            f"It has {percent(learned)} of those right that it learned from, and {percent(accuracy.value)} of the "
            f"others ({interval(accuracy)}).{many}",
            learned - accuracy.value,
        )
    ]


def learned_too_little(basis: Basis) -> list[Advice]:
    """Say so where a network that was trained from scratch does not even know its training pictures."""
    learned, accuracy = basis.background.train_accuracy, basis.report.accuracy
    if learned is None or basis.background.pretrained is not False:
        return []
    # Far below the report's accuracy, it was counted on pictures that were mixed or much changed for the training.
    if learned >= KNOWN or not accuracy.low <= learned < accuracy.value + GAP:
        return []
    return [
        Advice(
            "Begin with pretrained weights, or train longer or a larger network: the model does not even know its "
            "training pictures.",
            f"It has {percent(learned)} of those right that it learned from, and {percent(accuracy.value)} of the "
            f"others ({interval(accuracy)}).",
            1 - learned,
        )
    ]


def leaked_pictures(basis: Basis) -> list[Advice]:
    """Say so where more than a few of the judged pictures are copies of training pictures."""
    leaked = set(basis.background.leaked) & set(basis.report.paths)
    n = basis.report.metrics.n
    if len(leaked) < max(2, LEAK * n):
        return []
    kept = np.array([path not in leaked for path in basis.report.paths], dtype=bool)
    right = (basis.report.probabilities.argmax(axis=1) == basis.report.labels)[kept]
    honest = f" Without them accuracy is {percent(float(right.mean()))}." if kept.any() else ""
    return [
        Advice(
            "Take copies of training pictures out of those that are judged: they say nothing about new pictures.",
            f"{len(leaked):,} of {count(n, 'picture')} are the same, or nearly the same, as one that the model learned "
            f"from.{honest}",
            0.0,
            tuple(path for path in basis.report.paths if path in leaked),
        )
    ]


def fragile(basis: Basis) -> list[Advice]:
    """Name the mild corruption that costs most, if it costs much."""
    robustness = basis.report.evidence.robustness
    if robustness is None:
        return []
    clean = robustness.clean
    mild = [one for one in robustness.corrupted if one.severity <= MILD]
    worst = min(mild, key=lambda one: one.accuracy.value, default=None)
    # The pictures are the same ones, so that this is on the safe side of chance.
    if worst is None or clean.value - worst.accuracy.value < FALL or worst.accuracy.high >= clean.low:
        return []
    what = SPOILT.get(worst.kind, f"suffer from {worst.kind}")
    return [
        Advice(
            f"Train on some pictures that {what}, if yours can be so: the model is not used to them.",
            f"Of {count(clean.n, 'picture')} {percent(clean.value)} are judged rightly as they are, and "
            f"{percent(worst.accuracy.value)} with {worst.kind} of severity {worst.severity} out of 5.",
            0.0,
        )
    ]


def misleading_probabilities(basis: Basis) -> list[Advice]:
    """Say so where the probabilities are too high, or too low, as a whole."""
    report = basis.report
    confidence = float(report.probabilities.max(axis=1).mean())
    accuracy = report.accuracy
    if report.calibration.is_believable or accuracy.low <= confidence <= accuracy.high:
        return []
    too = "high" if confidence > accuracy.value else "low"
    return [
        Advice(
            f"Do not take the probabilities at their word: on these pictures they are too {too}. Choose thresholds by "
            "the table of this report.",
            f"The answers claim {percent(confidence)} on average, and {percent(accuracy.value)} of them are right "
            f"({interval(accuracy)}).",
            0.0,
        )
    ]


def too_few_pictures(basis: Basis) -> list[Advice]:
    """Say so where the accuracy is hardly known."""
    accuracy = basis.report.accuracy
    if accuracy.high - accuracy.low <= WIDE:
        return []
    frequent, name = _most_frequent(basis)
    beside = f" Always saying {name!r} would have {percent(frequent)}." if accuracy.low <= frequent < 1 else ""
    # Where all or none were right, the middle of the interval says more on how much chance there is.
    share = (accuracy.low + accuracy.high) / 2
    needed = math.ceil(1.96**2 * share * (1 - share) / WANTED_REACH**2 / 10) * 10
    return [
        Advice(
            "Judge the model on more pictures before you compare it with others.",
            f"On {count(accuracy.n, 'picture')}, accuracy lies anywhere from {percent(accuracy.low)} to "
            f"{percent(accuracy.high)}; about {needed:,} would tell it to within 3 points.{beside}",
            0.0,
        )
    ]

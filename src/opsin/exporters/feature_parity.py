"""Whether the features of an export are those of the network that it comes from, and refuse the same pictures."""

import numpy as np

from opsin.classifier import Classifier
from opsin.deciding import FROM_CARD, UNKNOWN, unit
from opsin.errors import ParityError
from opsin.exporters.litert import ABOUT_ZERO
from opsin.exporters.parity import INT8
from opsin.names import KNOWN
from opsin.runtimes.base import Outputs

TOLERANCE = 1e-3
"""How far features may differ in float32, as a fraction of the largest of them."""

INT8_TOLERANCE = 0.5
"""How far features at length 1 may be apart in 8-bit integers, on average; of other pictures, they are about 1 apart.

Of MobileNetV2 trained on flowers they were 0.09 in LiteRT, 0.19 in OpenVINO and 0.21 in ONNX Runtime."""


def compare_features(
    model: Classifier, opened: Classifier, expected: Outputs, received: Outputs, *, int8: bool
) -> dict[str, float]:
    """Compare an export's features with the network's own.

    Those of 8-bit integers differ, but the same pictures have to be `UNKNOWN` by them.

    Args:
        model: what was exported.
        opened: its export.
        expected: what the network gives for some images: logits and features.
        received: what the export gives for them.
        int8: whether it computes in 8-bit integers.

    Returns:
        What was found, for the card.

    Raises:
        ParityError: they are further apart than that, or refuse other pictures.
    """
    found: dict[str, float] = {"pictures": len(expected.features)}
    if not int8:
        scale = max(ABOUT_ZERO, float(np.abs(expected.features).max()))
        difference = float(np.abs(received.features - expected.features).max()) / scale
        _require(difference, TOLERANCE, "one differs by {} of the largest")
        return {**found, "largest_difference": difference, "tolerance": TOLERANCE}
    apart = float(np.linalg.norm(unit(received.features) - unit(expected.features), axis=1).mean())
    _require(apart, INT8_TOLERANCE, "at length 1 they are {} apart on average")
    found |= {"mean_difference_at_length_1": apart, "tolerance": INT8_TOLERANCE}
    # A model with a class of that name cannot call anything else so.
    if KNOWN in opened.card.files and UNKNOWN not in model.class_names:
        before, after = (_refused(*one) for one in ((model, expected), (opened, received)))
        found["agreement_on_unknown"] = float((before == after).mean())
        _require(1 - found["agreement_on_unknown"], 1 - INT8.agreement, "of {} of the pictures they decide otherwise")
    return found


def _refused(classifier: Classifier, outputs: Outputs) -> np.ndarray:
    decision = classifier.deciding(threshold=FROM_CARD).decision
    return decision.refuses(classifier.probabilities(outputs.logits), outputs.features)


def _require(value: float, most: float, what: str) -> None:
    # Written so that NaN is refused.
    if not value <= most:
        raise ParityError(
            f"Expected the model's features; {what.format(f'{value:.2g}')}, at most {most:.2g} is allowed. The export "
            "was removed."
        )

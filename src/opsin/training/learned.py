"""What came of a training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from opsin.classifier import Classifier
from opsin.data.store import StoredImages
from opsin.errors import TrainingError
from opsin.training.config import TrainConfig

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Learned:
    """What came of it.

    Args:
        classifier: the best network, saved and opened; None if there is none yet.
        history: a row for each epoch, and for a head that was solved.
        stored: the decoded pictures as the classifier takes them, by part.
        completed: False if the user stopped it.
        error: why it could not go on; None if it could.
        logits: float32 (n, k) of the classifier for validation and test pictures, by part; None if they have to be
            computed.
        out_of_fold: the same of training pictures, by networks that had not seen them; None if there are none.
        features: float32 (n, d) of the classifier, by part, those of training pictures too; None if they have to be
            computed.
        known_rows: int (m,), the training pictures that there are features of; None for all.
        config: the settings of what was kept, where a search has chosen them; None for those of the run.
        network: in memory, from pictures to logits, probably the classifier's; None if there is none.
    """

    classifier: Classifier | None
    history: list[dict[str, Any]]
    stored: Mapping[str, StoredImages]
    completed: bool = True
    error: TrainingError | None = None
    logits: Mapping[str, np.ndarray] | None = None
    out_of_fold: np.ndarray | None = None
    features: Mapping[str, np.ndarray] | None = None
    known_rows: np.ndarray | None = None
    config: TrainConfig | None = None
    network: "keras.Model | None" = None

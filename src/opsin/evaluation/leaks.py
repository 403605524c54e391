"""Which of the pictures that are judged the model has learned from, under another name."""

import numpy as np

from opsin.checks.survey import count_unseen, survey
from opsin.classifier import Classifier
from opsin.data.account import known_parts
from opsin.data.dataset import ImageDataset
from opsin.data.splits import TRAIN
from opsin.names import FILES

FEW = 20
"""Pictures that are read if need be: what could not be read is never remembered."""


def find_leaked(classifier: Classifier, data: ImageDataset, judged: ImageDataset) -> np.ndarray:
    """Return which judged pictures are the same, or nearly the same, as one that was trained on.

    Only what `opsin train` or `opsin check` has looked at before is known: hardly a picture is read here.

    Args:
        classifier: the model, opened from its run folder for its `files.csv` to be found.
        data: all of the data.
        judged: the part of it that is judged.

    Returns:
        bool (m,), for each judged picture; all False where nothing is known.
    """
    none = np.zeros(len(judged), dtype=bool)
    account = classifier.run_folder / FILES
    if account.is_file():
        parts = known_parts(account, data)
        learned = set(parts[TRAIN].names) if parts else set()
    else:
        learned = {name for name, part in zip(data.names, data.given_splits, strict=True) if part == TRAIN}
    if not learned or learned >= set(judged.names) or count_unseen(data) > FEW:
        return none
    groups = survey(data).groups
    of_training = {group for name, group in zip(data.names, groups.tolist(), strict=True) if name in learned}
    group_of = dict(zip(data.names, groups.tolist(), strict=True))
    return np.array([name not in learned and group_of[name] in of_training for name in judged.names], dtype=bool)

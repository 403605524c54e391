"""`--compare-scratch`: the same data from scratch in the same time, beside what pretrained weights gave."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from opsin.atomic import write_text
from opsin.classifier import softmax
from opsin.data.dataset import ImageDataset
from opsin.data.splits import TEST, TRAIN, VAL
from opsin.evaluation.comparison import Comparison, compare_answers
from opsin.model_folder import ModelCard, find_model_folder
from opsin.names import ENVIRONMENT, PREDICTIONS
from opsin.training.config import AUTO, TrainConfig
from opsin.training.run_folder import Listener, RunFolder
from opsin.training.train import TrainingRun, train

FOLDER = "from_scratch"
COMPARISON = "comparison.json"
MOST_EPOCHS = 10_000


def compare_with_scratch(
    transfer: TrainingRun,
    parts: Mapping[str, ImageDataset],
    config: TrainConfig,
    listeners: Sequence[Listener] = (),
) -> Comparison | None:
    """Train from scratch for as long as the run with pretrained weights took, and compare the two.

    The second run is in the folder `from_scratch` of the first, the comparison in `comparison.json` beside it.

    Args:
        transfer: the finished run.
        parts: its data sets.
        config: its settings.
        listeners: see `RunFolder`.

    Returns:
        The comparison; None if training from scratch was stopped.
    """
    seconds = _seconds(transfer.folder)
    default = TrainConfig()
    settings = config.replace(
        weights="none",
        architecture=AUTO,
        image_size=None,
        augment=AUTO,
        precision=AUTO,
        budget=f"{seconds:g}s",
        # Time alone ends it.
        epochs=MOST_EPOCHS,
        patience=0,
        head=default.head,
        views=None,
        unfreeze=AUTO,
        unfreeze_blocks=None,
        fine_tune_rate=None,
        layer_decay=default.layer_decay,
    )
    folder = RunFolder.create(transfer.folder / FOLDER, listeners)
    scratch = train(parts[TRAIN], parts[VAL], settings, test=parts[TEST], out=folder)
    if not scratch.completed:
        return None
    comparison = compare_runs(transfer.folder, scratch.folder, ("pretrained", "from scratch"))
    write_text(transfer.folder / COMPARISON, json.dumps(comparison.to_dict(), indent=2) + "\n")
    return comparison


def compare_runs(first: Path, second: Path, names: tuple[str, str]) -> Comparison:
    """Compare two runs on the held-out pictures that both have predicted (on those of validation, if none were)."""
    answers = [_answers(folder) for folder in (first, second)]
    shared = sorted(set(answers[0]) & set(answers[1]))
    labels = np.array([answers[0][path][0] for path in shared])
    temperatures = [ModelCard.read(find_model_folder(folder)).temperature for folder in (first, second)]
    probabilities = [
        softmax(np.stack([one[path][1] for path in shared]), temperature)
        for one, temperature in zip(answers, temperatures, strict=True)
    ]
    return compare_answers(labels, probabilities, names, seconds=[_seconds(folder) for folder in (first, second)])


def _answers(folder: Path) -> dict[str, tuple[int, np.ndarray]]:
    with np.load(folder / PREDICTIONS) as archive:
        split = archive["split"]
        rows = np.flatnonzero(split == (TEST if TEST in split else VAL))
        return {str(archive["paths"][row]): (int(archive["labels"][row]), archive["logits"][row]) for row in rows}


def _seconds(folder: Path) -> float:
    return float(json.loads((folder / ENVIRONMENT).read_text())["seconds"])

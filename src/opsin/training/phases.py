"""The phases of a training: end to end from scratch; or a head on pretrained features, then the blocks below it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from opsin.classifier import Classifier
from opsin.data.splits import TRAIN, VAL
from opsin.data.store import StoredImages
from opsin.errors import TrainingError
from opsin.pipeline import PlainBatches
from opsin.training.backbone import Backbone
from opsin.training.fine_tuning import Before, blocks_to_train, fine_tune
from opsin.training.fit import fit, training_batches
from opsin.training.frozen import FrozenOutputs
from opsin.training.network import in_float32
from opsin.training.plan import Plan
from opsin.training.run_folder import RunFolder
from opsin.training.saving import Saver
from opsin.training.stopping import StopRequest
from opsin.training.transfer import Headed, fit_head


@dataclass(frozen=True)
class Begun:
    """What stands when learning can begin.

    Args:
        plan: settings, recipe and weights.
        network: what is to be trained: a compiled network from scratch, or a backbone.
        stored: the decoded pictures, by part.
        class_weights: float (k,).
        run: the run folder.
        saver: writes the classifier.
    """

    plan: Plan
    network: "keras.Model | Backbone"
    stored: Mapping[str, StoredImages]
    class_weights: np.ndarray
    run: RunFolder
    saver: Saver


@dataclass(frozen=True)
class Learned:
    """What came of it.

    Args:
        classifier: the best network, saved and opened; None if there is none yet.
        history: a row for each epoch, and for a head that was solved.
        completed: False if the user stopped it.
        error: why it could not go on; None if it could.
        logits: float32 (n, k) of the classifier for validation and test pictures, by part; None if they have to be
            computed.
        out_of_fold: the same of training pictures, by networks that had not seen them; None if there are none.
    """

    classifier: Classifier | None
    history: list[dict[str, Any]]
    completed: bool
    error: TrainingError | None = None
    logits: Mapping[str, np.ndarray] | None = None
    out_of_fold: np.ndarray | None = None


def learn(begun: Begun, stop: StopRequest) -> Learned:
    """Train what has begun to its end, or until the user stops it."""
    return _transfer(begun, stop) if isinstance(begun.network, Backbone) else _train_from_scratch(begun, stop)


def _train_from_scratch(begun: Begun, stop: StopRequest) -> Learned:
    config = begun.plan.config
    batches = training_batches(begun.stored[TRAIN], begun.class_weights, config)
    val = PlainBatches(begun.stored[VAL], config.batch_size)
    fitted = fit(begun.network, batches, val, config=config, run=begun.run, stop=stop)
    classifier = None
    if fitted.state.best_epoch:
        classifier = begun.saver.save(in_float32(begun.network, begun.plan, len(begun.class_weights)))
    return Learned(classifier, fitted.state.history, fitted.completed, fitted.error)


def _transfer(begun: Begun, stop: StopRequest) -> Learned:
    config, backbone = begun.plan.config, begun.network
    frozen = FrozenOutputs(backbone, begun.stored, begun.run)
    headed = fit_head(frozen, begun.class_weights, config, stop)
    learned = _keep_head(begun, headed)
    blocks = blocks_to_train(backbone, config)
    if not blocks or learned.error is not None or not learned.completed or stop.made:
        return learned
    before = Before(headed.history, headed.val_accuracy, headed.val_loss)
    fitted = fine_tune(frozen, blocks, begun.class_weights, before=before, config=config, stop=stop)
    history = [*headed.history, *fitted.state.history]
    if not fitted.state.best_epoch:
        if fitted.completed:
            begun.run.say("No epoch of fine-tuning was better on the validation pictures: the head alone is kept.")
        return Learned(learned.classifier, history, fitted.completed, fitted.error, learned.logits, learned.out_of_fold)
    classifier = begun.saver.save(backbone.network, fine_tuned=[layer.name for b in blocks for layer in b.layers])
    return Learned(classifier, history, fitted.completed, fitted.error)


def _keep_head(begun: Begun, headed: Headed) -> Learned:
    fitted, backbone = headed.fitted, begun.network
    if fitted is not None and not fitted.state.best_epoch:
        return Learned(None, headed.history, fitted.completed, fitted.error)
    classifier = begun.saver.save(backbone.network, twin=backbone.twin())
    if fitted is not None:
        return Learned(classifier, headed.history, fitted.completed, fitted.error)
    return Learned(classifier, headed.history, True, None, headed.logits, headed.out_of_fold)

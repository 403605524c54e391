"""Transfer learning: features once, a head on them, and the top of the network where that is asked for."""

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from opsin.architectures.cuts import part_after
from opsin.data.splits import TRAIN, VAL
from opsin.evaluation.intervals import estimate
from opsin.evaluation.wording import interval, percent
from opsin.names import CHECKPOINT
from opsin.training.config import TrainConfig
from opsin.training.feature_batches import FeatureBatches, PlainFeatureBatches
from opsin.training.fit import Fitted, Phase, fit
from opsin.training.frozen import FrozenOutputs
from opsin.training.heads import HeadData, mean_log_loss, solve_head
from opsin.training.learned import Learned
from opsin.training.network import compile_network
from opsin.training.preparing import Begun
from opsin.training.stopping import StopRequest

PHASE = "head"


@dataclass(frozen=True)
class Headed:
    """What became of a backbone that was given a head, which is in its network now.

    Args:
        history: a row for the head that was solved, or one for each epoch that it was trained.
        val_accuracy: the share of the validation pictures that it has right.
        val_loss: its cross-entropy on them, in nats.
        held_out_loss: the same on all pictures that took no part in solving, each in its turn; `val_loss` where there
            are only those of validation.
        logits: float32 (n, k), of each part's pictures; None for a head that was trained.
        out_of_fold: float32 (n, k), logits of the training pictures by heads that had not seen them; None if there are
            none.
        features: float32 (n, d), of each part's pictures; None for a head that was trained.
        fitted: how its training ended; None for a head that was solved.
    """

    history: list[dict[str, Any]]
    val_accuracy: float
    val_loss: float
    held_out_loss: float
    logits: dict[str, np.ndarray] | None = None
    out_of_fold: np.ndarray | None = None
    features: dict[str, np.ndarray] | None = None
    fitted: Fitted | None = None


def fit_head(frozen: FrozenOutputs, class_weights: np.ndarray, config: TrainConfig, stop: StopRequest) -> Headed:
    """Compute the features of all pictures once, and put the head on them that suits the training pictures.

    Args:
        frozen: the network on the run's pictures; its head is changed.
        class_weights: float (k,).
        config: settings without any `auto`.
        stop: is looked at now and then.
    """
    make = _solve if config.head == "linear" else _train
    return make(frozen, class_weights, config, stop)


def _solve(frozen: FrozenOutputs, class_weights: np.ndarray, config: TrainConfig, stop: StopRequest) -> Headed:
    started = time.monotonic()
    features = {part: stored.read() for part, stored in frozen.features().items()}
    views = [view.read() for view in frozen.feature_views(config.views)]
    labels = {part: images.dataset.labels for part, images in frozen.stored.items()}
    groups = frozen.stored[TRAIN].dataset.groups
    data = HeadData(
        [features[TRAIN], *views],
        labels[TRAIN],
        class_weights,
        features[VAL],
        labels[VAL],
        groups=[group or f"\0{row}" for row, group in enumerate(groups)] if any(groups) else None,
    )
    head = solve_head(data, seed=config.seed, stop=lambda: stop.made)
    frozen.backbone.head.set_weights([head.kernel, head.bias])
    logits = {part: head.logits(features[part]) for part in features}
    losses = {part: mean_log_loss(logits[part], labels[part]) for part in (TRAIN, VAL)}
    right = {part: logits[part].argmax(axis=1) == labels[part] for part in (TRAIN, VAL)}
    row = {
        "epoch": 0,
        "seconds": round(time.monotonic() - started, 3),
        "loss": losses[TRAIN],
        "accuracy": float(right[TRAIN].mean()),
        "val_loss": losses[VAL],
        "val_accuracy": float(right[VAL].mean()),
        "phase": PHASE,
    }
    frozen.run.write_history([row])
    judged = estimate(int(right[VAL].sum()), len(right[VAL]))
    left_out = f"; {percent(head.accuracy)} of {head.judged:,} training pictures that were left out in turn"
    frozen.run.say(
        f"Linear head on {features[TRAIN].shape[1]:,} features, C {head.strength:.2g}: val accuracy "
        f"{percent(judged.value)} ({interval(judged)}){left_out if head.cross_validated else ''}."
    )
    judged_parts = {part: logits[part] for part in logits if part != TRAIN}
    held_out = np.average([head.log_loss, losses[VAL]], weights=[head.judged, len(labels[VAL])])
    return Headed(
        [row], row["val_accuracy"], row["val_loss"], float(held_out), judged_parts, head.out_of_fold, features
    )


def _train(frozen: FrozenOutputs, class_weights: np.ndarray, config: TrainConfig, stop: StopRequest) -> Headed:
    stored = frozen.features()
    labels = {part: images.dataset.labels for part, images in frozen.stored.items()}
    batches = FeatureBatches(
        [stored[TRAIN], *frozen.feature_views(config.views)],
        labels[TRAIN],
        class_weights=class_weights,
        batch_size=config.batch_size,
        seed=config.seed,
    )
    val = PlainFeatureBatches(stored[VAL], labels[VAL], config.batch_size)
    head = part_after(frozen.backbone.network, frozen.backbone.features)
    compile_network(head, config)
    phase = Phase(frozen.run / CHECKPOINT / f"{PHASE}-{config.architecture}", PHASE)
    fitted = fit(head, batches, val, config=config, run=frozen.run, stop=stop, phase=phase)
    if not fitted.state.best_epoch:
        return Headed(fitted.state.history, 0.0, math.inf, math.inf, fitted=fitted)
    best = fitted.state.history[fitted.state.best_epoch - 1]
    loss = best["val_loss"]
    return Headed(fitted.state.history, best["val_accuracy"], loss, loss, fitted=fitted)


def keep_head(begun: Begun, headed: Headed) -> Learned:
    """Save the network with its new head, at once; nothing is saved of a head whose training never got anywhere."""
    fitted, backbone = headed.fitted, begun.network
    if fitted is None:
        classifier = begun.saver.save(backbone.network, twin=backbone.twin())
        return Learned(
            classifier,
            headed.history,
            begun.stored,
            logits=headed.logits,
            out_of_fold=headed.out_of_fold,
            features=headed.features,
            network=backbone.network,
        )
    classifier = begun.saver.save(backbone.network) if fitted.state.best_epoch else None
    history, completed = headed.history, fitted.completed
    return Learned(classifier, history, begun.stored, completed, fitted.error, network=backbone.network)

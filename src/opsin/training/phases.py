"""The phases of a training: end to end from scratch; or a head on pretrained features, then the blocks below it."""

from dataclasses import replace

from opsin.data.splits import TRAIN, VAL
from opsin.pipeline import PlainBatches
from opsin.training.backbone import Backbone
from opsin.training.fine_tuning import blocks_to_train, fine_tune, views_that_fit
from opsin.training.fit import fit, training_batches
from opsin.training.frozen import FrozenOutputs
from opsin.training.learned import Learned
from opsin.training.network import as_saved
from opsin.training.preparing import Begun
from opsin.training.search import deadline_of, epochs_that_fit, search
from opsin.training.stopping import Deadline, StoppedByUser, StopRequest
from opsin.training.transfer import fit_head, keep_head


def learn(begun: Begun, stop: StopRequest, started: float) -> Learned:
    """Train what has begun to its end, until its budget is used up, or until the user stops it.

    Args:
        begun: what stands.
        stop: is looked at after each step.
        started: when the budget began, as `time.monotonic()` has it.
    """
    if isinstance(begun.network, Backbone):
        return _transfer(begun, stop) if begun.plan.config.budget is None else search(begun, stop, started)
    return _train_from_scratch(begun, deadline_of(begun, stop, started))


def _train_from_scratch(begun: Begun, stop: StopRequest) -> Learned:
    config = begun.plan.config
    batches = training_batches(begun.stored[TRAIN], begun.class_weights, config)
    if isinstance(stop, Deadline):
        config = epochs_that_fit(begun, batches, stop)
        batches = training_batches(begun.stored[TRAIN], begun.class_weights, config)
    val = PlainBatches(begun.stored[VAL], config.batch_size)
    fitted = fit(begun.network, batches, val, config=config, run=begun.run, stop=stop)
    classifier = network = None
    if fitted.state.best_epoch:
        network = as_saved(begun.network, begun.plan, len(begun.class_weights))
        classifier = begun.saver.save(network)
    completed = fitted.completed or (classifier is not None and not stop.by_user)
    return Learned(classifier, fitted.state.history, begun.stored, completed, fitted.error, network=network)


def _transfer(begun: Begun, stop: StopRequest) -> Learned:
    config, backbone = begun.plan.config, begun.network
    blocks = blocks_to_train(backbone, config)
    boundary = blocks[0].start if 0 < len(blocks) < len(backbone.blocks) else None
    frozen = FrozenOutputs(backbone, begun.stored, begun.run, stop, boundary)
    if boundary is not None:
        # Before the head, which is put on the same views.
        config = config.replace(views=views_that_fit(frozen, blocks, config))
    try:
        headed = fit_head(frozen, begun.class_weights, config, stop)
    except StoppedByUser:
        return Learned(None, [], begun.stored, completed=False)
    learned = keep_head(begun, headed)
    if not blocks or learned.error is not None or not learned.completed or stop.made:
        return learned
    try:
        fitted = fine_tune(frozen, blocks, begun.class_weights, history=headed.history, config=config, stop=stop)
    except StoppedByUser:
        return replace(learned, completed=False)
    history = [*headed.history, *fitted.state.history]
    if not fitted.state.best_epoch:
        if fitted.completed:
            begun.run.say("No epoch of fine-tuning was better on the validation pictures: the head alone is kept.")
        return replace(learned, history=history, completed=fitted.completed, error=fitted.error)
    classifier = begun.saver.save(backbone.network, fine_tuned=[layer.name for b in blocks for layer in b.layers])
    completed = fitted.completed
    return Learned(classifier, history, begun.stored, completed, fitted.error, network=backbone.network)

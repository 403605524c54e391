"""What stands when learning can begin: the network, the decoded pictures, the weights of the classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from opsin.architectures import ARCHITECTURES
from opsin.architectures.summary import summarize
from opsin.augmentation.policies import describe, get_policy
from opsin.data.dataset import ImageDataset
from opsin.data.splits import TRAIN
from opsin.data.store import StoredImages
from opsin.training.config import TrainConfig
from opsin.training.decoding import Decoding
from opsin.training.plan import Plan, weigh_classes
from opsin.training.recipes import describe_fast
from opsin.training.run_folder import RunFolder

if TYPE_CHECKING:
    import keras

    from opsin.training.backbone import Backbone
    from opsin.training.saving import Saver


@dataclass(frozen=True)
class Begun:
    """What stands when learning can begin.

    Args:
        plan: settings, recipe and weights.
        settings: what the user left open and what not.
        network: what is to be trained: a compiled network from scratch, or a backbone.
        parts: the data sets, by part.
        stored: their decoded pictures.
        class_weights: float (k,).
        run: the run folder.
        saver: writes the classifier.
    """

    plan: Plan
    settings: TrainConfig
    network: "keras.Model | Backbone"
    parts: Mapping[str, ImageDataset]
    stored: Mapping[str, StoredImages]
    class_weights: np.ndarray
    run: RunFolder
    saver: "Saver"


def prepare(
    plan: Plan,
    parts: Mapping[str, ImageDataset],
    run: RunFolder,
    *,
    settings: TrainConfig,
    model: "keras.Model | None" = None,
) -> Begun:
    """Build the network that a plan names, and decode the pictures meanwhile.

    Args:
        plan: settings, recipe and weights.
        parts: the data sets, by part.
        run: where events go.
        settings: what the plan was made from, some of it `auto` or None.
        model: the user's own network.
    """
    # Loading Keras and building the network takes one core and seconds: the others decode.
    with Decoding(parts, plan, run) as decoding:
        from opsin.training.backbone import Backbone
        from opsin.training.network import as_saved, make_network
        from opsin.training.precision import settle_precision
        from opsin.training.saving import Saver

        class_count = len(parts[TRAIN].class_names)
        plan = settle_precision(plan, class_count)
        network = Backbone(plan, class_count, run.say) if plan.weights else make_network(plan, class_count, model)
        _say_what_is_trained(plan, network.network if plan.weights else as_saved(network, plan, class_count), run)
        stored = decoding.result()
    if not plan.weights and plan.config.whiten:
        from opsin.training.beginnings import whiten

        whiten(network, stored[TRAIN], plan.config.seed)
    weights = weigh_classes(plan.config, stored[TRAIN].dataset)
    if weights.max() > weights.min():
        run.say("The classes are imbalanced: rare ones weigh more in the loss (--class-weights).")
    return Begun(plan, settings, network, parts, stored, weights, run, Saver(plan, parts[TRAIN], run))


def _say_what_is_trained(plan: Plan, network: "keras.Model", run: RunFolder) -> None:
    config, summary = plan.config, summarize(network)
    run.emit(
        "network_built",
        name=config.architecture if config.architecture in ARCHITECTURES else network.name,
        weights=config.weights,
        # What comes with weights computes its features in float32.
        precision="float32" if plan.weights else config.precision,
        input_shape=list(plan.preprocess.shape),
        parameters=summary.parameters,
        multiply_adds=summary.multiply_adds,
        augmentation=f"{config.augment} ({describe(get_policy(config.augment), config.color)})"
        if _augments(plan)
        else "none: the head is solved on the pictures as they are (--views)",
    )
    if plan.weights and config.budget is None:
        run.say(f"Plan: {_describe(config)}.")
    if config.recipe == "fast":
        run.say(f"Recipe fast: {describe_fast(config)}.")


def _augments(plan: Plan) -> bool:
    config = plan.config
    return not plan.weights or bool(config.views) or config.unfreeze == "all" or config.budget is not None


def _describe(config: TrainConfig) -> str:
    """Return what transfer learning will do, in a line."""
    head = "a linear head, solved" if config.head == "linear" else "a dense head, trained"
    views = f" and in {config.views} augmented views" if config.views else ""
    layers = f"the top {config.unfreeze} layers, in whole blocks," if config.unfreeze.isdecimal() else "the top blocks"
    top = {"none": "", "all": "all layers"}.get(config.unfreeze, layers)
    if config.unfreeze_blocks is not None:
        top = f"the top {config.unfreeze_blocks} blocks" if config.unfreeze_blocks else ""
    then = f"; then {top} trained for up to {config.fine_tune_epochs} epochs" if top else ""
    return f"features of every picture once{views}; {head}{then}"

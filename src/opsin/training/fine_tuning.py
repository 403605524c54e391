"""Training the top of a pretrained network: what lies below it runs once, whatever the number of epochs."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from opsin.architectures.cuts import Block, find_blocks, part_after
from opsin.architectures.weights import copy_weights
from opsin.data.splits import TRAIN, VAL
from opsin.errors import UsageError
from opsin.names import CHECKPOINT
from opsin.pipeline import PlainBatches
from opsin.training.backbone import Backbone, build_with_head
from opsin.training.config import FIND, TrainConfig, policy_of
from opsin.training.feature_batches import FeatureBatches, PlainFeatureBatches
from opsin.training.fit import Fitted, Phase, fit, training_batches
from opsin.training.frozen import FrozenOutputs
from opsin.training.network import compile_network, device_scope
from opsin.training.plan import gpu_count
from opsin.training.stopping import StopRequest

PHASE = "fine-tune"
CACHE_SHARE = 0.5
"""Of the cache's limit, what the outputs at one boundary may take."""


def blocks_to_train(backbone: Backbone, config: TrainConfig) -> tuple[Block, ...]:
    """Return the blocks that the settings unfreeze, from the picture's side on; all of them for end-to-end training."""
    blocks = backbone.blocks
    if config.unfreeze == "all":
        return blocks
    if config.unfreeze_blocks is not None:
        return blocks[len(blocks) - min(config.unfreeze_blocks, len(blocks)) :]
    if config.unfreeze == "none":
        return ()
    wanted = int(config.unfreeze)
    for count in range(1, len(blocks) + 1):
        if sum(len(block.layers) for block in blocks[-count:]) >= wanted:
            return blocks[-count:]
    return blocks


def views_that_fit(frozen: FrozenOutputs, blocks: Sequence[Block], config: TrainConfig) -> int:
    """Return how many augmented views of the boundary's outputs the cache has room for; say so if it is fewer.

    Raises:
        UsageError: not even the pictures as they are fit.
    """
    plain = _bytes_kept(frozen, blocks, 0)
    room = CACHE_SHARE * config.cache_limit_gb * 2**30 - plain
    views = min(config.views, int(room // (_bytes_kept(frozen, blocks, 1) - plain)))
    if views < 0:
        raise UsageError(
            f"Expected room for what enters {blocks[0].name}: {plain / 2**30:.2f} GiB; half of "
            f"--cache-limit-gb {config.cache_limit_gb:g} is less. Raise it, or unfreeze fewer blocks."
        )
    if views < config.views:
        frozen.run.say(
            f"The cache has room for {views} augmented views of what enters {blocks[0].name}; {config.views} were "
            "asked for (--cache-limit-gb)."
        )
    return views


def _bytes_kept(frozen: FrozenOutputs, blocks: Sequence[Block], views: int) -> int:
    """Return what the cache holds for a boundary: float16, all pictures once, those to learn from in each view."""
    pictures = sum(len(images) for images in frozen.stored.values())
    return 2 * int(np.prod(blocks[0].start.shape[1:])) * (pictures + views * len(frozen.stored[TRAIN]))


def fine_tune(
    frozen: FrozenOutputs,
    blocks: Sequence[Block],
    class_weights: np.ndarray,
    *,
    history: Sequence[dict[str, Any]],
    config: TrainConfig,
    stop: StopRequest,
) -> Fitted:
    """Train the top blocks and the head; the backbone's network keeps the best weights, or those it had.

    Batch normalisation stays in inference mode: its statistics do not move.

    Args:
        frozen: the network, with a head, on the run's pictures.
        blocks: its top blocks; all of them for end-to-end training.
        class_weights: float (k,).
        history: the rows of what there was before.
        config: settings without any `auto`.
        stop: is looked at after each step.
    """
    backbone = frozen.backbone
    config = config.replace(learning_rate=config.fine_tune_rate, epochs=config.fine_tune_epochs)
    checkpoint = frozen.run / CHECKPOINT / f"{PHASE}-{config.architecture}-{len(blocks)}"
    phase = Phase(checkpoint, PHASE, history, keep_better=True)
    names = ", ".join(block.name for block in reversed(blocks[-3:])) + (", …" if len(blocks) > 3 else "")
    rate = "that a trial finds" if config.learning_rate == FIND else f"of {config.learning_rate:g}"
    frozen.run.say(
        f"Fine-tuning {len(blocks)} of {len(backbone.blocks)} blocks, from the top ({names}), at a learning rate "
        f"{rate}; batch normalisation stays as it is."
    )
    if len(blocks) == len(backbone.blocks):
        return _end_to_end(frozen, class_weights, config, stop, phase)
    views = views_that_fit(frozen, blocks, config)
    start = blocks[0].start
    frozen.run.say(
        f"Below {blocks[0].name} nothing is trained: what enters it is kept once, as it is and in {views} augmented "
        f"views: {_bytes_kept(frozen, blocks, views) / 2**30:.2f} GiB."
    )
    features = frozen.at(start, "float16")
    batches = FeatureBatches(
        [features[TRAIN], *frozen.views_at(start, "float16", views)],
        frozen.stored[TRAIN].dataset.labels,
        class_weights=class_weights,
        batch_size=config.batch_size,
        seed=config.seed,
    )
    val = PlainFeatureBatches(features[VAL], frozen.stored[VAL].dataset.labels, config.batch_size)
    upper = part_after(backbone.network, start)
    with normalization_frozen(upper):
        compile_network(upper, config, rate_factors=_rate_factors(blocks, config.layer_decay))
        return fit(upper, batches, val, config=config, run=frozen.run, stop=stop, phase=phase)


def _end_to_end(
    frozen: FrozenOutputs, class_weights: np.ndarray, config: TrainConfig, stop: StopRequest, phase: Phase
) -> Fitted:
    backbone = frozen.backbone
    batches = training_batches(frozen.stored[TRAIN], class_weights, config)
    val = PlainBatches(frozen.stored[VAL], config.batch_size)
    with device_scope():
        network = backbone.network
        blocks = backbone.blocks
        if policy_of(config.precision) != "float32" or gpu_count() > 1:
            network = build_with_head(backbone.plan, len(class_weights), precision=config.precision)
            copy_weights(backbone.network, network)
            # Variables that are named by a count have other names here.
            blocks = find_blocks(network, network.get_layer("features").output)
        with normalization_frozen(network):
            compile_network(network, config, rate_factors=_rate_factors(blocks, config.layer_decay))
            fitted = fit(network, batches, val, config=config, run=frozen.run, stop=stop, phase=phase)
    if network is not backbone.network:
        copy_weights(network, backbone.network)
    return fitted


@contextlib.contextmanager
def normalization_frozen(network: keras.Model) -> Iterator[None]:
    """Keep batch normalisation in inference mode, statistics and all, while the block runs."""
    layers = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    before = [layer.trainable for layer in layers]
    for layer in layers:
        layer.trainable = False
    try:
        yield
    finally:
        for layer, trainable in zip(layers, before, strict=True):
            layer.trainable = trainable


def _rate_factors(blocks: Sequence[Block], decay: float) -> dict[str, float]:
    """Return what the rate is multiplied by for each variable: the top block has the head's, each one below less."""
    if decay == 1:
        return {}
    return {
        variable.path: decay**depth
        for depth, block in enumerate(reversed(blocks))
        for layer in block.layers
        for variable in layer.trainable_variables
    }

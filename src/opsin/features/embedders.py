"""What turns pictures into feature vectors: a finished model's twin, or a backbone with pretrained weights."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from opsin.architectures import ARCHITECTURES, build_network
from opsin.architectures.weight_files import IMAGENET, resolve_weights
from opsin.catalog import choose, require
from opsin.classifier import Classifier
from opsin.data.walk import exists
from opsin.errors import ModelError, UsageError
from opsin.features.index import Origin
from opsin.images.preprocess import Preprocess
from opsin.names import KERAS, TWIN

if TYPE_CHECKING:
    import keras

BATCH = 16

Run = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Embedder:
    """What turns pictures into vectors; `open_embedder` gives one.

    Args:
        run: uint8 (N, h, w, c), 0 to 255 → float32 (N, d).
        origin: what it is.
        batch_size: how many pictures it takes at a time, in all its lanes together.
        lanes: how many calls make the most of the cores, side by side.
    """

    run: Run
    origin: Origin
    batch_size: int = BATCH
    lanes: int = 1


def open_embedder(
    source: str | Path | Classifier,
    weights: str | None = None,
    *,
    offline: bool = False,
    runtime: str = "litert",
    say: Callable[[str], None] = lambda line: None,
) -> Embedder:
    """Open what gives pictures their vectors.

    Args:
        source: a run or a model folder, a classifier, or the name of an architecture (needs `opsin[train]`).
        weights: of an architecture: `"imagenet"`, which None stands for, a file, or a folder of files that are named
            after architectures.
        offline: never download weights.
        runtime: what runs a finished model, `"litert"` or `"keras"`.
        say: is called with a sentence on what of a file of weights was left out.

    Raises:
        UsageError: there is no such model or architecture, or there are no such weights.
        ModelError: the model cannot be used, or its weights cannot be had.
        MissingPackageError: TensorFlow is needed and not installed.
    """
    if isinstance(source, str | Path) and not exists(source):
        return _open_backbone(_require_architecture(str(source)), weights, offline, say)
    if weights is not None:
        raise UsageError(
            f"Expected weights only with the name of an architecture; received {weights!r} with {_called(source)}, "
            "which has its own. Leave them out."
        )
    return _of_classifier(source if isinstance(source, Classifier) else Classifier.open(source, runtime))


def reopen_embedder(
    origin: Origin,
    source: str | Path | None = None,
    weights: str | None = None,
    *,
    offline: bool = False,
    runtime: str = "litert",
    say: Callable[[str], None] = lambda line: None,
) -> Embedder:
    """Open what made an index, for more pictures to be compared with those in it.

    Args:
        origin: what made the index.
        source: where the model is now; None: where it was.
        weights: where the weights of an architecture are now; None: where they were.
        offline: never download weights.
        runtime: what runs a finished model, `"litert"` or `"keras"`.
        say: is called with a sentence on what of a file of weights was left out.

    Raises:
        UsageError: it is not there any more.
        ModelError: something else is there.
    """
    if source is None:
        _require_there(origin, weights)
    weights = (weights or origin.weights) if source is None else weights
    embedder = open_embedder(source or origin.source, weights, offline=offline, runtime=runtime, say=say)
    if embedder.origin.sha256 != origin.sha256:
        raise ModelError(
            f"Expected the model that made the index: {origin.name}, with the hash {origin.sha256[:12]}; "
            f"{embedder.origin.source!r} is another one: {embedder.origin.name}, {embedder.origin.sha256[:12]}. Their "
            "vectors cannot be compared. Say where the first one is, or make the index again: opsin embed"
        )
    return embedder


def _require_there(origin: Origin, weights: str | None) -> None:
    """Raise `UsageError` if what made an index has gone; it may only have moved."""
    if origin.weights is None:
        place, option = origin.source, "--model RUN"
    else:
        place, option = origin.weights, "--weights PATH"
    if place != IMAGENET and weights is None and not exists(place):
        raise UsageError(
            f"Expected {origin.name}, which made the index, where it was then; there is nothing at {place!r} any more. "
            f"Say where it is now: {option}"
        )


def _require_architecture(name: str) -> str:
    nothing = f"Expected a run folder, a model folder or an architecture; there is nothing at {name!r}."
    if len(Path(name).parts) > 1:
        raise UsageError(f"{nothing} Check the path.")
    try:
        return choose("architecture", name, ARCHITECTURES)
    except UsageError as error:
        raise UsageError(f"{nothing} {error}") from None


def _called(source: object) -> str:
    return "a classifier" if isinstance(source, Classifier) else repr(str(source))


def _of_classifier(classifier: Classifier) -> Embedder:
    classifier = classifier.at_source()
    card = classifier.card
    if card.artefact is not None:
        raise UsageError(
            f"Expected a run folder or a model folder; {str(classifier.folder)!r} is an export, which gives "
            "probabilities and no features. Give what it was exported from."
        )
    origin = Origin(
        name=str(card.provenance.get("architecture", "network")),
        sha256=_hash(card.preprocess, [card.files.get(name, "").encode() for name in (KERAS, TWIN)]),
        preprocess=card.preprocess,
        source=str(classifier.folder.resolve()),
    )
    # Past the classifier itself, which may look at mirror images too (`flips`): vectors are those of the picture.
    plain = Classifier(classifier.runtime, card, classifier.folder)
    return Embedder(lambda images: plain.run_beside(images).features, origin, lanes=plain.lanes)


def _open_backbone(name: str, weights: str | None, offline: bool, say: Callable[[str], None]) -> Embedder:
    entry = ARCHITECTURES[name]
    weights = weights or IMAGENET
    if weights == IMAGENET and not entry.published:
        raise UsageError(
            f"Expected an architecture whose weights are published; those of {name} are not. Give a file with "
            "--weights PATH, or another architecture (opsin archs)."
        )
    found = resolve_weights(weights, name, ARCHITECTURES, offline=offline)
    if found is None:
        raise UsageError(
            f"Expected pretrained weights for {name}, since random ones tell nothing of pictures; received "
            f"{weights!r}. Give imagenet, a file or a folder."
        )
    part = _features_part(build_network(name, entry.input_shape, 2, weights=found, say=say))
    height, width, _ = entry.input_shape
    recipe = Preprocess(height, width, color=entry.color)
    origin = Origin(
        name=name,
        # Not the graph's settings, which Keras names otherwise from version to version.
        sha256=_hash(recipe, [name.encode(), *(np.ascontiguousarray(array).tobytes() for array in part.get_weights())]),
        preprocess=recipe,
        source=name,
        weights=IMAGENET if weights == IMAGENET else str(Path(found).resolve()),
    )
    return _run_by_extractor(part, origin)


def _features_part(network: "keras.Model") -> "keras.Model":
    from opsin.architectures.cuts import part_before

    return part_before(network, network.get_layer("features").output)


def _run_by_extractor(part: "keras.Model", origin: Origin) -> Embedder:
    from opsin.features.extraction import make_extractor

    extractor = make_extractor(part, gpu=_has_gpu())
    return Embedder(extractor.run, origin, extractor.batch_size * extractor.lanes, extractor.lanes)


def _has_gpu() -> bool:
    keras = require("keras", "computing features")
    return keras.backend.backend() == "tensorflow" and bool(keras.distribution.list_devices("gpu"))


def _hash(preprocess: Preprocess, parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256(json.dumps(preprocess.to_dict(), sort_keys=True).encode())
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()

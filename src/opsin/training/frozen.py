"""What the frozen part of a backbone gives for a run's pictures: computed once, as they are and in augmented views."""

import functools
import time
from collections.abc import Mapping
from typing import Any

import keras

from opsin.architectures.cuts import part_before, part_between
from opsin.augmentation.augmenter import Augmenter
from opsin.augmentation.policies import get_policy
from opsin.data.cache import Cache
from opsin.data.splits import TRAIN
from opsin.data.store import StoredImages
from opsin.features.extraction import (
    Extractor,
    StoredFeatures,
    extract,
    extract_view,
    litert_extractor,
    make_extractor,
    run_on,
)
from opsin.features.speeds import remember_speed
from opsin.training.backbone import Backbone
from opsin.training.plan import gpu_count
from opsin.training.run_folder import RunFolder
from opsin.training.stopping import Deadline, StoppedByUser, StopRequest

SECONDS_BETWEEN_EVENTS = 0.25
ENOUGH_TO_MEASURE = 64
"""So many pictures tell how fast a network is."""


class FrozenOutputs:
    """A backbone's outputs at any tensor, for all parts of the data; `StoppedByUser` leaves them in the middle.

    Args:
        backbone: the network.
        stored: the decoded pictures, by part.
        run: where events go.
        stop: is looked at after each batch.
        boundary: where the network will be cut for fine-tuning, if it will be: what crosses there is computed first,
            and the features from that.
    """

    def __init__(
        self,
        backbone: Backbone,
        stored: Mapping[str, StoredImages],
        run: RunFolder,
        stop: "StopRequest | Deadline",
        boundary: "keras.KerasTensor | None" = None,
    ):
        self.backbone = backbone
        self.stored = stored
        self.run = run
        self.stop = stop
        self.boundary = boundary
        self.seconds = 0.0
        """What running the network on the pictures as they are has taken; little where the cache had it."""
        self._extractors: dict[int, Extractor] = {}
        self._kept: dict[tuple, Any] = {}

    def features(self) -> dict[str, StoredFeatures]:
        """Return what enters the head, float32 (n, d), for all pictures as they are."""
        if self.boundary is None:
            return self.at(self.backbone.features, "float32")
        return {part: self._onward(features) for part, features in self.at(self.boundary, "float16").items()}

    def feature_views(self, count: int) -> list[StoredFeatures]:
        """Return the same for the training pictures in `count` augmented views."""
        if self.boundary is None:
            return self.views_at(self.backbone.features, "float32", count)
        return [self._onward(features) for features in self.views_at(self.boundary, "float16", count)]

    def at(self, tensor: keras.KerasTensor, dtype: str) -> dict[str, StoredFeatures]:
        """Return what the network up to a tensor gives for all pictures as they are.

        Args:
            tensor: where to stop, (N, ...).
            dtype: what is kept, `"float32"` or `"float16"`.
        """
        key = (id(tensor), dtype)
        if key not in self._kept:
            extractor = self._extractor(tensor)
            began = time.monotonic()
            self._kept[key] = extract(
                extractor,
                self.stored,
                cache=self._cache,
                dtype=dtype,
                progress=_Progress(self, "features of the pictures", remember=tensor is self.backbone.features),
                say=self.run.say,
            )
            self.seconds += time.monotonic() - began
        return self._kept[key]

    def views_at(self, tensor: keras.KerasTensor, dtype: str, count: int) -> list[StoredFeatures]:
        """Return the same for the training pictures in `count` augmented views."""
        for view in range(1, count + 1):
            if (id(tensor), dtype, view) not in self._kept:
                self._kept[id(tensor), dtype, view] = extract_view(
                    self._extractor(tensor),
                    self.stored[TRAIN],
                    self._augmenter,
                    view,
                    cache=self._cache,
                    dtype=dtype,
                    progress=_Progress(self, f"features of view {view} of {count}"),
                    say=self.run.say,
                )
        return [self._kept[id(tensor), dtype, view] for view in range(1, count + 1)]

    def leave_if_asked(self) -> None:
        """Raise `StoppedByUser` if that was asked for."""
        if self.stop.made:
            self.run.emit("stopping", text=self.stop.reason)
            raise StoppedByUser

    def _onward(self, features: StoredFeatures) -> StoredFeatures:
        return run_on(self._upper, features)

    @functools.cached_property
    def _upper(self) -> Extractor:
        return make_extractor(part_between(self.boundary, self.backbone.features), gpu=bool(gpu_count()))

    @property
    def _cache(self) -> Cache:
        config = self.backbone.plan.config
        return Cache(limit_bytes=int(config.cache_limit_gb * 2**30), enabled=config.cache)

    @property
    def _augmenter(self) -> Augmenter:
        config, names = self.backbone.plan.config, self.stored[TRAIN].dataset.class_names
        return Augmenter(get_policy(config.augment), config.seed, len(names), color=config.color)

    def _extractor(self, tensor: keras.KerasTensor) -> Extractor:
        if id(tensor) not in self._extractors:
            self._extractors[id(tensor)] = self._make_extractor(tensor)
        return self._extractors[id(tensor)]

    def _make_extractor(self, tensor: keras.KerasTensor) -> Extractor:
        backbone = self.backbone
        part = part_before(backbone.network, tensor)
        if tensor is not backbone.features or backbone.first_twin is None:
            return make_extractor(part, gpu=bool(gpu_count()))
        # The twin gives features too: one conversion serves for them and for the finished network.
        return litert_extractor(part, backbone.first_twin, output=1)


class _Progress:
    """Emits `features` a few times a second, and remembers the network's speed."""

    def __init__(self, frozen: FrozenOutputs, what: str, *, remember: bool = False):
        self.frozen = frozen
        self.what = what
        self.remember = remember
        self.started = self.last = time.monotonic()
        self.first = self.done = 0

    def __call__(self, done: int, total: int) -> None:
        self.frozen.leave_if_asked()
        now = time.monotonic()
        if not self.done and done < total:
            # What came before the first batch was no work of the network.
            self.started, self.first = now, done
        self.done = done
        if now - self.last > SECONDS_BETWEEN_EVENTS or done == total:
            self.last = now
            speed = (done - self.first) / max(now - self.started, 1e-9)
            self.frozen.run.emit(
                "features", what=self.what, done=done, total=total, pictures_per_second=round(speed, 1)
            )
        if self.remember and done == total and total >= ENOUGH_TO_MEASURE:
            plan = self.frozen.backbone.plan
            remember_speed(plan.config.architecture, plan.preprocess.shape[0], speed, gpu=bool(gpu_count()))

"""What Prometheus asks for: requests, times, batches, queues, and what the models say."""

import functools
import os

from opsin.catalog import require
from opsin.serving.classifier_servable import Seen
from opsin.serving.models import Models
from opsin.serving.processes import METRICS_FOLDER

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64)
_SHARES = tuple(tenth / 10 for tenth in range(1, 11))


class Metrics:
    """The counters of one server.

    Args:
        models: of which the state is told.
    """

    def __init__(self, models: Models):
        client = require("prometheus_client", "serving")
        self._client, self._models = client, models
        self.registry = registry = client.CollectorRegistry(auto_describe=True)
        self.requests = client.Counter("opsin_requests", "Requests answered.", ("verb", "status"), registry=registry)
        self.seconds = client.Histogram(
            "opsin_request_seconds",
            "From a request's headers to its answer.",
            ("verb",),
            buckets=_SECONDS,
            registry=registry,
        )
        times = {
            "decode": "Reading and resizing a picture.",
            "queue": "Waiting for a batch.",
            "inference": "Running a batch.",
        }
        self.times = {
            name: client.Histogram(f"opsin_{name}_seconds", text, ("model",), buckets=_SECONDS, registry=registry)
            for name, text in times.items()
        }
        self.batches = client.Histogram(
            "opsin_batch_size", "Pictures in a batch.", ("model",), buckets=_SIZES, registry=registry
        )
        self.predictions = client.Counter(
            "opsin_predictions",
            "Answers by class; unknown by thresholds.",
            ("model", "version", "label"),
            registry=registry,
        )
        self.confidence = client.Histogram(
            "opsin_confidence", "Probability of the best class.", ("model",), buckets=_SHARES, registry=registry
        )
        self.unknown = client.Counter("opsin_unknown", "Pictures called unknown.", ("model",), registry=registry)
        self.unreadable = client.Counter(
            "opsin_unreadable", "Pictures that could not be read.", ("model",), registry=registry
        )
        self.pending = client.Gauge(
            "opsin_pending",
            "Pictures that wait or are run.",
            ("model",),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.serving = client.Gauge(
            "opsin_version",
            "The version that answers by default.",
            ("model",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._answered = functools.cache(
            lambda verb, status: (self.requests.labels(verb, str(status)), self.seconds.labels(verb))
        )

    def answered(self, verb: str, status: int, seconds: float) -> None:
        """Count a request."""
        count, times = self._answered(verb, status)
        count.inc()
        times.observe(seconds)

    def note_state(self) -> None:
        """Note what is pending and which versions answer: of several workers, one tells what each has noted last."""
        for model in self._models.by_name.values():
            version = model.default()
            self.serving.labels(model.name).set(version.number if version else 0)
            batcher = getattr(version.servable if version else None, "batcher", None)
            self.pending.labels(model.name).set(batcher.pending if batcher else 0)

    def write(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        self.note_state()
        if METRICS_FOLDER not in os.environ:
            return self._client.generate_latest(self.registry)
        from prometheus_client.multiprocess import MultiProcessCollector

        together = self._client.CollectorRegistry()
        MultiProcessCollector(together)
        return self._client.generate_latest(together)


class VersionMetrics:
    """What a model's version tells of itself.

    Args:
        metrics: where it is counted.
        model: its name.
        version: its number.
    """

    def __init__(self, metrics: Metrics, model: str, version: int):
        self._sizes = metrics.batches.labels(model)
        self._seconds = metrics.times["inference"].labels(model)
        self._decode, self._queue = (metrics.times[name].labels(model) for name in ("decode", "queue"))
        self._confidence = metrics.confidence.labels(model)
        self._unknown, self._unreadable = metrics.unknown.labels(model), metrics.unreadable.labels(model)
        # Kept, as the others are: finding one by its labels takes longer than counting.
        self._prediction = functools.cache(functools.partial(metrics.predictions.labels, model, str(version)))

    def batch(self, size: int, seconds: float) -> None:
        """Note a batch that has been run; in any thread."""
        self._sizes.observe(size)
        self._seconds.observe(seconds)

    def saw(self, names: tuple[str, ...], seen: list[Seen]) -> None:
        """Note what it said of pictures."""
        for one in seen:
            if one.judged is None or one.answer is None:
                self._unreadable.inc()
                continue
            if one.decoded is not None:
                self._decode.observe(one.decoded)
            self._queue.observe(one.answer.queued)
            best = int(one.judged.probabilities.argmax())
            self._confidence.observe(float(one.judged.probabilities[best]))
            self._prediction("unknown" if one.judged.refused else names[best]).inc()
            if one.judged.refused:
                self._unknown.inc()

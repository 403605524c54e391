"""What Prometheus asks for: requests, times, batches, queues, and what the models say."""

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

    def saw(self, model: str, version: int, names: tuple[str, ...], seen: list[Seen]) -> None:
        """Count what a model said of pictures."""
        for one in seen:
            if one.judged is None or one.answer is None:
                self.unreadable.labels(model).inc()
                continue
            if one.decoded is not None:
                self.times["decode"].labels(model).observe(one.decoded)
            self.times["queue"].labels(model).observe(one.answer.queued)
            best = int(one.judged.probabilities.argmax())
            self.confidence.labels(model).observe(float(one.judged.probabilities[best]))
            label = "unknown" if one.judged.refused else names[best]
            self.predictions.labels(model, str(version), label).inc()
            if one.judged.refused:
                self.unknown.labels(model).inc()

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
        self._metrics, self._model, self._version = metrics, model, version
        self._sizes = metrics.batches.labels(model)
        self._seconds = metrics.times["inference"].labels(model)

    def batch(self, size: int, seconds: float) -> None:
        """Note a batch that has been run; in any thread."""
        self._sizes.observe(size)
        self._seconds.observe(seconds)

    def saw(self, names: tuple[str, ...], seen: list[Seen]) -> None:
        """Note what it said of pictures."""
        self._metrics.saw(self._model, self._version, names, seen)

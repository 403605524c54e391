"""What `opsin benchmark` measured."""

from dataclasses import asdict, dataclass
from typing import Any

from opsin.evaluation.intervals import Estimate


@dataclass(frozen=True)
class EngineResult:
    """One engine.

    Args:
        engine: its name in `opsin.runtimes.ENGINES`.
        megabytes: of the network's files, in 10⁶ bytes.
        load_seconds: from nothing to the first answer, its packages' import included.
        latency_ms: of one picture: the median.
        latency_p95_ms: of one picture: what 95 % stay below.
        pictures_per_second: in batches of 16.
        peak_mb: the process's largest resident memory, in 10⁶ bytes; None where the system does not tell.
        agreement: the share of pictures of which it says the same as the network in Keras, or in LiteRT where Keras is
            not installed.
        accuracy: on the same pictures, with its 95 % interval.
    """

    engine: str
    megabytes: float
    load_seconds: float
    latency_ms: float
    latency_p95_ms: float
    pictures_per_second: float
    peak_mb: float | None
    agreement: float
    accuracy: Estimate


@dataclass(frozen=True)
class Benchmark:
    """What `benchmark` measured.

    Args:
        model: the model's name.
        pictures: how many pictures accuracy and agreement are of.
        results: fastest first.
        left_out: engines that were not measured, and why.
        winner: the engine that prediction takes on this machine from now on.
        reason: why that one, in a sentence.
    """

    model: str
    pictures: int
    results: tuple[EngineResult, ...]
    left_out: dict[str, str]
    winner: str
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values for a JSON document."""
        return asdict(self)

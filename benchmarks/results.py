"""Results: what was measured, on which machine, and whether it is good enough; printed, and kept as JSON.

Nothing but the standard library is imported here: a child's peak memory counts that of the process it was forked from.
"""

import argparse
import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"
PACKAGES = ("opsin", "numpy", "pillow", "keras", "tensorflow", "ai-edge-litert", "scikit-learn")
PACKAGES += ("onnxruntime", "openvino", "nncf", "torch")


@dataclass(frozen=True)
class Series:
    """Every single measurement of one thing, in the order in which they were taken."""

    what: str
    unit: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def to_dict(self) -> dict[str, Any]:
        """Return the measurements, their median, and their spread: (highest - lowest) / median."""
        low, high = min(self.values), max(self.values)
        spread = (high - low) / self.median if self.median else 0.0
        return {**asdict(self), "median": self.median, "low": low, "high": high, "spread": spread}


@dataclass(frozen=True)
class Figure:
    """A number that the measurements come down to, and its goal if it has one."""

    what: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def held(self) -> bool | None:
        """Whether the goal was reached; None if there is none."""
        if self.at_most is None and self.at_least is None:
            return None
        above = self.at_least is None or self.value >= self.at_least
        return above and (self.at_most is None or self.value <= self.at_most)


@dataclass
class Result:
    """What one benchmark found; make it before measuring, so that it knows how busy the machine was."""

    name: str
    command: str
    settings: dict[str, Any]
    series: list[Series] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])

    def to_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "series": [series.to_dict() for series in self.series],
            "figures": [{**asdict(figure), "held": figure.held} for figure in self.figures],
            "hardware": describe_hardware(),
            "versions": {"python": platform.python_version(), **_versions()},
        }

    def publish(self, folder: Path) -> None:
        """Print the result and write it to `folder/NAME.json`."""
        document = self.to_dict()
        for series in document["series"]:
            print(
                f"{series['what']}: median {series['median']:.4g} {series['unit']} "
                f"({series['low']:.4g} to {series['high']:.4g}, n = {len(series['values'])})"
            )
        for figure in document["figures"]:
            print(f"{figure['what']}: {figure['value']:.4g} {figure['unit']} {goal(figure)}".rstrip())
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        print(f"Written to {path}; python -m benchmarks.tables puts it into benchmarks/README.md.")


def goal(figure: dict[str, Any]) -> str:
    """Say in words what a figure (as `Result.to_dict` has it) was to reach, and whether it did; '' without a goal."""
    if figure["held"] is None:
        return ""
    limits = [f"{how} {figure[key]:g}" for key, how in _LIMITS if figure[key] is not None]
    return f"({' and '.join(limits)}: {'reached' if figure['held'] else 'not reached'})"


_LIMITS = (("at_least", "at least"), ("at_most", "at most"))


def ratios(above: Iterable[float], below: Iterable[float]) -> list[float]:
    """Return the ratio in each round: its two parts were measured one after the other, so noise hits both."""
    return [a / b for a, b in zip(above, below, strict=True)]


def describe_hardware() -> dict[str, Any]:
    """Return CPU model, cores that this process may use, memory in GiB, and operating system."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": _cpu_model(), "cores": cores, "memory_gib": round(memory, 1), "system": platform.system()}


def arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser with the option that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--results", type=Path, default=FOLDER, help="folder for the JSON (default: benchmarks/results)"
    )
    return parser


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _versions() -> dict[str, str]:
    installed = {d.metadata["Name"].lower(): d.version for d in metadata.distributions() if d.metadata["Name"]}
    return {name: installed[name] for name in PACKAGES if name in installed}

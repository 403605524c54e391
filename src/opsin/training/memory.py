"""Whether a network fits into this machine's memory, estimated before anything is loaded."""

from pathlib import Path

from opsin.architectures import ARCHITECTURES
from opsin.architectures.figures import PARAMETERS_AND_MULTIPLY_ADDS
from opsin.errors import ModelError

BYTES_A_PARAMETER = 40
"""float32, and what building and conversion hold of it at once: ten times its size, measured on ResNet-152."""

BYTES_BESIDE = 10**9
"""Keras, TensorFlow, a batch and its maps."""

CONTROL_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)


def require_memory(name: str) -> None:
    """Raise unless an architecture of the catalogue can be expected to fit into the memory that is free.

    Raises:
        ModelError: it cannot; the message names the most capable one that does.
    """
    free = free_memory()
    if free is None or needed(name) <= free:
        return
    fitting = [one for one in ARCHITECTURES if ARCHITECTURES[one].published and needed(one) <= free]
    best = max(fitting, key=lambda one: ARCHITECTURES[one].top1, default=None)
    raise ModelError(
        f"Expected about {needed(name) / 2**30:.1f} GiB of free memory for {name}; this machine has "
        f"{free / 2**30:.1f} GiB. {f'Choose a smaller network: --arch {best}, say.' if best else 'Free some.'}"
    )


def needed(name: str) -> int:
    """Return how much memory transfer learning with an architecture takes, in bytes, estimated from its parameters."""
    return BYTES_BESIDE + BYTES_A_PARAMETER * PARAMETERS_AND_MULTIPLY_ADDS[name][0]


def free_memory() -> int | None:
    """Return the bytes that this process can still have, within its container's limit; None if that cannot be told."""
    limits = [_of_the_machine(), *(_of_the_group(*files) for files in CONTROL_GROUPS)]
    return min((limit for limit in limits if limit is not None), default=None)


def _of_the_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("MemAvailable:"))
        return 1024 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        return None


def _of_the_group(limit: str, usage: str, statistics: str) -> int | None:
    try:
        # Pages of files that were read count as used, and make way when room is needed.
        facts = dict(line.split() for line in Path(statistics).read_text().splitlines())
        return int(Path(limit).read_text()) - int(Path(usage).read_text()) + int(facts.get("inactive_file", 0))
    except (OSError, ValueError):
        return None  # There is no group, or no limit: the file then says `max`.

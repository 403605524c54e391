"""Processes: commands run as a user runs them, with their wall time and their peak memory (POSIX only)."""

import math
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finished:
    """A process that has ended.

    Args:
        started: when it was started, in seconds since the epoch.
        seconds: from its start to its end.
        processor_seconds: what it took of all cores together; other work on the machine hardly changes it.
        peak_mb: its largest resident memory in MB (10**6 bytes), memory-mapped files included. NaN if the process
            that started it was as large: the system counts that as its own, and so cannot tell.
        exit_code: 0 if all went well; negative for a signal.
        output: what it wrote to stdout and stderr.
    """

    started: float
    seconds: float
    processor_seconds: float
    peak_mb: float
    exit_code: int
    output: str

    def require(self, *exit_codes: int) -> "Finished":
        """Return itself, or end the benchmark with the process's own words."""
        if self.exit_code not in (exit_codes or (0,)):
            sys.exit(f"Expected the measured command to succeed; it ended with {self.exit_code}:\n{self.output}")
        return self


def opsin_command(*words: str | Path) -> list[str]:
    """Return the command line of `opsin`, preferably of the environment that this Python belongs to."""
    found = shutil.which("opsin", path=str(Path(sys.executable).parent)) or shutil.which("opsin")
    if found is None:
        sys.exit("Expected the command opsin; it is not installed here. Install it: pip install -e '.[train]'")
    return [found, *map(str, words)]


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    watch: Callable[[subprocess.Popen], None] | None = None,
) -> Finished:
    """Run a command to its end.

    Args:
        command: the words of the command line.
        environment: variables to add to this process's own.
        watch: is called with the process once it runs; it may send it signals.
    """
    with tempfile.TemporaryFile() as output:
        started, clock = time.time(), time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **(environment or {})}
        )
        if watch is not None:
            watch(process)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - clock
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    spent = usage.ru_utime + usage.ru_stime
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = _megabytes(usage.ru_maxrss) if usage.ru_maxrss > own else math.nan
    return Finished(started, seconds, spent, peak, process.returncode, text)


def is_running(process: subprocess.Popen) -> bool:
    """Tell whether a process has not ended, and leave its end for `os.wait4`."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


class MemoryTogether:
    """Watches what a process and all that it started hold together, a page that they share counted once (Linux).

    >>> memory = MemoryTogether()
    >>> run(opsin_command("--version"), watch=memory).exit_code, memory.peak_mb > 1  # doctest: +SKIP
    (0, True)
    """

    def __init__(self) -> None:
        self.peak_mb = 0.0

    def __call__(self, process: subprocess.Popen) -> None:
        while is_running(process):
            self.peak_mb = max(self.peak_mb, _together(process.pid))
            time.sleep(0.5)


def _together(pid: int) -> float:
    folder = Path(f"/proc/{pid}")
    try:
        share = re.search(r"^Pss:\s+(\d+)", (folder / "smaps_rollup").read_text(), re.MULTILINE)
        children = (folder / f"task/{pid}/children").read_text().split()
    except OSError:
        # It has ended.
        return 0.0
    return (int(share[1]) * 1024 / 1e6 if share else 0.0) + sum(_together(int(child)) for child in children)


def _megabytes(maximum: int) -> float:
    # getrusage counts bytes on macOS and KiB elsewhere.
    return maximum / 1e6 if sys.platform == "darwin" else maximum * 1024 / 1e6

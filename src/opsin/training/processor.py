"""What this machine's processor can do, as far as training cares."""

import functools
import os
from pathlib import Path

_FLAGS = Path("/proc/cpuinfo")


@functools.cache
def has_bfloat16_units() -> bool:
    """Tell whether the processor has units for products of bfloat16 matrices (Intel's AMX), and TensorFlow uses them.

    False where the system does not tell, as those other than Linux.
    """
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS", "").lower() in ("0", "false"):
        return False
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    if allowed not in ("", "ALL", "DEFAULT") and "AMX" not in allowed:
        return False
    try:
        return "amx_bf16" in _FLAGS.read_text().split()
    except OSError:
        return False

"""How to call this program again, for the commands that messages propose."""

import shutil
import sys


def program() -> str:
    """Return `opsin` if the shell finds it under that name, else the path it was called by."""
    return "opsin" if shutil.which("opsin") else sys.argv[0]

"""How fast networks were seen to run on this machine, remembered from run to run beside the cache."""

import json
import platform
from pathlib import Path

from opsin.atomic import write_text
from opsin.data.cache import default_folder
from opsin.errors import SavingError

FILE = "speeds.json"


def remember_speed(name: str, side: int, pictures_per_second: float, folder: Path | None = None) -> None:
    """Keep how many pictures a second a network's features took; where nothing can be written, nothing is kept.

    Args:
        name: the architecture.
        side: the pictures' height and width in pixels.
        pictures_per_second: as measured, on all cores.
        folder: where to keep it; None for the cache folder.
    """
    folder = folder or default_folder()
    speeds = _read(folder)
    speeds[_key(name, side)] = round(pictures_per_second, 2)
    try:
        write_text(folder / FILE, json.dumps(speeds, indent=1, sort_keys=True))
    except SavingError:
        return  # It is only a memory.


def recall_speed(name: str, side: int, folder: Path | None = None) -> float | None:
    """Return the pictures a second that were measured last on this kind of processor; None if none were."""
    speed = _read(folder or default_folder()).get(_key(name, side))
    return speed if isinstance(speed, int | float) and speed > 0 else None


def _key(name: str, side: int) -> str:
    return f"{name} {side} {platform.machine()} {platform.processor()}".strip()


def _read(folder: Path) -> dict:
    try:
        document = json.loads((folder / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}

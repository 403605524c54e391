"""How fast networks were seen to run on this machine, remembered from run to run beside the cache."""

from pathlib import Path

from opsin.data.machine_notes import recall, remember

FILE = "speeds.json"


def remember_speed(name: str, side: int, pictures_per_second: float, folder: Path | None = None) -> None:
    """Keep how many pictures a second a network's features took; where nothing can be written, nothing is kept.

    Args:
        name: the architecture.
        side: the pictures' height and width in pixels.
        pictures_per_second: as measured, on all cores.
        folder: where to keep it; None for the cache folder.
    """
    remember(FILE, f"{name} {side}", round(pictures_per_second, 2), folder)


def recall_speed(name: str, side: int, folder: Path | None = None) -> float | None:
    """Return the pictures a second that were measured last on this kind of processor; None if none were."""
    speed = recall(FILE, f"{name} {side}", folder)
    return speed if isinstance(speed, int | float) and speed > 0 else None

"""How fast networks were seen to run on this machine, remembered from run to run beside the cache."""

from pathlib import Path

from opsin.data.machine_notes import recall, remember

FILE = "speeds.json"


def remember_speed(
    name: str, side: int, pictures_per_second: float, folder: Path | None = None, *, gpu: bool = False
) -> None:
    """Keep how many pictures a second a network's features took; where nothing can be written, nothing is kept.

    Args:
        name: the architecture.
        side: the pictures' height and width in pixels.
        pictures_per_second: as measured, on all cores, or on the GPUs.
        folder: where to keep it; None for the cache folder.
        gpu: whether GPUs ran it.
    """
    remember(FILE, _key(name, side, gpu), round(pictures_per_second, 2), folder)


def recall_speed(name: str, side: int, folder: Path | None = None, *, gpu: bool = False) -> float | None:
    """Return the pictures a second that were measured last on this kind of machine; None if none were."""
    speed = recall(FILE, _key(name, side, gpu), folder)
    return speed if isinstance(speed, int | float) and speed > 0 else None


def _key(name: str, side: int, gpu: bool) -> str:
    return f"{name} {side} gpu" if gpu else f"{name} {side}"

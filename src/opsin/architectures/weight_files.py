"""Which files hold which network's weights: the user's own, and those that keras.applications has downloaded.

Files are only looked for here; Keras is not loaded.
"""

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from opsin.errors import ModelError, UsageError

NONE = "none"
IMAGENET = "imagenet"
SUFFIXES = (".h5", ".keras")

WAYS_OUT = (
    "Go online once (they are then kept), give a file with --weights PATH, or train from scratch with --weights none."
)


def resolve_weights(weights: str, name: str, names: Collection[str], *, offline: bool = False) -> str | None:
    """Return which weights an architecture is built with: None for random ones, `"imagenet"`, or a file's path.

    Args:
        weights: `"none"`, `"imagenet"`, a file, or a folder of files that are named after architectures.
        name: the architecture.
        names: all architectures.
        offline: whether published weights must be on this machine already.

    Raises:
        UsageError: there is nothing at the path, or a folder has no weights of this architecture.
        ModelError: offline, and the published weights were never downloaded.
    """
    if weights == NONE:
        return None
    if weights == IMAGENET:
        found = find_weights(keras_folder(), name, names) if offline else None
        if offline and found is None:
            raise ModelError(
                f"Expected the ImageNet weights of {name} on this machine, as --offline says; there are none in "
                f"{str(keras_folder())!r}. {WAYS_OUT}"
            )
        return IMAGENET if found is None else str(found)
    path = Path(weights)
    if not path.exists():
        raise UsageError(
            f"Expected {NONE}, {IMAGENET}, or a file or folder of weights; there is nothing at {weights!r}. "
            "Check the path."
        )
    if not path.is_dir():
        return weights
    found = find_weights(path, name, names)
    if found is None:
        there = architectures_of(path, names)
        raise UsageError(
            f"Expected weights of {name} in the folder {weights!r}, in a file that is named after it; there are those "
            f"of {', '.join(there) or 'no architecture'}. Give the file itself, or another --arch."
        )
    return str(found)


def keras_folder() -> Path:
    """Return where keras.applications keeps the weights that it has downloaded."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"


def find_weights(folder: str | Path, name: str, names: Iterable[str]) -> Path | None:
    """Return the file of a folder that holds the weights of an architecture, going by the files' names; None if none.

    Keras's own names of published weights are known. Weights without a head come first.

    Args:
        folder: where to look; not in the folders within.
        name: the architecture.
        names: all architectures: a file belongs to the one whose name it has longest.
    """
    families = {_plain(_family(one)) for one in names}
    fitting = [
        path
        for path in sorted(Path(folder).glob("*"))
        if path.suffix in SUFFIXES and _described(path.name, families) == (_plain(_family(name)), _width(name))
    ]
    return min(fitting, key=lambda path: not re.search("no_?top|no-top", path.name), default=None)


def architectures_of(weights: str | Path, names: Collection[str]) -> list[str]:
    """Return the architectures that a file, or the files of a folder, hold weights of, going by the files' names."""
    path = Path(weights)
    if path.is_dir():
        return [name for name in names if find_weights(path, name, names)]
    families = {_plain(_family(one)) for one in names}
    described = _described(path.name, families)
    return [name for name in names if described == (_plain(_family(name)), _width(name))]


def _family(name: str) -> str:
    return re.sub(r"_\d\.\d+$", "", name)


def _width(name: str) -> float:
    found = re.search(r"(?<![\d.])([01]\.\d+)(?!\d|\.\d)", name)
    if found is not None:
        return float(found[1])
    # keras.applications writes the widths of MobileNet as 7_5 and 1_0.
    found = re.match(r"mobilenet_(\d)_(\d)_", name)
    return 1.0 if found is None or found[0] == "mobilenet_1_0_" else float(f"0.{found[1]}{found[2]}")


def _plain(name: str) -> str:
    return re.sub("[-_ ]", "", name.lower())


def _described(file_name: str, families: Iterable[str]) -> tuple[str, float]:
    plain = _plain(file_name).removeprefix("weights")
    return max((one for one in families if plain.startswith(one)), key=len, default=""), _width(file_name)

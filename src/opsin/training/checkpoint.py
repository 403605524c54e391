"""Everything a training needs to go on as if it had never stopped, in two files."""

import json
import zipfile
import zlib
from pathlib import Path

import keras
import numpy as np

from opsin.atomic import replacing
from opsin.errors import ModelError
from opsin.names import LAST
from opsin.training.state import TrainingState


def save_last(folder: Path, network: keras.Model, state: TrainingState) -> None:
    """Write weights, optimizer and state as they are after an epoch; an older one is replaced at once."""
    arrays = _numbered("weight", network.weights) | _numbered("optimizer", network.optimizer.variables)
    _save(folder / LAST, arrays | {"state": np.array(json.dumps(state.to_dict()))})
    for path in folder.glob("best-*.npz"):
        # Only now: had the process been killed before, the older state would still need the older weights.
        if path != _best(folder, state.best_epoch):
            path.unlink()


def save_best(folder: Path, network: keras.Model, state: TrainingState) -> None:
    """Write the weights of the best epoch so far."""
    _save(_best(folder, state.best_epoch), _numbered("weight", network.weights))


def load_last(folder: Path, network: keras.Model) -> TrainingState:
    """Put weights and optimizer back; return the state. A fresh state if no epoch was finished.

    Raises:
        ModelError: the checkpoint is damaged or of another network.
    """
    if not (folder / LAST).is_file():
        return TrainingState()
    arrays = _load(folder / LAST)
    _assign(network.weights, "weight", arrays, folder / LAST)
    _assign(network.optimizer.variables, "optimizer", arrays, folder / LAST)
    try:
        return TrainingState.from_dict(json.loads(str(arrays["state"])))
    except (KeyError, ValueError, TypeError) as error:
        raise _damaged(folder / LAST, error) from error


def load_best(folder: Path, network: keras.Model, state: TrainingState) -> None:
    """Put the weights of the best epoch into the network.

    Raises:
        ModelError: they are missing, damaged or of another network.
    """
    path = _best(folder, state.best_epoch)
    _assign(network.weights, "weight", _load(path), path)


def _best(folder: Path, epoch: int) -> Path:
    return folder / f"best-{epoch:05d}.npz"


def _numbered(kind: str, variables: list) -> dict[str, np.ndarray]:
    return {f"{kind}{i}": keras.ops.convert_to_numpy(v.value) for i, v in enumerate(variables)}


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with replacing(path) as temporary:
        np.savez(temporary, **arrays)


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ModelError:
    return ModelError(
        f"Expected the checkpoint of an interrupted run at {str(path)!r}; it cannot be read: {error}. Start a new run."
    )


def _assign(variables: list, kind: str, arrays: dict[str, np.ndarray], path: Path) -> None:
    count = sum(name.startswith(kind) for name in arrays)
    shapes = [tuple(arrays[f"{kind}{i}"].shape) for i in range(count)]
    if shapes != [tuple(v.shape) for v in variables]:
        raise ModelError(f"Expected the weights of this network in {str(path)!r}; they are of another one.")
    for i, variable in enumerate(variables):
        variable.assign(arrays[f"{kind}{i}"])

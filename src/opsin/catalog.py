"""Named choices: look one up, say what there is, load what it stands for.

A catalogue is an explicit dict in the package that owns the choices. Its values name their code as
`"module:function"`, so that listing the choices loads nothing.
"""

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from opsin.errors import MissingPackageError, UsageError

# Import name -> the extra of this project that installs it.
EXTRAS = {
    "tensorflow": "train",
    "keras": "train",
    "h5py": "train",
    "tomli_w": "train",
    "tensorboard": "train",
    "scipy": "analysis",
    "sklearn": "analysis",
    "threadpoolctl": "analysis",
    "matplotlib": "analysis",
    "pyarrow": "parquet",
    "umap": "map",
    "ray": "ray",
    "pandas": "ray",
    "cv2": "video",
    "tf2onnx": "onnx",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "openvino": "openvino",
    "nncf": "openvino",
    "starlette": "serve",
    "uvicorn": "serve",
    "python_multipart": "serve",
    "prometheus_client": "serve",
}
# OpenVINO and NNCF report their use to their makers by way of this package, from the moment they are imported, and
# write an identifier into the user's home for it. They do without where it is not installed.
REPORTER = "openvino_telemetry"


def choose(kind: str, name: str, choices: Iterable[str]) -> str:
    """Return `name` if it is one of the choices; otherwise say which there are.

    Args:
        kind: what is chosen, in the singular, for the message: `"architecture"`.
        name: the name asked for.
        choices: the names there are.

    Raises:
        UsageError: `name` is none of them; the message has the closest one and the whole list.

    >>> choose("fit", "crop", ["crop", "pad"])
    'crop'
    """
    choices = list(choices)
    if name in choices:
        return name
    close = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UsageError(f"Expected one of these as {kind}: {', '.join(choices)}. Received {name!r}.{hint}")


def resolve(reference: str) -> Any:
    """Load what a catalogue value such as `"opsin.arithmetic:output_size"` stands for."""
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)


def require(package: str, purpose: str) -> ModuleType:
    """Import an optional package, or say how to install it.

    Args:
        package: the name it is imported under; a key of `EXTRAS` (a dotted submodule is fine).
        purpose: what needs it, as a noun for the message: `"training"`.

    Raises:
        MissingPackageError: it is not installed.
    """
    # An entry of None is what Python takes for a package that is not installed.
    sys.modules.setdefault(REPORTER, None)
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        # It may be there, and miss a package of its own: Keras without TensorFlow, say.
        root = (error.name or "").partition(".")[0]
        if root not in EXTRAS:
            raise
        raise _missing(root, purpose) from None


def require_installed(packages: Iterable[str], purpose: str) -> None:
    """Say how to install what is missing of some optional packages, without loading any of them.

    Args:
        packages: names they are imported under; keys of `EXTRAS`.
        purpose: what needs them, as a noun for the message: `"training"`.

    Raises:
        MissingPackageError: one of them is not installed.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise _missing(package, purpose)


def _missing(package: str, purpose: str) -> MissingPackageError:
    return MissingPackageError(
        f"Expected the package {package!r}, which {purpose} needs; it is not installed. "
        f"Install it with: pip install 'opsin[{EXTRAS[package]}]'"
    )

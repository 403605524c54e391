"""What a `.keras` file holds, told before Keras sees it: a zip of a config, which can name code to run, and weights."""

import io
import json
import math
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from opsin.catalog import require
from opsin.errors import ModelError

PARAMETER_LIMIT = 4_000_000_000
RATIO_LIMIT = 200
"""How many times its size in the file a part may have when it is unpacked; configs of deep networks reach 60."""

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
SIZE_LIMITS = {CONFIG: 64 * 2**20, "metadata.json": 2**20, WEIGHTS: 16 * 2**30}
"""The members of a `.keras` file, and how many bytes each may have."""

WAY_OUT = (
    "It was not opened. Only if you trust who made it as you would trust a program: open it with trust=True, --trust "
    "on the command line."
)

# Kinds that `keras.layers` has and that are missing here run code, read files, or work on text and sound.
_LAYERS = """
Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention AugMix
AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization Bidirectional CenterCrop
Concatenate ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D
Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D Cropping3D CutMix Dense DepthwiseConv1D
DepthwiseConv2D Dot Dropout ELU EinsumDense Embedding Equalization Flatten GRU GRUCell GaussianDropout GaussianNoise
GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D
GlobalMaxPooling3D GroupNormalization GroupQueryAttention Identity InputLayer LSTM LSTMCell LayerNormalization
LeakyReLU Masking MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum MixUp MultiHeadAttention Multiply
Normalization PReLU Permute Pipeline RMSNormalization RNN RandAugment RandomBrightness RandomColorDegeneration
RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur
RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation RandomSaturation
RandomSharpness RandomShear RandomTranslation RandomZoom ReLU RepeatVector Rescaling Reshape Resizing SeparableConv1D
SeparableConv2D SimpleRNN SimpleRNNCell Softmax Solarization SpatialDropout1D SpatialDropout2D SpatialDropout3D
SpectralNormalization StackedRNNCells Subtract TimeDistributed UnitNormalization UpSampling1D UpSampling2D
UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""
_OF_TENSORS = "Cast ConvertToTensor SaturateCast Scatter ScatterUpdate Slice SliceUpdate StopGradient Unstack"
CLASSES = {
    "keras": frozenset({"DTypePolicy", "FloatDTypePolicy", "Model", "Sequential"}),
    "keras.layers": frozenset(_LAYERS.split()),
    "keras.models": frozenset({"Model", "Sequential"}),
    "keras.src.applications.convnext": frozenset({"LayerScale", "StochasticDepth"}),
    "keras.src.models.functional": frozenset({"Functional"}),
    "keras.src.models.sequential": frozenset({"Sequential"}),
    "keras.src.ops.core": frozenset(_OF_TENSORS.split()),
    "keras.src.ops.linalg": frozenset({"Norm"}),
}
"""Kinds of objects that only compute, by the module that a config names."""

WHOLE_MODULES = frozenset(
    {
        *(f"keras.{name}" for name in ("constraints", "dtype_policies", "initializers", "regularizers")),
        # Of a network within the network that was compiled.
        *(f"keras.{name}" for name in ("losses", "metrics", "optimizers", "optimizers.schedules")),
        *(f"keras.src.ops.{name}" for name in ("einops", "image", "math", "nn", "numpy")),
    }
)
"""Modules all of whose classes only compute."""

FUNCTION_MODULES = frozenset({"builtins", "keras.activations", "keras.losses", "keras.metrics", "keras.ops"})
"""Modules all of whose functions only compute; `builtins` is how Keras writes those that it knows by their names."""

VALUES = frozenset({"__bytes__", "__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__", "__tensor__"})

_REASONS = {
    "__lambda__": "runs code from the file",
    "Lambda": "runs code from the file",
    "TorchModuleWrapper": "unpickles, which runs code from the file",
    "TFSMLayer": "loads a SavedModel, which is a program",
    "FlaxLayer": "calls functions from outside",
    "JaxLayer": "calls functions from outside",
    "StringLookup": "may read a file",
    "IntegerLookup": "may read a file",
    "TextVectorization": "may read a file",
}


def require_harmless(path: str | Path, *, registered: Collection[str] = ()) -> dict[str, Any]:
    """Make sure that a `.keras` file only computes and is of a size that can be opened; Keras is not asked.

    Args:
        path: the file.
        registered: names of classes and functions that this program itself gave to Keras, which a config may have.

    Returns:
        Its config: what Keras builds the network from.

    Raises:
        ModelError: it is no `.keras` file, or holds something that is not known to be harmless; the message says what.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive.infolist())
            config = json.loads(archive.read(CONFIG))
            _check_config(path, config, registered)
            _check_weights(path, archive.read(WEIGHTS))
    # Encrypted parts, nested too deep and what HDF5 cannot read are RuntimeErrors.
    except (OSError, EOFError, ValueError, TypeError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(
            f"Expected a .keras file, that plain Keras can open; {str(path)!r} is none or damaged: {error}. Copy it "
            "again from where it was saved, or save it with model.save('NAME.keras')."
        ) from error
    return config


def _refusal(path: str | Path, expected: str, received: str) -> ModelError:
    return ModelError(f"Expected {expected}; {str(path)!r} {received}. {WAY_OUT}")


def _check_members(path: str | Path, members: list[zipfile.ZipInfo]) -> None:
    counts = Counter(member.filename for member in members)
    if counts != Counter(SIZE_LIMITS.keys()):
        wanted, found = ", ".join(SIZE_LIMITS), ", ".join(map(repr, counts.elements()))
        raise _refusal(path, f"a .keras file to hold {wanted}, each once and nothing else", f"holds {found}")
    for member in members:
        fault = _fault_of(member)
        if fault:
            raise _refusal(path, "plain parts of limited size in a .keras file", f"has {member.filename!r}, {fault}")


def _fault_of(member: zipfile.ZipInfo) -> str | None:
    limit = SIZE_LIMITS[member.filename]
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        return "which is a link or another special file"
    if member.flag_bits & 0x1:
        return "which is encrypted"
    # Python unpacks the others at once, whatever size they are said to have.
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"which is packed by method {member.compress_type}, not stored or deflated"
    if member.file_size > limit:
        return f"of {member.file_size} bytes, {limit} at most are allowed"
    if member.file_size > RATIO_LIMIT * member.compress_size:
        return (
            f"of {member.file_size} bytes packed into {member.compress_size}, a ratio of {RATIO_LIMIT} at most is "
            "allowed"
        )
    return None


def _check_config(path: str | Path, config: Any, registered: Collection[str]) -> None:
    if not isinstance(config, dict) or "class_name" not in config:
        raise _refusal(path, f"{CONFIG} to describe a network", "has another one")
    # What a network is compiled with is not opened.
    inner = {key: value for key, value in config.items() if key != "compile_config"}
    unknown = sorted({_describe(one) for one in _objects_of(inner) if not _is_harmless(one, registered)})
    if unknown:
        raise _refusal(
            path,
            "a network that only computes, of Keras's own layers",
            f"has what is not known to be harmless: {', '.join(unknown)}",
        )


def _objects_of(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield everything in a config that Keras would make an object of."""
    waiting: list[Any] = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _is_harmless(described: dict[str, Any], registered: Collection[str]) -> bool:
    kind, module = described["class_name"], described.get("module")
    name = described.get("config") if kind == "function" else kind
    alias = described.get("registered_name")
    if not all(isinstance(text, str | None) for text in (kind, module, name, alias)) or not name:
        return False
    if alias in registered or (kind == "function" and name in registered):
        return True
    if alias not in (None, name):
        return False
    if kind == "function":
        # These three make any object of a text.
        return (
            module in FUNCTION_MODULES and _is_function_name(name) and name not in ("deserialize", "get", "serialize")
        )
    if module is None:
        return kind in VALUES
    return kind in CLASSES.get(module, ()) or (module in WHOLE_MODULES and _is_class_name(kind))


def _is_function_name(name: str) -> bool:
    return re.fullmatch("[a-z][a-z0-9_]*", name) is not None


def _is_class_name(name: str) -> bool:
    # A dot would reach into another module.
    return re.fullmatch("[A-Z][A-Za-z0-9]*", name) is not None


def _describe(described: dict[str, Any]) -> str:
    kind, module, alias = (described.get(key) for key in ("class_name", "module", "registered_name"))
    name = f"the function {described.get('config')}" if kind == "function" else str(kind)
    text = f"{name} of {module}" if module else f"{name} of no module"
    reason = _REASONS.get(kind) if isinstance(kind, str) else None
    if reason is None and alias not in (None, kind, described.get("config")):
        reason = f"registered as {alias}"
    return f"{text} ({reason})"[:200] if reason else text[:200]


def _check_weights(path: str | Path, content: bytes) -> None:
    count = size = 0
    with require("h5py", "reading weights").File(io.BytesIO(content), "r") as file:
        for dataset in _datasets_of(path, file):
            # `dataset.size` wraps around.
            elements = math.prod(dataset.shape or (0,) * (dataset.shape is None))
            count, size = count + elements, size + elements * dataset.dtype.itemsize
    require_affordable(path, count)
    if size > RATIO_LIMIT * len(content):
        received = f"declares {size} bytes of weights and holds {len(content)}"
        raise _refusal(path, "weights that are there", received)


def require_affordable(path: str | Path, count: int) -> None:
    """Make sure that a network has no more parameters than `PARAMETER_LIMIT`.

    Raises:
        ModelError: it has more.
    """
    if count > PARAMETER_LIMIT:
        raise _refusal(path, f"at most {PARAMETER_LIMIT:,} parameters", f"declares {count:,}")


def _datasets_of(path: str | Path, file: Any) -> Iterator[Any]:
    """Yield the arrays of an HDF5 file, which has nothing but groups and plain arrays of numbers in it.

    Raises:
        ModelError: something in it points to another file, or is no plain array.
    """
    h5py = require("h5py", "reading weights")
    waiting, seen = [file["/"]], set()
    while waiting:
        group = waiting.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise _refusal(path, "weights without links", f"has the link {name!r} in {WEIGHTS}")
            found = group[name]
            address = h5py.h5o.get_info(found.id).addr
            # Groups may hold each other.
            if address in seen:
                continue
            seen.add(address)
            if isinstance(found, h5py.Group):
                waiting.append(found)
            elif _is_plain(h5py, found):
                yield found
            else:
                raise _refusal(path, "weights that are plain arrays of numbers", f"has {found.name!r} in {WEIGHTS}")


def _is_plain(h5py: Any, found: Any) -> bool:
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        return False
    # V: 16-bit floats that NumPy does not know; O: of any size, or a reference.
    return found.dtype.kind in "biufcV" and not found.dtype.hasobject and found.dtype.names is None

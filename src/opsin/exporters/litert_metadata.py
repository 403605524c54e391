"""What a LiteRT file says of itself: class names and the range of its pictures, for apps that read them from it.

The layout is TensorFlow Lite's metadata schema (`metadata_schema.fbs`, version 1): a FlatBuffer in the file's own
metadata, and the files that it names in a zip archive behind the network.
"""

import io
import zipfile
from collections.abc import Callable, Sequence

from opsin.exporters.litert import packed
from opsin.exporters.written import IMAGE, PROBABILITIES, Request

LABELS = "labels.txt"
_ENTRY, _IDENTIFIER = "TFLITE_METADATA", b"M001"

# Numbers of the schema.
_AXIS_LABELS, _IMAGE_PROPERTIES, _NORMALIZATION = 2, 2, 1
_COLOR_SPACES = {"rgb": 1, "gray": 2}
_OTHER_COLOR_SPACE = 0


def with_metadata(content: bytes, request: Request, outputs: Sequence[str] = (PROBABILITIES,)) -> bytes:
    """Return a LiteRT file with its class names and the description of its ends in it.

    Args:
        content: the file; one input.
        request: whose class names and recipe it gets.
        outputs: what its outputs are called, in its order, the probabilities first.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = _describe(flatbuffers.Builder(1024), request, outputs)
    entry.name, entry.buffer = _ENTRY, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    # One line for one class, whatever is in its name.
    labels = "".join(" ".join(name.splitlines()) + "\n" for name in request.class_names)
    return _with_file(packed(model, len(content)), LABELS, labels.encode("utf-8", "replace"))


def _with_file(content: bytes, name: str, file: bytes) -> bytes:
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        # A date of its own would make every export another file.
        archive.writestr(zipfile.ZipInfo(name), file)
    return buffer.getvalue()


def _describe(builder, request: Request, outputs: Sequence[str]) -> bytes:
    """Return the FlatBuffer; within it, children come before what holds them."""
    labels = _table(builder, 5, {0: builder.CreateString(LABELS)}, {2: _AXIS_LABELS})
    image = _tensor(builder, IMAGE, content=_image_content(builder, request), units=_normalization(builder))
    given = [_tensor(builder, outputs[0], files=_vector(builder, [labels]))]
    given += [_tensor(builder, name) for name in outputs[1:]]
    graph = _table(builder, 10, {2: _vector(builder, [image]), 3: _vector(builder, given)})
    name, version = builder.CreateString(request.name), builder.CreateString("1.0.0")
    root = _table(builder, 8, {0: name, 3: _vector(builder, [graph]), 7: version})
    builder.Finish(root, _IDENTIFIER)
    return bytes(builder.Output())


def _tensor(builder, name: str, *, content: int = 0, units: int = 0, files: int = 0) -> int:
    return _table(builder, 7, {0: builder.CreateString(name), 3: content, 4: units, 6: files})


def _image_content(builder, request: Request) -> int:
    color = _COLOR_SPACES.get(request.preprocess.color, _OTHER_COLOR_SPACE)
    image = _table(builder, 2, {}, {0: color})
    return _table(builder, 2, {1: image}, {0: _IMAGE_PROPERTIES})


def _normalization(builder) -> int:
    # Pixels go in as they are, 0 to 255; the network scales by itself.
    mean, deviation = _floats(builder, [0.0]), _floats(builder, [1.0])
    options = _table(builder, 2, {0: mean, 1: deviation})
    return _vector(builder, [_table(builder, 2, {1: options}, {0: _NORMALIZATION})])


def _table(builder, size: int, offsets: dict[int, int], small: dict[int, int] | None = None) -> int:
    """Write a table of `size` fields: what lies elsewhere, and numbers of one byte."""
    builder.StartObject(size)
    for slot, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    for slot, value in (small or {}).items():
        builder.PrependInt8Slot(slot, value, 0)
    return builder.EndObject()


def _vector(builder, offsets: Sequence[int]) -> int:
    return _written(builder, 4, offsets, builder.PrependUOffsetTRelative)


def _floats(builder, values: Sequence[float]) -> int:
    return _written(builder, 4, values, builder.PrependFloat32)


def _written(builder, size: int, items: Sequence, prepend: Callable) -> int:
    builder.StartVector(size, len(items), size)
    for item in reversed(items):
        prepend(item)
    return builder.EndVector()

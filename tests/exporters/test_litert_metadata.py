"""What apps read from a LiteRT file: class names behind the network, the description of its ends within."""

import io
import zipfile

import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from opsin.architectures import build_network
from opsin.exporters.litert import convert_outputs
from opsin.exporters.litert_metadata import with_metadata
from opsin.exporters.written import Request
from opsin.images.preprocess import Preprocess


@pytest.fixture(scope="module")
def network() -> bytes:
    return convert_outputs(build_network("lenet5", (32, 32, 1), 3))


def described(network: bytes, names=("cat", "dog", "Zoë"), color="gray") -> bytes:
    return with_metadata(network, Request(names, Preprocess(32, 32, color=color), "pets"))


def metadata(content: bytes) -> bytes:
    model = schema.Model.GetRootAs(content, 0)
    (place,) = [
        model.Metadata(i).Buffer()
        for i in range(model.MetadataLength())
        if model.Metadata(i).Name() == b"TFLITE_METADATA"
    ]
    return model.Buffers(place).DataAsNumpy().tobytes()


class Table:
    """A FlatBuffer's table, read by the numbers of its fields as the schema has them."""

    def __init__(self, content: bytes, place: int | None = None):
        from flatbuffers import encode, number_types, table

        self._types, self._content = number_types, content
        start = encode.Get(number_types.UOffsetTFlags.packer_type, content, 0) if place is None else place
        self._table = table.Table(content, start)

    def _at(self, field: int) -> int:
        place = self._table.Offset(4 + 2 * field)
        assert place, f"the field {field} is not there"
        return place + self._table.Pos

    def number(self, field: int) -> int:
        return self._table.Get(self._types.Int8Flags, self._at(field))

    def text(self, field: int) -> str:
        return self._table.String(self._at(field)).decode()

    def table(self, field: int) -> "Table":
        return Table(self._content, self._table.Indirect(self._at(field)))

    def tables(self, field: int) -> list["Table"]:
        start, count = self._vector(field)
        return [Table(self._content, self._table.Indirect(start + 4 * i)) for i in range(count)]

    def floats(self, field: int) -> list[float]:
        start, count = self._vector(field)
        return [self._table.Get(self._types.Float32Flags, start + 4 * i) for i in range(count)]

    def _vector(self, field: int) -> tuple[int, int]:
        offset = self._at(field) - self._table.Pos
        return self._table.Vector(offset), self._table.VectorLen(offset)


def test_class_names_are_a_file_in_an_archive_behind_the_network(network):
    with zipfile.ZipFile(io.BytesIO(described(network))) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt").decode() == "cat\ndog\nZoë\n"


def test_a_class_is_one_line_whatever_its_name_is(network):
    with zipfile.ZipFile(io.BytesIO(described(network, ("cat\ndog", "b\udcff", "c")))) as archive:
        assert archive.read("labels.txt").decode() == "cat dog\nb?\nc\n"


def test_the_description_says_which_schema_it_follows(network):
    assert metadata(described(network))[4:8] == b"M001"


def test_the_description_names_the_ends_the_labels_and_the_range_of_pixels(network):
    root = Table(metadata(described(network)))
    (graph,) = root.tables(3)
    (image,), (probabilities,) = graph.tables(2), graph.tables(3)
    (unit,), (labels,) = image.tables(4), probabilities.tables(6)

    assert (root.text(0), root.text(7)) == ("pets", "1.0.0")
    assert (image.text(0), probabilities.text(0)) == ("image", "probabilities")
    # ProcessUnitOptions: 1 is NormalizationOptions, with mean and deviation.
    assert (unit.number(0), unit.table(1).floats(0), unit.table(1).floats(1)) == (1, [0.0], [1.0])
    # AssociatedFileType: 2 is TENSOR_AXIS_LABELS.
    assert (labels.text(0), labels.number(2)) == ("labels.txt", 2)


@pytest.mark.parametrize(("color", "expected"), [("rgb", 1), ("gray", 2)])
def test_the_description_says_what_the_channels_are(network, color, expected):
    (graph,) = Table(metadata(described(network, color=color))).tables(3)
    content = graph.tables(2)[0].table(3)

    # ContentProperties: 2 is ImageProperties, whose first field is the colour space.
    assert (content.number(0), content.table(1).number(0)) == (2, expected)


def test_channels_that_the_schema_has_no_word_for_are_not_called_rgb(network):
    (graph,) = Table(metadata(described(network, color="lab"))).tables(3)

    with pytest.raises(AssertionError, match="the field 0 is not there"):
        graph.tables(2)[0].table(3).table(1).number(0)


def test_the_network_runs_as_before(network):
    before, after = (Interpreter(model_content=content) for content in (network, described(network)))

    assert after.get_signature_list() == before.get_signature_list()


def test_the_same_network_gives_the_same_file(network):
    assert described(network) == described(network)

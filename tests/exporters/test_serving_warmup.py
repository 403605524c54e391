"""The requests that a server answers to itself first, decoded field by field."""

from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from opsin.exporters.serving_warmup import write_warmup
from opsin.exporters.written import Request
from opsin.images.drawing import draw_picture
from opsin.images.preprocess import Preprocess


def requests(folder, recipe: Preprocess, name: str = "flowers") -> list[tuple[str, str, str, np.ndarray]]:
    """Return model, signature, input and its value of each request that is written."""
    write_warmup(folder / "assets.extra", Request(("a", "b"), recipe, name))
    records = tf.data.TFRecordDataset(str(folder / "assets.extra" / "tf_serving_warmup_requests"))
    return [_request(record.numpy()) for record in records]


def _request(record: bytes) -> tuple[str, str, str, np.ndarray]:
    # PredictionLog.predict_log (6) . PredictLog.request (1): a PredictRequest.
    request = dict(_fields(dict(_fields(dict(_fields(record))[6]))[1]))
    # ModelSpec: name (1), signature_name (3). One entry of a map: key (1), value (2).
    model, entry = dict(_fields(request[1])), dict(_fields(request[2]))
    value = tf.make_ndarray(tensor_pb2.TensorProto.FromString(entry[2]))
    return model[1].decode(), model[3].decode(), entry[1].decode(), value


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(message):
        key, place = _number(message, place)
        assert key & 7 == 2, "a field of bytes"
        length, place = _number(message, place)
        assert place + length <= len(message)
        yield key >> 3, message[place : place + length]
        place += length


def _number(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return value, place


def test_there_is_a_request_for_a_tensor_and_one_for_a_file(tmp_path):
    (tensor, file) = requests(tmp_path, Preprocess(40, 30))

    assert tensor[:3] == ("flowers", "serving_default", "image")
    assert tensor[3].dtype == np.float32
    assert np.array_equal(tensor[3], draw_picture(0, 40, 30)[None])
    assert file[:3] == ("flowers", "serve_bytes", "image_bytes")
    assert file[3].shape == (1,)
    assert np.array_equal(tf.io.decode_png(file[3][0]).numpy(), draw_picture(0, 40, 30))


def test_a_long_name_is_written_whole(tmp_path):
    assert {model for model, *_ in requests(tmp_path, Preprocess(4, 4), "n" * 300)} == {"n" * 300}


def test_a_network_of_gray_pictures_is_sent_one_channel(tmp_path):
    tensor, _ = requests(tmp_path, Preprocess(8, 6, color="gray"))

    assert tensor[3].shape == (1, 8, 6, 1)


@pytest.mark.parametrize("recipe", [Preprocess(8, 6, color="hsv"), Preprocess(8, 6, resample="nearest")])
def test_no_file_is_sent_where_files_are_not_read(tmp_path, recipe):
    assert [signature for _, signature, *_ in requests(tmp_path, recipe)] == ["serving_default"]

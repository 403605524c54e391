import json
import math
import subprocess
import sys

import pytest

from opsin.architectures import build_network
from opsin.architectures.summary import LayerRow, Summary, summarize
from opsin.errors import ModelError

keras = pytest.importorskip("keras")
layers = keras.layers


def row_of(layer, shape):
    """The row of one layer right behind an input of that shape."""
    image = keras.Input(shape)
    return summarize(keras.Model(image, layer(image))).layers[-1]


def columns(summary, *names):
    return [tuple(getattr(row, name) for name in names) for row in summary.layers]


def simple_cnn():
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(32, 3, activation="relu", name="conv_1"),
            layers.MaxPooling2D(name="pool_1"),
            layers.Conv2D(64, 3, activation="relu", name="conv_2"),
            layers.MaxPooling2D(name="pool_2"),
            layers.Conv2D(64, 3, activation="relu", name="conv_3"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(10, name="logits"),
        ],
        name="simple_cnn",
    )


def lenet5():
    return keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            layers.Conv2D(6, 5, activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Conv2D(16, 5, activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(120),
            layers.Dense(84),
            layers.Dense(10),
        ]
    )


def test_every_figure_of_the_simple_cnn():
    summary = summarize(simple_cnn())
    figures = columns(summary, "name", "output_shape", "parameters", "multiply_adds", "receptive_field")
    assert figures[1:] == [
        ("conv_1", (30, 30, 32), 896, 30 * 30 * 32 * 27, (3, 3)),
        ("pool_1", (15, 15, 32), 0, 0, (4, 4)),
        ("conv_2", (13, 13, 64), 18_496, 13 * 13 * 64 * 288, (8, 8)),
        ("pool_2", (6, 6, 64), 0, 0, (10, 10)),
        ("conv_3", (4, 4, 64), 36_928, 4 * 4 * 64 * 576, (18, 18)),
        ("flatten", (1024,), 0, 0, None),
        ("dense", (64,), 65_600, 65_536, None),
        ("logits", (10,), 650, 640, None),
    ]
    assert (summary.name, summary.parameters, summary.multiply_adds) == ("simple_cnn", 122_570, 4_548_608)


def test_every_figure_of_lenet5():
    summary = summarize(lenet5())
    assert columns(summary, "kind", "output_shape", "multiply_adds", "receptive_field") == [
        ("InputLayer", (32, 32, 1), 0, (1, 1)),
        ("Conv2D", (28, 28, 6), 117_600, (5, 5)),
        ("AveragePooling2D", (14, 14, 6), 0, (6, 6)),
        ("Conv2D", (10, 10, 16), 240_000, (14, 14)),
        ("AveragePooling2D", (5, 5, 16), 0, (16, 16)),
        ("Flatten", (400,), 0, None),
        ("Dense", (120,), 48_000, None),
        ("Dense", (84,), 10_080, None),
        ("Dense", (10,), 840, None),
    ]
    assert (summary.parameters, summary.multiply_adds) == (61_706, 416_520)


@pytest.mark.parametrize(
    ("layer", "multiply_adds", "field"),
    [
        (lambda: layers.Conv2D(6, (1, 7), padding="same"), 8 * 8 * 6 * 7 * 4, (1, 7)),
        (lambda: layers.Conv2D(6, 3, strides=2, padding="same"), 4 * 4 * 6 * 9 * 4, (3, 3)),
        (lambda: layers.Conv2D(6, 3, dilation_rate=3), 2 * 2 * 6 * 9 * 4, (7, 7)),
        (lambda: layers.Conv2D(6, 3, groups=2), 6 * 6 * 6 * 9 * 2, (3, 3)),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), 6 * 6 * 9 * 8, (3, 3)),
        (lambda: layers.SeparableConv2D(6, 3, depth_multiplier=2), 6 * 6 * (9 * 8 + 8 * 6), (3, 3)),
        (lambda: layers.Conv2DTranspose(6, 4, strides=2, padding="same"), 8 * 8 * 16 * 4 * 6, (2, 2)),
        (lambda: layers.Conv2DTranspose(6, 2, strides=2), 8 * 8 * 4 * 4 * 6, (1, 1)),
        (lambda: layers.Dense(6), 8 * 8 * 4 * 6, (1, 1)),
        (lambda: layers.UpSampling2D(2), 0, (1, 1)),
        (lambda: layers.UpSampling2D(2, interpolation="bilinear"), 0, (2, 2)),
        (lambda: layers.MaxPooling2D((3, 2), strides=1), 0, (3, 2)),
        (lambda: layers.ZeroPadding2D(3), 0, (1, 1)),
        (lambda: layers.PReLU(), 0, (1, 1)),
        (lambda: layers.BatchNormalization(), 0, (1, 1)),
        (lambda: layers.GlobalAveragePooling2D(keepdims=True), 0, None),
        (lambda: layers.Reshape((4, 16, 4)), 0, None),
    ],
)
def test_one_layer_costs_and_sees(layer, multiply_adds, field):
    row = row_of(layer(), (8, 8, 4))
    assert (row.multiply_adds, row.receptive_field) == (multiply_adds, field)


def test_a_residual_block_sees_as_far_as_its_longest_branch():
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same")(image)
    branch = layers.Conv2D(8, 3, padding="same")(x)
    branch = layers.Conv2D(8, 3, padding="same", dilation_rate=2)(branch)
    total = layers.Add()([x, branch])
    output = layers.Conv2D(8, 3, padding="same", name="after")(total)
    fields = dict(columns(summarize(keras.Model(image, output)), "name", "receptive_field"))
    assert fields[total._keras_history.operation.name] == (3 + 2 * 2 + 4 * 2,) * 2
    assert fields["after"] == (15 + 2 * 2,) * 2


def test_a_unet_is_followed_down_and_up():
    image = keras.Input((16, 16, 3))
    down = layers.Conv2D(8, 3, padding="same")(image)
    deep = layers.Conv2D(8, 3, padding="same")(layers.MaxPooling2D()(down))
    up = layers.Conv2DTranspose(8, 2, strides=2)(deep)
    output = layers.Conv2D(8, 3, padding="same", name="last")(layers.Concatenate()([down, up]))
    last = summarize(keras.Model(image, output)).layers[-1]
    assert (last.output_shape, last.receptive_field) == ((16, 16, 8), (8 + 2, 8 + 2))


def test_what_is_gated_by_the_whole_picture_has_no_field_of_its_own():
    image = keras.Input((8, 8, 4))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(image)
    gate = layers.Conv2D(4, 1, activation="sigmoid")(gate)
    output = layers.Conv2D(4, 3, name="after")(layers.Multiply()([image, gate]))
    after = summarize(keras.Model(image, output)).layers[-1]
    assert (after.name, after.receptive_field) == ("after", None)


def test_plain_operations_are_rows_too():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv")(image[..., ::-1] - 100.0)
    model = keras.Model(image, keras.ops.mean(x, axis=(1, 2)))
    assert columns(summarize(model), "kind", "output_shape", "parameters", "receptive_field") == [
        ("InputLayer", (8, 8, 3), 0, (1, 1)),
        ("GetItem", (8, 8, 3), 0, (1, 1)),
        ("Subtract", (8, 8, 3), 0, (1, 1)),
        ("Conv2D", (6, 6, 4), 112, (3, 3)),
        ("Mean", (4,), 0, None),
    ]


def test_a_shared_layer_weighs_once_and_works_at_each_use():
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    image = keras.Input((8, 8, 3))
    summary = summarize(keras.Model(image, shared(shared(image))))
    row = summary.layers[-1]
    assert [row.name for row in summary.layers[1:]] == ["shared"]
    assert (row.parameters, row.multiply_adds, row.receptive_field) == (84, 2 * 64 * 81, (5, 5))


class Tied(layers.Layer):
    """Computes with the weights of another layer."""

    def __init__(self, other):
        super().__init__()
        self.other = other

    def call(self, x):
        return self.other(x)


def test_weights_that_two_layers_share_are_counted_at_the_first():
    vector = keras.Input((4,))
    dense = layers.Dense(4)
    model = keras.Model(vector, Tied(dense)(dense(vector)))
    summary = summarize(model)
    assert columns(summary, "kind", "parameters") == [("InputLayer", 0), ("Dense", 20), ("Tied", 0)]
    assert summary.parameters == model.count_params()


@pytest.mark.parametrize("size", [32, None])
def test_a_nested_model_is_followed_at_the_size_it_is_used_at(size):
    inner_image = keras.Input((size, size, 3))
    maps = layers.Conv2D(4, 3, name="conv")(inner_image)
    backbone = keras.Model(inner_image, layers.MaxPooling2D(name="pool")(maps), name="backbone")
    image = keras.Input((32, 32, 3), name="image")
    x = backbone(layers.Rescaling(2.0, name="scale")(image))
    model = keras.Model(image, layers.Conv2D(2, 3, name="head")(x))
    summary = summarize(model)
    assert columns(summary, "name", "output_shape", "multiply_adds", "receptive_field") == [
        ("image", (32, 32, 3), 0, (1, 1)),
        ("scale", (32, 32, 3), 0, (1, 1)),
        ("backbone/conv", (30, 30, 4), 900 * 27 * 4, (3, 3)),
        ("backbone/pool", (15, 15, 4), 0, (4, 4)),
        ("head", (13, 13, 2), 169 * 36 * 2, (8, 8)),
    ]
    assert summary.parameters == model.count_params()


def test_a_nested_sequential_used_twice_costs_twice_and_weighs_once():
    tower = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(2, 3, name="conv")], name="tower")
    left, right = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    model = keras.Model([left, right], layers.Add()([tower(left), tower(right)]))
    summary = summarize(model)
    rows = {row.name: row for row in summary.layers}
    assert rows["tower/conv"].multiply_adds == 2 * 36 * 18
    assert summary.parameters == model.count_params() == 20


def test_frozen_weights_and_batch_statistics_are_not_trainable():
    model = simple_cnn()
    model.layers[0].trainable = False
    model.add(layers.BatchNormalization())
    summary = summarize(model)
    assert summary.parameters == model.count_params() == 122_570 + 40
    assert summary.trainable_parameters == sum(math.prod(w.shape) for w in model.trainable_weights)
    assert summary.trainable_parameters == 122_570 - 896 + 20


def test_what_cannot_be_followed_is_not_called_free():
    image = keras.Input((8, 3))
    summary = summarize(keras.Model(image, layers.MultiHeadAttention(2, 4)(image, image)))
    assert summary.layers[-1].multiply_adds is None
    assert summary.multiply_adds is None
    assert summary.to_dict()["multiply_adds"] is None


def test_summarizing_leaves_the_model_as_it_was():
    model = simple_cnn()
    before, uses = model.to_json(), len(model.layers[0]._inbound_nodes)
    assert summarize(model) == summarize(model)
    assert (model.to_json(), len(model.layers[0]._inbound_nodes)) == (before, uses)


class Subclassed(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    "model",
    [
        lambda: keras.Sequential([layers.Conv2D(2, 3)]),
        lambda: keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(2, 3)]),
        lambda: Subclassed(),
    ],
)
def test_a_model_without_graph_or_size_is_refused_with_the_way_out(model):
    with pytest.raises(ModelError, match=r"known input shape.*keras\.Input"):
        summarize(model())


def test_a_summary_comes_back_from_json_as_it_was():
    summary = summarize(simple_cnn())
    document = json.loads(json.dumps(summary.to_dict()))
    assert Summary.from_dict(document) == summary
    assert (document["format"], document["parameters"], document["multiply_adds"]) == (1, 122_570, 4_548_608)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 1. Received format 2"),
        ({"layers": [{"name": "conv"}]}, "receptive_field"),
        ({"layers": None}, "NoneType"),
    ],
)
def test_a_document_that_is_no_summary_is_refused(change, message):
    row = LayerRow("conv", "Conv2D", (6, 6, 4), 112, 112, 3888, (3, 3))
    with pytest.raises(ModelError, match=message):
        Summary.from_dict({**Summary("tiny", (row,)).to_dict(), **change})


def test_reading_a_summary_loads_no_keras():
    code = "import sys, opsin.architectures.summary; print({'keras', 'tensorflow'} & set(sys.modules))"
    process = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert process.stdout.strip() == "set()"


# Parameters: FACTS. Multiply-adds: as published, to the digits there (resnet50 with its stride in the
# first 1×1 convolution, as in the paper). Receptive fields: the table of Araujo, Norris and Sim (Distill,
# 2019), and MobileNetV2's from the strides of its eighteen 3×3 convolutions.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds", "field"),
    [
        ("ResNet50", 25_636_712, 3.86e9, 483),
        ("MobileNetV2", 3_538_984, 300e6, 491),
        ("VGG16", 138_357_544, 15.47e9, 212),
        ("InceptionV3", 23_851_784, 5.71e9, 1311),
    ],
)
def test_well_known_networks_have_their_published_figures(name, parameters, multiply_adds, field):
    # No weight is drawn.
    with keras.StatelessScope(initialize_variables=False):
        model = getattr(keras.applications, name)(weights=None)
    summary = summarize(model)
    assert [row.name for row in summary.layers] == [operation.name for operation in model.operations]
    assert summary.parameters == model.count_params() == parameters
    assert summary.multiply_adds == pytest.approx(multiply_adds, rel=0.004)
    assert [row.receptive_field for row in summary.layers if row.receptive_field][-1] == (field, field)
    keras.utils.clear_session()


def test_the_multiply_adds_of_vgg16_add_up_by_hand():
    blocks = [(224, 3, 64), (224, 64, 64), (112, 64, 128), (112, 128, 128), (56, 128, 256)]
    blocks += [(56, 256, 256)] * 2 + [(28, 256, 512)] + [(28, 512, 512)] * 2 + [(14, 512, 512)] * 3
    image = x = keras.Input((224, 224, 3))
    for size, _, filters in blocks:
        if x.shape[1] > size:
            x = layers.MaxPooling2D()(x)
        x = layers.Conv2D(filters, 3, padding="same")(x)
    expected = sum(size * size * 9 * c_in * c_out for size, c_in, c_out in blocks)
    assert summarize(keras.Model(image, x)).multiply_adds == expected == 15_346_630_656


@pytest.mark.parametrize(
    ("name", "input_shape", "parameters", "multiply_adds"),
    [
        ("digit_cnn", (28, 28, 1), 121_930, 676 * 9 * 32 + 121 * 288 * 64 + 1600 * 64 + 640),
        ("simple_cnn", (32, 32, 3), 122_570, 4_548_608),
        ("lenet5", (32, 32, 1), 61_706, 416_520),
    ],
)
def test_a_network_of_the_catalogue_is_summarized_with_its_scaling(name, input_shape, parameters, multiply_adds):
    summary = summarize(build_network(name, input_shape, 10))
    assert (summary.parameters, summary.multiply_adds) == (parameters, multiply_adds)
    assert summary.layers[0].output_shape == input_shape
    assert summary.layers[-1].output_shape == (10,)

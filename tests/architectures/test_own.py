import sys

import keras
import pytest

from opsin.architectures import check_network, load_network
from opsin.errors import UsageError

SHAPE = (16, 16, 3)

OWN_FILE = """
import keras

def tiny(input_shape, class_count):
    layers = keras.layers.Flatten(), keras.layers.Dense(class_count)
    return keras.Sequential([keras.Input(input_shape), *layers])

def forgets_to_return(input_shape, class_count):
    tiny(input_shape, class_count)

not_a_function = 3
"""


@pytest.fixture
def own_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(OWN_FILE)
    return path


def _network(*last_layers, inputs=SHAPE, units=4) -> keras.Model:
    return keras.Sequential(
        [keras.Input(inputs), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(units), *last_layers]
    )


def test_a_function_in_the_users_file_is_called_with_shape_and_classes(own_file):
    network = load_network(f"{own_file}:tiny", SHAPE, 5)

    assert [tensor.shape for tensor in network.inputs] == [(None, *SHAPE)]
    assert [tensor.shape for tensor in network.outputs] == [(None, 5)]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("tinny", r"Expected a function 'tinny' in .*mine\.py.*; received None"),
        ("not_a_function", "Expected a function 'not_a_function' .* received 3"),
        ("forgets_to_return", "Expected a keras.Model; received NoneType"),
    ],
)
def test_a_function_that_gives_no_network_is_refused(own_file, name, complaint):
    with pytest.raises(UsageError, match=complaint):
        load_network(f"{own_file}:{name}", SHAPE, 4)


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        ("nowhere.py:build", "Expected a Python file at 'nowhere.py'; there is none"),
        ("network.txt:build", r"FILE\.py:function\. Received 'network\.txt:build'"),
        ("network.py", r"FILE\.py:function\. Received 'network\.py'"),
    ],
)
def test_a_reference_to_no_file_is_refused(reference, complaint):
    with pytest.raises(UsageError, match=complaint):
        load_network(reference, SHAPE, 4)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("def build(shape:\n", r"received SyntaxError: .* \(.*mine\.py, line 1\)"),
        ("import no_such_thing\n", r"received ModuleNotFoundError: No module named 'no_such_thing' .*py, line 1\)"),
        ("x = 1\ndef build(shape, k):\n    return x / 0\n", r"received ZeroDivisionError: .*mine\.py, line 3\)"),
        ("def build(shape):\n    pass\n", r"received TypeError: build\(\) takes 1 .*in the call itself"),
        ("def build(shape, k):\n    raise ValueError\n", r"received ValueError: no more is said \(.*, line 2\)"),
    ],
    ids=["syntax", "import", "inside", "other arguments", "no message"],
)
def test_an_error_in_the_users_code_names_file_and_line(tmp_path, content, complaint):
    (tmp_path / "mine.py").write_text(content)

    with pytest.raises(UsageError, match=complaint) as refused:
        load_network(f"{tmp_path / 'mine.py'}:build", SHAPE, 4)
    assert refused.value.__cause__ is not None


def test_the_users_file_may_import_its_neighbours_and_the_path_is_as_before(tmp_path):
    (tmp_path / "my_own_blocks.py").write_text(OWN_FILE)
    (tmp_path / "mine.py").write_text("from my_own_blocks import tiny\n")
    before = list(sys.path)

    network = load_network(f"{tmp_path / 'mine.py'}:tiny", SHAPE, 5)

    assert network.outputs[0].shape == (None, 5)
    assert sys.path == before


def test_a_network_that_gives_logits_is_returned_as_it_is():
    network = _network()

    assert check_network(network, SHAPE, 4) is network


@pytest.mark.parametrize(
    ("inputs", "wanted", "line"),
    [
        ((None, None, 3), SHAPE, r"keras\.Input\(\(16, 16, 3\)\)"),
        ((16, 16, None), SHAPE, r"keras\.Input\(\(16, 16, 3\)\)"),
        ((None, None, 1), (None, None, 1), r"keras\.Input\(\(224, 224, 1\)\)"),
    ],
)
def test_a_network_that_leaves_its_size_open_is_refused_with_the_line_to_write(inputs, wanted, line):
    image = keras.Input(inputs)
    network = keras.Model(image, keras.layers.Dense(4)(keras.ops.mean(image, axis=(1, 2, 3))[:, None]))

    with pytest.raises(UsageError, match=rf"one fixed size; received .*None.* Begin it with {line}"):
        check_network(network, wanted, 4)


@pytest.mark.parametrize("units", [1, 2])
def test_two_classes_may_be_one_unit_or_two(units):
    network = _network(units=units)

    assert check_network(network, SHAPE, 2) is network


def _with_last_operation(operation) -> keras.Model:
    network = _network()
    return keras.Model(network.inputs, operation(network.outputs[0]))


def _with_nested_softmax() -> keras.Model:
    image = keras.Input(SHAPE)
    return keras.Model(image, _network(keras.layers.Softmax())(image))


@pytest.mark.parametrize(
    ("build", "ending"),
    [
        (lambda: _network(keras.layers.Dense(4, activation="softmax")), "softmax"),
        (lambda: _network(keras.layers.Activation("sigmoid")), "sigmoid"),
        (lambda: _network(keras.layers.Softmax()), "softmax"),
        (lambda: _with_last_operation(keras.ops.softmax), "softmax"),
        (_with_nested_softmax, "softmax"),
    ],
    ids=["in the dense layer", "an activation layer", "a softmax layer", "an operation", "in a nested model"],
)
def test_a_network_that_gives_probabilities_is_refused(build, ending):
    with pytest.raises(UsageError, match=f"raw logits; .* ends in {ending}. Remove the {ending} activation"):
        check_network(build(), SHAPE, 4)


def _two_inputs() -> keras.Model:
    inputs = [keras.Input((4,)), keras.Input((4,))]
    return keras.Model(inputs, keras.layers.Add()(inputs))


def _two_outputs() -> keras.Model:
    network = _network()
    return keras.Model(network.inputs, [network.outputs[0], network.outputs[0]])


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (
            lambda: _network(inputs=(32, 32, 3)),
            r"one input of shape \(None, 16, 16, 3\); received \[\(None, 32, 32, 3\)\]",
        ),
        (_two_inputs, r"one input of shape .* received \[\(None, 4\), \(None, 4\)\]"),
        (
            lambda: _network(units=3),
            r"one output, float32 of shape \(None, 4\).* received \[\(None, 3, 'float32'\)\]",
        ),
        (lambda: _network(keras.layers.Dense(4, dtype="float16")), r"received \[\(None, 4, 'float16'\)\]"),
        (_two_outputs, "one output, .* received"),
        (
            lambda: keras.Sequential([keras.layers.Dense(4)]),
            r"without a known input. Begin it with keras.Input\(\(16",
        ),
    ],
    ids=["other size", "two inputs", "other class count", "half precision", "two outputs", "not built"],
)
def test_a_network_of_another_form_is_refused(build, complaint):
    with pytest.raises(UsageError, match=complaint):
        check_network(build(), SHAPE, 4)

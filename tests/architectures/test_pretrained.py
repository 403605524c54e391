import math

import keras
import numpy as np
import pytest

from opsin.architectures import build_network
from opsin.architectures.pretrained import flatten

# FACTS.md: parameters of the graph without its head, and those of them that no gradient moves.
BACKBONES = [
    ("mobilenet_v2", 2_257_984, 34_112),
    ("efficientnet_b0", 4_049_571, 42_023),
    ("resnet50", 23_587_712, 53_120),
    ("densenet121", 7_037_504, 83_648),
    ("inception_v3", 21_802_784, 34_432),
]


@pytest.mark.parametrize(("name", "parameters", "frozen"), BACKBONES)
def test_a_backbone_has_the_parameters_on_record(name, parameters, frozen):
    # Shapes are all that is looked at: no weight is drawn.
    with keras.StatelessScope(initialize_variables=False):
        network = build_network(name, (224, 224, 3), 2)

    assert network.count_params() - network.get_layer("logits").count_params() == parameters
    assert sum(math.prod(weight.shape) for weight in network.non_trainable_weights) == frozen
    keras.utils.clear_session()


@pytest.mark.slow
def test_flattening_convnext_changes_none_of_its_answers():
    nested = keras.applications.ConvNeXtTiny(include_top=False, weights=None, input_shape=(64, 64, 3), pooling="avg")
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")

    flat = flatten(nested)

    assert any(isinstance(layer, keras.Model) for layer in nested.layers)
    assert not any(isinstance(layer, keras.Model) for layer in flat.layers)
    np.testing.assert_array_equal(flat(images), nested(images))
    assert {id(weight) for weight in flat.weights} == {id(weight) for weight in nested.weights}

"""Where networks are cut: at the places a person would point at, and no answer changes by it."""

import keras
import numpy as np
import pytest
from keras import layers

from opsin.architectures import ARCHITECTURES, build_network
from opsin.architectures.cuts import find_blocks, fingerprint, part_after, part_before
from opsin.architectures.pretrained_entries import PRETRAINED

FAMILIES = (
    "mobilenet",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "efficientnet_v2_b0",
    "resnet50",
    "resnet50_v2",
    "densenet121",
    "vgg16",
    "inception_v3",
    "xception",
    "convnext_tiny",
)

BLOCK_COUNTS = {
    "mobilenet_v2": 1 + 17 + 1,  # Stem, bottlenecks, last convolution.
    "resnet50": 1 + 16,
    "resnet50_v2": 1 + 16,
    "densenet121": 1 + 6 + 1 + 12 + 1 + 24 + 1 + 16,  # Stem, dense layers, transitions between.
    "vgg16": 5 + 1,  # Without weights its two wide layers are a block of their own.
    "inception_v3": 2 + 11,  # The stem's two poolings, the mixed modules.
    "xception": 14,
    "convnext_tiny": 1 + 3 + 1 + 3 + 1 + 9 + 1 + 3,  # Stem, blocks, downsampling between.
    "nasnet_mobile": 1,  # Each cell takes what the last two give.
}


def convolution(name, channels=4, **options):
    return layers.Conv2D(channels, 3, padding="same", name=name, **options)


def network(build, shape=(8, 8, 3)):
    image = keras.Input(shape, name="image")
    return keras.Model(image, build(image))


def layers_of(blocks):
    """The names of each block's layers, as long as they have kernels or bring branches together."""
    kinds = (layers.Conv2D, layers.Dense, layers.Add, layers.Concatenate, layers.Multiply)
    return [[layer.name for layer in block.layers if isinstance(layer, kinds)] for block in blocks]


# Where blocks end


def test_a_plain_chain_is_cut_after_its_poolings():
    def chain(x):
        x = layers.MaxPooling2D(name="pool_a")(convolution("a2")(convolution("a1")(x)))
        x = layers.MaxPooling2D(name="pool_b")(convolution("b2", 8)(convolution("b1", 8)(x)))
        x = convolution("c2", 16)(convolution("c1", 16)(x))
        return layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D(name="features")(x))

    blocks = find_blocks(network(chain))

    assert layers_of(blocks) == [["a1", "a2"], ["b1", "b2"], ["c1", "c2", "logits"]]
    assert [block.layers[-1].name for block in blocks] == ["pool_a", "pool_b", "logits"]
    assert [tuple(block.start.shape[1:]) for block in blocks] == [(8, 8, 3), (4, 4, 4), (2, 2, 8)]
    assert [block.name for block in blocks] == ["a1 … a2", "b1 … b2", "c1 … logits"]


def residual(x, name):
    y = layers.BatchNormalization()(convolution(f"{name}1")(x))
    y = convolution(f"{name}2")(layers.ReLU()(y))
    return layers.ReLU(name=f"{name}_out")(layers.BatchNormalization()(layers.Add(name=f"{name}_sum")([x, y])))


def test_residual_blocks_end_after_their_sum_and_what_follows_it_without_kernels():
    def two(x):
        x = residual(residual(layers.ReLU(name="stem_out")(convolution("stem")(x)), "a"), "b")
        return layers.GlobalAveragePooling2D()(x)

    blocks = find_blocks(network(two))

    assert layers_of(blocks) == [["stem"], ["a1", "a2", "a_sum"], ["b1", "b2", "b_sum"]]
    assert [block.layers[-1].name for block in blocks[:2]] == ["stem_out", "a_out"]


def test_branches_that_are_joined_end_a_block():
    def joined(x):
        x = convolution("stem")(x)
        for name in ("a", "b"):
            sides = [convolution(f"{name}{side}", 2)(x) for side in (1, 2)]
            x = layers.Concatenate(name=f"{name}_join")([x, *sides])
        return layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x))

    # A layer that nothing is as small as before has its end there too: the stem.
    assert layers_of(find_blocks(network(joined))) == [
        ["stem"],
        ["a1", "a2", "a_join"],
        ["b1", "b2", "b_join"],
        ["logits"],
    ]


def gated(x, name):
    """Squeeze and excitation between two convolutions."""
    y = layers.ReLU()(convolution(f"{name}_expand", 8)(x))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Conv2D(8, 1, activation="sigmoid", name=f"{name}_excite")(gate)
    return convolution(f"{name}_project")(layers.Multiply(name=f"{name}_gate")([y, gate]))


def test_a_gate_does_not_end_a_block():
    def plain_then_residual(x):
        x = gated(convolution("stem")(x), "a")
        for name in ("b", "c"):
            x = layers.Add(name=f"{name}_sum")([x, gated(x, name)])
        return layers.GlobalAveragePooling2D()(x)

    assert layers_of(find_blocks(network(plain_then_residual))) == [
        ["stem"],
        ["a_expand", "a_excite", "a_gate", "a_project"],
        ["b_expand", "b_excite", "b_gate", "b_project", "b_sum"],
        ["c_expand", "c_excite", "c_gate", "c_project", "c_sum"],
    ]


def test_a_network_of_which_two_tensors_always_cross_is_one_block():
    def cells(x):
        before, last = x, convolution("a")(x)
        for name in ("b", "c"):
            joined = layers.Concatenate(name=f"{name}_join")([before, last])
            before, last = last, convolution(name)(joined)
        return layers.GlobalAveragePooling2D()(layers.Concatenate(name="join")([before, last]))

    (block,) = find_blocks(network(cells))

    assert block.name == "a … c"
    assert layers_of([block]) == [["a", "b_join", "b", "c_join", "c", "join"]]
    assert block.start.name == "image"


def test_a_single_layer_is_one_block_of_its_name():
    (block,) = find_blocks(network(lambda x: layers.Flatten()(convolution("only")(x))))

    assert block.name == "only"


def test_what_follows_the_last_kernel_is_never_a_block_of_its_own():
    def grown(x):
        return layers.Flatten()(layers.UpSampling2D(name="grow")(residual(convolution("stem")(x), "a")))

    blocks = find_blocks(network(grown))

    assert layers_of(blocks) == [["stem"], ["a1", "a2", "a_sum"]]
    assert "grow" in [layer.name for layer in blocks[-1].layers]


def test_a_network_without_kernels_is_one_block_that_has_a_name():
    (block,) = find_blocks(network(lambda x: layers.Flatten(name="flat")(layers.ReLU(name="relu")(x))))

    assert block.name == "relu … flat"


def test_blocks_end_where_they_are_told_to():
    def headed(x):
        x = layers.GlobalAveragePooling2D(name="features")(residual(residual(convolution("stem")(x), "a"), "b"))
        return layers.Dense(3, name="logits")(layers.Dense(16, name="hidden")(x))

    whole = network(headed)

    blocks = find_blocks(whole, whole.get_layer("features").output)

    assert layers_of(blocks) == [["stem"], ["a1", "a2", "a_sum"], ["b1", "b2", "b_sum"]]
    assert blocks[-1].layers[-1].name == "features"


def test_the_parts_share_the_networks_layers():
    whole = network(lambda x: layers.GlobalAveragePooling2D()(residual(residual(convolution("stem")(x), "a"), "b")))
    start = find_blocks(whole)[1].start

    lower, upper = part_before(whole, start), part_after(whole, start)

    assert lower.get_layer("stem") is whole.get_layer("stem")
    assert upper.get_layer("a2") is whole.get_layer("a2")
    assert "a2" not in [layer.name for layer in lower.layers]
    assert "stem" not in [layer.name for layer in upper.layers]


# What a part is known by


def small(**changes):
    """Two convolutions and a sum, whose weights are those of a seed."""
    chosen = {"channels": 4, "activation": "relu", "shift": 1.0, "seed": 0, "swap": False, "name": "", "dtype": None}
    chosen |= changes
    image = keras.Input((8, 8, 3), name=f"{chosen['name']}image")
    options = {"activation": chosen["activation"], "dtype": chosen["dtype"]}
    a = convolution(f"{chosen['name']}a", chosen["channels"], **options)(image)
    b = convolution(f"{chosen['name']}b", chosen["channels"], **options)(a)
    x = layers.Subtract()([b, a] if chosen["swap"] else [a, b]) * 0.5 + chosen["shift"]
    built = keras.Model(image, layers.GlobalAveragePooling2D(dtype=chosen["dtype"])(x))
    random = np.random.default_rng(chosen["seed"])
    built.set_weights([random.normal(size=weight.shape) for weight in built.weights])
    return built


def test_the_fingerprint_does_not_depend_on_names():
    assert fingerprint(small()) == fingerprint(small()) == fingerprint(small(name="other_"))


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"activation": "elu"}, {"swap": True}, {"shift": 2.0}, {"channels": 5}, {"dtype": "mixed_bfloat16"}],
    ids=str,
)
def test_the_fingerprint_depends_on_weights_wiring_settings_constants_and_arithmetic(change):
    assert fingerprint(small()) != fingerprint(small(**change))


def test_a_changed_weight_changes_the_fingerprint_of_the_parts_that_hold_it():
    whole = network(lambda x: layers.GlobalAveragePooling2D()(residual(residual(convolution("stem")(x), "a"), "b")))
    start = find_blocks(whole)[1].start
    lower, upper = part_before(whole, start), part_after(whole, start)
    before = fingerprint(lower), fingerprint(upper)

    whole.get_layer("a1").bias.assign_add([0, 0, 1e-6, 0])

    assert fingerprint(lower) == before[0]
    assert fingerprint(upper) != before[1]


# Every network of the catalogue with published weights


def _mark(name):
    if name == "mobilenet":
        return []
    return [pytest.mark.slow if name in FAMILIES else pytest.mark.exhaustive]


def build(name):
    keras.utils.set_random_seed(0)
    side = ARCHITECTURES[name].least_size
    return build_network(name, (side, side, 3), 3)


@pytest.fixture(scope="module", params=[pytest.param(name, marks=_mark(name)) for name in PRETRAINED])
def backbone(request):
    keras.utils.clear_session()
    yield build(request.param), request.param
    keras.utils.clear_session()


def test_a_network_cut_in_two_gives_the_same_logits(backbone):
    whole, name = backbone
    features = whole.get_layer("features").output
    starts = [block.start for block in find_blocks(whole, features)]
    assert (len(starts) == 1) == name.startswith("nasnet"), "a NASNet's cells read two tensors each; others have a cut"
    if len(starts) == 1:
        return
    images = np.random.default_rng(0).uniform(0, 255, (2, *whole.input_shape[1:])).astype("float32")
    images[1] = images[1] // 8

    logits = run(whole, images)

    size = np.abs(logits).max()
    assert np.ptp(logits, axis=0).max() > 1e-2 * size, "parts that give the same for all pictures would pass"
    for tensor in (starts[len(starts) // 2], starts[-1]):
        again = run(part_after(whole, tensor), run(part_before(whole, tensor), images))
        np.testing.assert_allclose(again, logits, rtol=1e-4, atol=1e-4 * size)


def test_each_layer_with_weights_is_in_exactly_one_block(backbone):
    whole, name = backbone

    blocks = find_blocks(whole, whole.get_layer("features").output)

    held = [id(layer) for block in blocks for layer in block.layers if layer.weights]
    assert sorted(held) == sorted(id(layer) for layer in whole.layers if layer.weights and layer.name != "logits")
    assert all(block.name for block in blocks)
    assert len(blocks) == BLOCK_COUNTS.get(name, len(blocks))
    assert len(blocks) > 4 or name.startswith("nasnet")


def run(part, inputs):
    return keras.ops.convert_to_numpy(part(inputs, training=False))


def test_a_network_that_is_built_again_has_the_same_fingerprint():
    first, second = build("mobilenet"), build("mobilenet")

    assert fingerprint(first) == fingerprint(second)
    second.layers[-1].bias.assign_add([0, 1e-6, 0])
    assert fingerprint(first) != fingerprint(second)

"""Muon: kernels of convolutions turn and keep their norm; all else is SGD."""

import keras
import numpy as np
import pytest

from opsin.training.muon import KERNEL_MOMENTUM, TURN, Muon, is_turned, orthogonal


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (7, 7), (100, 1)])
def test_singular_values_come_near_one_and_singular_vectors_stay(shape):
    matrix = drawn(*shape)

    found = keras.ops.convert_to_numpy(orthogonal(matrix))

    left, before, right = np.linalg.svd(matrix, full_matrices=False)
    expected = np.diag(left.T @ found @ right.T)
    assert np.all(expected > 0)
    # The smallest of a square matrix would take more steps than are made.
    assert np.all((expected > 0.5) & (expected < 1.3) | (before < 0.1 * before[0]))
    np.testing.assert_allclose(left * expected @ right, found, atol=1e-4)


def test_what_has_no_direction_gives_none():
    assert not keras.ops.convert_to_numpy(orthogonal(np.zeros((6, 3), np.float32))).any()


def test_a_kernel_keeps_its_norm_and_moves_by_the_share_that_is_stated():
    start = drawn(3, 3, 4, 8)
    kernel, optimizer = keras.Variable(start), Muon(0.1, momentum=0.9, nesterov=True)
    optimizer.build([kernel])
    gradient = drawn(3, 3, 4, 8, seed=1)

    optimizer.apply([gradient])

    moved = keras.ops.convert_to_numpy(kernel)
    assert np.linalg.norm(moved) == pytest.approx(np.linalg.norm(start), rel=1e-5)
    direction = keras.ops.convert_to_numpy(orthogonal((gradient * (1 + KERNEL_MOMENTUM)).reshape(36, 8)))
    straight = start - 0.1 * TURN * np.linalg.norm(start) / 8**0.5 * direction.reshape(start.shape)
    np.testing.assert_allclose(moved, straight * np.linalg.norm(start) / np.linalg.norm(straight), rtol=1e-4, atol=1e-6)
    assert np.linalg.norm(moved - start) == pytest.approx(0.1 * TURN * np.linalg.norm(start), rel=0.3)
    # Against the gradient.
    assert np.sum((moved - start) * gradient) < 0


def test_kernels_keep_their_own_momentum_where_all_else_has_none():
    def after_two_steps(momentum):
        kernel, bias = keras.Variable(drawn(3, 3, 4, 8)), keras.Variable(drawn(8))
        optimizer = Muon(0.1, momentum=momentum, nesterov=True)
        optimizer.build([kernel, bias])
        for seed in (1, 2):
            optimizer.apply([drawn(3, 3, 4, 8, seed=seed), drawn(8, seed=seed)])
        return keras.ops.convert_to_numpy(kernel), keras.ops.convert_to_numpy(bias)

    kernel, bias = after_two_steps(0.0)

    np.testing.assert_array_equal(kernel, after_two_steps(0.9)[0])
    np.testing.assert_allclose(bias, drawn(8) - 0.1 * (drawn(8, seed=1) + drawn(8, seed=2)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(5,), (4, 3), (3, 3, 6, 1)])
def test_what_is_no_kernel_of_several_filters_learns_as_by_sgd(shape):
    start = drawn(*shape)
    ours, theirs = keras.Variable(start), keras.Variable(start)
    assert not is_turned(ours)
    options = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}
    pairs = [(Muon(**options), ours), (keras.optimizers.SGD(**options), theirs)]
    for optimizer, variable in pairs:
        optimizer.build([variable])
        for seed in range(3):
            optimizer.apply([drawn(*shape, seed=seed)])

    np.testing.assert_array_equal(keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs))


def test_a_network_learns_by_it():
    keras.utils.set_random_seed(0)
    images = drawn(64, 8, 8, 3)
    labels = (images[:, :4].mean(axis=(1, 2, 3)) > images[:, 4:].mean(axis=(1, 2, 3))).astype("int32")
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    network = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(Muon(0.05, momentum=0.9, nesterov=True), loss, metrics=["accuracy"], jit_compile=False)

    network.fit(images, labels, epochs=15, batch_size=16, verbose=0)

    assert network.evaluate(images, labels, verbose=0)[1] > 0.9

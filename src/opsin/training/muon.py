"""Muon: convolution kernels are turned by an orthogonal matrix near their momentum; all else learns by SGD.

Jordan and others 2024, "Muon: An optimizer for hidden layers in neural networks" (kellerjordan.github.io/posts/muon).
Keras's own Muon leaves convolutions to AdamW; here they are what it is for.
"""

from typing import Any

import keras

TURN = 0.27
"""How far a kernel turns in a step, as a fraction of its norm and of the rate that the other variables have."""

KERNEL_MOMENTUM = 0.6
ITERATIONS = 3
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz iteration, as published: singular values come near 1 quickly, and stay from about 0.7 to 1.2."""


class Muon(keras.optimizers.SGD):
    """SGD with Nesterov's momentum for all variables but convolution kernels, which turn and keep their norm.

    A kernel, as a matrix (height · width · channels, filters), is moved against the orthogonal matrix that is nearest
    to its momentum, by `learning_rate * TURN` of its norm, and set back to that norm: what follows it, a normalisation
    as a rule, does not care for it. Arguments are those of `keras.optimizers.SGD`.
    """

    def build(self, variables: list[Any]) -> None:
        """Make what is remembered for each variable; Keras leaves it out where `momentum` is 0."""
        if self.built:
            return
        super().build(variables)
        self.momentums = self.momentums or self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change a variable by its gradient."""
        if not is_turned(variable):
            super().update_step(gradient, variable, learning_rate)
            return
        ops = keras.ops
        average = self.momentums[self._get_variable_index(variable)]
        gradient = ops.cast(gradient, variable.dtype)
        self.assign(average, KERNEL_MOMENTUM * average + gradient)
        matrix = ops.reshape(gradient + KERNEL_MOMENTUM * average, (-1, variable.shape[-1]))
        direction = ops.reshape(orthogonal(matrix), variable.shape)
        norm = _norm(variable)
        # An orthogonal matrix has the norm of the root of its rank.
        share = ops.cast(learning_rate, variable.dtype) * TURN / min(matrix.shape) ** 0.5
        moved = variable - share * norm * direction
        self.assign(variable, moved * (norm / _norm(moved)))


def is_turned(variable: Any) -> bool:
    """Tell whether a variable is the kernel of a convolution with several filters."""
    return len(variable.shape) == 4 and variable.shape[-1] > 1


def orthogonal(matrix: Any) -> Any:
    """Return a matrix with the same singular vectors and singular values near 1; float (m, n)."""
    ops = keras.ops
    first, third, fifth = COEFFICIENTS
    wide = matrix.shape[0] < matrix.shape[1]
    matrix = ops.transpose(matrix) if wide else matrix
    matrix = matrix / (_norm(matrix) + 1e-7)
    for _ in range(ITERATIONS):
        products = ops.matmul(ops.transpose(matrix), matrix)
        matrix = first * matrix + ops.matmul(matrix, third * products + fifth * ops.matmul(products, products))
    return ops.transpose(matrix) if wide else matrix


def _norm(values: Any) -> Any:
    return keras.ops.sqrt(keras.ops.sum(keras.ops.square(values)))

"""Where a network can be cut in two: places that a single tensor crosses, and the blocks between them.

What lies below a cut can be computed once and kept, and what lies above it be trained.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


@dataclass(frozen=True)
class Block:
    """A part of a network that one tensor enters and one tensor leaves.

    Args:
        start: the tensor that enters it, `(N, ...)`.
        layers: its layers, from the picture's side on.
    """

    start: keras.KerasTensor
    layers: tuple[keras.Layer, ...]

    @property
    def name(self) -> str:
        """Its first and last layers with weights, as a person would point at it."""
        weighted = [layer.name for layer in self.layers if _has_matrix(layer)] or [layer.name for layer in self.layers]
        return weighted[0] if len(weighted) == 1 else f"{weighted[0]} … {weighted[-1]}"


def find_blocks(network: keras.Model, end: keras.KerasTensor | None = None) -> tuple[Block, ...]:
    """Return the blocks of a network, from the picture to its end.

    A block ends where branches come together (a residual sum, a concatenation), and in plain chains where the tensor
    is smallest, as after a pooling. What follows there without kernels (normalisation, activation) belongs to it.

    Args:
        network: functional, with one input.
        end: the tensor to stop at; None for its output.
    """
    end = network.outputs[0] if end is None else end
    nodes = _in_order(end)
    crossings = _crossings(nodes, end)
    last_kernel = max((number for number, node in enumerate(nodes) if _has_matrix(node.operation)), default=-1)
    ends = [place for place in _ends(nodes, crossings) if place.position < last_kernel]
    starts = [crossings[0], *ends]
    stops = [place.position for place in ends] + [len(nodes) - 1]
    blocks = []
    for start, stop in zip(starts, stops, strict=True):
        layers = [node.operation for node in nodes[start.position + 1 : stop + 1]]
        blocks.append(Block(start.tensor, tuple(layer for layer in layers if isinstance(layer, keras.Layer))))
    return tuple(blocks)


def part_before(network: keras.Model, tensor: keras.KerasTensor) -> keras.Model:
    """Return the part of a network from its input to a tensor; layers are shared."""
    return keras.Model(network.inputs[0], tensor, name=f"{network.name}_lower")


def part_between(start: keras.KerasTensor, end: keras.KerasTensor) -> keras.Model:
    """Return the part of a network from one tensor to another; layers are shared."""
    return keras.Model(start, end, name="between")


def part_after(network: keras.Model, tensor: keras.KerasTensor) -> keras.Model:
    """Return the part of a network from a tensor to its output; layers are shared."""
    return keras.Model(tensor, network.outputs[0], name=f"{network.name}_upper")


def lone_tensors(end: keras.KerasTensor) -> list[keras.KerasTensor]:
    """Return the tensors that alone lead from what comes before them to `end`, in order."""
    return [crossing.tensor for crossing in _crossings(_in_order(end), end)]


def fingerprint(part: keras.Model) -> str:
    """Return a hash of what a network computes: operations, how they are wired, weights; layers' names do not count."""
    digest = hashlib.sha256()
    nodes = _in_order(part.outputs[0])
    places = {id(tensor): number for number, node in enumerate(nodes) for tensor in node.output_tensors}
    for node in nodes:
        operation = node.operation
        said = [
            type(operation).__name__,
            _nameless(operation.get_config()),
            # With what is no tensor: the 2 of `x * 2` stands here alone.
            keras.tree.map_structure(
                lambda one: f"tensor {places[id(one)]}" if id(one) in places else one,
                [node.arguments.args, node.arguments.kwargs],
            ),
        ]
        digest.update(json.dumps(said, sort_keys=True, default=_plain).encode())
    for weight in part.weights:
        digest.update(keras.ops.convert_to_numpy(weight).tobytes())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    # The text of a long array leaves its middle out.
    return np.asarray(value).tolist() if hasattr(value, "__array__") else str(value)


def _nameless(config: Any) -> Any:
    if isinstance(config, dict) and str(config.get("class_name")).endswith("DTypePolicy"):
        return config  # Its name is what it is.
    if isinstance(config, dict):
        return {key: _nameless(value) for key, value in config.items() if key != "name"}
    return [_nameless(value) for value in config] if isinstance(config, list | tuple) else config


@dataclass(frozen=True)
class _Crossing:
    """A tensor that alone crosses from the operations up to `position` to those after it."""

    tensor: keras.KerasTensor
    position: int

    @property
    def size(self) -> int:
        return math.prod(self.tensor.shape[1:])


def _in_order(end: keras.KerasTensor) -> list[Any]:
    """Return the nodes that a tensor depends on, each after those it depends on itself."""
    ordered, done = [], set()
    stack = [(_node(end), False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            ordered.append(node)
        elif id(node) not in done:
            done.add(id(node))
            stack.append((node, True))
            stack.extend((_node(tensor), False) for tensor in reversed(node.input_tensors))
    return ordered


def _node(tensor: keras.KerasTensor) -> Any:
    operation, number, _ = tensor._keras_history
    return operation._inbound_nodes[number]


def _crossings(nodes: list[Any], end: keras.KerasTensor) -> list[_Crossing]:
    last_use = {id(end): len(nodes)}
    for position, node in enumerate(nodes):
        for tensor in node.input_tensors:
            last_use[id(tensor)] = max(position, last_use.get(id(tensor), 0))
    crossings, alive = [], {}
    for position, node in enumerate(nodes):
        alive.update({id(tensor): tensor for tensor in node.output_tensors})
        alive = {key: tensor for key, tensor in alive.items() if last_use.get(key, -1) > position}
        if len(alive) == 1:
            crossings.append(_Crossing(next(iter(alive.values())), position))
    return crossings


def _ends(nodes: list[Any], crossings: list[_Crossing]) -> Iterator[_Crossing]:
    """Yield the crossings at which blocks end, but for the network's own end."""
    places = list(_smallest_before_each_kernel(nodes, crossings))
    for number, (place, branched) in enumerate(places):
        before = places[number - 1][0].size if number else math.inf
        after = places[number + 1][0].size if number + 1 < len(places) else 0
        if branched or before > place.size <= after:
            yield place


def _smallest_before_each_kernel(nodes: list[Any], crossings: list[_Crossing]) -> Iterator[tuple[_Crossing, bool]]:
    """Yield one crossing for each stretch without kernels, and whether branches came together since the last one.

    A gate, which multiplies a tensor by what is drawn from it (squeeze and excitation), does not count as branches.
    """
    by_position = {crossing.position: crossing for crossing in crossings}
    run: list[_Crossing] = []
    kernels = branched = False
    for position, node in enumerate(nodes):
        crossing = by_position.get(position)
        if crossing is None or _has_matrix(node.operation):
            if run and kernels:
                yield min(reversed(run), key=lambda one: one.size), branched
                branched = False
            run = []
        kernels = kernels or _has_matrix(node.operation)
        if crossing is not None:
            joins = len(node.input_tensors) > 1 and type(node.operation).__name__ != "Multiply"
            branched = branched or (kernels and joins)
            run.append(crossing)
    if run:
        yield min(reversed(run), key=lambda one: one.size), branched


def _has_matrix(operation: Any) -> bool:
    return any(len(weight.shape) >= 2 for weight in getattr(operation, "weights", ()))

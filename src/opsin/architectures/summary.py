"""What each layer of a network gives, weighs, costs and sees, as data that is read back without Keras."""

import dataclasses
import functools
import math
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from opsin.arithmetic import convolution_multiply_adds, receptive_field
from opsin.errors import ModelError

if TYPE_CHECKING:
    import keras

FORMAT = 1

Shape = tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One layer, or one plain operation, of a network.

    Args:
        name: its name; inside a nested model `"<model>/<layer>"`.
        kind: the name of its class, such as `"Conv2D"` or `"GetItem"`.
        output_shape: shape of its first output at its first use, without the batch axis: `(h, w, c)`
            for maps.
        parameters: numbers it holds. Weights that two layers share are counted at the first.
        trainable_parameters: those of them that training changes.
        multiply_adds: multiplications with an addition each, for one picture, in convolution and dense
            layers, all uses of the layer together; 0 for other layers, as papers count. None where a
            layer has matrices of its own that this cannot follow (attention, a layer made of layers).
        receptive_field: (height, width) in input pixels of what one value of its maps can see, over the
            longest branch and past the picture's border. None where no such number holds: the values have
            no place any more (flatten, dense, global pooling), they are mixed with values that see the
            whole picture (squeeze and excitation), or the layer is one that this cannot follow.
    """

    name: str
    kind: str
    output_shape: Shape
    parameters: int
    trainable_parameters: int
    multiply_adds: int | None
    receptive_field: tuple[int, int] | None


@dataclasses.dataclass(frozen=True)
class Summary:
    """All layers of a network, from the input on, and their totals.

    Args:
        name: the network's name.
        layers: one row for each layer, in the order of the graph; a nested model's layers stand for it.

    >>> row = LayerRow("conv", "Conv2D", (30, 30, 32), 896, 896, 777_600, (3, 3))
    >>> summary = Summary("tiny", (row,))
    >>> summary.parameters, summary.multiply_adds
    (896, 777600)
    >>> Summary.from_dict(summary.to_dict()) == summary
    True
    """

    name: str
    layers: tuple[LayerRow, ...]

    @property
    def parameters(self) -> int:
        """Numbers that the network holds; Keras's `count_params`."""
        return sum(row.parameters for row in self.layers)

    @property
    def trainable_parameters(self) -> int:
        """Those of them that training changes."""
        return sum(row.trainable_parameters for row in self.layers)

    @property
    def multiply_adds(self) -> int | None:
        """Multiply-adds for one picture; None if one layer's are not known."""
        return _total(row.multiply_adds for row in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Give what `layers.json` holds: names, numbers, lists and None only."""
        return {
            "format": FORMAT,
            "name": self.name,
            "parameters": self.parameters,
            "trainable_parameters": self.trainable_parameters,
            "multiply_adds": self.multiply_adds,
            "layers": [dataclasses.asdict(row) for row in self.layers],
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Summary":
        """Read what `to_dict` gave, also after a journey through JSON; the totals are added up anew.

        Raises:
            ModelError: it is of another format, or something in it is missing.
        """
        if document.get("format") != FORMAT:
            raise ModelError(
                f"Expected a layer summary of format {FORMAT}. Received format {document.get('format')!r}. "
                "Open it with the version of Opsin that wrote it, or a newer one."
            )
        try:
            return cls(document["name"], tuple(map(_row_from_dict, document["layers"])))
        except (KeyError, TypeError) as error:
            raise ModelError(
                "Expected a layer summary as Summary.to_dict gives it. Received one where reading it "
                f"fails: {error!r}. Write it again from the model."
            ) from error


def summarize(model: "keras.Model") -> Summary:
    """Look at each layer of a network: output shape, parameters, multiply-adds, receptive field.

    Nothing is computed and the model is not changed. Maps are taken to be channels-last. An operation
    that keeps the maps' height and width is taken to look at one place at a time; after layers that
    enlarge the maps, the receptive field is right to within one place of the smaller map.

    Args:
        model: a built functional or Sequential Keras model whose input shape is known. Models in it
            are followed; a layer that is used more than once is one row.

    Returns:
        The rows and their totals.

    Raises:
        ModelError: it has no such graph, or its input's size is open.
    """
    graph = _graph(model)
    shapes = [tensor.shape[1:] for tensor in graph.inputs] if graph else []
    if not shapes or any(None in shape for shape in shapes):
        raise ModelError(
            "Expected a functional or Sequential Keras model with a known input shape. "
            f"Received {type(model).__name__} {model.name!r} with {shapes or 'no graph'}. "
            "Build it with keras.Input(shape=(height, width, channels))."
        )
    uses = _Trace(graph).uses
    trainable = {id(weight) for weight in model.trainable_weights}
    rows, counted = [], set()
    for operation, name in _names(graph).items():
        weights = [weight for weight in getattr(operation, "weights", ()) if id(weight) not in counted]
        counted.update(map(id, weights))
        rows.append(
            LayerRow(
                name=name,
                kind=type(operation).__name__,
                output_shape=uses[operation][0].output_shape,
                parameters=_count(weights),
                trainable_parameters=_count(weight for weight in weights if id(weight) in trainable),
                multiply_adds=_total(use.multiply_adds for use in uses[operation]),
                receptive_field=_pixels(_longest([use.field for use in uses[operation]])),
            )
        )
    return Summary(model.name, tuple(rows))


# Along one axis what one value sees and the distance of two neighbours, both in input pixels.
# The distance is a fraction of a pixel where maps are larger than the picture.
_Axis = tuple[int | Fraction, int | Fraction]
_Field = tuple[_Axis, _Axis] | None


@dataclasses.dataclass(frozen=True)
class _Use:
    output_shape: Shape
    multiply_adds: int | None
    field: _Field


class _Trace:
    """Each use of each operation, followed through the graph and the models in it."""

    def __init__(self, graph: "keras.Function"):
        self.uses: dict[keras.Operation, list[_Use]] = {}
        self._fields: dict[keras.KerasTensor, _Field] = {}
        for tensor in graph.inputs:
            self._fields[tensor] = ((1, 1), (1, 1)) if len(tensor.shape) == 4 else None
        for operation in _input_layers(graph):
            tensor = operation.output
            self.uses[operation] = [_Use(tensor.shape[1:], 0, self._fields[tensor])]
        self._follow(graph, graph.inputs)

    def _follow(self, graph: "keras.Function", tensors: list) -> list:
        # Keras has no public way to walk a graph; calling the layers would add to the user's model.
        return graph._run_through_graph(tensors, operation_fn=lambda operation: functools.partial(self._use, operation))

    def _use(self, operation: "keras.Operation", *args: Any, **kwargs: Any) -> Any:
        import keras

        given = [x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)]
        if graph := _graph(operation):
            return self._follow(graph, given)
        outputs = operation.compute_output_spec(*args, **kwargs)
        tensors = keras.tree.flatten(outputs)
        shapes, shape = [tensor.shape for tensor in given], tensors[0].shape
        cost = _multiply_adds(operation, shapes[0], shape)
        kept = len(shape) == 4 and all(other[1:3] == shape[1:3] for other in shapes)
        field = None if cost is None else _seen([self._fields[x] for x in given], operation, kept)
        self._fields.update(dict.fromkeys(tensors, field))
        self.uses.setdefault(operation, []).append(_Use(shape[1:], cost, field))
        return outputs


def _graph(operation: "keras.Operation") -> "keras.Function | None":
    """The graph of a functional or built Sequential model; None for everything else."""
    import keras

    if isinstance(operation, keras.Sequential) and hasattr(operation, "inputs"):
        return keras.Function(operation.inputs, operation.outputs, name=operation.name)
    return operation if isinstance(operation, keras.Function) else None


def _input_layers(graph: "keras.Function") -> list["keras.Operation"]:
    import keras

    return [operation for operation in graph.operations if isinstance(operation, keras.layers.InputLayer)]


def _names(graph: "keras.Function", prefix: str = "") -> dict["keras.Operation", str]:
    """Every operation in the graph's order, nested models replaced by what is in them."""
    names = {}
    inner_inputs = _input_layers(graph) if prefix else []
    for operation in graph.operations:
        if nested := _graph(operation):
            for inner, name in _names(nested, f"{prefix}{operation.name}/").items():
                names.setdefault(inner, name)
        elif operation not in inner_inputs:
            names.setdefault(operation, prefix + operation.name)
    return names


def _multiply_adds(operation: "keras.Operation", shape_in: Shape, shape_out: Shape) -> int | None:
    """What one use of it costs; None where it multiplies in a way that is not known here."""
    from keras import layers

    values_in, values_out = math.prod(shape_in[1:]), math.prod(shape_out[1:])
    match operation:
        case layers.Conv2D():
            return _kernel_cost(operation.kernel.shape, values_out, groups=operation.groups)
        case layers.DepthwiseConv2D():
            return _depthwise_cost(operation.kernel.shape, values_out)
        case layers.SeparableConv2D():
            *_, maps, filters = operation.pointwise_kernel.shape
            depthwise = _depthwise_cost(operation.depthwise_kernel.shape, values_out // filters * maps)
            return depthwise + _kernel_cost(operation.pointwise_kernel.shape, values_out)
        case layers.Conv2DTranspose():
            # It is laid on the places of its input, whose channels are the last axis of its kernel.
            return _kernel_cost(operation.kernel.shape, values_in)
        case layers.Dense():
            return _kernel_cost((1, 1, shape_in[-1], operation.units), values_out)
        case layers.PReLU():
            return 0
    matrices = [weight for weight in getattr(operation, "weights", ()) if len(weight.shape) > 1]
    return None if matrices else 0


def _kernel_cost(kernel_shape: Shape, values: int, *, groups: int = 1) -> int:
    """Cost of a kernel (k_h, k_w, c / groups, f) on as many places as hold `values`, f on each."""
    *kernel, channels, filters = kernel_shape
    return convolution_multiply_adds(
        kernel,
        channels_in=channels * groups,
        channels_out=filters,
        places=values // filters,
        groups=groups,
    )


def _depthwise_cost(kernel_shape: Shape, values: int) -> int:
    *kernel, channels, multiplier = kernel_shape
    return _kernel_cost((*kernel, 1, channels * multiplier), values, groups=channels)


def _seen(fields: list[_Field], operation: "keras.Operation", keeps_size: bool) -> _Field:
    """The field of what an operation gives, from the fields of what it takes."""
    from keras import layers

    field, windows = _longest(fields), _windows(operation)
    if field and windows:
        return tuple(receptive_field([window], start=axis) for window, axis in zip(windows, field, strict=True))
    borders = isinstance(operation, layers.ZeroPadding2D | layers.Cropping2D | layers.CenterCrop)
    return field if keeps_size or borders else None


def _windows(operation: "keras.Operation") -> list[tuple] | None:
    """(kernel, stride, dilation) down and across, of a layer that slides a window; None for others."""
    from keras import layers

    match operation:
        case layers.Conv2D() | layers.DepthwiseConv2D() | layers.SeparableConv2D():
            settings = operation.kernel_size, operation.strides, operation.dilation_rate
        case layers.MaxPooling2D() | layers.AveragePooling2D():
            settings = operation.pool_size, operation.strides, (1, 1)
        case layers.Conv2DTranspose():
            axes = zip(operation.kernel_size, operation.strides, operation.dilation_rate, strict=True)
            return [(math.ceil((gap * (size - 1) + 1) / step), Fraction(1, step), 1) for size, step, gap in axes]
        case layers.UpSampling2D(interpolation="nearest" | "bilinear"):
            reach = 1 if operation.interpolation == "nearest" else 2
            return [(reach, Fraction(1, step), 1) for step in operation.size]
        case _:
            return None
    return list(zip(*settings, strict=True))


def _longest(fields: list[_Field]) -> _Field:
    """The largest of several, along each axis; None, which stands for all, wins."""
    if None in fields:
        return None
    return tuple(tuple(map(max, zip(*axes, strict=True))) for axes in zip(*fields, strict=True))


def _pixels(field: _Field) -> tuple[int, int] | None:
    return field and tuple(math.ceil(size) for size, _ in field)


def _count(weights: Iterable) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _total(counts: Iterable[int | None]) -> int | None:
    counts = list(counts)
    return None if None in counts else sum(counts)


def _row_from_dict(row: dict[str, Any]) -> LayerRow:
    field = row["receptive_field"]
    shape = tuple(row["output_shape"])
    return LayerRow(**{**row, "output_shape": shape, "receptive_field": field and tuple(field)})

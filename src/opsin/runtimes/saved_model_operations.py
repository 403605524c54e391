"""What a SavedModel can do, told from its file without loading it: it is a program, and may read and write files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opsin.errors import ModelError

# Constants, variables and what belongs to loading them.
_OF_LOADING = """
Const Placeholder PlaceholderWithDefault Identity IdentityN NoOp VarHandleOp ReadVariableOp AssignVariableOp
VarIsInitializedOp StringJoin StaticRegexFullMatch PartitionedCall StatefulPartitionedCall Func Arg _Arg _Retval
Select SelectV2 StopGradient
"""
# Control flow and loops over a batch.
_OF_CONTROL = """
If StatelessIf While StatelessWhile Switch Merge Case StatelessCase Assert TensorListReserve TensorListGetItem
TensorListSetItem TensorListStack TensorListFromTensor TensorListElementShape TensorListLength
TensorListPushBack TensorListPopBack EmptyTensorList
"""
# Shapes.
_OF_SHAPES = """
Shape ShapeN Size Rank Reshape Squeeze ExpandDims Pack Unpack Concat ConcatV2 Split SplitV Slice StridedSlice
Gather GatherV2 GatherNd Tile Fill Range ReverseV2 Transpose Pad PadV2 MirrorPad ZerosLike OnesLike BroadcastTo
BroadcastArgs Cast Where TopKV2 ArgMax ArgMin EnsureShape OneHot SpaceToBatchND BatchToSpaceND SpaceToDepth
DepthToSpace Bitcast Invert InvertPermutation
"""
# Arithmetic.
_OF_ARITHMETIC = """
Abs Add AddN AddV2 Sub Mul Div DivNoNan RealDiv FloorDiv FloorMod TruncateDiv TruncateMod Maximum Minimum Neg
Reciprocal Sqrt Rsqrt Square SquaredDifference Pow Exp Expm1 Log Log1p Sigmoid Tanh Erf Erfc Sin Cos Tan Sinh
Cosh Asin Acos Atan Round Rint Floor Ceil Sign Softmax LogSoftmax Softplus Softsign Relu Relu6 Elu Selu
LeakyRelu Equal NotEqual Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr LogicalNot IsNan IsInf
IsFinite ClipByValue All Any Max Mean Min Prod Sum Cumsum LRN L2Loss
"""
# Networks.
_OF_NETWORKS = """
Conv2D Conv3D DepthwiseConv2dNative Conv2DBackpropInput MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum
BiasAdd MaxPool MaxPoolV2 AvgPool FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 _FusedConv2D _FusedMatMul
ResizeBilinear ResizeBicubic ResizeArea ResizeNearestNeighbor ScaleAndTranslate XlaConvV2
"""
# Pictures and examples that come as strings; none of these opens a file.
_OF_PICTURES = """
DecodeImage DecodeJpeg DecodePng DecodeBmp DecodeGif DecodeAndCropJpeg ExtractJpegShape ParseExample
ParseExampleV2 ParseSingleExample DecodeBase64 DisableCopyOnRead StringLower Substr AdjustContrastv2 RGBToHSV
HSVToRGB
"""
HARMLESS = frozenset(
    " ".join((_OF_LOADING, _OF_CONTROL, _OF_SHAPES, _OF_ARITHMETIC, _OF_NETWORKS, _OF_PICTURES)).split()
)
"""Operations that only compute."""

OF_THE_SAVER = frozenset({"RestoreV2", "SaveV2", "MergeV2Checkpoints", "ShardedFilename"})
"""Operations on files that every SavedModel has in two functions of its own, which nothing else may call."""


def require_harmless(folder: Path) -> None:
    """Make sure that a SavedModel only computes.

    Args:
        folder: the SavedModel, with `saved_model.pb` in it.

    Raises:
        ModelError: it cannot be read, or it holds an operation that is not in `HARMLESS`; the message names them.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        program = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    except (OSError, DecodeError) as error:
        raise ModelError(f"Expected a SavedModel; {str(folder)!r} cannot be read as one: {error}.") from error
    unknown = sorted(name for graph in program.meta_graphs for name in _unknown_operations(graph))
    if unknown:
        raise ModelError(
            f"Expected a SavedModel that only computes; {str(folder)!r} has operations that are not known to be "
            f"harmless: {', '.join(unknown)}. It was not loaded. Export the model again with Opsin."
        )


def _unknown_operations(graph: Any) -> set[str]:
    functions = {function.signature.name: function.node_def for function in graph.graph_def.library.function}
    called = {name for nodes in functions.values() for node in nodes for name in _calls(node)}
    # What a signature can be bound to when the model is loaded.
    called |= set(graph.object_graph_def.concrete_functions)
    savers = functions.keys() - called
    used = {node.op for node in graph.graph_def.node}
    for name, nodes in functions.items():
        used |= {node.op for node in nodes} - (OF_THE_SAVER if name in savers else set())
    return used - HARMLESS - functions.keys()


def _calls(node: Any) -> Iterator[str]:
    """Yield the names of the functions that a node may call."""
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        yield from (function.name for function in value.list.func)

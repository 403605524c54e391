"""What a SavedModel can do, told from its file without loading it: it is a program, and may read and write files."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opsin.errors import ModelError

# Constants, variables and what belongs to loading them.
_OF_LOADING = """
Const Placeholder PlaceholderWithDefault Identity IdentityN NoOp VarHandleOp ReadVariableOp AssignVariableOp
AssignAddVariableOp AssignSubVariableOp VarIsInitializedOp StringJoin StaticRegexFullMatch PartitionedCall
StatefulPartitionedCall _Arg _Retval Select SelectV2 StopGradient PreventGradient HashTableV2 LookupTableFindV2
LookupTableImportV2
"""
# Control flow and loops over a batch.
_OF_CONTROL = """
If StatelessIf While StatelessWhile Switch Merge Case StatelessCase Assert TensorListReserve TensorListGetItem
TensorListSetItem TensorListStack TensorListFromTensor TensorListElementShape TensorListLength
TensorListPushBack TensorListPopBack EmptyTensorList TensorArrayV3 TensorArrayReadV3 TensorArrayWriteV3
TensorArrayGatherV3 TensorArrayScatterV3 TensorArraySizeV3 Enter Exit NextIteration LoopCond
"""
# Shapes.
_OF_SHAPES = """
Shape ShapeN Size Rank Reshape Squeeze ExpandDims Pack Unpack Concat ConcatV2 Split SplitV Slice StridedSlice
Gather GatherV2 GatherNd Tile Fill Range ReverseV2 Transpose Pad PadV2 MirrorPad ZerosLike OnesLike BroadcastTo
BroadcastArgs Cast Where TopKV2 ArgMax ArgMin EnsureShape OneHot SpaceToBatchND BatchToSpaceND SpaceToDepth
DepthToSpace Bitcast Invert InvertPermutation ResourceGather ScatterNd TensorScatterUpdate TensorScatterAdd Roll
LinSpace DynamicStitch DynamicPartition MatrixBandPart MatrixDiagV3 Unique UniqueV2 Bincount DenseBincount
Bucketize UnsortedSegmentSum SegmentSum SegmentMean SparseToDense
"""
# Arithmetic.
_OF_ARITHMETIC = """
Abs Add AddN AddV2 Sub Mul Div DivNoNan RealDiv FloorDiv FloorMod TruncateDiv TruncateMod Maximum Minimum Neg
Reciprocal Sqrt Rsqrt Square SquaredDifference Pow Exp Expm1 Log Log1p Sigmoid Tanh Erf Erfc Sin Cos Tan Sinh
Cosh Asin Acos Atan Round Rint Floor Ceil Sign Softmax LogSoftmax Softplus Softsign Relu Relu6 Elu Selu
LeakyRelu Equal NotEqual Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr LogicalNot IsNan IsInf
IsFinite ClipByValue All Any Max Mean Min Prod Sum Cumsum LRN L2Loss Cumprod Mod Xdivy Xlogy Atan2 Asinh Acosh
Atanh Lgamma Erfinv BitwiseAnd BitwiseOr BitwiseXor LeftShift RightShift ApproximateEqual EuclideanNorm
NextAfter InTopKV2
"""
# Networks.
_OF_NETWORKS = """
Conv2D Conv3D DepthwiseConv2dNative Conv2DBackpropInput MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum
BiasAdd MaxPool MaxPoolV2 AvgPool FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 _FusedConv2D _FusedMatMul
ResizeBilinear ResizeBicubic ResizeArea ResizeNearestNeighbor ScaleAndTranslate XlaConvV2 Conv AvgPool3D MaxPool3D
Conv3DBackpropInputV2 ExtractImagePatches CropAndResize NonMaxSuppressionV3 ImageProjectiveTransformV3
QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4 FakeQuantWithMinMaxVars
FakeQuantWithMinMaxVarsPerChannel FakeQuantWithMinMaxArgs QuantizeV2 Dequantize
"""
# Dropout and augmentation, of which exports of whole models keep what they did in training.
_OF_CHANCE = """
RandomUniform RandomUniformInt RandomStandardNormal TruncatedNormal RandomShuffle StatelessRandomUniform
StatelessRandomUniformV2 StatelessRandomUniformInt StatelessRandomUniformIntV2 StatelessRandomNormal
StatelessRandomNormalV2 StatelessTruncatedNormal StatelessTruncatedNormalV2 StatelessRandomGetKeyCounter
StatelessRandomGetAlg StatelessRandomGetKeyCounterAlg
"""
# Pictures and examples that come as strings; none of these opens a file.
_OF_PICTURES = """
DecodeImage DecodeJpeg DecodePng DecodeBmp DecodeGif DecodeAndCropJpeg ExtractJpegShape ParseExample
ParseExampleV2 ParseSingleExample DecodeBase64 DisableCopyOnRead StringLower Substr AdjustContrastv2 RGBToHSV
HSVToRGB AdjustHue AdjustSaturation EncodeBase64 StringToNumber AsString StringLength StringFormat
"""
HARMLESS = frozenset(
    " ".join((_OF_LOADING, _OF_CONTROL, _OF_SHAPES, _OF_ARITHMETIC, _OF_NETWORKS, _OF_CHANCE, _OF_PICTURES)).split()
)
"""Operations that only compute."""

OF_THE_SAVER = frozenset({"RestoreV2", "SaveV2", "MergeV2Checkpoints", "ShardedFilename"})
"""Operations on files that every SavedModel has in two functions of its own, which nothing else may call."""

FILE, FILE_IN_PARTS = "saved_model.pb", "saved_model.cpb"


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
        program = saved_model_pb2.SavedModel.FromString((folder / FILE).read_bytes())
    except (OSError, DecodeError) as error:
        raise ModelError(f"Expected a SavedModel; {str(folder)!r} cannot be read as one: {error}.") from error
    # Servers read the parts, where there are such, and those are another program.
    if (folder / FILE_IN_PARTS).exists():
        raise _refusal(folder, f"has a second program, {FILE_IN_PARTS}")
    # TensorFlow loads others in the way of its first version, which runs what it finds.
    if len(program.meta_graphs) != 1 or not program.meta_graphs[0].HasField("object_graph_def"):
        raise _refusal(folder, "is of TensorFlow 1, or of several graphs")
    (graph,) = program.meta_graphs
    ambiguous = sorted(name for name in _functions_of(graph) if not re.search("[A-Za-z0-9]_", name))
    if ambiguous:
        raise _refusal(folder, f"has functions that are called as operations are: {', '.join(ambiguous)}")
    unknown = sorted(_unknown_operations(graph))
    if unknown:
        raise _refusal(folder, f"has operations that are not known to be harmless: {', '.join(unknown)}")


def _refusal(folder: Path, received: str) -> ModelError:
    return ModelError(
        f"Expected a SavedModel that only computes; {str(folder)!r} {received}. It was not loaded. Export the model "
        "again with Opsin."
    )


def _functions_of(graph: Any) -> dict[str, Any]:
    return {function.signature.name: function.node_def for function in graph.graph_def.library.function}


def _unknown_operations(graph: Any) -> set[str]:
    functions = _functions_of(graph)
    savers = _savers_of(graph, functions)
    used = {node.op for node in graph.graph_def.node}
    for name, nodes in functions.items():
        used |= {node.op for node in nodes} - (OF_THE_SAVER if name in savers else set())
    return used - HARMLESS - functions.keys()


def _savers_of(graph: Any, functions: dict[str, Any]) -> set[str]:
    """Return the functions that write and read the variables, as far as nothing else can come to call them."""
    saver = graph.saver_def
    ends = {_node_of(name) for name in (saver.save_tensor_name, saver.restore_op_name)}
    savers = {name for node in graph.graph_def.node if node.name in ends for name in _calls(node)}
    others = [node for node in graph.graph_def.node if node.name not in ends]
    called = {name for nodes in (others, *functions.values()) for node in nodes for name in _calls(node)}
    called |= set(_bound(graph.object_graph_def))
    called |= {gradient.gradient_func for gradient in graph.graph_def.library.gradient}
    followed = {_node_of(name) for node in graph.graph_def.node for name in node.input}
    followed |= {_node_of(end.name) for one in graph.signature_def.values() for end in one.outputs.values()}
    return set() if followed & ends else savers - called


def _node_of(tensor: str) -> str:
    # `name:0` is an output of a node, `^name` says that it runs before.
    return tensor.removeprefix("^").partition(":")[0]


def _bound(objects: Any) -> Iterator[str]:
    """Yield the names of the functions that can be called once the model is loaded."""
    yield from objects.concrete_functions
    for node in objects.nodes:
        yield from node.function.concrete_functions
        yield node.bare_concrete_function.concrete_function_name
        yield node.captured_tensor.concrete_function


def _calls(node: Any) -> Iterator[str]:
    """Yield the names of the functions that a node may call: those in its attributes, and what it is itself."""
    yield node.op
    yield from _called_in(node.attr)


def _called_in(attributes: Any) -> Iterator[str]:
    for value in attributes.values():
        for function in (*([value.func] if value.HasField("func") else []), *value.list.func):
            yield function.name
            # A function may be handed another.
            yield from _called_in(function.attr)

"""FLOPs and bytes of an operator, computed from the shapes that it ran on.

The rules (docs/profile.md has them for users). A multiply-add is two FLOPs.

- Conv: 2 × outputs × weights of one output channel. ConvTranspose: 2 × inputs × weights of one input channel.
- MatMul: 2 × outputs × K. Gemm alike.
- LSTM, GRU, RNN: 2 × steps × rows × directions × gates × hidden × (input + hidden).
- MultiHeadAttention: 4 × rows × queries × keys × width.
- Reductions and pooling: one per input. Softmax 5, norms 8 (BatchNormalization 2), all others one per output.
- What moves or names data (Transpose, Concat, Gather, Shape …) computes nothing.

Bytes are every input and output once. A reshaped tensor stays where it is, and moves none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

Shape = tuple[int, ...]

SIZES = {
    "float": 4,
    "float16": 2,
    "bfloat16": 2,
    "double": 8,
    "int64": 8,
    "uint64": 8,
    "int32": 4,
    "uint32": 4,
    "int16": 2,
    "uint16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
"""bytes of an element, by ONNX Runtime's names of types"""

QUANTISED = frozenset(
    (
        *("ConvInteger", "QLinearConv", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"),
        *("QLinearMatMul", "QGemm", "MatMulNBits", "DynamicQuantizeLSTM", "QAttention"),
    )
)
CONVS = frozenset(("Conv", "FusedConv", "NhwcConv", "NhwcFusedConv", "ConvInteger", "QLinearConv"))
MATMULS = frozenset(
    (
        *("MatMul", "FusedMatMul", "TransposeMatMul", "MatMulInteger", "MatMulIntegerToFloat"),
        *("DynamicQuantizeMatMul", "QLinearMatMul", "MatMulNBits", "MatMulBnb4"),
    )
)
GEMMS = frozenset(("Gemm", "FusedGemm", "QGemm"))
GATES = {"LSTM": 4, "DynamicQuantizeLSTM": 4, "GRU": 3, "RNN": 1}
CONTROL = frozenset(("If", "Loop", "Scan"))
VIEWS = CONTROL | frozenset(
    ("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Shape", "Size", "Constant")
)
MOVES = VIEWS | frozenset(
    (
        *(
            "Transpose",
            "Concat",
            "Slice",
            "Gather",
            "GatherElements",
            "GatherND",
            "ScatterND",
            "Split",
            "Cast",
        ),
        *("ScatterElements", "Expand", "Pad", "Tile", "ConstantOfShape", "ReorderInput", "ReorderOutput"),
        *("MemcpyFromHost", "MemcpyToHost", "DepthToSpace", "SpaceToDepth", "RandomNormalLike", "Range"),
        *("RandomUniformLike", "RandomNormal", "RandomUniform", "Resize", "NonZero", "Trilu"),
    )
)
"""what computes nothing"""
REDUCTIONS = frozenset(("ArgMax", "ArgMin", "CumSum", "TopK", "MaxPool", "AveragePool", "GlobalAveragePool"))
PER_OUTPUT = {"Softmax": 5, "LogSoftmax": 5, "BatchNormalization": 2}
NORMS = frozenset(
    (
        *("LayerNormalization", "SkipLayerNormalization", "SimplifiedLayerNormalization", "RMSNormalization"),
        *("SkipSimplifiedLayerNormalization", "InstanceNormalization", "GroupNormalization", "GroupNorm"),
    )
)
UNKNOWN = frozenset(
    ("Einsum", "DFT", "STFT", "Attention", "QAttention", "PackedAttention", "GroupQueryAttention")
)
"""what the shapes alone do not tell of"""


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor as an operator met it."""

    kind: str
    """ONNX Runtime's name of its type: float, int64 …"""
    shape: Shape

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.size * SIZES.get(self.kind, 0)


@dataclass(frozen=True, slots=True)
class Work:
    """What a run of an operator takes."""

    flops: int | None
    """None: its shapes do not tell"""
    bytes: int


def work(op: str, inputs: Sequence[Value], outputs: Sequence[Value], weight: Shape | None = None) -> Work:
    """Of one run. `weight`: of the file's node, for a Conv whose weights the engine has packed away.

    An engine that has packed the weights of a matrix product no longer tells their shape; their bytes are
    then those of K × N numbers like the first input's (one byte where the product is quantised).
    """
    moved = sum(value.bytes for value in (*inputs, *outputs))
    if op in VIEWS:
        return Work(0, 0)
    if op in MOVES:
        return Work(0, moved)
    if not outputs:
        return Work(None, moved)
    y = outputs[0]
    if op in CONVS or op == "ConvTranspose":
        found = _weights(inputs) or weight
        if found is None:
            return Work(None, moved)
        if _weights(inputs) is None:
            moved += prod(found) * (1 if op in QUANTISED else 4)
        over = inputs[0].size if op == "ConvTranspose" else y.size
        return Work(2 * over * prod(found[1:]), moved)
    if op in MATMULS | GEMMS and inputs and inputs[0].shape:
        k = _inner(op, inputs[0].shape, y.shape)
        if len([value for value in inputs if len(value.shape) > 1]) < 2 and y.shape:
            moved += k * y.shape[-1] * (1 if op in QUANTISED else SIZES.get(inputs[0].kind, 4))
        return Work(2 * y.size * k, moved)
    if op in GATES and inputs and len(inputs[0].shape) == 3 and len(y.shape) in (3, 4):
        steps, rows, width = inputs[0].shape
        directions, hidden = (y.shape[1] if len(y.shape) == 4 else y.shape[0]), y.shape[-1]
        weights = directions * GATES[op] * hidden * (width + hidden)
        if not any(len(value.shape) == 3 for value in inputs[1:]):
            moved += weights * (1 if op in QUANTISED else 4)
        return Work(2 * steps * rows * weights, moved)
    if op == "MultiHeadAttention" and len(inputs) > 1 and len(inputs[0].shape) == len(inputs[1].shape) == 3:
        rows, queries, width = inputs[0].shape
        return Work(4 * rows * queries * inputs[1].shape[1] * width, moved)
    if op in UNKNOWN | MATMULS | GEMMS | GATES.keys() | {"MultiHeadAttention"}:
        return Work(None, moved)
    if op in REDUCTIONS or op.startswith("Reduce"):
        return Work(inputs[0].size if inputs else y.size, moved)
    each = PER_OUTPUT.get(op, 8 if op in NORMS else 1)
    return Work(each * y.size, moved)


def _weights(inputs: Sequence[Value]) -> Shape | None:
    """Of a convolution: the second of its inputs of the rank of the first."""
    found = [value.shape for value in inputs if len(value.shape) > 2]
    return found[1] if len(found) > 1 else None


def _inner(op: str, a: Shape, y: Shape) -> int:
    """K of a product a × b = y."""
    if op in GEMMS:
        return prod(a) // max(1, y[0])
    if len(a) > 1 and len(y) > 1 and op in ("FusedMatMul", "TransposeMatMul") and a[-2] != y[-2] == a[-1]:
        return a[-2]  # the first is transposed
    return a[-1]

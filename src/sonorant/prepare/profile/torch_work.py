"""FLOPs and bytes of torch's operators, from the shapes that its profiler records of their inputs.

torch itself counts none for conv1d, conv_transpose1d and most others (torch/csrc/profiler/util.cpp,
computeFlops). The rules are those of `work`. Operators call one another: what is computed is told of one of
them, the innermost that is known to compute it, and those around it only pass it on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import prod
from typing import Any

from sonorant.prepare.profile.work import Shape, Work

NUMBER = 4
"""bytes: float32. The profiler does not tell of types"""
CALL = 50
"""microseconds that an operator may take to pass its work on to others"""
PRODUCTS = frozenset(("mm", "bmm", "mv", "dot", "addmm", "baddbmm", "addmv", "_addmm_activation", "linear"))
ADDED = frozenset(("addmm", "baddbmm", "addmv", "_addmm_activation"))
"""products whose first input is what is added"""
ATTENTION = ("_scaled_dot_product_", "_flash_attention", "_efficient_attention")
RECURRENT = frozenset(("mkldnn_rnn_layer",))
NORMS = frozenset(("native_layer_norm", "native_group_norm", "native_batch_norm", "batch_norm_cpu"))
PER_INPUT = {"_softmax": 5, "_log_softmax": 5, **dict.fromkeys(NORMS, 8)}
REDUCTIONS = frozenset(
    (
        *("sum", "mean", "max", "min", "amax", "amin", "argmax", "argmin", "prod", "var", "std", "var_mean"),
        *("all", "any", "norm", "linalg_vector_norm", "cumsum", "topk", "max_pool2d_with_indices"),
        *("avg_pool2d", "_adaptive_avg_pool2d"),
    )
)
ELEMENTWISE = frozenset(
    (
        *("add", "sub", "rsub", "mul", "div", "neg", "abs", "exp", "exp2", "expm1", "log", "log1p", "log2"),
        *("log10", "sqrt", "rsqrt", "reciprocal", "pow", "square", "sin", "cos", "tan", "atan2", "tanh"),
        *("sigmoid", "relu", "leaky_relu", "gelu", "silu", "elu", "softplus", "hardtanh", "hardsigmoid"),
        *("hardswish", "log_sigmoid_forward", "_prelu_kernel", "erf", "threshold", "clamp", "clamp_min"),
        *("clamp_max", "maximum", "minimum", "floor", "ceil", "round", "remainder", "fmod", "sign", "lerp"),
        *("addcmul", "addcdiv", "where", "eq", "ne", "lt", "le", "gt", "ge", "isnan", "isneginf", "isposinf"),
        *("logical_and", "logical_or", "logical_not", "bitwise_and", "bitwise_or", "bitwise_not"),
        *("masked_fill", "glu"),
    )
)
VIEWS = frozenset(
    (
        *(
            "as_strided",
            "view",
            "_unsafe_view",
            "_reshape_alias",
            "reshape",
            "view_as",
            "unsqueeze",
            "squeeze",
        ),
        *("transpose", "permute", "t", "expand", "expand_as", "select", "slice", "narrow", "split", "chunk"),
        *("split_with_sizes", "unbind", "unfold", "diagonal", "detach", "alias", "flatten", "unflatten"),
        *("movedim", "lift_fresh", "resolve_conj", "resolve_neg", "real", "imag", "view_as_real"),
        *("view_as_complex", "empty", "empty_like", "empty_strided", "new_empty", "resize", "set", "item"),
        *("_local_scalar_dense", "result_type", "is_nonzero", "_nnpack_available", "cudnn_is_acceptable"),
        *("to", "contiguous", "dropout", "scalar_tensor", "numpy_T"),
    )
)
"""what names, shapes or reserves memory, and moves none of it"""
WRITTEN = frozenset(("fill", "zero"))
"""what writes its first input and reads none"""
GATHERED = frozenset(
    (
        *("cat", "stack", "index", "index_select", "gather", "embedding", "flip", "roll", "repeat"),
        *("reflection_pad1d", "replication_pad1d", "constant_pad_nd", "masked_select"),
        *("upsample_nearest1d", "arange", "normal", "uniform", "bernoulli"),
    )
)
"""what makes a new tensor of parts of others: as much is read as is written"""


def name_of(kind: str) -> str:
    """ "aten::relu_" → "relu": an operator that writes into its input does the same work."""
    return kind.partition("::")[2].removesuffix("_")


def arithmetic(kind: str) -> bool:
    """Whether it is a convolution, a product of matrices, attention or a recurrence."""
    name = name_of(kind)
    return "conv" in name or name in PRODUCTS or name in RECURRENT or name.startswith(ATTENTION)


def stepwise(kind: str) -> bool:
    """Whether it computes one step after the other, each on what the last one gave."""
    return name_of(kind) in RECURRENT


def works(events: Iterable[Any]) -> dict[int, Work]:
    """torch.autograd.profiler_util.FunctionEvents → the work of each, by its id."""
    events = list(events)
    found = {event.id: _alone(event) for event in events}
    for event in events:
        if name_of(event.name) == "convolution":
            found[_innermost(event).id] = _convolution(event)
    return found


def shapes_of(event: Any) -> list[Shape]:
    """Of the inputs that are tensors; a number is recorded as []."""
    return [tuple(shape) for shape in event.input_shapes or () if shape and isinstance(shape[0], int)]


def _alone(event: Any) -> Work:
    name, shapes = name_of(event.name), shapes_of(event)
    if name in VIEWS:
        return Work(0, 0)
    if "conv" in name:  # told by the whole; of those that are within no convolution nothing is known
        return Work(0, 0) if event.cpu_children or _within_convolution(event) else Work(None, 0)
    if (count := _counts(name)) is not None:
        heavy = arithmetic(event.name)  # what is added within a product is not what computes it
        if any(_counts(name_of(d.name)) for d in _descendants(event) if arithmetic(d.name) or not heavy):
            return Work(0, 0)
        return count(name, shapes) if shapes else Work(None, 0)
    if name in WRITTEN:
        return Work(0, NUMBER * sum(map(prod, shapes[:1])))
    if name == "copy":
        return Work(0, NUMBER * sum(map(prod, shapes)))
    if name in GATHERED or name.startswith(("rand", "ones", "zeros", "full")):
        return Work(0, 2 * max(0, event.self_cpu_memory_usage or 0))
    passed_on = event.cpu_children and event.self_cpu_time_total < max(CALL, event.cpu_time_total / 2)
    return Work(0, 0) if passed_on else Work(None, 0)


Count = Callable[[str, Sequence[Shape]], Work]


def _counts(name: str) -> Count | None:
    """What counts the work of an operator of this name; None = it computes nothing, or is not known."""
    if name in PRODUCTS:
        return _product
    if name in RECURRENT:
        return _recurrence
    if name.startswith(ATTENTION):
        return _attention
    if name in ELEMENTWISE:
        return _elementwise
    if name in PER_INPUT or name in REDUCTIONS:
        return _over_input
    return None


def _product(name: str, shapes: Sequence[Shape]) -> Work:
    added = len(shapes) > 2 and name in ADDED
    a, b = (shapes[1:] if added else shapes)[:2] if len(shapes) > 1 else ((), ())
    if not a or not b:
        return Work(None, 0)
    columns = b[0] if name == "linear" else b[-1] if len(b) > 1 else 1
    outputs = prod(a[:-1]) * columns
    moved = prod(a) + prod(b) + outputs + (prod(shapes[0]) if added else sum(map(prod, shapes[2:])))
    return Work(2 * outputs * a[-1], NUMBER * moved)


def _attention(_: str, shapes: Sequence[Shape]) -> Work:
    """Queries, keys and values: [rows, heads, length, width]; flash attention on a GPU has others."""
    if len(shapes) < 3 or any(len(shape) != 4 for shape in shapes[:3]):
        return Work(None, 0)
    q, k, v = shapes[:3]
    outputs = prod(q[:-1]) * v[-1]
    flops = 2 * prod(q[:-1]) * k[-2] * (q[-1] + v[-1])
    return Work(flops, NUMBER * (sum(map(prod, shapes)) + outputs))


def _recurrence(_: str, shapes: Sequence[Shape]) -> Work:
    """Inputs [steps, rows, width], weights [gates × hidden, width] and [gates × hidden, hidden]."""
    if len(shapes) < 3 or len(shapes[0]) != 3:
        return Work(None, 0)
    steps, rows, _width = shapes[0]
    outputs = steps * rows * shapes[2][-1]
    flops = 2 * steps * rows * (prod(shapes[1]) + prod(shapes[2]))
    return Work(flops, NUMBER * (sum(map(prod, shapes)) + outputs))


def _elementwise(_: str, shapes: Sequence[Shape]) -> Work:
    outputs = prod(_broadcast(shapes))
    return Work(outputs, NUMBER * (sum(map(prod, shapes)) + outputs))


def _over_input(name: str, shapes: Sequence[Shape]) -> Work:
    read = prod(shapes[0])
    written = read if name in PER_INPUT else 0
    return Work(PER_INPUT.get(name, 1) * read, NUMBER * (sum(map(prod, shapes)) + written))


def _broadcast(shapes: Sequence[Shape]) -> Shape:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(max(sizes) if 0 not in sizes else 0 for sizes in zip(*padded, strict=True))


def _convolution(event: Any) -> Work:
    """Of convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups).

    The weight of a transposed one is [inputs, outputs / groups, …], of another [outputs, inputs / groups, …].
    """
    shapes = shapes_of(event)
    told: Sequence[Any] = event.concrete_inputs or ()
    if len(shapes) < 2 or len(told) < 9 or told[6] is None:
        return Work(None, 0)
    x, weight = shapes[0], shapes[1]
    rank = len(weight) - 2
    stride, padding, dilation, more = (_each(told[i], rank) for i in (3, 4, 5, 7))
    transposed, groups = bool(told[6]), int(told[8] or 1)
    sizes = []
    for i, size in enumerate(x[-rank:]):
        seen = dilation[i] * (weight[2 + i] - 1) + 1
        if transposed:
            sizes.append((size - 1) * stride[i] - 2 * padding[i] + seen + more[i])
        else:
            sizes.append((size + 2 * padding[i] - seen) // stride[i] + 1)
    channels = weight[1] * groups if transposed else weight[0]
    outputs = prod(x[: -rank - 1]) * channels * prod(sizes)
    over = prod(x) if transposed else outputs
    return Work(2 * over * prod(weight[1:]), NUMBER * (sum(map(prod, shapes)) + outputs))


def _each(value: Any, rank: int) -> list[int]:
    """One number for all dimensions may stand for as many."""
    sizes = [int(size) for size in value] if isinstance(value, (list, tuple)) else [int(value)]
    return sizes * rank if len(sizes) == 1 else sizes


def _innermost(event: Any) -> Any:
    """The operator that a convolution was left to: of those within it that bear its name, the longest."""
    within = [child for child in event.cpu_children if "conv" in name_of(child.name)]
    if not within:
        return event
    return _innermost(max(within, key=lambda child: child.time_range.elapsed_us()))


def _descendants(event: Any) -> Iterator[Any]:
    for child in event.cpu_children:
        yield child
        yield from _descendants(child)


def _within_convolution(event: Any) -> bool:
    around = event.cpu_parent
    while around is not None:
        if name_of(around.name) == "convolution":
            return True
        around = around.cpu_parent
    return False

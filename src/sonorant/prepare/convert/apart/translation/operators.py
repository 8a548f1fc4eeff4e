"""ONNX's operators by TensorFlow's, each with what becomes of padding behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import tensorflow as tf

from . import layers
from .value import Refused, Value, cleaned, constant, darkened, made_of, untimed

Attributes = dict[str, Any]

# fmt: off
_UNARY: dict[str, Callable[..., Any]] = {
    "Abs": tf.abs, "Ceil": tf.math.ceil, "Cos": tf.cos, "Erf": tf.math.erf, "Exp": tf.exp,
    "Floor": tf.floor, "Identity": tf.identity, "Log": tf.math.log, "Neg": tf.negative,
    "Not": tf.logical_not, "Reciprocal": lambda x: 1.0 / x, "Relu": tf.nn.relu, "Round": tf.round,
    "Sigmoid": tf.sigmoid, "Sign": tf.sign, "Sin": tf.sin, "Softplus": tf.math.softplus,
    "Sqrt": tf.sqrt, "Tanh": tf.tanh,
}
_ZERO_STAYS = frozenset((
    "Abs", "Ceil", "Erf", "Floor", "Identity", "LeakyRelu", "Neg", "Relu", "Round", "Sign", "Sin", "Sqrt",
    "Tanh", "Elu",
))
"""what is zero before is zero behind"""
_BINARY: dict[str, Callable[..., Any]] = {
    "Add": tf.add, "And": tf.logical_and, "Div": lambda a, b: a // b if a.dtype.is_integer else a / b,
    "Equal": tf.equal, "Greater": tf.greater, "GreaterOrEqual": tf.greater_equal, "Less": tf.less,
    "LessOrEqual": tf.less_equal, "Max": tf.maximum, "Min": tf.minimum, "Mul": tf.multiply,
    "Or": tf.logical_or, "PRelu": lambda x, slope: tf.maximum(x, 0.0) + slope * tf.minimum(x, 0.0),
    "Pow": lambda x, power: tf.pow(x, tf.cast(power, x.dtype)), "Sub": tf.subtract,
}
# fmt: on
_REDUCED = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2")


def translated(node: Any, inputs: list[Value]) -> list[Value]:
    """What a node gives. Raises Refused."""
    given: Attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    kind, name = node.op_type, f"{node.op_type} {node.name}".strip()
    if kind == "LSTM":
        return layers.lstm(inputs, given, name)
    if kind == "Split":
        return _split(inputs, given, len(node.output), name)
    return [_one(kind, name, inputs, given)]


def _one(kind: str, name: str, inputs: list[Value], given: Attributes) -> Value:
    if kind in _UNARY or kind in ("LeakyRelu", "Elu", "Clip", "Cast", "HardSigmoid", "Gelu"):
        return _unary(kind, inputs, given)
    if kind in _BINARY:
        made = inputs[0]
        for other in inputs[1:]:
            made = _binary(kind, made, other)
        return made
    if kind in _REDUCED:
        return _reduced(kind, inputs, given, name)
    match kind:
        case "Conv":
            return layers.conv(inputs, given, name)
        case "ConvTranspose":
            return layers.conv_transpose(inputs, given, name)
        case "MaxPool" | "AveragePool":
            return layers.pool(inputs, given, name, "MAX" if kind == "MaxPool" else "AVG")
        case "Pad":
            return layers.pad(inputs, given, name)
        case "BatchNormalization":
            factor, summand = layers.batch_norm(inputs, given)
            return _binary("Add", _binary("Mul", inputs[0], factor), summand)
    if kind in _MOVED:
        return _MOVED[kind](inputs, given, name)
    raise Refused(f"the operator {kind} is not translated")


def _unary(kind: str, inputs: list[Value], given: Attributes) -> Value:
    x = inputs[0]
    turned = x.turned
    tensor = x.as_last() if turned else x.as_first()
    if kind == "LeakyRelu":
        made = tf.nn.leaky_relu(tensor, given.get("alpha", 0.01))
    elif kind == "Elu":
        made = tf.nn.elu(tensor)
    elif kind == "HardSigmoid":
        made = tf.clip_by_value(given.get("alpha", 0.2) * tensor + given.get("beta", 0.5), 0.0, 1.0)
    elif kind == "Gelu":
        made = tf.nn.gelu(tensor, approximate=given.get("approximate", b"none") == b"tanh")
    elif kind == "Cast":
        made = tf.cast(tensor, tf.dtypes.as_dtype(onnx.helper.tensor_dtype_to_np_dtype(given["to"])))
    elif kind == "Clip":
        bounds = [*(v.constant if v else None for v in inputs[1:3]), None, None][:2]
        low, high = given.get("min", bounds[0]), given.get("max", bounds[1])
        made = tensor if low is None else tf.maximum(tensor, tf.cast(low, tensor.dtype))
        made = made if high is None else tf.minimum(made, tf.cast(high, tensor.dtype))
    else:
        made = _UNARY[kind](tensor)
    return x.like(made, turned, x.clean if kind in _ZERO_STAYS else ())


def _binary(kind: str, a: Value, b: Value) -> Value:
    rank = max(a.rank, b.rank)
    turned = rank in (3, 4) and (a.turned or b.turned)
    sides = [_spread(each, rank, turned) for each in (a, b)]
    made = made_of(_BINARY[kind](*sides), turned, rank)
    clean = []
    for each in (a, b):
        shifted = {axis + rank - each.rank: length for axis, length in each.times.items()}
        made.times = {**shifted, **made.times}
        clean.append({axis + rank - each.rank for axis in each.clean})
    if kind == "Mul":
        made.clean = frozenset(clean[0] | clean[1])
    elif kind in ("Add", "Sub"):
        made.clean = frozenset(clean[0] & clean[1])
    elif kind == "Div":
        made.clean = frozenset(clean[0]) if not b.times else frozenset()
    made.clean &= frozenset(made.times)
    return made


def _spread(value: Value, rank: int, turned: bool) -> Any:
    """One side of an operator with two, in its layout."""
    if value.rank == rank:
        return value.as_last() if turned else value.as_first()
    tensor = value.as_first()
    if not turned:
        return tensor
    shape = [1] * (rank - value.rank) + value.shape
    return Value(rank, first=tf.reshape(tensor, shape)).as_last()


def _reduced(kind: str, inputs: list[Value], given: Attributes, name: str) -> Value:
    x = inputs[0]
    axes = given.get("axes") or (_whole(inputs[1], name) if len(inputs) > 1 and inputs[1] else None)
    axes = sorted(int(axis) % x.rank for axis in (axes if axes is not None else range(x.rank)))
    keep = bool(given.get("keepdims", 1))
    timed = [axis for axis in axes if axis in x.times]
    if timed and kind in ("ReduceMean", "ReduceSum", "ReduceL2"):
        x = cleaned(x, timed)
    turned = x.turned and keep
    tensor = x.as_last() if turned else x.as_first()
    places = [x.place(axis, turned) for axis in axes]
    if kind == "ReduceL2":
        made = tf.sqrt(tf.reduce_sum(tensor * tensor, places, keepdims=keep))
    elif kind == "ReduceMean" and timed:
        count = float(np.prod([x.shape[axis] for axis in axes if axis not in timed]))
        for axis in timed:
            count = tf.cast(x.times[axis], tf.float32) * count
        made = tf.reduce_sum(tensor, places, keepdims=keep) / count
    elif kind in ("ReduceMax", "ReduceMin") and timed:
        side = 1.0 if kind == "ReduceMax" else -1.0
        masked = x.like(tensor * side, turned)
        for axis in timed:
            masked = masked.like(darkened(masked, axis, turned), turned)
        made = side * tf.reduce_max(masked.as_last() if turned else masked.as_first(), places, keepdims=keep)
    else:
        made = getattr(tf, "reduce_" + kind[6:].lower())(tensor, places, keepdims=keep)
    left = [axis for axis in range(x.rank) if axis not in axes]
    result = made_of(made, turned, x.rank if keep else len(left))
    where = {axis: axis if keep else left.index(axis) for axis in left}
    result.times = {where[axis]: length for axis, length in x.times.items() if axis in where}
    return result


def _split(inputs: list[Value], given: Attributes, count: int, name: str) -> list[Value]:
    x, axis = inputs[0], int(given.get("axis", 0)) % inputs[0].rank
    untimed(x, [axis], f"{name} parts it")
    sizes = given.get("split") or (_whole(inputs[1], name) if len(inputs) > 1 and inputs[1] else None)
    parts = tf.split(x.as_first(), [int(s) for s in sizes] if sizes is not None else count, axis)
    return [x.like(part, False, x.clean) for part in parts]


def _matmul(inputs: list[Value], given: Attributes, name: str) -> Value:
    a, b = inputs
    if min(a.rank, b.rank) < 2:
        raise Refused(f"{name} multiplies a vector")
    if a.rank - 1 in a.times:  # it adds up over time: what lies behind the end must be nothing
        a, b = cleaned(a, [a.rank - 1]), cleaned(b, [b.rank - 2])
    rank = max(a.rank, b.rank)
    made = made_of(tf.matmul(a.as_first(), b.as_first()), False, rank)
    for each, gone in ((a, a.rank - 1), (b, b.rank - 2)):
        for axis, length in each.times.items():
            if axis != gone:
                made.times[axis + rank - each.rank] = length
    return made


def _gemm(inputs: list[Value], given: Attributes, name: str) -> Value:
    a, b = inputs[:2]
    turns = bool(given.get("transA", 0)), bool(given.get("transB", 0))
    untimed(a, [0 if turns[0] else 1], f"{name} mixes it")
    untimed(b, b.times, f"{name} mixes it")
    made = tf.matmul(a.as_first(), b.as_first(), transpose_a=turns[0], transpose_b=turns[1])
    made = made * given["alpha"] if given.get("alpha", 1.0) != 1.0 else made
    if len(inputs) > 2 and inputs[2]:
        made = made + given.get("beta", 1.0) * inputs[2].as_first()
    result = made_of(made, False, 2)
    result.times = dict.fromkeys([0] if a.times else [], next(iter(a.times.values()), None))
    return result


def _softmax(inputs: list[Value], given: Attributes, name: str) -> Value:
    x = inputs[0]
    axis = int(given.get("axis", -1)) % x.rank
    made = tf.nn.softmax(darkened(x, axis, False), axis)
    return x.like(made, False, {axis})


def _layer_norm(inputs: list[Value], given: Attributes, name: str) -> Value:
    x, scale = inputs[:2]
    axes = list(range(int(given.get("axis", -1)) % x.rank, x.rank))
    untimed(x, axes, f"{name} takes means along it")
    tensor = x.as_first()
    centred = tensor - tf.reduce_mean(tensor, axes, keepdims=True)
    spread = tf.reduce_mean(centred * centred, axes, keepdims=True) + given.get("epsilon", 1e-5)
    made = centred * tf.math.rsqrt(spread) * scale.as_first()
    return x.like(made + inputs[2].as_first() if len(inputs) > 2 and inputs[2] else made, False)


def _transpose(inputs: list[Value], given: Attributes, name: str) -> Value:
    x = inputs[0]
    order = [int(axis) for axis in given.get("perm") or range(x.rank)[::-1]]
    result = made_of(tf.transpose(x.as_first(), order), False, x.rank)
    result.times = {order.index(axis): length for axis, length in x.times.items()}
    result.clean = frozenset(order.index(axis) for axis in x.clean)
    return result


def _reshaped(x: Value, shape: list[int], name: str) -> Value:
    """An axis that is padded must stay one, with as many values before it."""
    old = x.shape
    result = made_of(tf.reshape(x.as_first(), shape), False, len(shape))
    for axis, length in x.times.items():
        before = int(np.prod(old[:axis]))
        found = [i for i, n in enumerate(shape) if n == old[axis] and int(np.prod(shape[:i])) == before]
        if not found:
            raise Refused(f"padding would change what it computes: {name} folds it into another axis")
        result.times[found[0]] = length
        result.clean |= {found[0]} if axis in x.clean else set()
    return result


def _reshape(inputs: list[Value], given: Attributes, name: str) -> Value:
    x = inputs[0]
    wanted = [int(n) for n in _whole(inputs[1], name)]
    if not given.get("allowzero", 0):
        wanted = [x.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    if -1 in wanted:
        rest = int(np.prod([n for n in wanted if n != -1]))
        wanted[wanted.index(-1)] = int(np.prod(x.shape)) // rest
    return _reshaped(x, wanted, name)


def _unsqueeze(inputs: list[Value], given: Attributes, name: str) -> Value:
    x = inputs[0]
    axes = given.get("axes") or _whole(inputs[1], name)
    rank = x.rank + len(axes)
    places = sorted(int(axis) % rank for axis in axes)
    shape = x.shape
    for place in places:
        shape.insert(place, 1)
    return _moved(x, shape, [i for i in range(rank) if i not in places])


def _squeeze(inputs: list[Value], given: Attributes, name: str) -> Value:
    x = inputs[0]
    axes = given.get("axes") or (_whole(inputs[1], name) if len(inputs) > 1 and inputs[1] else None)
    gone = [i for i, n in enumerate(x.shape) if n == 1] if axes is None else [int(a) % x.rank for a in axes]
    left = [i for i in range(x.rank) if i not in gone]
    to = [left.index(i) if i in left else -1 for i in range(x.rank)]
    return _moved(x, [x.shape[i] for i in left], to)


def _moved(x: Value, shape: list[int], to: list[int]) -> Value:
    """In another shape; `to`: where each axis goes."""
    result = made_of(tf.reshape(x.as_first(), shape), False, len(shape))
    result.times = {to[axis]: length for axis, length in x.times.items() if to[axis] >= 0}
    result.clean = frozenset(to[axis] for axis in x.clean if to[axis] >= 0)
    return result


def _concat(inputs: list[Value], given: Attributes, name: str) -> Value:
    axis = int(given["axis"]) % inputs[0].rank
    for each in inputs:
        untimed(each, [axis], f"{name} appends to its end")
    turned = any(each.turned for each in inputs)
    tensors = [each.as_last() if turned else each.as_first() for each in inputs]
    made = made_of(tf.concat(tensors, inputs[0].place(axis, turned)), turned, inputs[0].rank)
    for each in inputs:
        made.times = {**each.times, **made.times}
    return made


def _slice(inputs: list[Value], given: Attributes, name: str) -> Value:
    x = inputs[0]

    def told(place: int, key: str) -> Any:
        return given.get(key) if len(inputs) <= place or not inputs[place] else _whole(inputs[place], name)

    starts, ends, axes, steps = (
        told(i + 1, key) for i, key in enumerate(("starts", "ends", "axes", "steps"))
    )
    places: list[Any] = [slice(None)] * x.rank
    result = Value(x.rank, times=dict(x.times), clean=x.clean)
    for i, axis in enumerate(axes if axes is not None else range(len(starts))):
        at, step = int(axis) % x.rank, int(steps[i]) if steps is not None else 1
        span = slice(*slice(int(starts[i]), int(ends[i]), step).indices(x.shape[at]))
        places[at] = slice(span.start, None if span.stop < 0 else span.stop, step)
        if at in x.times and (span.start, span.stop, step) != (0, x.shape[at], 1):
            raise Refused(f"padding would change what it computes: {name} cuts it")
    result.first = x.as_first()[tuple(places)]
    return result


def _gather(inputs: list[Value], given: Attributes, name: str) -> Value:
    x, at = inputs
    axis = int(given.get("axis", 0)) % x.rank
    untimed(x, [axis], f"{name} chooses of it")
    index = at.as_first() if at.constant is None else tf.constant(at.constant % x.shape[axis], tf.int32)
    result = made_of(tf.gather(x.as_first(), index, axis=axis), False, x.rank + at.rank - 1)
    result.times = {a if a < axis else a + at.rank - 1: length for a, length in x.times.items()}
    result.times |= {a + axis: length for a, length in at.times.items()}
    return result


def _expand(inputs: list[Value], given: Attributes, name: str) -> Value:
    x = inputs[0]
    shape = np.broadcast_shapes(tuple(x.shape), tuple(int(n) for n in _whole(inputs[1], name)))
    result = made_of(tf.broadcast_to(x.as_first(), shape), False, len(shape))
    result.times = {axis + len(shape) - x.rank: length for axis, length in x.times.items()}
    return result


def _where(inputs: list[Value], given: Attributes, name: str) -> Value:
    rank = max(each.rank for each in inputs)
    result = made_of(tf.where(*(each.as_first() for each in inputs)), False, rank)
    for each in inputs:
        result.times |= {axis + rank - each.rank: length for axis, length in each.times.items()}
    return result


def _constant(inputs: list[Value], given: Attributes, name: str) -> Value:
    [(kind, value)] = given.items()
    return constant(np.asarray(onnx.numpy_helper.to_array(value) if kind == "value" else value))


def _whole(value: Value, name: str) -> Any:
    """Numbers that are known."""
    if value.constant is None:
        raise Refused(f"{name} has sizes that follow from values")
    return value.constant.reshape(-1)


_MOVED: dict[str, Callable[[list[Value], Attributes, str], Value]] = {
    "Concat": _concat,
    "Constant": _constant,
    "Expand": _expand,
    "Flatten": lambda inputs, given, name: _reshaped(
        inputs[0],
        [
            int(np.prod(inputs[0].shape[: (axis := int(given.get("axis", 1)))])),
            int(np.prod(inputs[0].shape[axis:])),
        ],
        name,
    ),
    "Gather": _gather,
    "Gemm": _gemm,
    "LayerNormalization": _layer_norm,
    "MatMul": _matmul,
    "Reshape": _reshape,
    "Slice": _slice,
    "Softmax": _softmax,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}

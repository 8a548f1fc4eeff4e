"""Convolutions, pooling and recurrence: what looks along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .value import Refused, Value, cleaned, constant, darkened, held, made_of, untimed

Attributes = dict[str, Any]


def conv(inputs: list[Value], given: Attributes, name: str) -> Value:
    """Conv, one- or two-dimensional."""
    x, weight = inputs[0], _weight(inputs[1], name)
    dims, groups = x.rank - 2, int(given.get("group", 1))
    strides, dilations, pads = _walk(given, dims, name)
    kernel = list(weight.shape[2:])
    untimed(x, [1], f"{name} mixes them")
    seen = [i + 2 for i in range(dims) if kernel[i] > 1 or any(pads[i])]
    x = cleaned(x, seen)
    if dims == 1:
        weight, kernel = weight[:, :, None, :], [1, *kernel]
        strides, dilations, pads = [1, *strides], [1, *dilations], [(0, 0), *pads]
    padding, tensor = _padded(x.as_last(), kernel, strides, dilations, pads)
    channels, outputs = x.shape[1], weight.shape[0]
    if groups == channels and groups > 1:
        filters = weight.reshape(groups, outputs // groups, *kernel).transpose(2, 3, 0, 1)
        square = strides if strides[0] == strides[1] else [max(strides)] * 2
        if square != strides and tensor.shape[1] != 1:
            raise Refused(f"{name} steps differently along two axes, channel by channel")
        made = tf.nn.depthwise_conv2d(tensor, held(filters), [1, *square, 1], padding, dilations=dilations)
    else:
        if max(strides) > 1 and max(dilations) > 1:
            raise Refused(f"{name} has strides and dilations")
        made = tf.nn.conv2d(tensor, held(weight.transpose(2, 3, 1, 0)), strides, padding, dilations=dilations)
    return _biased(
        made, inputs, x, [(k - 1) * d for k, d in zip(kernel, dilations, strict=True)], strides, pads
    )


def conv_transpose(inputs: list[Value], given: Attributes, name: str) -> Value:
    """ConvTranspose, one- or two-dimensional, in one group."""
    x, weight = inputs[0], _weight(inputs[1], name)
    dims = x.rank - 2
    strides, dilations, pads = _walk(given, dims, name)
    if int(given.get("group", 1)) != 1 or max(dilations) > 1 or "output_shape" in given:
        raise Refused(f"{name} is a transposed convolution in groups, with dilations or a fixed shape")
    untimed(x, [1], f"{name} mixes them")
    extra = list(given.get("output_padding") or [0] * dims)
    x = cleaned(x, range(2, x.rank))
    kernel = list(weight.shape[2:])
    if dims == 1:
        weight, kernel, extra = weight[:, :, None, :], [1, *kernel], [0, *extra]
        strides, pads = [1, *strides], [(0, 0), *pads]
    tensor = x.as_last()
    rows, *sizes, _ = (int(n) for n in tensor.shape)
    whole = [(n - 1) * s + k for n, s, k in zip(sizes, strides, kernel, strict=True)]
    left = [n - before - after + more for n, (before, after), more in zip(whole, pads, extra, strict=True)]
    filters = weight.transpose(2, 3, 1, 0)
    same = all(
        (max(k - s, 0) // 2, n * s) == (before, wanted) and k >= s
        for k, s, n, (before, _), wanted in zip(kernel, strides, sizes, pads, left, strict=True)
    )
    if same:
        made = tf.nn.conv2d_transpose(tensor, held(filters), [rows, *left, filters.shape[2]], strides, "SAME")
    else:
        longest = [max(n, before + m) for n, (before, _), m in zip(whole, pads, left, strict=True)]
        if longest != whole:
            raise Refused(f"{name} pads its output")
        made = tf.nn.conv2d_transpose(
            tensor, held(filters), [rows, *whole, filters.shape[2]], strides, "VALID"
        )
        starts = [0, *(before for before, _ in pads), 0]
        made = tf.slice(made, starts, [rows, *left, int(made.shape[-1])])
    if len(inputs) > 2:
        made = made + inputs[2].as_first()
    result = made_of(made, True, x.rank)
    for axis, length in x.times.items():
        at = axis - 2 + (2 - dims)
        if axis < 2:
            result.times[axis] = length
            continue
        before, after = pads[at]
        result.times[axis] = (length - 1) * strides[at] + kernel[at] - before - after + extra[at]
    return result


def pool(inputs: list[Value], given: Attributes, name: str, kind: str) -> Value:
    """MaxPool and AveragePool without padding along what is padded already."""
    x = inputs[0]
    dims = x.rank - 2
    strides, dilations, pads = _walk(given, dims, name)
    kernel = [int(k) for k in given["kernel_shape"]]
    timed = [i + 2 for i in range(dims) if kernel[i] > 1]
    if kind == "AVG":
        untimed(x, timed, f"{name} takes means along it")
    if max(dilations) > 1 or given.get("ceil_mode", 0):
        raise Refused(f"{name} pools with dilations, or beyond the end")
    if kind == "AVG" and any(any(p) for p in pads):
        raise Refused(f"{name} takes means of padding")
    tensor = x.as_last()
    for axis in timed:
        tensor = darkened(x, axis, True) if axis in x.times else tensor
    if dims == 1:
        kernel, strides, pads = [1, *kernel], [1, *strides], [(0, 0), *pads]
    if any(any(p) for p in pads):
        tensor = tf.pad(tensor, [(0, 0), *pads, (0, 0)], constant_values=-3.0e38)
    made = tf.nn.pool(tensor, kernel, kind, strides=strides, padding="VALID")
    result = made_of(made, True, x.rank)
    for axis, length in x.times.items():
        at = axis - 2 + (2 - dims)
        result.times[axis] = length if axis < 2 else (length + sum(pads[at]) - kernel[at]) // strides[at] + 1
    return result


def lstm(inputs: list[Value], given: Attributes, name: str) -> list[Value]:
    """LSTM in one direction, one step after the other; the state is that behind the last real one."""
    if given.get("direction", b"forward") != b"forward" or "activations" in given or "clip" in given:
        raise Refused(f"{name} is an LSTM in another direction, or with other activations")
    x, size = inputs[0], int(given["hidden_size"])
    if given.get("layout", 0) or given.get("input_forget", 0) or (len(inputs) > 4 and inputs[4]):
        raise Refused(f"{name} is an LSTM with lengths, or in another layout")
    if len(inputs) > 7 and inputs[7]:
        raise Refused(f"{name} is an LSTM with peepholes")
    weight, recurrent = _weight(inputs[1], name)[0], _weight(inputs[2], name)[0]
    steps, rows, _ = x.shape
    bias = _weight(inputs[3], name)[0].reshape(2, -1).sum(0) if len(inputs) > 3 and inputs[3] else 0.0
    nothing = tf.zeros((rows, size))
    h, c = (
        tf.reshape(inputs[i].as_first(), (rows, size)) if len(inputs) > i and inputs[i] else nothing
        for i in (5, 6)
    )
    flat = tf.reshape(x.as_first(), (steps * rows, x.shape[2]))
    fed = tf.unstack(tf.reshape(tf.matmul(flat, held(weight.T)) + bias, (steps, rows, 4 * size)))
    again, hidden, cells = held(recurrent.T), [], []
    for gates in fed:
        i, o, f, g = tf.split(gates + tf.matmul(h, again), 4, axis=1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        h = tf.sigmoid(o) * tf.tanh(c)
        hidden.append(h)
        cells.append(c)
    outputs = tf.stack(hidden)
    sequence = made_of(tf.reshape(outputs, (steps, 1, rows, size)), False, 4)
    if (ends := x.times.get(0)) is not None:
        sequence.times = {0: ends}
        h, c = (tf.gather(each, ends - 1) for each in (outputs, tf.stack(cells)))
    last = [made_of(tf.reshape(each, (1, rows, size)), False, 3) for each in (h, c)]
    return [sequence, *last]


def pad(inputs: list[Value], given: Attributes, name: str) -> Value:
    """Pad; with zeros also along what is padded already."""
    x = inputs[0]
    mode = given.get("mode", b"constant").decode()
    amounts = given["pads"] if len(inputs) < 2 else _weight(inputs[1], name)
    fill = float(inputs[2].constant) if len(inputs) > 2 and inputs[2] else float(given.get("value", 0.0))
    axes = list(_weight(inputs[3], name)) if len(inputs) > 3 and inputs[3] else list(range(x.rank))
    sides = [(0, 0)] * x.rank
    for i, axis in enumerate(axes):
        sides[int(axis) % x.rank] = int(amounts[i]), int(amounts[i + len(axes)])
    padded = [axis for axis, side in enumerate(sides) if any(side)]
    if mode != "constant" or fill:
        untimed(x, padded, f"{name} pads with what lies at its end")
    x = cleaned(x, padded)
    modes = {"constant": "CONSTANT", "reflect": "REFLECT", "edge": "SYMMETRIC"}
    if mode not in modes or (mode == "edge" and max(map(max, sides)) > 1):
        raise Refused(f"{name} pads by {mode}")
    if mode == "constant":
        made = tf.pad(x.as_first(), sides, constant_values=fill)
    else:
        made = tf.pad(x.as_first(), sides, mode=modes[mode])
    result = made_of(made, False, x.rank)
    result.times = {axis: length + sum(sides[axis]) for axis, length in x.times.items()}
    result.clean = x.clean if not fill else frozenset()
    return result


def _weight(value: Value, name: str) -> Any:
    if value.constant is None:
        raise Refused(f"{name} takes computed weights")
    return value.constant


def _walk(given: Attributes, dims: int, name: str) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Strides, dilations, and pads before and after."""
    if given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID") or dims not in (1, 2):
        raise Refused(f"{name} pads by itself, or has {dims} dimensions")
    strides = [int(s) for s in given.get("strides") or [1] * dims]
    dilations = [int(d) for d in given.get("dilations") or [1] * dims]
    pads = [int(p) for p in given.get("pads") or [0] * 2 * dims]
    return strides, dilations, list(zip(pads[:dims], pads[dims:], strict=True))


def _padded(
    tensor: Any, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], pads: Any
) -> tuple[str, Any]:
    """How a convolution of it is padded, and the tensor, with zeros around it where it has to be."""
    looks = [(k - 1) * d for k, d in zip(kernel, dilations, strict=True)]
    if max(strides) == 1 and all(
        (look // 2, look - look // 2) == p for look, p in zip(looks, pads, strict=True)
    ):
        return "SAME", tensor
    return "VALID", tf.pad(tensor, [(0, 0), *pads, (0, 0)]) if any(any(p) for p in pads) else tensor


def _biased(
    made: Any, inputs: list[Value], x: Value, looks: list[int], strides: list[int], pads: Any
) -> Value:
    """With the bias, and how much of it is real."""
    if len(inputs) > 2:
        made = made + inputs[2].as_first()
    result = made_of(made, True, x.rank)
    for axis, length in x.times.items():
        at = axis - 2 + (4 - x.rank)
        result.times[axis] = (
            length if axis < 2 else (length + sum(pads[at]) - looks[at] - 1) // strides[at] + 1
        )
    return result


def batch_norm(inputs: list[Value], given: Attributes) -> tuple[Value, Value]:
    """As a factor and a summand, one of each a channel."""
    scale, shift, mean, variance = (v.constant.astype(np.float64) for v in inputs[1:5])
    factor = scale / np.sqrt(variance + given.get("epsilon", 1e-5))
    shape = [1, -1, *[1] * (inputs[0].rank - 2)]
    summand = (shift - mean * factor).reshape(shape)
    return constant(factor.reshape(shape).astype(np.float32)), constant(summand.astype(np.float32))

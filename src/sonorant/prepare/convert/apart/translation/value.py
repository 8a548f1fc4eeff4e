"""A tensor of the graph that is being translated: in two layouts, and with what of it is real.

LiteRT's convolutions want channels last, ONNX's have them second. A value is turned where an operator needs
it in the other layout, and only there; a one-dimensional one then lies as a picture that is one pixel high.

A network runs in a bucket that may be longer than what it is fed. `times` says along which axes, and how
much of them is real; what lies behind that is masked where an operator would look at it. So a padded run
computes what a run without padding does, though the network knows no mask.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

SMALL = 4096
"""values; a weight of more is held once for all graphs"""
VERY = 1e30
"""less than every value, negated: what softmax and maxima leave out"""


class Refused(Exception):
    """The graph cannot be translated; the message says why."""


@dataclass
class Value:
    """`first`: in ONNX's order of axes; `last`: [rows, height, width, channels]. They are made as needed."""

    rank: int
    first: Any = None
    last: Any = None
    constant: Any = None
    """a numpy array, where it is one"""
    times: dict[int, Any] = field(default_factory=dict)
    """axis in ONNX's order → int32 scalar tensor, how much of it is real"""
    clean: frozenset[int] = frozenset()
    """axes of `times` behind whose real part there are zeros"""

    @property
    def shape(self) -> list[int]:
        """In ONNX's order of axes."""
        known = self.constant if self.first is None and self.last is None else self.first
        if known is not None:
            return [int(n) for n in known.shape]
        rows, high, wide, channels = (int(n) for n in self.last.shape)
        return [rows, channels, wide] if self.rank == 3 else [rows, channels, high, wide]

    @property
    def turned(self) -> bool:
        """Whether it is there with channels last."""
        return self.last is not None

    def as_first(self) -> Any:
        if self.first is None and self.last is None:
            self.first = held(self.constant)
        if self.first is None:
            found = tf.transpose(self.last, (0, 3, 1, 2))
            self.first = found if self.rank == 4 else tf.reshape(found, self.shape)
        return self.first

    def as_last(self) -> Any:
        if self.last is None:
            first = self.as_first()
            if self.rank == 3:
                rows, channels, wide = self.shape
                self.last = tf.reshape(tf.transpose(first, (0, 2, 1)), (rows, 1, wide, channels))
            else:
                self.last = tf.transpose(first, (0, 2, 3, 1))
        return self.last

    def place(self, axis: int, turned: bool) -> int:
        """Where an axis of ONNX's order lies in one of the layouts."""
        axis %= self.rank
        if not turned:
            return axis
        return {0: 0, 1: 3}.get(axis, axis - 1 if self.rank == 4 else 2)

    def like(self, tensor: Any, turned: bool, keep: Iterable[int] = ()) -> Value:
        """Another one of the same shape; `keep`: axes that stay clean."""
        made = made_of(tensor, turned, self.rank)
        made.times, made.clean = dict(self.times), frozenset(keep) & frozenset(self.times)
        return made


def made_of(tensor: Any, turned: bool, rank: int) -> Value:
    """With channels last, or in ONNX's order."""
    return Value(rank, last=tensor) if turned else Value(rank, first=tensor)


WEIGHTS: dict[bytes, Any] = {}
"""digest → tf.Variable: as constants, a vocoder's weights in eight graphs took TensorFlow 10 GB"""


def held(array: np.ndarray[Any, Any]) -> Any:
    """A tensor of what is known, in the graph that is being made."""
    if array.size < SMALL:
        return tf.constant(array)
    told = f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes()
    key = hashlib.sha256(told).digest()
    if key not in WEIGHTS:
        with tf.init_scope():
            WEIGHTS[key] = tf.Variable(array, trainable=False)
    return tf.convert_to_tensor(WEIGHTS[key])


def constant(array: np.ndarray[Any, Any]) -> Value:
    """One that is known."""
    return Value(array.ndim, constant=array)


def real(value: Value, axis: int, turned: bool) -> Any:
    """A mask that broadcasts: 1.0 where there is something real along the axis, 0.0 behind it."""
    size = value.shape[axis]
    flags = tf.cast(tf.range(size) < value.times[axis], tf.float32)
    rank = 4 if turned else value.rank
    shape = [1] * rank
    shape[value.place(axis, turned)] = size
    return tf.reshape(flags, shape)


def cleaned(value: Value, axes: Iterable[int]) -> Value:
    """With zeros behind the real part of those axes."""
    wanted = [axis for axis in axes if axis in value.times and axis not in value.clean]
    for axis in wanted:
        turned = value.turned
        tensor = value.last if turned else value.first
        mask = real(value, axis, turned)
        masked = tensor * tf.cast(mask, tensor.dtype)
        value = value.like(masked, turned, {*value.clean, axis})
    return value


def darkened(value: Value, axis: int, turned: bool) -> Any:
    """The tensor, what lies behind the real part of the axis less than everything else."""
    tensor = value.as_last() if turned else value.as_first()
    if axis not in value.times:
        return tensor
    mask = real(value, axis, turned)
    return tensor * mask + (mask - 1.0) * VERY


def untimed(value: Value, axes: Iterable[int], why: str) -> None:
    """Raises Refused where one of the axes is padded."""
    if set(axes) & set(value.times):
        raise Refused(f"padding would change what it computes: {why}")


Values = Mapping[str, Value]

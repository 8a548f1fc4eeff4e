"""Several calls of a network as the rows of one, and its outputs apart again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from sonorant.networks.signature import BATCH, Array, Axis, Feeds, Signature, Tensor

Sizes = Mapping[str, int]


def batchable(signature: Signature) -> bool:
    """Whether rows can be told apart: each output has a batch dimension, and known lengths unless alike."""
    outputs = [dim for tensor in signature.outputs for dim in tensor.dims if isinstance(dim, Axis)]
    return (
        not signature.state
        and any(BATCH in tensor.dims for tensor in signature.inputs)
        and all(BATCH in tensor.dims for tensor in signature.outputs)
        and all(axis == BATCH or axis.length is not None or signature.alike for axis in outputs)
    )


def together(signature: Signature, a: Feeds, b: Feeds) -> bool:
    """Whether two calls may be rows of one: what has no row of its own must be the same in both."""
    if signature.alike and any(a[name].shape != b[name].shape for name in a):
        return False
    shared = (tensor.name for tensor in signature.inputs if BATCH not in tensor.dims)
    return all(np.array_equal(a[name], b[name]) for name in shared)


def stack(signature: Signature, calls: Sequence[Feeds]) -> dict[str, Array]:
    """One row a call, padded with zeros behind its end."""
    return {
        tensor.name: _stacked(tensor, [call[tensor.name] for call in calls]) for tensor in signature.inputs
    }


def unstack(
    signature: Signature, outputs: Mapping[str, Array], sizes: Sequence[Sizes]
) -> list[dict[str, Array]]:
    """The outputs of each call, without what the padding became. `sizes`: of the calls' own axes."""
    return [
        {tensor.name: _row(tensor, outputs[tensor.name], i, own) for tensor in signature.outputs}
        for i, own in enumerate(sizes)
    ]


def time_axis(signature: Signature) -> Axis | None:
    """The axis along which calls differ in length and cost; None where all are the same."""
    axes = {dim for t in signature.inputs for dim in t.dims if isinstance(dim, Axis) and dim != BATCH}
    return max(axes, key=lambda axis: (max(axis.typical, axis.min), axis.name), default=None)


def difference(signature: Signature, one: Mapping[str, Array], other: Mapping[str, Array]) -> float:
    """The largest one between two calls' outputs; infinite where shapes differ."""
    worst = 0.0
    for tensor in signature.outputs:
        a, b = one[tensor.name], other[tensor.name]
        if a.shape != b.shape:
            return float("inf")
        worst = max(worst, float(np.abs(a.astype(np.float64) - b).max(initial=0.0)))
    return worst


def _stacked(tensor: Tensor, values: Sequence[Array]) -> Array:
    if BATCH not in tensor.dims:
        return values[0]
    shape = tuple(max(sizes) for sizes in zip(*(value.shape for value in values), strict=True))
    if all(a.shape == b.shape for a, b in pairwise(values)):
        return np.concatenate(values, axis=tensor.dims.index(BATCH))
    padded = [np.pad(v, [(0, most - n) for n, most in zip(v.shape, shape, strict=True)]) for v in values]
    return np.concatenate(padded, axis=tensor.dims.index(BATCH))


def _row(tensor: Tensor, value: Array, i: int, sizes: Sizes) -> Array:
    def part(dim: int | Axis) -> slice:
        if dim == BATCH:
            return slice(i, i + 1)
        return slice(dim.length(sizes)) if isinstance(dim, Axis) and dim.length else slice(None)

    return value[tuple(part(dim) for dim in tensor.dims)]

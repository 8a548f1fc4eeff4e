"""The sizes, and values that sizes follow from, that a TensorRT engine is built for, from the signature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sonorant.errors import RequestError
from sonorant.networks.signature import BATCH, Axis, Signature, Tensor

Shape = tuple[int, ...]
Values = tuple[int, ...]
"""in the order in which they lie in memory"""
Span = tuple[int, int, int]
"""smallest, usual (it is optimised for this one), largest"""

LONGEST, ROWS = 8, 8
"""where the signature has no limit: times the usual size, and rows of a batch"""


@dataclass(frozen=True, slots=True)
class Profile:
    """An optimisation profile."""

    shapes: Mapping[str, tuple[Shape, Shape, Shape]] = field(default_factory=dict)
    """input → smallest, usual and largest shape"""
    values: Mapping[str, tuple[Values, Values, Values]] = field(default_factory=dict)
    """input → smallest, usual and largest values, for whole numbers of a fixed shape whose bounds the
    signature has: a network may take sizes of other tensors from them"""

    @staticmethod
    def of(
        signature: Signature,
        axes: Mapping[str, Span] | None = None,
        inputs: Mapping[str, tuple[Shape, Shape, Shape]] | None = None,
    ) -> Profile:
        """`axes` overrides sizes by the axis's name, `inputs` whole shapes by the input's.

        Raises RequestError for names that the signature lacks, and for sizes that do not rise or fit.
        """
        axes, inputs = axes or {}, inputs or {}
        found = {d.name: d for t in signature.inputs for d in t.dims if isinstance(d, Axis)}
        for kind, asked, known in (
            ("axis", set(axes), set(found)),
            ("input", set(inputs), {t.name for t in signature.inputs}),
        ):
            if unknown := sorted(asked - known):
                raise RequestError(
                    f"The network has no {kind} {unknown[0]!r}", remedy=f"It has {', '.join(sorted(known))}"
                )
        spans = {name: axes.get(name) or span(axis) for name, axis in found.items()}
        for name, sizes in spans.items():
            _check(found[name], sizes)
        shapes = {t.name: inputs.get(t.name) or _shapes(t, spans) for t in signature.inputs}
        for tensor in signature.inputs:
            _fits(tensor, shapes[tensor.name])
        values = {t.name: bounds for t in signature.inputs if (bounds := _values(t, spans)) is not None}
        return Profile(shapes, values)

    def tree(self) -> dict[str, dict[str, list[list[int]]]]:
        """Plain values, for JSON."""
        kinds = {"shapes": self.shapes, "values": self.values}
        return {
            kind: {name: list(map(list, spans)) for name, spans in of.items()} for kind, of in kinds.items()
        }


def span(axis: Axis) -> Span:
    """What an engine is built for along it."""
    usual = max(axis.typical, axis.min)
    largest = axis.max if axis.max is not None else ROWS if axis == BATCH else LONGEST * usual
    return axis.min, min(usual, largest), largest


def _check(axis: Axis, sizes: Span) -> None:
    low, usual, high = sizes
    if not axis.min <= low <= usual <= high or (axis.max is not None and high > axis.max):
        raise RequestError(
            f"{low}, {usual}, {high} cannot be the sizes along {axis.name}",
            why=f"They rise from the smallest over the usual to the largest, within {axis}",
            remedy="Name three such numbers",
        )


def _shapes(tensor: Tensor, spans: Mapping[str, Span]) -> tuple[Shape, Shape, Shape]:
    small, usual, large = (
        tuple(d if isinstance(d, int) else spans[d.name][i] for d in tensor.dims) for i in range(3)
    )
    return small, usual, large


def _values(tensor: Tensor, spans: Mapping[str, Span]) -> tuple[Values, Values, Values] | None:
    """Of lengths, those of the axis that they are of; of others, those that the signature names."""
    shape = [dim for dim in tensor.dims if isinstance(dim, int)]
    if tensor.dtype not in ("int64", "int32") or len(shape) != len(tensor.dims):
        return None
    low, usual, high = spans.get(tensor.lengths_of, (tensor.low, tensor.typical, tensor.high))
    if low is None or high is None:
        return None
    small, large = (tuple(np.full(shape, each, np.int64).ravel().tolist()) for each in (low, high))
    most = np.broadcast_to(np.array(usual or high, np.int64), shape)
    return small, tuple(most.ravel().tolist()), large


def _fits(tensor: Tensor, shapes: tuple[Shape, Shape, Shape]) -> None:
    small, usual, large = shapes
    if not len(small) == len(usual) == len(large) == len(tensor.dims) or not all(
        (a <= b <= c) if isinstance(dim, Axis) else (a == b == c == dim)
        for a, b, c, dim in zip(small, usual, large, tensor.dims, strict=True)
    ):
        raise RequestError(
            f"{small}, {usual}, {large} cannot be the shapes of {tensor.name}",
            why="They rise from the smallest over the usual to the largest, and fixed sizes stay",
            remedy=f"Name three shapes of {tensor}",
        )

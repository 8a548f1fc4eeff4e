"""Weights that no training leaves behind: NaN, infinity, zeros, magnitudes of flipped bits.

A finding names the tensors of a file that share a fault, not each by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sonorant.doctor.model.finding import ERROR, WARNING, Finding, Subject, some
from sonorant.networks.signature import Array

SMALLEST = 256
"""elements; of fewer, zeros mean nothing"""
RUN, SHARE = 4096, 0.05
"""zeros one after the other, and of all elements, from which on a part was lost"""
IMPLAUSIBLE = 1e9
"""magnitude of a weight: a flipped bit of an exponent makes such"""
_BLOCK = 1 << 20
"""elements that are looked at together"""
_STEP = 1024
"""elements in which a run of zeros is measured"""

CODES = ("nan-weights", "zeroed-weights", "zeroed-part", "implausible-weights")
"""faults of values: an engine loads them without a word"""


@dataclass
class Ward:
    """Gathers the faults of a file's tensors."""

    nan: list[str] = field(default_factory=list)
    infinite: list[str] = field(default_factory=list)
    zero: list[str] = field(default_factory=list)
    partly: list[str] = field(default_factory=list)
    huge: list[str] = field(default_factory=list)
    dtypes: dict[str, int] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        return sum(self.dtypes.values())

    def count(self, dtype: str, size: int) -> None:
        """A tensor whose values are not looked at."""
        self.dtypes[dtype] = self.dtypes.get(dtype, 0) + size

    def admit(self, name: str, array: Array, *, weight: bool) -> None:
        """Look at a tensor. `weight`: it multiplies what flows through, so that it is never all zeros.

        Others may hold anything: infinity in a mask, zeros in a bias.
        """
        self.count(array.dtype.name, array.size)
        flat = array.reshape(-1)
        floats = array.dtype.kind == "f" or array.dtype.name.startswith(("bfloat", "float"))
        full, largest = np.zeros(-(-flat.size // _STEP), np.bool_), 0.0
        for start in range(0, flat.size, _BLOCK):
            block = flat[start : start + _BLOCK]
            if floats:
                block = block.astype(np.float32, copy=False)
                peak = float(np.max(np.abs(block)))  # NaN where one is NaN
                if np.isnan(peak) and (weight or array.size > 1):
                    self.nan.append(name)
                    return
                if np.isinf(peak) and weight:
                    self.infinite.append(name)
                    return
                largest = max(largest, peak)
            if weight:
                full[start // _STEP :][: -(-block.size // _STEP)] = _nonzero(block)
        if not weight or flat.size < SMALLEST:
            return
        if not full.any():
            self.zero.append(name)
        elif (run := _longest_gap(full) * _STEP) >= RUN and run >= SHARE * flat.size:
            self.partly.append(name)
        elif largest > IMPLAUSIBLE:
            self.huge.append(name)

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """One for each fault."""
        if broken := self.nan + self.infinite:
            yield Finding(
                "nan-weights",
                ERROR,
                what=f"{len(broken)} tensors hold NaN or infinity",
                why="They were written by a training that diverged or a conversion that overflowed "
                "(float16 ends at 65504), or the file is damaged",
                remedy="Convert it again from float32 weights and keep what overflows in float32; "
                "where it was downloaded so, fetch it again",
                where=f"{subject.name}: {some(broken)}",
            )
        if self.zero:
            yield Finding(
                "zeroed-weights",
                ERROR,
                what=f"{len(self.zero)} weights are all zeros",
                why="They were never filled: a conversion lost them, or the file was only partly downloaded",
                remedy=subject.again,
                where=f"{subject.name}: {some(self.zero)}",
            )
        if self.partly:
            yield Finding(
                "zeroed-part",
                WARNING,
                what=f"{len(self.partly)} weights hold a long run of zeros",
                why="A part of the file was lost, unless the model was pruned",
                remedy=subject.again,
                where=f"{subject.name}: {some(self.partly)}",
            )
        if self.huge:
            yield Finding(
                "implausible-weights",
                WARNING,
                what=f"{len(self.huge)} weights hold values beyond {IMPLAUSIBLE:g}",
                why="A bit of the file flipped, or its byte order is wrong",
                remedy=subject.again,
                where=f"{subject.name}: {some(self.huge)}",
            )


def _nonzero(block: Array) -> Array:
    """Of each `_STEP` elements, whether any is not zero."""
    return np.logical_or.reduceat(block != 0, np.arange(0, block.size, _STEP))


def _longest_gap(full: Array) -> int:
    """The most False in a row."""
    edges = np.flatnonzero(np.concatenate([[True], full, [True]]))
    return int(np.diff(edges).max()) - 1

"""What a network takes and gives, declared once.

Checks of feeds, warm-up feeds, the comparison with the model file and the table that
`sonorant show` prints are all derived from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sonorant.errors import ModelFileError, SignatureError

DType = Literal["float32", "float16", "int64", "int32", "bool"]
Kind = Literal["name", "dtype", "rank", "size", "length", "extra"]
"""of a difference; extra: inputs that the signature lacks, length: a fixed one along an axis that changes"""
Array = NDArray[Any]
Feeds = Mapping[str, Array]


LARGE = 3
"""times its typical size: from there on a run's memory is given back, which costs it up to a tenth
(benchmarks/engine_options.py)"""


_STEP = re.compile(r"([\d.]+) ms|sample at ([\d.]+) (k?)Hz")


@dataclass(frozen=True)
class Axis:
    """A dimension whose size changes from call to call."""

    name: str
    unit: str = ""
    """what one step of it is: "phoneme", "12.5 ms", "sample at 16 kHz" …"""
    min: int = 1
    typical: int = 1
    """the size used to warm up and to measure"""
    max: int | None = None
    """None = no limit but memory"""
    length: Callable[[Mapping[str, int]], int] | None = field(default=None, compare=False)
    """for an output: its size from the input axes' sizes; None = known only after the run"""

    @property
    def seconds(self) -> float | None:
        """That one step of it lasts; None where its unit is no time."""
        step = _STEP.match(self.unit)
        if step is None:
            return None
        return float(step[1]) / 1000 if step[1] else 1 / (float(step[2]) * (1000 if step[3] else 1))

    def tree(self) -> dict[str, Any]:
        """Plain values; how its size follows from others is code, and left out."""
        return {
            "name": self.name,
            "unit": self.unit,
            "min": self.min,
            "typical": self.typical,
            "max": self.max,
        }

    def __str__(self) -> str:
        span = f"{self.min}–{self.max if self.max is not None else '∞'}"
        return f"{self.name} ({', '.join(part for part in (self.unit, span) if part)})"


BATCH = Axis("batch")


@dataclass(frozen=True)
class Tensor:
    """One input or output of a network."""

    name: str
    dtype: DType
    dims: tuple[int | Axis, ...] = ()
    """outermost first"""
    low: float | None = None
    """smallest valid value"""
    high: float | None = None
    """largest valid value"""
    typical: tuple[float, ...] = ()
    """its values in warm-ups and measurements, along the last dimension; () = random valid ones"""
    lengths_of: str = ""
    """it holds how much of this axis is real, the rest being padding"""
    about: str = ""

    def tree(self) -> dict[str, Any]:
        """Plain values; what it is about is left out."""
        kept = ("name", "dtype", "low", "high", "lengths_of")
        dims = [dim if isinstance(dim, int) else dim.tree() for dim in self.dims]
        return {key: getattr(self, key) for key in kept} | {"typical": list(self.typical), "dims": dims}

    @staticmethod
    def of(tree: Mapping[str, Any]) -> Tensor:
        """What `tree` gave."""
        dims = tuple(dim if isinstance(dim, int) else Axis(**dim) for dim in tree["dims"])
        return Tensor(**{**tree, "typical": tuple(tree["typical"]), "dims": dims})

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype} [{', '.join(str(d) for d in self.dims)}]"


@dataclass(frozen=True)
class Signature:
    """All inputs and outputs of a network, and which of them are state carried between steps."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    state: Mapping[str, str] = field(default_factory=dict)
    """input → the output that becomes this input at the next step; it starts as zeros"""
    alike: bool = False
    """rows of a batch have equal sizes, as padding would be heard: lengths of outputs are then not needed"""

    def tree(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        inputs, outputs = ([t.tree() for t in tensors] for tensors in (self.inputs, self.outputs))
        return {"inputs": inputs, "outputs": outputs, "state": dict(self.state), "alike": self.alike}

    @staticmethod
    def of(tree: Mapping[str, Any]) -> Signature:
        """What `tree` gave."""
        inputs, outputs = (tuple(map(Tensor.of, tree[kind])) for kind in ("inputs", "outputs"))
        return Signature(inputs, outputs, tree["state"], tree["alike"])

    def check(self, feeds: Feeds) -> dict[str, int]:
        """Sizes of the axes that `feeds` bind, by name.

        Raises SignatureError for a missing or unknown name, a wrong dtype, rank or size, sizes of
        one axis that disagree, and values outside the valid range.
        """
        sizes: dict[str, int] = {}
        known = {tensor.name for tensor in self.inputs}
        if set(feeds) != known:
            missing, extra = sorted(known - set(feeds)), sorted(set(feeds) - known)
            raise SignatureError(
                f"The feeds' names do not fit: missing {missing or 'none'}, unknown {extra or 'none'}",
                remedy=f"Feed exactly {sorted(known)}",
            )
        for tensor in self.inputs:
            _check(tensor, feeds[tensor.name], sizes)
        for tensor in self.inputs:
            if tensor.lengths_of and feeds[tensor.name].max(initial=0) > sizes[tensor.lengths_of]:
                raise SignatureError(
                    f"{tensor.name} says more than the {sizes[tensor.lengths_of]} along {tensor.lengths_of}",
                    remedy="Feed the lengths before padding",
                )
        return sizes

    def example(
        self, *, size: Literal["min", "typical", "max"] = "typical", seed: int = 0, **sizes: int
    ) -> dict[str, Array]:
        """Valid random feeds (for warm-up, measuring and parity); `sizes` overrides axes by name."""
        random = np.random.default_rng(seed)
        return {tensor.name: _example(tensor, self._extents(size, sizes), random) for tensor in self.inputs}

    def _extents(self, size: str, sizes: Mapping[str, int]) -> dict[str, int]:
        axes = {dim for tensor in self.inputs for dim in tensor.dims if isinstance(dim, Axis)}
        return {axis.name: _extent(axis, size) for axis in axes} | dict(sizes)

    def is_large(self, sizes: Mapping[str, int]) -> bool:
        """Whether a run of these sizes takes far more memory than usual, so that it should give it back."""
        axes = {dim for tensor in self.inputs for dim in tensor.dims if isinstance(dim, Axis)}
        return any(sizes.get(axis.name, 0) > LARGE * max(axis.typical, axis.min) for axis in axes)

    def zeros(self) -> dict[str, Array]:
        """The state before the first step, one stream."""
        return {
            tensor.name: np.zeros([d if isinstance(d, int) else 1 for d in tensor.dims], tensor.dtype)
            for tensor in self.inputs
            if tensor.name in self.state
        }

    def conforms(self, inputs: Iterable[Tensor], outputs: Iterable[Tensor], where: str) -> None:
        """Compare with what a model file declares (unknown dims there are Axis("?")).

        Raises ModelFileError naming the first difference.
        """
        for difference in self.differences(inputs, outputs):
            raise difference.error(where)

    def differences(self, inputs: Iterable[Tensor], outputs: Iterable[Tensor]) -> Iterator[Difference]:
        """All that keeps a file that declares these tensors from being this network."""
        for side, mine, theirs in (("input", self.inputs, inputs), ("output", self.outputs, outputs)):
            found = {tensor.name: tensor for tensor in theirs}
            declared = ", ".join(map(str, found.values()))
            for tensor in mine:
                if fault := _difference(tensor, found.get(tensor.name)):
                    yield Difference(*fault, side, tensor.name, declared)
            extra = sorted(set(found) - {t.name for t in mine})
            if side == "input" and extra:
                yield Difference("extra", "", side, str(extra), declared)


@dataclass(frozen=True)
class Difference:
    """Between a signature and what a model file declares."""

    kind: Kind
    problem: str
    side: str
    """input or output"""
    name: str
    """the tensor's; extra: all their names"""
    declared: str
    """the tensors of that side in the file"""

    def error(self, where: str) -> ModelFileError:
        """The same, for who loads the file."""
        if self.kind == "extra":
            return ModelFileError(
                f"{where} wants inputs that this family does not feed: {self.name}",
                remedy="Use the model file that the card names, or another family for this file",
            )
        return ModelFileError(
            f"{where} is not the network that this family runs: {self.side} {self.name!r} {self.problem}",
            why=f"The file declares {self.declared}",
            remedy="Use the model file that the card names, or another family for this file",
        )


def _check(tensor: Tensor, value: Array, sizes: dict[str, int]) -> None:
    if not isinstance(value, np.ndarray) or value.dtype != tensor.dtype:
        found = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
        raise SignatureError(
            f"{tensor.name} is {found}, not {tensor.dtype}", remedy=f"Feed a numpy array as {tensor}"
        )
    if value.ndim != len(tensor.dims):
        raise SignatureError(
            f"{tensor.name} has {value.ndim} dimensions, not {len(tensor.dims)}", remedy=f"Feed {tensor}"
        )
    for dim, size in zip(tensor.dims, value.shape, strict=True):
        if isinstance(dim, int):
            if size != dim:
                raise SignatureError(f"{tensor.name} has shape {value.shape}", remedy=f"Feed {tensor}")
            continue
        if size != sizes.setdefault(dim.name, size):
            raise SignatureError(
                f"{tensor.name} has {size} along {dim.name}, another feed has {sizes[dim.name]}",
                remedy="Feed tensors that agree",
            )
        if size < dim.min or (dim.max is not None and size > dim.max):
            raise SignatureError(
                f"{tensor.name} has {size} along {dim.name}, which is not within {dim.min} and {dim.max}",
                remedy="Split or pad the input",
            )
    if value.size and tensor.low is not None and value.min() < tensor.low:
        raise SignatureError(
            f"{tensor.name} holds {value.min()}, below {tensor.low}", remedy=f"Feed {tensor}"
        )
    if value.size and tensor.high is not None and value.max() > tensor.high:
        raise SignatureError(
            f"{tensor.name} holds {value.max()}, above {tensor.high}", remedy=f"Feed {tensor}"
        )


def _extent(axis: Axis, size: str) -> int:
    typical = max(axis.typical, axis.min)
    if size == "max":
        return axis.max if axis.max is not None else typical
    return axis.min if size == "min" else typical


def _example(tensor: Tensor, sizes: Mapping[str, int], random: np.random.Generator) -> Array:
    shape = [dim if isinstance(dim, int) else sizes[dim.name] for dim in tensor.dims]
    if tensor.lengths_of:
        return np.full(shape, sizes[tensor.lengths_of], tensor.dtype)
    if tensor.typical:
        return np.broadcast_to(np.array(tensor.typical, tensor.dtype), shape).copy()
    low, high = tensor.low if tensor.low is not None else 0, tensor.high if tensor.high is not None else 1
    if tensor.dtype in ("int64", "int32"):
        return random.integers(int(low), int(high), size=shape, endpoint=True).astype(tensor.dtype)
    if tensor.dtype == "bool":
        return np.zeros(shape, np.bool_)  # a decoder's first step: nothing is cached yet
    return random.uniform(low, high, size=shape).astype(tensor.dtype)


def _difference(mine: Tensor, theirs: Tensor | None) -> tuple[Kind, str] | None:
    if theirs is None:
        return "name", "is missing"
    if mine.dtype != theirs.dtype:
        return "dtype", f"is {theirs.dtype}, not {mine.dtype}"
    if len(mine.dims) != len(theirs.dims):
        return "rank", f"has {len(theirs.dims)} dimensions, not {len(mine.dims)}"
    for a, b in zip(mine.dims, theirs.dims, strict=True):
        if isinstance(a, int) and isinstance(b, int) and a != b:
            return "size", f"has {b} where {a} is expected"
        if isinstance(a, Axis) and isinstance(b, int) and a.max != b and a != BATCH:
            return "length", f"has a fixed length of {b} along {a.name}"
    return None

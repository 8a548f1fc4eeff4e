"""The source and what was derived from it, run on the same feeds: where they differ, and by how much.

A few lengths are not enough: exporters bake in the length that they were shown, a padding that is off by one
is heard at one end only, and a scale that fits speech clips what is loud. So cases come from the signature,
with the values that real speech brought about where they are known: random ones mislead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sonorant.errors import EngineError, ModelFileError, SignatureError
from sonorant.networks.engines.engine import Engine
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.networks.proof import Comparison, difference
from sonorant.networks.signature import BATCH, Array, Axis, Feeds, Signature, Tensor
from sonorant.prepare.passes.kind import FLOAT8, copied
from sonorant.prepare.subject import Subject

if TYPE_CHECKING:
    from onnx import ModelProto

REAL = 6
"""recorded feeds that are compared as they are, of all lengths"""
LONG, SHORT = 2.1, 0.6
"""times the usual length"""
LOUD = 4.0
"""times the largest value that was seen, where the signature names no bound"""
SEED = 7.0


@dataclass(frozen=True, slots=True)
class Case:
    """Feeds, and what they stand for."""

    data: str
    feeds: Feeds
    kind: Literal["real", "length", "rows", "extreme"] = "real"
    """values that speech brought about, these at other lengths, rows of them, or such as no speech has"""

    @property
    def extreme(self) -> bool:
        return self.kind == "extreme"


@dataclass(frozen=True, slots=True)
class Reference:
    """What the source computes."""

    cases: tuple[Case, ...]
    """those that it can compute, and of which something finite comes"""
    outputs: tuple[Mapping[str, Array], ...]
    levels: Mapping[str, float]
    """output → its usual root mean square"""

    @property
    def usual(self) -> Case:
        """The one on which speed is measured and layers are compared."""
        cases = [case for case in self.cases if case.kind == "real"] or list(self.cases)
        return cases[len(cases) // 2]

    @property
    def brief(self) -> tuple[Case, ...]:
        """Few that tell most: the usual one and the shortest."""
        lengths = [case for case in self.cases if case.kind == "length"]
        return self.usual, *lengths[:1]

    @property
    def solo(self) -> tuple[Feeds, ...]:
        """What ranges of activations can be measured on: all lengths, nothing extreme."""
        return tuple(case.feeds for case in self.cases if case.kind in ("real", "length"))


def reference(subject: Subject, device: str = "cpu", model: ModelProto | None = None) -> Reference:
    """Run the source, or `model` in its place, on every case. Raises ModelFileError where it computes none
    of them."""
    engine = engine_on(subject, model or subject.model(), device)
    kept: list[tuple[Case, Mapping[str, Array]]] = []
    why: EngineError | None = None
    for case in cases(subject.signature, subject.recorded):
        try:
            outputs = engine.prepare(case.feeds, large=True)()
        except EngineError as error:  # lengths that the signature allows each, and that do not go together
            why = error
            continue
        if all(np.isfinite(value).all() for value in outputs.values()):
            kept.append((case, outputs))
    engine.close()
    if not any(not case.extreme for case, _ in kept):
        raise ModelFileError(
            f"{subject.path.name} could be run on none of the inputs that its signature allows",
            why=why.why if why else "What it gave was not finite",
            remedy="Say how large its inputs are: --size AXIS=NUMBER",
        )
    usual = [outputs for case, outputs in kept if not case.extreme]
    levels = {name: _level([outputs[name] for outputs in usual]) for name in usual[0]}
    return Reference(tuple(case for case, _ in kept), tuple(outputs for _, outputs in kept), levels)


def compared(
    subject: Subject, found: Reference, model: ModelProto, device: str = "cpu", *, briefly: bool = False
) -> tuple[Comparison, ...]:
    """What `model` computes beside the source; `briefly`: on the few cases that tell most.

    Raises ModelFileError where the engine does not take it. A run that fails counts as a difference.
    """
    engine = engine_on(subject, model, device)
    comparisons = compared_on(engine, found, briefly=briefly)
    engine.close()
    return comparisons


def compared_on(engine: Engine, found: Reference, *, briefly: bool = False) -> tuple[Comparison, ...]:
    """What an engine computes beside the source, as `compared` does."""
    comparisons = []
    for case, outputs in zip(found.cases, found.outputs, strict=True):
        if briefly and not any(case is each for each in found.brief):
            continue
        try:
            derived = engine.prepare(case.feeds, large=True)()
        except (EngineError, SignatureError):
            derived = {}
        comparisons.append(compare(case, outputs, derived, found.levels))
    return tuple(comparisons)


def compare(
    case: Case, outputs: Mapping[str, Array], derived: Mapping[str, Array], levels: Mapping[str, float]
) -> Comparison:
    """Every output of the reference beside the derived one."""
    differences = {
        name: difference(value, derived[name]) if name in derived else np.inf
        for name, value in outputs.items()
    }
    snr, cosine = {}, {}
    for name, value in outputs.items():
        comparable = np.isfinite(differences[name])
        snr[name] = decibels(value, derived[name], levels.get(name, 0.0)) if comparable else -np.inf
        cosine[name] = _cosine(value, derived[name]) if comparable else 0.0
    return Comparison(case.data, differences, snr, cosine, case.extreme)


def decibels(value: Array, derived: Array, level: float = 0.0) -> float:
    """Signal-to-noise ratio; `level`: the root mean square that counts where the signal is weaker."""
    if not value.size:
        return float("inf")
    noise = float(np.mean(np.square(value.astype(np.float64) - derived.astype(np.float64))))
    signal = max(float(np.mean(np.square(value.astype(np.float64)))), level**2)
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else float("-inf")


def engine_on(subject: Subject, model: ModelProto, device: str = "cpu") -> OnnxRuntime:
    """The engine that would serve `model`; what it draws at random is the same at every start."""
    chosen = {**subject.options, "log_severity_level": 4}
    if any(weight.data_type in FLOAT8 for weight in model.graph.initializer):
        # its further fusions (1.31) make operators of it that it has not, or that compute something else
        chosen["graph_optimization_level"] = "ORT_ENABLE_BASIC"
    options = OnnxRuntimeOptions(chosen)
    return OnnxRuntime(subject.path, options, device, derived=seeded(model).SerializeToString())


def seeded(model: ModelProto) -> ModelProto:
    """A copy in which every operator that draws noise has a seed, so that two runs can be compared."""
    import onnx

    model = copied(model)
    for node in model.graph.node:
        if node.op_type.startswith("Random") or node.op_type in ("Bernoulli", "Multinomial"):
            kept = [attribute for attribute in node.attribute if attribute.name != "seed"]
            del node.attribute[:]
            node.attribute.extend([*kept, onnx.helper.make_attribute("seed", SEED)])
    return model


def cases(signature: Signature, recorded: Sequence[Feeds] = ()) -> Iterator[Case]:
    """What an artefact is compared on: real feeds, other lengths and batches of them, and extreme ones."""
    chosen = _spread(recorded)
    for i, feeds in enumerate(chosen):
        yield Case(f"real {i + 1}: {_sizes(signature, feeds)}", feeds)
    base = chosen[len(chosen) // 2] if chosen else signature.example()
    sizes = signature.check(base)
    axes = {d for t in signature.inputs for d in t.dims if isinstance(d, Axis) and d != BATCH}
    if not chosen:
        yield Case(f"usual: {_sizes(signature, base)}", base)
    yield from _lengths(signature, base, axes, sizes)
    if BATCH.name in sizes:
        for rows in (2, 3):
            yield Case(f"{rows} rows", resized(signature, base, {BATCH.name: rows}), "rows")
        if any(tensor.lengths_of for tensor in signature.inputs):
            yield Case("2 rows, one with padding", _padded(signature, base), "rows")
    zeros, largest, smallest = (
        {t.name: _filled(t, base[t.name], side) for t in signature.inputs} for side in (0.0, 1.0, -1.0)
    )
    yield Case("zeros alone", zeros, "extreme")
    yield Case("largest values", largest, "extreme")
    yield Case("smallest values", smallest, "extreme")


def resized(signature: Signature, feeds: Feeds, sizes: Mapping[str, int]) -> dict[str, Array]:
    """The same values repeated, or less of them, so that axes have these sizes."""
    made: dict[str, Array] = {}
    for tensor in signature.inputs:
        value = feeds[tensor.name]
        for i, dim in enumerate(tensor.dims):
            if isinstance(dim, Axis) and dim.name in sizes and value.shape[i]:
                value = np.take(value, np.arange(sizes[dim.name]) % value.shape[i], axis=i)
        if tensor.lengths_of in sizes:
            value = np.full_like(value, sizes[tensor.lengths_of])
        made[tensor.name] = value
    return made


def _lengths(signature: Signature, base: Feeds, axes: set[Axis], sizes: Mapping[str, int]) -> Iterator[Case]:
    def within(axis: Axis, size: int) -> int:
        return max(axis.min, min(size, axis.max or size))

    shortest = {axis.name: axis.min for axis in axes if axis.min != sizes[axis.name]}
    if shortest:
        feeds = resized(signature, base, shortest)
        yield Case(f"shortest: {_sizes(signature, feeds)}", feeds, "length")
    for factor in (SHORT, LONG):
        changed = {axis.name: within(axis, round(factor * sizes[axis.name]) | 1) for axis in axes}
        if changed != {axis.name: sizes[axis.name] for axis in axes}:
            feeds = resized(signature, base, changed)
            told = _sizes(signature, feeds)
            yield Case(f"short: {told}" if factor < 1 else f"long: {told}", feeds, "length")


def _padded(signature: Signature, base: Feeds) -> dict[str, Array]:
    """Two rows, of the second only a part is real."""
    feeds = resized(signature, base, {BATCH.name: 2})
    real: dict[str, int] = {}
    for tensor in signature.inputs:
        if tensor.lengths_of and tensor.dims and tensor.dims[0] == BATCH:
            axis = next(
                d
                for t in signature.inputs
                for d in t.dims
                if isinstance(d, Axis) and d.name == tensor.lengths_of
            )
            length = int(feeds[tensor.name].reshape(2, -1)[1, 0])
            real[axis.name] = max(axis.min, round(SHORT * length))
            feeds[tensor.name][1] = real[axis.name]
    for tensor in signature.inputs:
        if tensor.dims and tensor.dims[0] == BATCH:
            for i, dim in enumerate(tensor.dims):
                if isinstance(dim, Axis) and dim.name in real:
                    behind = [slice(None)] * len(tensor.dims)
                    behind[0], behind[i] = slice(1, 2), slice(real[dim.name], None)
                    feeds[tensor.name][tuple(behind)] = 0
    return feeds


def _filled(tensor: Tensor, like: Array, side: float) -> Array:
    """Everywhere 0, the largest or the smallest value; lengths and flags stay what they are."""
    if tensor.lengths_of or tensor.dtype == "bool":
        return like
    low, high = tensor.low, tensor.high
    if tensor.dtype in ("int64", "int32"):
        if low is None or high is None:
            return like
    else:
        seen = LOUD * float(np.abs(like).max(initial=0.0)) or 1.0
        low, high = -seen if low is None else low, seen if high is None else high
    value = (high if side > 0 else low) if side else min(max(0.0, low), high)
    return np.full_like(like, value)


def _spread(recorded: Sequence[Feeds]) -> list[Feeds]:
    """At most REAL of them, from the smallest to the largest."""
    ordered = sorted(recorded, key=lambda feeds: sum(value.size for value in feeds.values()))
    if len(ordered) <= REAL:
        return ordered
    return [ordered[round(i * (len(ordered) - 1) / (REAL - 1))] for i in range(REAL)]


def _sizes(signature: Signature, feeds: Feeds) -> str:
    return ", ".join(f"{size} {name}" for name, size in signature.check(feeds).items()) or "one size"


def _level(values: Sequence[Array]) -> float:
    """Root mean square of all of them."""
    size = sum(value.size for value in values)
    return float(np.sqrt(sum(np.square(v.astype(np.float64)).sum() for v in values) / size)) if size else 0.0


def _cosine(value: Array, derived: Array) -> float:
    a, b = value.astype(np.float64).reshape(-1), derived.astype(np.float64).reshape(-1)
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    if norms == 0:
        return 1.0 if np.array_equal(a, b) else 0.0
    return float(np.dot(a, b)) / norms

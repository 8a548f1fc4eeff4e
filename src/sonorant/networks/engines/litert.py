"""The LiteRT engine: reads .tflite files that Sonorant made, with what they hold described beside them.

A file has a graph for each of several lengths, its buckets. What is fed is padded up to the next one, with
how much of it is real, and outputs are cut down again; rows of a batch run one after the other. A network
with state, fed more than the largest bucket, runs piece by piece. Needs the extra sonorant[litert].
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from sonorant.errors import EngineError, MissingExtraError, ModelFileError, SignatureError
from sonorant.networks.engines.engine import check
from sonorant.networks.engines.litert_interpreters import Interpreters
from sonorant.networks.engines.options import MOST_THREADS
from sonorant.networks.signature import BATCH, Array, Axis, Feeds, Signature, Tensor
from sonorant.observe.machine import cores

LENGTH = "length"
"""the graphs' own input: how much of the bucket is real"""
AGAIN = "Make it again: `sonorant prepare MODEL --to litert --force`"


@dataclass(frozen=True, slots=True)
class Buckets:
    """What a file holds."""

    signature: Signature
    axis: str = ""
    """that is padded; "" = all sizes are fixed"""
    sizes: tuple[int, ...] = ()
    """along it, rising"""

    @staticmethod
    def read(model: Path) -> Buckets:
        """Those of a file. Raises ModelFileError."""
        path = description(model)
        try:
            tree = json.loads(path.read_text(encoding="utf-8"))
            sizes = tuple(map(int, tree["sizes"]))
            return Buckets(Signature.of(tree["signature"]), str(tree["axis"]), sizes)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelFileError(
                f"{path.name} does not say which lengths the LiteRT file is for",
                why=f"{type(error).__name__}: {error}",
                remedy=AGAIN,
            ) from error

    def write(self, model: Path) -> None:
        """Beside a file that has been made."""
        tree = {"signature": self.signature.tree(), "axis": self.axis, "sizes": list(self.sizes)}
        description(model).write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")

    def name(self, size: int) -> str:
        """Of the graph for it."""
        return f"b{size}" if self.axis else "b"

    def bucket(self, size: int) -> int:
        """The smallest that holds so much. Raises SignatureError where none does."""
        found = next((each for each in self.sizes if each >= size), 0)
        if not found:
            raise SignatureError(
                f"{size} along {self.axis} are more than the {self.sizes[-1]} that the LiteRT file is for",
                remedy="Feed less at a time, or make it for more: "
                "`sonorant prepare MODEL --to litert --profile AXIS=MIN,OPT,MAX`",
            )
        return found

    def place(self, tensor: Tensor) -> int | None:
        """Where the axis lies in a tensor."""
        return _place(tensor, self.axis) if self.axis else None


def description(model: Path) -> Path:
    """The file beside a .tflite file that says what it holds."""
    return model.with_suffix(".json")


class LiteRt:
    """Interpreters of one file: each runs one call at a time, and keeps what its lengths take.

    Raises MissingExtraError without ai-edge-litert, and ModelFileError when the file is no model that it
    reads.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        """path: MODEL.tflite, with `description` beside it. threads: of one run; 0 = by the cores."""
        self.source = str(path)
        self._buckets = Buckets.read(path)
        self.inputs, self.outputs = self._buckets.signature.inputs, self._buckets.signature.outputs
        self.provider = f"LiteRT {version()} CPU XNNPACK"
        threads = threads or min(MOST_THREADS, cores())
        self._interpreters = Interpreters(partial(_made, path, threads), max(1, cores() // threads))
        with self._interpreters.lent():  # the first, which is kept
            pass

    def prepare(self, feeds: Feeds, *, large: bool = False) -> _Call:
        """A call that computes all outputs.

        What is far longer than usual leaves the memory that it took to one interpreter at most; a `large`
        call that is not so long gives that back, and all other interpreters but one. Raises SignatureError
        for other names, dtypes or ranks than the model's, and for what no bucket holds.
        """
        check(feeds, self.inputs, self.source)
        buckets = self._buckets
        size = next((feeds[t.name].shape[p] for t in self.inputs if (p := buckets.place(t)) is not None), 0)
        if buckets.axis and not buckets.signature.state:
            buckets.bucket(size)
        long = buckets.signature.is_large({buckets.axis: min(size, max(buckets.sizes, default=0))})
        return _Call(self._interpreters, buckets, feeds, size, long, trim=large and not long)

    def close(self) -> None:
        """Free the interpreters."""
        self._interpreters.close()


def _made(path: Path, threads: int) -> Any:
    """A new interpreter, its weights packed. Raises ModelFileError."""
    try:
        made = interpreter()(model_path=str(path), num_threads=threads)
        made.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelFileError(
            f"LiteRT {version()} cannot load {path.name}",
            why=" ".join(str(error).split())[:300],
            remedy=AGAIN,
        ) from error
    return made


@dataclass(slots=True)
class _Call:
    interpreters: Interpreters
    buckets: Buckets
    feeds: Feeds
    size: int
    """along the axis of the buckets"""
    long: bool
    """far beyond what is usual"""
    trim: bool
    """give back afterwards what runs have left behind"""
    stopped: bool = field(default=False)

    def __call__(self) -> dict[str, Array]:
        try:
            with self.interpreters.lent(long=self.long) as lent:
                outputs = self._rows(lent)
            if self.trim:
                self.interpreters.trim()
        except (ValueError, RuntimeError, ModelFileError) as error:  # the last: its file is gone
            raise EngineError(
                "LiteRT could not finish a run",
                why="It was told to stop" if self.stopped else " ".join(str(error).split())[:300],
                remedy="Try the request again; "
                "if it fails each time, check the model with `sonorant pull NAME --force`",
            ) from error
        return outputs

    def stop(self) -> None:
        """Before it has begun, or behind the row or piece that is being computed: a graph cannot be left."""
        self.stopped = True

    def _rows(self, lent: Any) -> dict[str, Array]:
        inputs = self.buckets.signature.inputs
        rows = [(tensor, place) for tensor in inputs if (place := _place(tensor, BATCH.name)) is not None]
        if not rows:
            return self._pieces(lent, self.feeds)
        count = self.feeds[rows[0][0].name].shape[rows[0][1]]
        made = []
        for row in range(count):
            own = {tensor.name: _cut(self.feeds[tensor.name], at, row, row + 1) for tensor, at in rows}
            made.append(self._pieces(lent, {**self.feeds, **own}))
        return _joined(self.buckets.signature, made, BATCH.name)

    def _pieces(self, lent: Any, feeds: Feeds) -> dict[str, Array]:
        buckets, most = self.buckets, self.buckets.sizes[-1] if self.buckets.sizes else 0
        if self.size <= most or not buckets.axis:
            return self._run(lent, feeds, self.size)
        state: dict[str, Array] = {}
        made = []
        for start in range(0, self.size, most):
            end = min(self.size, start + most)
            part = {
                **{t.name: self._part(t, feeds[t.name], start, end) for t in buckets.signature.inputs},
                **state,
            }
            made.append(self._run(lent, part, end - start))
            state = {name: made[-1][output] for name, output in buckets.signature.state.items()}
        return _joined(buckets.signature, made, buckets.axis) | {
            output: made[-1][output] for output in buckets.signature.state.values()
        }

    def _part(self, tensor: Tensor, value: Array, start: int, end: int) -> Array:
        place = self.buckets.place(tensor)
        return value if place is None else _cut(value, place, start, end)

    def _run(self, lent: Any, feeds: Feeds, size: int) -> dict[str, Array]:
        """One graph, fed what it is for, and its outputs as long as they are."""
        if self.stopped:
            raise RuntimeError
        buckets = self.buckets
        bucket = buckets.bucket(size) if buckets.axis else 0
        run = lent.get_signature_runner(buckets.name(bucket))
        fed: dict[str, Any] = {LENGTH: np.int32(size)}
        for i, tensor in enumerate(buckets.signature.inputs):
            value, place = feeds[tensor.name], buckets.place(tensor)
            if place is not None and size < bucket:
                value = np.pad(value, [(0, bucket - size if at == place else 0) for at in range(value.ndim)])
            fed[f"i{i}"] = value
        found: Mapping[str, Any] = run(**{name: fed[name] for name in run.get_input_details()})
        outputs = {}
        for i, tensor in enumerate(buckets.signature.outputs):
            value = np.asarray(found[f"o{i}"])
            for at in range(value.ndim):
                if (real := found.get(f"o{i}_{at}")) is not None:
                    value = _cut(value, at, 0, int(real))
            outputs[tensor.name] = np.ascontiguousarray(value).astype(tensor.dtype, copy=False)
        return outputs


def _place(tensor: Tensor, axis: str) -> int | None:
    return next((i for i, dim in enumerate(tensor.dims) if isinstance(dim, Axis) and dim.name == axis), None)


def _cut(value: Array, place: int, start: int, end: int) -> Array:
    """[start, end) along an axis."""
    return value[tuple(slice(start, end) if at == place else slice(None) for at in range(value.ndim))]


def _joined(signature: Signature, made: list[dict[str, Array]], axis: str) -> dict[str, Array]:
    """Outputs of several runs, one after the other along what they have of an axis of that name."""
    if len(made) == 1:
        return made[0]
    return {
        tensor.name: _appended(tensor, [each[tensor.name] for each in made], axis)
        for tensor in signature.outputs
    }


def _appended(tensor: Tensor, values: list[Array], axis: str) -> Array:
    place = _place(tensor, axis)
    return values[-1] if place is None else np.concatenate(values, place)


def interpreter() -> Any:
    """The class of the package. Raises MissingExtraError."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingExtraError(
            "LiteRT is not installed", remedy='Install it: `pip install "sonorant[litert]"`'
        ) from error
    return Interpreter


def version() -> str:
    """Of the package; "" where it is not there."""
    try:
        return metadata.version("ai-edge-litert")
    except metadata.PackageNotFoundError:
        return ""

"""A network that speaks before it has computed all: cut (`networks.cut`), proven, kept, run in windows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sonorant.networks import cut, extract
from sonorant.networks.artefacts import Artefacts
from sonorant.networks.engines.engine import Engine
from sonorant.networks.here import here, now
from sonorant.networks.network import Network
from sonorant.networks.proof import Comparison, Evidence, compare
from sonorant.networks.signature import Array, Axis, Feeds, Signature
from sonorant.networks.windows import Part, Windowed, signature

RECIPE = "cut-1"
"""raised whenever a cut of the same model would come out otherwise"""
TOLERANCE = 1e-4
"""of samples in [-1, 1]: −80 dB, far below what 16 bits round"""
RUN_SECONDS = 0.05
"""of the largest window, in processor time as the proof measured it: so long more urgent work waits"""
LEAST, MOST = 32, 512
"""bounds of the largest window, frames; of the last part's its model has one of its own"""

_FRONT, _STAGES = "front.onnx", "stages.json"
_ONE = 1 << 30
"""frames of a window that holds everything"""
_TRIED = 64
"""frames of the largest windows in a proof, and of the run that tells the speed"""


class Builder(Protocol):
    """What a replica gives: `families.host.Host` is one."""

    @property
    def artefacts(self) -> Artefacts: ...

    def engine(
        self,
        network: str,
        path: Path,
        *,
        exposed: tuple[str, ...] = (),
        published: bool = False,
        **defaults: Any,
    ) -> Engine: ...

    def network(self, name: str, signature: Signature, engine: Engine) -> Network: ...


@dataclass(frozen=True, slots=True)
class Model:
    """A model file that may be cut, and how to try it."""

    path: Path
    signature: Signature
    output: str
    """its last axis is time"""
    kept: tuple[str, ...]
    """further outputs, or tensors inside the graph, that the front gives as well"""
    still: Feeds
    """feeds with which nothing that is drawn at random is heard, so that two runs can be compared"""
    axis: str
    """of its inputs"""
    lengths: tuple[int, ...]
    """along that axis, of the inputs that are compared"""
    first: int
    """frames of the first window"""
    most: int
    """frames of a later one, at most. A stream is served once a window, and what it has in hand goes up and
    down by that much: longer windows than streams have in hand under load let some run dry"""


@dataclass(frozen=True, slots=True)
class Streamed:
    """The parts of a cut model."""

    front: Network | None
    """what mixes all time, run once a call; None where nothing does"""
    windows: Windowed
    """the output in pieces along its last axis"""

    async def begin(self, **feeds: Array) -> dict[str, Array]:
        """The model's feeds → what `windows` run on, and the kept outputs."""
        if self.front is None:
            return feeds
        wanted = {tensor.name for tensor in self.front.signature.inputs}
        return feeds | await self.front.run(**{name: feeds[name] for name in wanted & feeds.keys()})


def load(builder: Builder, name: str, model: Model) -> Streamed | None:
    """The model in parts, cut and proven where that has not been done on this machine.

    None where there is no exact cut; the log says why. Blocks.
    """
    artefact = builder.artefacts.get(
        model.path, "cut", RECIPE, lambda folder: _derive(folder, builder, model)
    )
    if artefact is None:
        return None
    figures = artefact.proof.evidence.figures
    return _load(artefact.folder, builder, builder.network, name, model, lambda i: _most(figures[_speed(i)]))


def _derive(folder: Path, builder: Builder, model: Model) -> Evidence:
    """Cut the model into files in `folder` and compare them with it."""
    claim = "front and windows against the whole model, nothing random heard; windows against one window"
    try:
        written(model.path, model.output, folder, model.kept)
        comparisons, figures = _tried(folder, builder, model)
    except cut.Uncut as error:
        return Evidence(claim, objection=f"no exact cut: {error}")
    return Evidence(claim, TOLERANCE, comparisons, figures)


def written(path: Path, output: str, folder: Path, kept: tuple[str, ...] = ()) -> list[Path]:
    """Cut a model at `output` into files in `folder`: the front, which also gives what is `kept`, the stages,
    and what there is to know of them. Those of the stages are told. Raises Uncut."""
    import onnx  # 0.2 s, and needed only where a model is cut for the first time

    from sonorant.networks.locality import Graph

    whole = onnx.load(path)
    graph = Graph(whole)
    found = cut.find(graph, output)
    stages = [stage for stage, _ in found]
    entering = [tensor.name for stage in stages for tensor in stage.inputs]
    inner = {stage.output for stage in stages}
    made = graph.producers.keys() - inner
    if outputs := [name for name in dict.fromkeys((*entering, *kept)) if name in made]:
        onnx.save(extract.part(whole, graph, (), outputs), folder / _FRONT)
    for i, (stage, crops) in enumerate(found):
        onnx.save(extract.stage_part(whole, graph, stage, crops), folder / _file(i))
    (folder / _STAGES).write_text(json.dumps([asdict(stage) for stage in stages], indent=2), encoding="utf-8")
    return [folder / _file(i) for i in range(len(stages))]


def _tried(folder: Path, builder: Builder, model: Model) -> tuple[tuple[Comparison, ...], dict[str, float]]:
    """The parts beside the whole model."""
    whole = builder.engine("whole", model.path, exposed=model.kept, published=True)
    tried = replace(model, most=_TRIED)
    parts = _load(folder, builder, here, "tried", tried, lambda _: _TRIED, published=True)
    axis = len(next(t for t in whole.outputs if t.name == model.output).dims) - 1
    comparisons = []
    for length in model.lengths:
        sizes: dict[str, Any] = {model.axis: length}
        feeds = model.signature.example(**sizes)
        what = f"{length} {model.axis}"
        reference = whole.prepare({**feeds, **model.still})()
        tensors = now(parts.begin(**feeds | dict(model.still)))
        found = {name: tensors[name] for name in model.kept if name in tensors}
        joined = _joined(parts.windows, tensors, axis)
        comparisons.append(compare(f"{what}, nothing random", reference, {**found, model.output: joined}))
    tensors = now(parts.begin(**feeds))  # with noise, which only the front draws
    whole_parts = [replace(part, most=_ONE) for part in parts.windows.parts]
    once = _joined(Windowed(whole_parts, _ONE), tensors, axis)
    joined = _joined(parts.windows, tensors, axis)
    comparisons.append(compare(f"{what}, with noise", {model.output: once}, {model.output: joined}))
    figures = {"whole, bytes": float(model.path.stat().st_size)}
    figures["parts, bytes"] = float(sum(file.stat().st_size for file in folder.glob("*.onnx")))
    for i, part in enumerate(parts.windows.parts):
        figures[_speed(i)] = 1000 * _seconds(part.network) / _TRIED
        figures[f"stage {i}, frames of context"] = float(sum(part.stage.context))
    return tuple(comparisons), figures


def _load(
    folder: Path,
    builder: Builder,
    network: Callable[[str, Signature, Engine], Network],
    name: str,
    model: Model,
    most: Callable[[int], int],
    *,
    published: bool = False,
) -> Streamed:
    """most: frames of a stage's largest window that takes no longer than it may"""
    stages = [_stage(tree) for tree in json.loads((folder / _STAGES).read_text(encoding="utf-8"))]
    time = next(t.dims[-1] for t in model.signature.outputs if t.name == model.output)
    parts = []
    for i, stage in enumerate(stages):
        engine = builder.engine(f"{name} {i}", folder / _file(i), published=published)
        frames = min(most(i), model.most) if stage is stages[-1] else most(i)
        last = time if stage is stages[-1] and isinstance(time, Axis) else None
        declared = signature(stage, engine, frames, last)
        parts.append(Part(stage, network(f"{name} {i}", declared, engine), frames))
    front = None
    if (folder / _FRONT).is_file():
        engine = builder.engine(f"{name} front", folder / _FRONT, published=published)
        fed = {tensor.name for tensor in engine.inputs}
        declared = Signature(tuple(t for t in model.signature.inputs if t.name in fed), engine.outputs)
        front = network(f"{name} front", declared, engine)
    return Streamed(front, Windowed(parts, model.first))


def _stage(tree: dict[str, Any]) -> cut.Stage:
    inputs = tuple(cut.Input(**tensor) for tensor in tree["inputs"])
    before, after = tree["context"]
    crops = tuple((before, after) for before, after in tree["crops"])
    return cut.Stage(**tree | {"inputs": inputs, "context": (before, after), "crops": crops})


def _file(number: int) -> str:
    return f"stage-{number}.onnx"


def _speed(number: int) -> str:
    return f"stage {number}, ms per frame"


def _most(milliseconds: float) -> int:
    """Frames of the largest window."""
    return int(min(MOST, max(LEAST, RUN_SECONDS * 1000 / max(milliseconds, 1e-6))))


def _seconds(network: Network) -> float:
    """Processor time of a run of _TRIED frames, the shortest of five; waiting is not in it."""
    feeds = network.signature.example()
    times = []
    for _ in range(5):
        began = time.process_time()
        network.engine.prepare(feeds)()
        times.append(time.process_time() - began)
    return min(times)


def _joined(windows: Windowed, tensors: Feeds, axis: int) -> Array:
    async def pieces() -> list[Array]:
        return [piece async for piece, _ in windows.run(tensors)]

    return np.concatenate(now(pieces()), axis)

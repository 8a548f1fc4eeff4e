"""Loading a model, asking it what it is for, and watching."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sonorant.confined import confined
from sonorant.errors import AudioError, EngineError, RequestError
from sonorant.networks import Network, Signature
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.networks.signature import Axis, Tensor
from sonorant.observe.figures import Figures
from sonorant.observe.meter import Meter
from sonorant.prepare.graph import opened
from sonorant.prepare.profile import chrome, graph, limits, tally
from sonorant.prepare.profile.energy import Counters
from sonorant.prepare.profile.host import Watch
from sonorant.prepare.profile.tally import Memory, Report, Request
from sonorant.prepare.profile.timeline import Timeline, nvtx_ranges, resident
from sonorant.replica import Device, LocalReplica, Replicas
from sonorant.replica.lane import DeviceLane
from sonorant.tasks import (
    AudioChunk,
    AudioFormat,
    Delivery,
    SpeechRequest,
    State,
    Task,
    TranscriptEnd,
    TranscriptionRequest,
    Upload,
)
from sonorant.text.segment import once

if TYPE_CHECKING:
    from sonorant.catalogue.part import Progress
    from sonorant.settings import Settings

SENTENCES = {
    "en": "The quick brown fox jumps over the lazy dog, and nobody in the village was surprised.",
    "zh": "今天天气很好,我们一起去公园散步,晚上再回家吃饭。",
}
HEARD = 8.0
"""seconds of vowels that nobody said, where no recording is given"""
SIZE = 64
"""of an axis of a bare model that nothing is known of"""
FILES = (".onnx", ".ort")
"""endings of models that are profiled by themselves"""
BOUND = 900.0
"""seconds for all of one of those"""
LONGEST = 60.0
"""seconds after which no further request begins, of those that are watched and of those that are not"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be profiled, and on what."""

    model: str
    """of the catalogue, a folder, or an .onnx or .ort file"""
    text: str = ""
    audio: Path | None = None
    voice: str = ""
    language: str = ""
    runs: int = 5
    nvtx: bool = False
    sizes: Mapping[str, int] = field(default_factory=dict)
    """axis → size, of a bare file"""


def profile(
    asked: Asked, settings: Settings, progress: Progress | None = None
) -> tuple[Report, dict[str, Any]]:
    """The report, and the Chrome trace. Raises what loading and asking raise.

    A model file by itself, which nobody has vetted, is run in a child under limits.
    """
    if not asked.model.endswith(FILES):
        return _watched(asked, settings, progress)
    if not Path(asked.model).is_file():
        raise RequestError(f"There is no file {asked.model}", remedy="Check the path", param="model")
    arguments = {
        "asked": msgspec.to_builtins(replace(asked, audio=None)),
        "settings": settings.model_dump(mode="json"),
    }
    told = confined(f"{__name__}:profile_file", arguments, title=f"Profiling {asked.model}", seconds=BOUND)
    return msgspec.convert(told["report"], Report), told["trace"]


def profile_file(asked: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """report, trace. In the child."""
    from sonorant.settings import Settings

    report, trace = _watched(Asked(**asked), Settings.model_validate(settings), None)
    return {"report": msgspec.to_builtins(report), "trace": trace}


def _watched(asked: Asked, settings: Settings, progress: Progress | None) -> tuple[Report, dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="sonorant-profile-") as folder:
        ranges = nvtx_ranges() if asked.nvtx else None
        watch = Watch(Path(folder), Timeline(ranges))
        return asyncio.run(_profile(asked, settings, watch, progress))


Ask = Callable[[], Awaitable[float]]
"""asks once, to the end; seconds of audio"""


async def _profile(
    asked: Asked, settings: Settings, watch: Watch, progress: Progress | None
) -> tuple[Report, dict[str, Any]]:
    before = resident()
    async with AsyncExitStack() as stack:
        path = Path(asked.model)
        if path.suffix in FILES:
            name, ask = await _bare(path, asked, settings, watch, stack)
        else:
            name, ask = await _model(asked, settings, watch, stack, progress)
        loaded = resident()
        await ask()  # what is made on demand
        watch.begin()
        counters = Counters(settings.device)
        requests = await _asked(ask, asked.runs)
        energy = counters.taken()
        watch.end()
        plain = await _asked(ask, asked.runs)
    options = OnnxRuntimeOptions(settings.onnxruntime).values
    measured = None
    if settings.device == "cpu":
        measured = await asyncio.to_thread(limits.measure, int(options["intra_op_num_threads"]))
    pieces, unwatched = (tally.within(watch.timeline.pieces, those) for those in (requests, plain))
    fastest = min(plain, key=lambda request: request.seconds)  # other work on the machine is no part of it
    busy = sum(piece.ended - piece.began for piece in pieces) / len(requests)
    networks: list[tally.NetworkTally] = []
    kinds: list[tally.Kind] = []
    for watched in watch.networks:
        if runs := tally.runs_within(watched, requests):
            networks.append(tally.network(watched, runs, len(requests), busy))
            kinds += tally.kinds(watched.name, runs, len(requests), busy, measured)
    report = Report(
        name,
        settings.device,
        len(requests),
        min(request.seconds for request in requests),
        fastest.seconds,
        statistics.median(request.audio for request in requests),
        busy,
        tally.busy(fastest, unwatched),
        tally.idle(fastest, unwatched),
        tally.stages(pieces, [watched.name for watched in watch.networks], len(requests)),
        tuple(sorted(networks, key=lambda network: -network.seconds)),
        tuple(sorted(kinds, key=lambda kind: -kind.seconds)),
        Memory(before, loaded, max((piece.resident for piece in pieces), default=loaded)),
        measured,
        energy,
    )
    return report, chrome.trace(requests, pieces, watch.networks)


async def _asked(ask: Ask, runs: int) -> list[Request]:
    requests: list[Request] = []
    first = time.perf_counter()
    while len(requests) < runs and (not requests or time.perf_counter() - first < LONGEST):
        began = time.perf_counter()
        audio = await ask()
        requests.append(Request(began, time.perf_counter(), audio))
    return requests


async def _model(
    asked: Asked, settings: Settings, watch: Watch, stack: AsyncExitStack, progress: Progress | None
) -> tuple[str, Ask]:
    """A model of the catalogue or a folder, loaded as the library does."""
    replicas = Replicas(settings, [asked.model], hosts=watch.host)
    stack.push_async_callback(replicas.close)
    await replicas.start(progress)
    replica = replicas.all[0]
    if replica.state is not State.READY:
        raise replica.failure
    if asked.sizes:
        axes = sorted(
            {axis for watched in watch.networks for axis in _axes(watched.network.signature.inputs)}
        )
        raise RequestError(
            f"--size is for a model file: the sizes of {replica.name} follow from what it says or hears",
            why=f"Its axes: {', '.join(axes) or 'none'}",
            remedy="Leave it out, and give --text or --audio",
            param="size",
        )
    return replica.name, _asking(replica, asked, watch)


def _asking(replica: LocalReplica, asked: Asked, watch: Watch) -> Ask:
    if asked.audio is not None and not asked.audio.is_file():
        raise AudioError(f"There is no file {asked.audio}", remedy="Check the path", param="file")
    if replica.task is Task.SPEECH:
        return lambda: _speak(replica, asked)
    if replica.task is Task.TRANSCRIPTION:
        return lambda: _transcribe(replica, asked)
    if replica.task is Task.EMBEDDING:
        return lambda: _embed(replica, asked)

    async def networks() -> float:
        """What no request reaches by itself: a detector, for example."""
        for watched in watch.networks:
            await watched.network.run(**watched.network.signature.example())
        return 0.0

    return networks


async def _speak(replica: LocalReplica, asked: Asked) -> float:
    languages = (asked.language, *replica.describe().languages)
    known = next((tag[:2] for tag in languages if tag[:2] in SENTENCES), "en")
    request = SpeechRequest(model=replica.name, voice=asked.voice, language=asked.language, seed=0)
    delivery = Delivery(format=AudioFormat.PCM)
    seconds = 0.0
    async with aclosing(replica.speak(request, once(asked.text or SENTENCES[known]), delivery)) as events:
        async for event in events:
            seconds += event.seconds
    return seconds


async def _transcribe(replica: LocalReplica, asked: Asked) -> float:
    request = TranscriptionRequest(model=replica.name, language=asked.language)
    if asked.audio is not None:
        events = replica.transcribe(request, Upload(asked.audio, asked.audio.name))
    else:
        events = replica.recognize(request, _vowels(replica))
    seconds = 0.0
    async with aclosing(events):
        async for event in events:
            if isinstance(event, TranscriptEnd):
                seconds = event.duration
    return seconds


async def _embed(replica: LocalReplica, asked: Asked) -> float:
    await replica.embed(Upload(asked.audio, asked.audio.name) if asked.audio else _vowels(replica))
    return 0.0


async def _vowels(replica: LocalReplica) -> AsyncGenerator[AudioChunk, None]:
    from sonorant.audio.babble import babble

    rate = replica.describe().sample_rate or 16_000
    yield AudioChunk(babble(HEARD, rate), rate)


async def _bare(
    path: Path, asked: Asked, settings: Settings, watch: Watch, stack: AsyncExitStack
) -> tuple[str, Ask]:
    """A model file by itself, on feeds made from its own inputs."""
    device = Device(settings.device, lanes=settings.lanes)
    stack.callback(device.close)
    options = OnnxRuntimeOptions({**watch.options(), **settings.onnxruntime})
    engine = await asyncio.to_thread(opened, path, options, settings.device)
    stack.callback(engine.close)
    watch.files[id(engine)] = graph.read(path)
    inputs = tuple(_sized(tensor, asked.sizes) for tensor in engine.inputs)
    axes = _axes(inputs)
    if unknown := sorted(asked.sizes.keys() - set(axes)):
        raise RequestError(
            f"{path.name} has no axis {unknown[0]!r}", remedy=f"Its axes: {', '.join(axes) or 'none'}"
        )
    signature = Signature(inputs, engine.outputs)
    figures = Figures()
    figures.around = watch.timeline.around
    lane = DeviceLane(device, signature, Meter(figures, path.stem))
    network = Network(path.stem, signature, engine, lane)
    watch.network(network)
    try:
        feeds = signature.example()
    except (MemoryError, OverflowError, ValueError) as error:  # numpy's, for what no array can hold
        raise RequestError(
            f"Inputs of {path.name} of these sizes do not fit into memory",
            remedy="Name smaller sizes with --size NAME=N",
            param="size",
        ) from error

    async def ask() -> float:
        try:
            await network.run(**feeds)
        except EngineError as error:
            raise EngineError(
                f"{path.name} does not run on feeds that are made from its inputs",
                why=error.why,
                remedy=f"Name sizes that fit with --size NAME=N; its axes: {', '.join(axes) or 'none'}",
            ) from error
        return 0.0

    return path.stem, ask


def _axes(inputs: Iterable[Tensor]) -> list[str]:
    """Names, each once."""
    return list(dict.fromkeys(dim.name for tensor in inputs for dim in tensor.dims if isinstance(dim, Axis)))


def _sized(tensor: Tensor, sizes: Mapping[str, int]) -> Tensor:
    """With a size for each of its axes; one without a name is called by its tensor and place."""
    dims: list[int | Axis] = []
    for i, dim in enumerate(tensor.dims):
        if isinstance(dim, int):
            dims.append(dim)
            continue
        name = f"{tensor.name}.{i}" if dim.name == "?" else dim.name
        batch = "batch" in name.lower() or (i == 0 and len(tensor.dims) > 1)
        dims.append(Axis(name, min=0, typical=sizes.get(name, 1 if batch else SIZE)))
    return replace(tensor, dims=tuple(dims))

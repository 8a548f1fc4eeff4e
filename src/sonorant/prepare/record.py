"""The networks of a served model, found by loading its pipeline and letting it speak or listen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np

from sonorant.catalogue import Catalogue
from sonorant.confined import left
from sonorant.errors import SonorantError
from sonorant.families import family, resolve
from sonorant.networks import Network, Signature
from sonorant.networks.checkpoint import exported
from sonorant.networks.derived import keep
from sonorant.networks.engines.engine import Engine, Running
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.options import OnnxRuntimeOptions, Value
from sonorant.networks.signature import Array, Feeds
from sonorant.networks.vocabulary import Worded, size
from sonorant.prepare.export import export_checkpoint
from sonorant.prepare.speech import RATE, people, recordings, sentences
from sonorant.prepare.subject import Subject
from sonorant.prepare.tokens import counted, texts
from sonorant.replica.device import Device
from sonorant.replica.host import ReplicaHost
from sonorant.tasks import (
    AudioChunk,
    Detector,
    Embedder,
    Recognizer,
    Scorer,
    SpeechRequest,
    Synthesizer,
    Task,
    TranscriptionRequest,
    Vocoder,
)
from sonorant.text.segment import once

CALLS = 48
"""of a network that are remembered, at most"""
BYTES = 64 << 20
"""of their feeds, per network"""
VOICES = 3


@dataclass(slots=True)
class Heard:
    """An engine, and what it was fed."""

    path: Path
    exposed: tuple[str, ...]
    options: dict[str, Value]
    feeds: list[Feeds] = field(default_factory=list)
    network: tuple[str, Signature] | None = None
    loop: bool = False
    """a loop of decoding keeps its tensors in the session"""
    derived: bool = False
    """its family wrote it anew, and may compute by something else where it is not as it should be"""
    calls: int = 0
    every: int = 1
    """of how many calls one is remembered"""

    def remember(self, feeds: Feeds) -> None:
        """Of all that was said: every call, then every second, every fourth … as they become too many."""
        if self.calls % self.every == 0:
            self.feeds.append({name: np.array(value) for name, value in feeds.items()})
        self.calls += 1
        while len(self.feeds) > 1 and (len(self.feeds) > CALLS or _bytes(self.feeds) > BYTES):
            self.feeds = self.feeds[::2]
            self.every *= 2

    def forget(self) -> None:
        self.feeds, self.calls, self.every = [], 0, 1


def _bytes(feeds: list[Feeds]) -> int:
    return sum(value.nbytes for each in feeds for value in each.values())


class Recorder(OnnxRuntime):
    """An engine that remembers what it is fed."""

    heard: Heard

    def prepare(self, feeds: Feeds, *, large: bool = False) -> Running:
        self.heard.remember(feeds)
        return super().prepare(feeds, large=large)

    @property
    def session(self) -> Any:
        return _Session(super().session, self.heard)


@dataclass(frozen=True, slots=True)
class _Session:
    """That of a decode loop, which keeps its tensors in the engine."""

    session: Any
    heard: Heard

    def run_with_ort_values(self, names: list[str], feeds: dict[str, Any], options: Any) -> Any:
        self.heard.remember({name: value.numpy() for name, value in feeds.items()})
        return self.session.run_with_ort_values(names, feeds, options)


class RecordingHost(ReplicaHost):
    """The host of a model whose networks are to be prepared. Its parts are models of their own."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.heard: list[Heard] = []

    def engine(
        self,
        network: str,
        path: Path,
        *,
        exposed: tuple[str, ...] = (),
        published: bool = False,
        **defaults: Any,
    ) -> Engine:
        if published or path.suffix != ".onnx":
            return super().engine(network, path, exposed=exposed, published=True, **defaults)
        return self._recorder(path, exposed, defaults)

    def session(
        self, network: str, path: Path, *, derived: bytes | None = None, **defaults: Any
    ) -> OnnxRuntime:
        if derived is not None:
            path = keep(self.artefacts, path, network, derived)
        elif path.suffix != ".onnx":
            return super().session(network, path, **defaults)
        engine = self._recorder(path, (), defaults)
        engine.heard.loop, engine.heard.derived = True, derived is not None
        return engine

    def _recorder(self, path: Path, exposed: tuple[str, ...], defaults: dict[str, Value]) -> Recorder:
        chosen = {**defaults, **self._chosen}
        engine = Recorder(path, OnnxRuntimeOptions(chosen), self.device, exposed)
        engine.heard = Heard(path, exposed, chosen)
        self.heard.append(engine.heard)
        return engine

    def network(self, name: str, signature: Signature, engine: Engine) -> Network:
        if isinstance(engine, Recorder):
            engine.heard.network = (name, signature)
        return super().network(name, signature, engine)


def subjects(
    model: str,
    catalogue: Catalogue,
    device: str,
    options: dict[str, Value],
    files: tuple[Path, ...] = (),
    report: Callable[[float, str], None] = lambda *_: None,
    written: tuple[Path, ...] = (),
) -> list[Subject]:
    """The networks of a model that are .onnx files, and what they were fed as it spoke or listened.

    Torch checkpoints that have no export on this machine are exported first. `files`: recordings to listen
    to; `written`: texts to count its tokens in. Raises what loading the model raises, and exporting it.
    """
    card, folder = resolve(model, catalogue)
    folder = folder or catalogue.ensure(card)
    report(0.1, "loading")
    slots = Device(device)
    try:
        host = RecordingHost(card, catalogue, slots, options)
        pipeline = family(card.family).load(card, folder, host)
        if missing := [one for one in host.checkpoints if not exported(one, host.artefacts)]:
            for one in missing:
                export_checkpoint(one, host.artefacts, seconds=left(), progress=report)
            host.close()
            host = RecordingHost(card, catalogue, slots, options)
            pipeline = family(card.family).load(card, folder, host)
        for heard in host.heard:
            heard.forget()  # what loading ran: proofs of cuts, on random feeds
        report(0.4, "speaking" if card.task is Task.SPEECH else "listening")
        asyncio.run(_exercise(pipeline, card.task, files))
        host.close()
    finally:
        slots.close()
    vocabulary = pipeline.vocabulary if isinstance(pipeline, Worded) else None
    said = texts(card.languages, written) if vocabulary else []
    found = []
    for heard in host.heard:
        if heard.network is None:
            continue
        name, signature = heard.network
        feeds = heard.feeds
        if heard.derived and not (feeds := feeds or _shared(host.heard, signature)):
            continue  # its family computes by something else
        choices = size(signature)
        tokens = counted(vocabulary, choices, said) if vocabulary and choices else None
        fed = _fitting(signature, feeds)
        found.append(
            Subject(name, heard.path, signature, fed, heard.exposed, heard.options, heard.loop, tokens)
        )
    return found


def _shared(all_heard: list[Heard], signature: Signature) -> list[Feeds]:
    """What another network was fed that takes the same: one for a row alone, the other for several."""
    alike = (each for each in all_heard if each.network and each.network[1] == signature and each.feeds)
    return next((each.feeds for each in alike), [])


def _fitting(signature: Signature, recorded: list[Feeds]) -> tuple[Feeds, ...]:
    """Those that the signature allows: warm-ups may be fed otherwise."""
    kept = []
    for feeds in recorded:
        try:
            signature.check(feeds)
        except SonorantError:
            continue
        kept.append(feeds)
    return tuple(kept)


async def _exercise(pipeline: Any, task: Task, files: tuple[Path, ...]) -> None:
    described = pipeline.describe()
    if task is Task.SPEECH:
        await _speak(cast(Synthesizer, pipeline), described.name)
        return
    rate = described.sample_rate or RATE
    said = recordings(described.languages, files, rate)
    if task is Task.VOCODING and not files:  # whatever is said, so people, too, who are not those of the gate
        said = chain(people(rate), said)
    for samples in said:
        audio = _chunks(samples, rate)
        if task is Task.TRANSCRIPTION:
            events = cast(Recognizer, pipeline).recognize(TranscriptionRequest(model=described.name), audio)
            async with aclosing(cast(AsyncGenerator[Any, None], events)) as heard:
                async for _ in heard:
                    pass
        elif task is Task.VAD:
            spans = cast(Detector, pipeline).detect(audio)
            async with aclosing(cast(AsyncGenerator[Any, None], spans)) as found:
                async for _ in found:
                    pass
        elif task is Task.EMBEDDING:
            await cast(Embedder, pipeline).embed(audio)
        elif task is Task.SCORING:
            await cast(Scorer, pipeline).score(audio)
        elif task is Task.VOCODING:
            vocoder = cast(Vocoder, pipeline)
            async with aclosing(vocoder.vocode(vocoder.analyse(audio))) as sounds:
                async for _ in sounds:
                    pass


async def _speak(synthesizer: Synthesizer, name: str) -> None:
    described = synthesizer.describe()
    for voice in described.voices[:VOICES]:
        for text in sentences(voice.language):
            request = SpeechRequest(model=name, voice=voice.name, seed=0)
            chunks = cast(AsyncGenerator[Any, None], synthesizer.synthesize(request, once(text)))
            async with aclosing(chunks) as spoken:
                async for _ in spoken:
                    pass


async def _chunks(samples: Array, rate: int) -> AsyncIterator[AudioChunk]:
    for start in range(0, len(samples), rate // 2):
        yield AudioChunk(samples[start : start + rate // 2], rate)

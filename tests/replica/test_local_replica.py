"""A replica in this process: its states, its streams, and how it stops."""

import asyncio
import logging
import shutil
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recordings import real_speech
from sonorant.catalogue import Catalogue
from sonorant.errors import (
    AudioError,
    EngineError,
    LayoutError,
    ModelFileError,
    NotReadyError,
    RequestError,
    TextError,
    UnknownModelError,
    UnknownVoiceError,
    UnsupportedError,
)
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.replica import Replicas
from sonorant.settings import Settings, load_settings
from sonorant.tasks import (
    AudioFormat,
    Cost,
    Delivery,
    Segment,
    SpeechRequest,
    State,
    Task,
    TranscriptEnd,
    TranscriptionRequest,
    Upload,
)

PCM = Delivery(format=AudioFormat.PCM)
HIBARI, MOONSHINE = SpeechRequest(model="hibari"), TranscriptionRequest(model="moonshine-tiny")


@asynccontextmanager
async def started(*models: str, **settings):
    replicas = Replicas(load_settings(None, settings), models)
    try:
        await replicas.start()
        yield replicas.all
    finally:
        await replicas.close()


async def text(*pieces: str):
    for piece in pieces:
        yield piece


async def everything(events) -> list:
    return [event async for event in events]


def audio_of(events) -> np.ndarray:
    return np.frombuffer(b"".join(event.data for event in events), "<i2")


def store(home: Path, *models: str) -> Catalogue:
    """A home of one's own with copies of these models."""
    known = Catalogue(load_settings().catalogue)
    for card in map(known.find, models):
        target = home / "models" / card.name / card.revision
        target.mkdir(parents=True)
        for file in known.ensure(card).iterdir():
            shutil.copy(file, target)
    return Catalogue(Settings(catalogue={"home": home}).catalogue)


def test_from_loading_to_stopped():
    async def main():
        replicas = Replicas(load_settings(), ["hibari"])
        (replica,) = replicas.all
        assert (replica.state, replica.name, replica.task) == (State.LOADING, "hibari", Task.SPEECH)
        with pytest.raises(NotReadyError, match="still loading"):
            await anext(replica.speak(HIBARI, text("Hello."), PCM))
        async with asyncio.timeout(60):
            await replicas.start()
        assert (replica.state, replica.reason) == (State.READY, "")
        events = await everything(replica.speak(HIBARI, text("Hello."), PCM))
        assert len(audio_of(events)) / 24_000 == pytest.approx(sum(e.seconds for e in events), abs=0.01)
        assert await replica.probe(30)
        await replicas.close()
        assert replica.state is State.STOPPED

    asyncio.run(main())


def test_what_is_measured_of_a_model():
    async def main():
        async with started("hibari") as (replica,):
            await everything(replica.speak(HIBARI, text("Hello."), Delivery(format=AudioFormat.MP3)))
            [snapshot] = replica.figures()
            return snapshot.figures, {network.name for network in replica._lifetime.loaded.host.networks}

    figures, networks = asyncio.run(main())
    values = {(figure.name, *figure.labels): figure.value for figure in figures}
    assert values["load_seconds",] > 0
    assert networks
    for stage in (*networks, "encoding"):
        assert values["runs", stage, "ok"] >= 1
        assert 0 < values["run_seconds", stage] < 60
        assert values["queue_seconds", stage] >= 0
    assert not [key for key in values if "failed" in key]


def test_a_damaged_model_says_what_to_do_and_the_others_serve(tmp_path, caplog):
    catalogue = store(tmp_path, "moonshine-tiny", "hibari")
    card = catalogue.find("moonshine-tiny")
    victim = catalogue.store.folder(card) / "decoder_model_merged.ort"
    data = bytearray(victim.read_bytes())
    data[1_000_000] ^= 0xFF
    victim.write_bytes(data)

    async def main():
        async with started("moonshine-tiny", "hibari", catalogue={"home": tmp_path, "offline": True}) as (
            bad,
            good,
        ):
            assert (bad.state, good.state) == (State.FAILED, State.READY)
            assert "decoder_model_merged.ort" in bad.reason
            assert "sonorant pull moonshine-tiny@2026-02 --force" in bad.reason
            with pytest.raises(ModelFileError, match="damaged"):
                await anext(bad.transcribe(MOONSHINE, Upload(b"RIFF")))
            assert await everything(good.speak(HIBARI, text("Hello."), PCM))

    with caplog.at_level(logging.ERROR, "sonorant"):
        asyncio.run(main())
    assert "cannot be served" not in caplog.text, "who owns it says so, once"


def test_a_model_that_hears_is_loaded_although_its_decoders_cannot_be_started(monkeypatch, caplog):
    async def main():
        replicas = Replicas(load_settings(), ["moonshine-tiny"])

        async def fails():
            raise EngineError("The audio decoders could not be started")

        monkeypatch.setattr(replicas.sandbox, "start", fails)
        await replicas.start()
        assert replicas.all[0].state is State.READY
        await replicas.close()

    with caplog.at_level(logging.ERROR, "sonorant"):
        asyncio.run(main())
    assert "recordings cannot be decoded" in caplog.text


def test_what_describes_a_model():
    async def main():
        async with started("hibari", "moonshine-tiny") as (hibari, moonshine):
            speech, listening = hibari.describe(), moonshine.describe()
            assert (speech.name, speech.task, speech.sample_rate) == ("hibari", Task.SPEECH, 24_000)
            assert speech.languages == ("en",)
            assert "heart" in [voice.name for voice in speech.voices]
            assert not speech.instructions
            assert (listening.task, listening.sample_rate) == (Task.TRANSCRIPTION, 16_000)
            assert not listening.word_times
            with pytest.raises(UnsupportedError, match="hibari does text-to-speech"):
                await anext(hibari.transcribe(MOONSHINE, Upload(b"x")))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("asked", "words", "error", "message"),
    [
        ({"voice": "zoe"}, "Hi.", UnknownVoiceError, "Its voices: heart"),
        ({"speed": 5.0}, "Hi.", RequestError, "0.25 to 4"),
        ({"speed": float("nan")}, "Hi.", RequestError, "speed nan"),
        ({"seed": -1}, "Hi.", RequestError, "seed -1"),
        ({"instructions": "whisper"}, "Hi.", UnsupportedError, "cannot follow instructions"),
        ({"language": "fr"}, "Hi.", UnsupportedError, "does not speak 'fr'.*It speaks en"),
        ({}, "...", TextError, "nothing that can be spoken"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_first_event(asked, words, error, message):
    async def main():
        async with started("hibari") as (replica,):
            with pytest.raises(error, match=message):
                await anext(replica.speak(SpeechRequest(model="hibari", **asked), text(words), PCM))
            assert await everything(replica.speak(HIBARI, text("And the next is fine."), PCM))

    asyncio.run(main())


def test_long_text_streams_and_is_read_only_as_it_is_spoken():
    taken = 0

    async def book():
        nonlocal taken
        for taken in range(1, 301):
            yield f"This is sentence number {taken} of many. "

    async def main():
        async with (
            started("hibari") as (replica,),
            aclosing(replica.speak(HIBARI, book(), PCM)) as events,
        ):
            first = await anext(events)
            assert len(first.data) > 10_000
            assert taken <= 3
            for _ in range(5):
                await anext(events)
            assert taken <= 8

    asyncio.run(main())


@pytest.fixture
def runs(monkeypatch):
    """Every run that an engine was asked to prepare."""
    prepared = []
    real = OnnxRuntime.prepare

    def counted(self, feeds, **options):
        prepared.append(self.source)
        return real(self, feeds, **options)

    monkeypatch.setattr(OnnxRuntime, "prepare", counted)
    return prepared


def test_closing_a_stream_ends_the_computation(runs):
    closed = []

    async def book():
        try:
            while True:
                yield "This goes on for ever and ever. "
        finally:
            closed.append(True)

    async def main():
        async with started("hibari") as (replica,):
            events = replica.speak(HIBARI, book(), PCM)
            await anext(events)
            await events.aclose()
            done = len(runs)
            await asyncio.sleep(0.3)
            assert len(runs) == done
            assert closed, "the source of the text is closed, too"

    asyncio.run(main())


def test_cancelling_who_waits_ends_the_computation(runs):
    async def main():
        async with started("hibari") as (replica,):
            task = asyncio.create_task(everything(replica.speak(HIBARI, text("One sentence. " * 500), PCM)))
            done = len(runs)
            async with asyncio.timeout(30):
                while len(runs) < done + 3:
                    await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            done = len(runs)
            await asyncio.sleep(0.3)
            assert len(runs) == done
            assert task.cancelled()

    asyncio.run(main())


def test_leaving_a_transcript_ends_the_computation(runs):
    async def main():
        async with started("moonshine-tiny") as (replica,):
            events = replica.transcribe(MOONSHINE, Upload(real_speech()[1].path))
            assert isinstance(await anext(events), Segment)
            await events.aclose()
            done = len(runs)
            await asyncio.sleep(0.3)
            assert len(runs) == done

    asyncio.run(main())


def test_transcripts_of_uploads():
    path = real_speech()[0].path

    async def main():
        async with started("moonshine-tiny", limits={"audio_seconds": 20}) as (replica,):
            from_path = await everything(replica.transcribe(MOONSHINE, Upload(path)))
            *from_bytes, end = await everything(replica.transcribe(MOONSHINE, Upload(path.read_bytes())))
            assert isinstance(end, TranscriptEnd)
            assert [*from_bytes, replace(end, spent=from_path[-1].spent)] == from_path
            assert 0 < end.spent < 30
            with pytest.raises(AudioError):
                await everything(replica.transcribe(MOONSHINE, Upload(b"no audio at all" * 100)))
            with pytest.raises(RequestError, match="20"):
                await everything(replica.transcribe(MOONSHINE, Upload(real_speech()[1].path)))
            for temperature in (-0.5, 1.5, float("nan")):
                request = TranscriptionRequest(model="moonshine-tiny", temperature=temperature)
                with pytest.raises(RequestError, match="temperature"):
                    await everything(replica.transcribe(request, Upload(path)))
            for refused in ({"language": "de"}, {"translate": True}):
                request = TranscriptionRequest(model="moonshine-tiny", **refused)
                with pytest.raises(UnsupportedError, match="'de'.*It knows en|cannot translate"):
                    await everything(replica.transcribe(request, Upload(path)))
            warm = TranscriptionRequest(model="moonshine-tiny", temperature=1.0)
            assert await everything(replica.transcribe(warm, Upload(path)))

    asyncio.run(main())


def test_eight_streams_at_once_are_each_their_own():
    texts = [f"Stream number {n} counts to {n}." for n in range(8)]
    seeded = SpeechRequest(model="hibari", seed=1)
    flac = Delivery(format=AudioFormat.FLAC)

    async def main():
        async with started("hibari") as (replica,):

            async def spoken(words: str) -> bytes:
                events = await everything(replica.speak(seeded, text(words), flac))
                return b"".join(event.data for event in events)

            alone = [await spoken(words) for words in texts]
            assert await asyncio.gather(*(spoken(words) for words in texts)) == alone
            assert len(set(alone)) == len(texts)

    asyncio.run(main())


def test_a_folder_is_served_as_it_is_and_hides_no_model(tmp_path, monkeypatch):
    catalogue = Catalogue(load_settings().catalogue)
    source = catalogue.ensure(catalogue.find("hibari"))
    for name in ("my-voice", "hibari"):
        (tmp_path / name).mkdir()
    for file in source.iterdir():
        (tmp_path / "my-voice" / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)

    async def main():
        async with started("my-voice", "hibari") as replicas:
            assert [replica.state for replica in replicas] == [State.READY] * 2
            assert [str(replica.card) for replica in replicas] == ["my-voice@local", "hibari@0.2.1"]

    asyncio.run(main())
    assert str(Replicas(load_settings(), ["./my-voice"]).all[0].card) == "my-voice@local"
    with pytest.raises(LayoutError, match="No family recognises the folder .*It holds nothing"):
        Replicas(load_settings(), ["./hibari"])
    with pytest.raises(LayoutError, match="is not a folder"):
        Replicas(load_settings(), ["./nowhere"])
    with pytest.raises(UnknownModelError, match="Known models: .*hibari"):
        Replicas(load_settings(), ["nowhere"])


def test_a_process_that_replaced_another_learns_what_runs_cost_when_it_is_at_work():
    async def main() -> None:
        replicas = Replicas(load_settings(), ["hibari"], Cost(0.01, 0.001))
        await replicas.start()
        (replica,) = replicas.all
        assert replica.state is State.READY
        assert replica._lifetime._learning is not None
        await replica._lifetime._learning
        assert all(network.lane.cost.predict(50) > 0 for network in replica._lifetime.loaded.host.networks)
        await replicas.close()

    asyncio.run(main())

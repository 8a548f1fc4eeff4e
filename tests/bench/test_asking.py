"""Requests to a server that pauses, is silent, refuses, hangs or breaks off: each is seen for what it is."""

import asyncio
import json

import pytest

from sonorant.bench.asking import Recording, read_recording, speaking, transcribing
from sonorant.bench.figures import Figures, figures
from sonorant.bench.http import Server
from sonorant.bench.loads import Bounds, closed

FIELDS = {"model": "tts-1", "voice": "alloy", "response_format": "wav"}


@pytest.fixture
def ask(fake):
    """ask(text) → the figures of one request for it."""

    def once(text: str = "x", hang_seconds: float = 20, whole: bool = False, **fields: str) -> Figures:
        async def main() -> Figures:
            server = Server(fake.url)
            asking = speaking(server, [text], FIELDS | fields, whole=whole)
            try:
                return figures(await closed(asking, 1, Bounds(requests=1, hang_seconds=hang_seconds)))
            finally:
                server.close()

        return asyncio.run(main())

    return once


def test_a_stream_without_pauses(fake, ask, wire):
    found = ask("hello")
    assert (found.ok, found.underruns, found.in_time, found.breaks) == (1, 0, 1.0, 0.0)
    assert found.rtfx * found.wall == pytest.approx(0.4)
    assert 0 < found.ttfa.p50 == found.first_audio.p50 <= found.whole.p50
    assert json.loads(fake.seen[0][2]) == FIELDS | {"input": "hello"}


def test_a_pause_longer_than_the_audio_before_it_is_an_underrun(fake, ask, wire):
    begin, rest = wire.chunked(wire.wav_header() + wire.tone(0.15), wire.tone(0.5))
    fake.otherwise = [wire.STREAMED, begin, 1.5, rest, wire.END]
    found = ask()
    assert (found.ok, found.underruns, found.breaks) == (1, 1, 1.0)
    assert 0 < found.dry_seconds < 1.5
    # 100 ms of sound were there before the pause, but only a start after most of it never runs dry
    assert found.ttfa.p50 >= found.first_audio.p50 + 1.0
    assert found.in_time < 1


def test_a_pause_shorter_than_the_audio_before_it_is_none(fake, ask, wire):
    begin, rest = wire.chunked(wire.wav_header() + wire.tone(20), wire.tone(0.5))
    fake.otherwise = [wire.STREAMED, begin, 0.3, rest, wire.END]
    assert ask().underruns == 0


def test_neither_a_header_nor_silence_is_first_audio(fake, ask, wire):
    pieces = wire.chunked(wire.wav_header(), wire.silence(5.0), wire.tone(0.05), wire.tone(0.5))
    fake.otherwise = [wire.STREAMED, pieces[0], pieces[1], 0.4, pieces[2], 0.4, pieces[3], wire.END]
    found = ask()
    assert found.first_audio.p50 >= 0.8
    assert found.underruns == 0


def test_pcm_needs_no_header(fake, ask, wire):
    fake.otherwise = [wire.STREAMED, *wire.chunked(wire.tone(0.3)), wire.END]
    found = ask(response_format="pcm")
    assert found.rtfx * found.wall == pytest.approx(0.3 * wire.RATE / 24_000)


def test_the_whole_answer_counts_when_nothing_is_to_be_streamed(fake, ask, wire):
    begin, rest = wire.chunked(wire.wav_header() + wire.tone(0.15), wire.tone(0.5))
    fake.otherwise = [wire.STREAMED, begin, 0.5, rest, wire.END]
    found = ask(whole=True)
    assert (found.underruns, found.in_time) == (0, 1.0)
    assert found.ttfa.p50 >= 0.5
    assert json.loads(fake.seen[0][2])["stream"] is False


@pytest.mark.parametrize(
    ("audio", "reason"), [([], "no audio"), (["silence"], "silence"), (["tone"], "no wav begins with")]
)
def test_what_is_no_speech_has_failed(fake, ask, wire, audio, reason):
    bodies = {"silence": wire.wav_header() + wire.silence(1.0), "tone": b"mp3 " + wire.tone(1.0)}
    fake.otherwise = [wire.STREAMED, *wire.chunked(*(bodies[name] for name in audio)), wire.END]
    found = ask()
    assert (found.ok, found.failed) == (0, 1)
    assert next(iter(found.reasons)).startswith(reason)


def test_refused(fake, ask, wire):
    body = b'{"error": {"message": "busy", "code": "rate_limit_exceeded"}}'
    fake.otherwise = [
        wire.head("429 Too Many Requests", retry_after="0.1", content_length=str(len(body))) + body
    ]
    found = ask()
    assert (found.ok, found.refused, found.failed) == (0, 1, 0)
    assert found.retry_after == (0.1, 0.1)
    assert found.refusal.p50 > 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error": {"message": "no", "code": "engine_failed"}}', "500 engine_failed"),
        (b'{"error": "no"}', "500"),
        (b"<html>", "500"),
        (b"", "500"),
    ],
)
def test_a_failure_of_the_server(fake, ask, wire, body, reason):
    fake.otherwise = [wire.head("500 Internal Server Error", content_length=str(len(body))) + body]
    assert ask().reasons == {reason: 1}


def test_a_connection_that_breaks_half_way_has_failed(fake, ask, wire):
    fake.otherwise = [wire.STREAMED, *wire.chunked(wire.wav_header() + wire.tone(0.5)), wire.BREAK]
    assert ask().reasons == {"the connection ended within the answer": 1}


@pytest.mark.parametrize("streamed", [False, True])
def test_a_server_that_falls_silent_hangs(fake, ask, wire, streamed):
    before = [wire.STREAMED, *wire.chunked(wire.wav_header() + wire.tone(0.5))] if streamed else []
    fake.otherwise = [*before, wire.HANG]
    found = ask(hang_seconds=0.5)
    assert (found.ok, found.hung) == (0, 1)


def transcribed(fake, *recordings: Recording) -> Figures:
    async def main() -> Figures:
        server = Server(fake.url)
        asking = transcribing(server, recordings, {"model": "whisper-1", "language": "en"})
        try:
            return figures(await closed(asking, 1, Bounds(requests=4)))
        finally:
            server.close()

    return asyncio.run(main())


def test_transcripts(fake, wire):
    fake.otherwise = [wire.head(content_length="14") + b'{"text": "hi"}']
    found = transcribed(fake, Recording('a "name".wav', b"first", 2.0), Recording("b.wav", b"second", 4.0))
    assert (found.ok, found.ttfa) == (4, None)
    assert found.rtfx * found.wall == pytest.approx(12.0)
    _, headers, body = fake.seen[1]
    assert headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="model"\r\n\r\nwhisper-1\r\n' in body
    assert b'name="file"; filename="b.wav"\r\n' in body
    assert b"\r\n\r\nsecond\r\n--" in body


def test_an_empty_transcript_has_failed(fake, wire):
    fake.otherwise = [wire.head(content_length="12") + b'{"text": ""}']
    assert transcribed(fake, Recording("a.wav", b"x", 1.0)).reasons == {"an empty transcript": 4}


def test_a_recording_tells_its_length(wire, tmp_path):
    data = wire.tone(0.5)
    (tmp_path / "a.wav").write_bytes(wire.wav_header(len(data)) + data)
    assert read_recording(tmp_path / "a.wav").seconds == pytest.approx(0.5)

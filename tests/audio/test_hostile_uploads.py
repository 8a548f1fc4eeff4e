"""Uploads that mean harm: nothing but their own bytes is opened, and time and memory stay bounded."""

import asyncio
import contextlib
import io
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from sonorant.audio.sandbox import Sandbox
from sonorant.errors import AudioError, LimitError
from sonorant.tasks import Upload


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(memory_bytes=64 << 20)
    yield sandbox
    asyncio.run(sandbox.close())


def decode(sandbox: Sandbox, data: bytes, name: str = "", *, max_seconds: float = 3600) -> float:
    """Seconds of audio that came out before the end or the error."""

    async def main() -> float:
        chunks = sandbox.decode(Upload(data, name), max_seconds=max_seconds)
        return sum([chunk.seconds async for chunk in chunks])

    return asyncio.run(main())


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    path = tmp_path / "secret.wav"
    soundfile.write(path, np.full(16000, 0.1), 16000)
    return path


@pytest.fixture
def listener() -> Iterator[tuple[int, list[object]]]:
    """A port on loopback, and everyone who connected to it."""
    guests: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def welcome() -> None:
            while True:
                try:
                    guest, address = server.accept()
                except OSError:
                    return
                guests.append(address)
                guest.close()

        thread = threading.Thread(target=welcome, daemon=True)
        thread.start()
        yield server.getsockname()[1], guests
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:1.0,\n{target}\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile '{target}'\n",
    "concat protocol": "concat:{target}|{target}",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
    '<AdaptationSet mimeType="audio/wav"><Representation id="1" bandwidth="1"><BaseURL>{target}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "smil": '<smil><body><audio src="{target}"/></body></smil>',
    "asx": '<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
    "pls": "[playlist]\nFile1={target}\nLength1=1\nNumberOfEntries=1\nVersion=2\n",
    "address": "{target}",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_playlists_open_nothing(
    kind: str, speech: Path, listener: tuple[int, list[object]], sandbox: Sandbox
) -> None:
    port, guests = listener
    web = f"http://127.0.0.1:{port}/x.wav"
    for target in (str(speech), f"file:{speech}", web, f"tcp://127.0.0.1:{port}"):
        for name in ("list.m3u8", str(speech), web):
            with pytest.raises(AudioError, match="not audio that can be read"):
                decode(sandbox, PLAYLISTS[kind].format(target=target).encode(), name)
    assert not guests


def test_a_session_description_does_not_wait_for_packets(sandbox: Sandbox) -> None:
    address = "IN IP4 127.0.0.1"
    sdp = f"v=0\r\no=- 0 0 {address}\r\ns=x\r\nc={address}\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n"
    with pytest.raises(AudioError, match="not audio that can be read"):
        decode(sandbox, sdp.encode(), "x.sdp")


def test_a_restricted_process_can_open_and_write_nothing(speech: Path, tmp_path: Path) -> None:
    script = f"""
import os, socket, sys
from sonorant.audio import zygote
out = open({str(tmp_path / "out")!r}, "wb", buffering=0)
zygote._restrict(1 << 40, 10)
for attempt in (lambda: open({str(speech)!r}), socket.socket, os.pipe, lambda: out.write(b"x")):
    try:
        attempt()
    except OSError:
        continue
    sys.exit("it could")
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert not (tmp_path / "out").read_bytes()


def quiet_flac(hours: float, *, stated: bool) -> bytes:
    """Hours of digital silence at 1 kHz, 80 bytes a second; the length is in its header, or is not."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.data += data
            return len(data)

        def seekable(self) -> bool:
            return False

    file = io.BytesIO() if stated else Pipe()
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=1000, options={"compression_level": "0"})
        stream.codec_context.layout = "mono"
        stream.codec_context.format = "s16"
        piece = np.zeros((1, 1_000_000), np.int16)
        for i in range(round(hours * 3.6)):
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 1000, i * 1_000_000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue() if isinstance(file, io.BytesIO) else bytes(file.data)


def test_a_bomb_that_states_its_length_is_refused_unheard(sandbox: Sandbox) -> None:
    bomb = quiet_flac(6, stated=True)
    assert len(bomb) < 1 << 21

    async def main() -> None:
        with pytest.raises(LimitError):
            await anext(sandbox.decode(Upload(bomb), max_seconds=4 * 3600))

    asyncio.run(main())


def test_a_bomb_that_hides_its_length_is_cut_at_the_limit_in_little_memory(sandbox: Sandbox) -> None:
    with pytest.raises(LimitError):
        decode(sandbox, quiet_flac(6, stated=False), max_seconds=600)


def test_what_needs_too_much_memory_is_refused() -> None:
    sandbox = Sandbox(memory_bytes=2 << 20)

    async def all_at_once() -> None:  # 100 s in one chunk are 6.4 MB
        upload = Upload(wav_header(16000) + bytes(3_200_000))
        await anext(sandbox.decode(upload, max_seconds=200, chunk_seconds=100))

    try:
        with pytest.raises(AudioError, match="more memory"):
            asyncio.run(all_at_once())
        assert decode(sandbox, wav_header(16000) + bytes(6400)) == pytest.approx(0.2)
    finally:
        asyncio.run(sandbox.close())


def wav_header(rate: int) -> bytes:
    form = (16, 1, 1, rate, 2 * rate, 2, 16)
    size = 0xFFFFFFFF
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", size, b"WAVE", b"fmt ", *form, b"data", size)


@pytest.mark.parametrize("seed", range(60))
def test_damaged_files_end_in_audio_or_in_a_clear_error(seed: int, sandbox: Sandbox) -> None:
    random = np.random.default_rng(seed)
    file = io.BytesIO()
    kind = ["WAV", "FLAC", "OGG", "MP3", "AIFF", "CAF"][seed % 6]
    soundfile.write(file, random.uniform(-0.5, 0.5, 16000), 16000, format=kind)
    data = bytearray(file.getvalue())
    for position in random.integers(0, 200, 8):
        data[position] = random.integers(256)
    with contextlib.suppress(AudioError, LimitError):
        assert decode(sandbox, bytes(data)) >= 0.08
    assert decode(sandbox, wav_header(16000) + bytes(6400)) == pytest.approx(0.2)

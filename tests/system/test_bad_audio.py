"""Uploads that cannot be transcribed: each a 4xx in OpenAI's shape, soon, and the next one is fine."""

import concurrent.futures
import io
import socket
import struct
import time

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.system

PATH = "/v1/audio/transcriptions"
WAV = struct.Struct("<4sI4s4sIHHIIHH4sI")


@pytest.fixture(scope="module")
def short():
    """0.2 s of silence."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(3200), 16_000, format="WAV")
    return file.getvalue()


@pytest.fixture(autouse=True)
def _next_request_is_fine(server, short):
    yield
    assert server.http.post(PATH, files={"file": short}).raise_for_status().json()["text"] == ""


@pytest.fixture
def refused(server, assert_refused):
    """refused(bytes, name) → the error that this upload causes."""

    def send(data: bytes, name: str = "recording.wav", **fields):
        return assert_refused(server.http.post(PATH, files={"file": (name, data)}, data=fields))

    return send


def header(*, channels: int = 1, rate: int = 16_000, size: int = 0) -> bytes:
    """A WAV file's, as someone claims it to be."""
    return WAV.pack(
        b"RIFF", min(size + 36, 2**32 - 1), b"WAVE", b"fmt ", 16, 1, channels, rate,
        2 * channels * rate % 2**32, 2 * channels % 2**16, 16, b"data", size,
    )  # fmt: skip


def flac(seconds: int, rate: int) -> bytes:
    """Silence: it becomes hundreds of times as large when it is unpacked."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", samplerate=rate, channels=1, format="FLAC") as sound:
        for _ in range(0, seconds, 600):
            sound.write(np.zeros(600 * rate, np.int16))
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "empty.wav"),
        (b"\0", "one-byte.wav"),
        (b"RIFF", "four-bytes.wav"),
        (header(size=32_000)[:30], "half-a-header.wav"),
        (header(), "zero-samples.wav"),
        (header(size=32_000), "no-samples-where-some-are-claimed.wav"),
        (header(channels=0, size=64) + bytes(64), "no-channels.wav"),
        (header(channels=60_000, size=64) + bytes(64), "many-channels.wav"),
        (header(rate=0, size=64) + bytes(64), "no-rate.wav"),
        (header(rate=2**31, size=64) + bytes(64), "a-rate-of-gigahertz.wav"),
        (b"This is a text, not a recording. " * 100, "text.mp3"),
        (b"<!doctype html><title>Not found</title>", "page.ogg"),
        (b'{"audio": "no"}', "x.json"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "picture.png"),
        (b"PK\x03\x04" + bytes(500), "archive.zip"),
        (b"%PDF-1.7\n" + bytes(500), "letter.pdf"),
        (b"\x7fELF" + bytes(500), "program.wav"),
        (b"ID3\x04\0\0\x7f\x7f\x7f\x7f", "endless-tag.mp3"),
        (b"OggS" + bytes(100), "broken.ogg"),
        (b"fLaC" + bytes(100), "broken.flac"),
        (b"\0\0\0\x18ftypM4A " + bytes(50), "broken.m4a"),
        (b"\x1aE\xdf\xa3" + bytes(50), "broken.webm"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_recording(refused, data, name):
    error = refused(data, name)
    assert (error["param"], error["code"]) == ("file", "invalid_audio")


def test_noise_instead_of_a_file(refused):
    noise = np.random.default_rng(0).bytes(300_000)
    for name in ("noise.wav", "noise.mp3", "noise.m4a"):
        refused(noise, name)


def test_a_file_with_a_wrong_ending_is_read_all_the_same(server, wav, text, assert_says):
    for name in ("actually.mp3", "x.exe", "../../etc/passwd", "http://127.0.0.1/x.wav", ""):
        response = server.http.post(PATH, files={"file": (name or None, wav, "image/png")})
        if name:
            assert_says(response.json()["text"], text)
        else:  # a part without a file name is a form field, not a file
            assert 400 <= response.status_code < 500


def test_a_truncated_file_gives_what_is_there_or_says_so(server, wav, decoded, encode):
    _, samples, rate = decoded(wav)
    half = encode(samples, rate, "flac", "flac")
    response = server.http.post(PATH, files={"file": half[: len(half) // 2]})
    assert "window" in response.json()["text"]
    mp4 = encode(samples, rate, "mp4", "aac")  # its index lies at its end
    assert server.http.post(PATH, files={"file": mp4[: len(mp4) // 2]}).status_code == 400


def test_a_decompression_bomb(refused):
    bomb = flac(5 * 3600, 8000)
    assert len(bomb) < 2_000_000
    assert refused(bomb, "bomb.flac")["code"] == "limit_exceeded"


PLAYLISTS = {
    "x.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n",
    "x.m3u": "{}\n",
    "x.pls": "[playlist]\nFile1={}\nNumberOfEntries=1\n",
    "x.ffconcat": "ffconcat version 1.0\nfile {}\n",
    "x.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\na=control:{}\n"
    "m=audio 5004 RTP/AVP 0\n",
    "x.mpd": '<?xml version="1.0"?><MPD type="static"><Period><AdaptationSet><Representation>'
    "<BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "x.asx": '<asx version="3.0"><entry><ref href="{}"/></entry></asx>',
    "x.ram": "{}\n",
    "x.wav": "#EXTM3U\n#EXTINF:10,\n{}\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_opens_nothing(refused, silent_listener, tmp_path, wav, name):
    private = tmp_path / "private.wav"
    private.write_bytes(wav)
    private_ways = (
        str(private),
        f"file://{private}",
        f"concat:{private}",
        f"subfile,,start,0,end,,:{private}",
    )
    for address in (f"http://{silent_listener}/x.wav", f"tcp://{silent_listener}", *private_ways):
        error = refused(PLAYLISTS[name].format(address).encode(), name)
        assert "window" not in error["message"]


def test_fields_of_wrong_values(server, refused, short, assert_refused):
    known = {
        "model": ("gpt-9", "moonshine-tiny"),
        "response_format": ("docx", "verbose_json"),
        "timestamp_granularities[]": ("phoneme", "segment"),
        "temperature": ("hot", "number"),
        "stream": ("perhaps", "boolean"),
        "chunking_strategy": ("whenever", "server_vad"),
        "language": ("x" * 300, "256"),
    }
    for field, (value, listed) in known.items():
        error = refused(short, **{field: value})
        assert error["param"] == field.removesuffix("[]")
        assert listed in error["message"], error["message"]
    refused(short, model="hibari")
    refused(short, stream="true", response_format="srt")
    for field in ("language", "prompt", "model"):
        response = server.http.post(PATH, files={"file": short}, data={field: "\x00\ufffd"})
        assert response.status_code < 500


def test_a_missing_file_part_and_two_of_them(server, short, assert_refused):
    error = assert_refused(server.http.post(PATH, data={"model": "whisper-1"}))
    assert error["param"] == "file"
    assert_refused(server.http.post(PATH, files={"audio": short}, data={"model": "whisper-1"}))
    assert_refused(server.http.post(PATH, files=[("file", short), ("file", short)]))
    assert_refused(server.http.post(PATH, json={"file": "recording.wav"}))
    assert_refused(server.http.post(PATH, data={"file": "recording.wav", "model": "whisper-1"}))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"--b", b"--b--\r\n", b"no boundary at all", b"--b\r\n\r\n",
        b"--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nabc",
        b"--b\r\nContent-Disposition: form-data; " + b"x" * 100_000 + b"\r\n\r\nabc\r\n--b--\r\n",
        b"".join(
            b'--b\r\nContent-Disposition: form-data; name="f%d"\r\n\r\n1\r\n' % n for n in range(2000)
        ) + b"--b--\r\n",
    ],
    ids=["empty", "start", "end", "text", "no-header", "no-end", "huge-header", "many-fields"],
)  # fmt: skip
def test_broken_forms(server, assert_refused, body):
    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert_refused(server.http.post(PATH, content=body, headers=headers))


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", "audio/wav"])
def test_a_form_without_its_boundary(server, assert_refused, kind):
    assert_refused(server.http.post(PATH, content=b"--b\r\n", headers={"content-type": kind}))


def test_bodies_that_stop_half_way_are_ended(server, short):
    form = (
        b"multipart/form-data; boundary=b\r\n",
        b"--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n" + short,
    )
    json = b"application/json\r\n", b'{"model": "tts-1", "inp'

    def stop_half_way(path: str, kind: bytes, part: bytes, size: bytes) -> tuple[bytes, float]:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", server.port), timeout=15) as peer:
            head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s" % (path.encode(), kind)
            peer.sendall(head + size + part)
            answer = b"".join(iter(lambda: peer.recv(4096), b""))  # until the server hangs up
        return answer, time.monotonic() - began

    known = b"Content-Length: 100000\r\n\r\n"
    chunked = b"Transfer-Encoding: chunked\r\n\r\n2000\r\n"
    cases = [(PATH, *form, known), (PATH, *form, chunked), ("/v1/audio/speech", *json, known)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for answer, seconds in pool.map(lambda case: stop_half_way(*case), cases):
            assert answer.startswith(b"HTTP/1.1 408 "), answer
            assert b'"code": "request_timeout"' in answer
            assert seconds < 10

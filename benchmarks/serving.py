"""What serving costs over the bare engine loop, one client, each family, in one run.

    python benchmarks/serving.py [--rounds 20] [--json]

For every round the bare loop and the server do the same work, one after the other (so that a noisy
machine hurts both), each in its own process. The server must stay within 1.10 × the bare loop + 5 ms.
"First audio" is the time until the client holds 100 ms of audio past the source's own onset.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass

import httpx
import numpy as np

import bare
import machine

FACTOR, ALLOWANCE = 1.10, 0.005
"""the server's bound: FACTOR × bare + ALLOWANCE seconds"""

TEXTS = (
    "The train to the coast leaves at half past seven.",
    "Please remember to water the plants while we are away on holiday.",
    "A small boat crossed the harbour and tied up beside the old stone steps.",
)
LONG = " ".join(TEXTS * 4)
"""twelve sentences: how soon does a long text begin"""


@dataclass(frozen=True)
class Figures:
    """Medians of one comparison, seconds."""

    family: str
    task: str
    audio: float
    bare: float
    served: float
    first_audio: float | None
    first_audio_long: float | None

    @property
    def within(self) -> bool:
        return self.served <= FACTOR * self.bare + ALLOWANCE


@contextmanager
def server(*models: str, **environment: str) -> Iterator[httpx.Client]:
    """A client of a server of its own, ended afterwards. `environment`: settings of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "sonorant", "serve", *models, "--port", str(port)]
    # what was kept would cost nothing to serve again
    folder = tempfile.mkdtemp(prefix="sonorant-jobs-")
    environment = {"SONORANT_CACHE__WHERE": "off", "SONORANT_JOBS__FOLDER": folder, **environment}
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ | environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            deadline = time.monotonic() + 120
            while True:
                with suppress(httpx.TransportError):
                    if client.get("/health/ready").status_code == 200:
                        break
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError(f"{' '.join(command)} did not become ready")
                time.sleep(0.1)
            yield client
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def speech(client: httpx.Client, text: str) -> tuple[float, float, float]:
    """(first audio, all audio, seconds of audio) of one streamed request, native rate."""
    began = time.perf_counter()
    received = bytearray()
    first = None
    body = {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "wav"}
    with client.stream("POST", "/v1/audio/speech", json=body) as response:
        response.raise_for_status()
        for data in response.iter_raw():
            received += data
            if first is None and _audible(bytes(received)):
                first = time.perf_counter() - began
    total = time.perf_counter() - began
    with wave.open(io.BytesIO(bytes(received))) as audio:
        seconds = (len(received) - 44) / 2 / audio.getframerate()
    return first or total, total, seconds


def _audible(data: bytes) -> bool:
    """Whether the WAV bytes so far hold 100 ms past the first sound (−40 dB of full scale)."""
    if len(data) < 46:
        return False
    rate = int.from_bytes(data[24:28], "little")
    samples = np.frombuffer(data[44 : len(data) // 2 * 2], "<i2")
    loud = np.flatnonzero(np.abs(samples) > 327)
    return len(loud) > 0 and len(samples) - loud[0] >= rate // 10


def compare_speech(family: str, model: str, loop: Callable[[str], object], rounds: int) -> Figures:
    """Bare loop against server, the same sentence in each pair."""
    bare_times, served, first, first_long, audio = [], [], [], [], []
    with server(model) as client:
        for _ in range(3):
            loop(TEXTS[0])
            speech(client, TEXTS[0])
        for i in range(rounds):
            text = TEXTS[i % len(TEXTS)]
            began = time.perf_counter()
            loop(text)
            bare_times.append(time.perf_counter() - began)
            onset, total, seconds = speech(client, text)
            first.append(onset)
            served.append(total)
            audio.append(seconds)
        for _ in range(5):
            first_long.append(speech(client, LONG)[0])
    return Figures(
        family,
        "speech",
        statistics.mean(audio),
        statistics.median(bare_times),
        statistics.median(served),
        statistics.median(first),
        statistics.median(first_long),
    )


def compare_transcription(family: str, model: str, loop: Callable[[bytes], str], rounds: int) -> Figures:
    """Bare loop against server on clips of speech of 2–5 s."""
    speak = bare.hibari()
    clips = [_wav(*speak(text)) for text in TEXTS]
    bare_times, served = [], []
    with server(model) as client:

        def ask(clip: bytes) -> str:
            response = client.post(
                "/v1/audio/transcriptions", data={"model": "whisper-1"}, files={"file": ("clip.wav", clip)}
            )
            return str(response.raise_for_status().json()["text"])

        for clip in clips:
            print(f"    bare: {loop(clip)}\n  served: {ask(clip)}", file=sys.stderr)
        for i in range(rounds):
            clip = clips[i % len(clips)]
            began = time.perf_counter()
            loop(clip)
            bare_times.append(time.perf_counter() - began)
            began = time.perf_counter()
            ask(clip)
            served.append(time.perf_counter() - began)
    seconds = statistics.mean((len(clip) - 44) / 2 / 16_000 for clip in clips)
    return Figures(
        family, "transcription", seconds, statistics.median(bare_times), statistics.median(served), None, None
    )


def _wav(samples: bare.Samples, rate: int) -> bytes:
    import soxr

    file = io.BytesIO()
    with wave.open(file, "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(16_000)
        audio.writeframes((soxr.resample(samples, rate, 16_000) * 32767).astype("<i2").tobytes())
    return file.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(description="Serving against the bare engine loop.")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rounds: int = options.rounds
    figures = [
        compare_speech("hibari", "hibari", bare.hibari(), rounds),
        compare_speech("piper", "piper-joe", bare.piper(), rounds),
        compare_transcription("moonshine", "moonshine-tiny", bare.moonshine(), rounds),
    ]
    facts = machine.describe(
        "sonorant", "onnxruntime", "numpy", "fastapi", "uvicorn", "hibari-tts", "piper-tts"
    )
    if options.json:
        print(json.dumps({**facts, "figures": [asdict(f) | {"within": f.within} for f in figures]}, indent=2))
    else:
        print("| family | audio | bare loop | served | bound | RTF served | first audio | of 12 sentences |")
        print("|---|---|---|---|---|---|---|---|")
        for f in figures:
            first = (
                f"{f.first_audio * 1000:.0f} ms | {f.first_audio_long * 1000:.0f} ms"
                if (f.first_audio is not None and f.first_audio_long is not None)
                else "– | –"
            )
            print(
                f"| {f.family} | {f.audio:.1f} s | {f.bare * 1000:.1f} ms | {f.served * 1000:.1f} ms "
                f"| {(FACTOR * f.bare + ALLOWANCE) * 1000:.1f} ms, {'kept' if f.within else 'MISSED'} "
                f"| {f.served / f.audio:.4f} | {first} |"
            )
        print("; ".join(f"{name} {value}" for name, value in facts.items()))
    return 0 if all(f.within for f in figures) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Our Moonshine against the `moonshine-voice` library: the same weights, files and machine, in one run.

    pip install moonshine-voice==0.1.0   # a peer, not a dependency
    python benchmarks/moonshine_peer.py [--rounds 5] [--clients 1,4] [--json]

The files: two real recordings (10 and 44 s), and ten English sentences of
sonorant.prepare.quality.sentences spoken by hibari. Each client transcribes all of them, each from another
one on, in a thread; both systems take turns, each round. Ours is one model for all clients; the library,
which does one thing at a time, is loaded once a client. Speed is seconds of audio per second; the bound is
1.3 × the library's at one client and 2.5 × at four, at no more word errors."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

import machine
import sonorant
from listening import real_speech, word_errors
from roundtrip import sentences
from sonorant.catalogue import Catalogue
from sonorant.settings import load_settings

RATE = 16_000
BOUNDS = {1: 1.3, 4: 2.5}
"""by the number of clients, times the library's speed"""

Samples = NDArray[np.float32]
Transcribe = Callable[[Samples], str]


@dataclass(frozen=True)
class Clip:
    """A recording and what is said in it."""

    samples: Samples
    text: str


def clips() -> list[Clip]:
    """Real recordings, and spoken sentences, at 16 kHz."""
    found = []
    for recording in real_speech():
        samples, rate = soundfile.read(recording.path, dtype="float32", always_2d=True)
        found.append(Clip(soxr.resample(samples.mean(1), rate, RATE), recording.transcript))
    for text in sentences()[:10]:
        spoken = sonorant.say(text).result()
        found.append(Clip(soxr.resample(spoken.samples, spoken.sample_rate, RATE), text))
    return found


def ours() -> Transcribe:
    """Sonorant's pipeline: VAD, encoder, decoder."""
    model = sonorant.load("moonshine-tiny")
    return lambda samples: model.transcribe(sonorant.AudioChunk(samples, RATE)).text


def theirs() -> Transcribe:
    """The library on the same files."""
    from moonshine_voice.moonshine_api import ModelArch
    from moonshine_voice.transcriber import Transcriber

    catalogue = Catalogue(load_settings().catalogue)
    folder = catalogue.ensure(catalogue.find("moonshine-tiny"))
    library: Any = Transcriber(str(folder), ModelArch.TINY)

    def transcribe(samples: Samples) -> str:
        transcript = library.transcribe_without_streaming(samples.tolist(), RATE)
        return " ".join(line.text for line in transcript.lines)

    return transcribe


def speed(clients: Sequence[Transcribe], files: Sequence[Clip]) -> float:
    """Audio seconds a second, all clients together."""

    def work(number: int) -> None:
        for i in range(len(files)):
            clients[number](files[(i + number) % len(files)].samples)

    with ThreadPoolExecutor(len(clients)) as threads:
        began = time.perf_counter()
        list(threads.map(work, range(len(clients))))
        wall = time.perf_counter() - began
    return len(clients) * sum(len(clip.samples) for clip in files) / RATE / wall


def main() -> int:
    parser = argparse.ArgumentParser(description="Our Moonshine against the moonshine-voice library.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", default="1,4")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    counts = [int(count) for count in options.clients.split(",")]
    files = clips()
    systems = {
        "sonorant": [ours()] * max(counts),
        "moonshine-voice": [theirs() for _ in range(max(counts))],
    }
    errors = dict.fromkeys(systems, 0)
    words = 0
    for clip in files:
        for name, clients in systems.items():
            wrong, total = word_errors(clip.text, clients[0](clip.samples))
            errors[name] += wrong
        words += total
    medians: dict[int, dict[str, float]] = {}
    for count in counts:
        found: dict[str, list[float]] = {name: [] for name in systems}
        for _ in range(options.rounds):
            for name, clients in systems.items():
                found[name].append(speed(clients[:count], files))
        medians[count] = {name: statistics.median(speeds) for name, speeds in found.items()}
    ratios = {count: m["sonorant"] / m["moonshine-voice"] for count, m in medians.items()}
    within = {count: ratio >= BOUNDS.get(count, 0.0) for count, ratio in ratios.items()}
    kept = all(within.values()) and errors["sonorant"] <= errors["moonshine-voice"]
    facts = machine.describe("sonorant", "onnxruntime", "moonshine-voice")
    if options.json:
        figures = {"audio_s_per_s": medians, "ratios": ratios, "errors": errors, "words": words, "kept": kept}
        print(json.dumps({**facts, **figures}, indent=2))
    else:
        heads = " | ".join(f"{count} client{'s' * (count > 1)}, audio-s/s" for count in counts)
        print(f"| system | {heads} | word errors |\n|---|{'---|' * len(counts)}---|")
        for name in systems:
            speeds = " | ".join(f"{medians[count][name]:.1f}" for count in counts)
            print(f"| {name} | {speeds} | {errors[name]} of {words} |")
        for count, ratio in ratios.items():
            verdict = "kept" if within[count] else "MISSED"
            print(f"\nclients {count}: ratio {ratio:.2f}, bound {BOUNDS.get(count, 'none')}: {verdict}")
        print("; ".join(f"{name} {value}" for name, value in facts.items()))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

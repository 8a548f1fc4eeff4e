"""Our Moonshine against the `moonshine-voice` library: the same weights, files and machine, in one run.

    pip install moonshine-voice==0.1.0   # a peer, not a dependency
    python benchmarks/moonshine_peer.py [--rounds 5] [--json]

The files: two real recordings (10 and 44 s), and ten sentences of
tests/data/english.txt spoken by hibari. Each file is transcribed by both, one after the other, each
round. Speed is seconds of audio per second; the bound is 1.3 × the library's at no more word errors.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
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
BOUND = 1.3

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


def main() -> int:
    parser = argparse.ArgumentParser(description="Our Moonshine against the moonshine-voice library.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    files = clips()
    systems = {"sonorant": ours(), "moonshine-voice": theirs()}
    speeds: dict[str, list[float]] = {name: [] for name in systems}
    errors = dict.fromkeys(systems, 0)
    words = 0
    for clip in files:
        for name, transcribe in systems.items():
            wrong, total = word_errors(clip.text, transcribe(clip.samples))
            errors[name] += wrong
        words += total
    for _ in range(options.rounds):
        spent = dict.fromkeys(systems, 0.0)
        for clip in files:
            for name, transcribe in systems.items():
                began = time.perf_counter()
                transcribe(clip.samples)
                spent[name] += time.perf_counter() - began
        seconds = sum(len(clip.samples) for clip in files) / RATE
        for name in systems:
            speeds[name].append(seconds / spent[name])
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    ratio = medians["sonorant"] / medians["moonshine-voice"]
    kept = ratio >= BOUND and errors["sonorant"] <= errors["moonshine-voice"]
    facts = machine.describe("sonorant", "onnxruntime", "moonshine-voice")
    if options.json:
        figures = {"audio_s_per_s": medians, "ratio": ratio, "errors": errors, "words": words, "kept": kept}
        print(json.dumps({**facts, **figures}, indent=2))
    else:
        print("| system | audio-s/s | word errors |\n|---|---|---|")
        for name in systems:
            print(f"| {name} | {medians[name]:.1f} | {errors[name]} of {words} |")
        print(f"\nratio {ratio:.2f}, bound {BOUND}: {'kept' if kept else 'MISSED'}")
        print("; ".join(f"{name} {value}" for name, value in facts.items()))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

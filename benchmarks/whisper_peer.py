"""Our Whisper against plain `faster-whisper`: the same weights, precision, beam and cores, in one run.

    python benchmarks/whisper_peer.py [--rounds 3] [--json]

The recording: ten minutes of English with pauses of 0.4 to 1.6 s, made of two real recordings (three and
four times) and the sentences of roundtrip.py spoken by hibari. The peer is used as its
documentation shows, and with its own VAD as well. Speed is seconds of audio per second, the median over
rounds in which each hears all of it; the bound is 1.5 × the plain peer's at an equal word error rate: the 95%
interval of the difference in errors, a bootstrap over the clips, holds 0 or less. Two real recordings of
Mandarin are written down beside that, with their character errors.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

import machine
import sonorant
from listening import (
    Recording,
    character_errors,
    mandarin_speech,
    real_speech,
    word_errors,
)
from roundtrip import RESAMPLES, sentences
from sonorant.catalogue import Catalogue
from sonorant.families.whisper.engine import BEAM
from sonorant.prepare.quality.words.errors import errors_by_part
from sonorant.settings import load_settings

RATE = 16_000
BOUND = 1.5
BLOCKS = 4

Samples = NDArray[np.float32]
Transcribe = Callable[[Samples, str], str]
"""(samples at 16 kHz, language) → text"""


def heard(recording: Recording) -> tuple[Samples, str]:
    """The samples at 16 kHz, and what is said."""
    samples, rate = soundfile.read(recording.path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(1), rate, RATE), recording.transcript


def english() -> tuple[Samples, list[str]]:
    """The recording, and what is said in each of its clips."""
    voice = sonorant.load("hibari")
    spoken = []
    for text in sentences():
        speech = voice.say(text, seed=0).result()
        spoken.append((soxr.resample(speech.samples, speech.sample_rate, RATE), text))
    voice.close()
    short, long = (heard(recording) for recording in real_speech())
    share = len(spoken) // BLOCKS
    clips = []
    for block in range(BLOCKS):
        clips += [long] if block < BLOCKS - 1 else []
        clips += [short, *spoken[block * share : (block + 1) * share]]
    pauses = np.random.default_rng(0).uniform(0.4, 1.6, len(clips))
    pieces = [
        piece
        for (samples, _), pause in zip(clips, pauses, strict=True)
        for piece in (samples, np.zeros(int(pause * RATE), np.float32))
    ]
    return np.concatenate(pieces), [text for _, text in clips]


def systems() -> Iterator[tuple[str, Transcribe]]:
    """Ours, and the peer without and with its VAD."""
    from faster_whisper import WhisperModel

    model = sonorant.load("whisper-base")
    yield (
        "sonorant",
        lambda samples, language: (
            model.transcribe(sonorant.AudioChunk(samples, RATE), language=language).text
        ),
    )
    catalogue = Catalogue(load_settings().catalogue)
    folder = catalogue.ensure(catalogue.find("whisper-base"))
    peer: Any = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=os.cpu_count() or 1)

    def transcribe(samples: Samples, language: str, vad: bool) -> str:
        segments, _ = peer.transcribe(samples, language=language, beam_size=BEAM, vad_filter=vad)
        return " ".join(segment.text.strip() for segment in segments)

    yield "faster-whisper", lambda samples, language: transcribe(samples, language, False)
    yield "faster-whisper, vad_filter", lambda samples, language: transcribe(samples, language, True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Our Whisper against plain faster-whisper.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    samples, texts = english()
    seconds = len(samples) / RATE
    compared = dict(systems())
    speeds: dict[str, list[float]] = {name: [] for name in compared}
    errors: dict[str, list[list[int]]] = {name: [] for name in compared}
    for _ in range(options.rounds):
        for name, transcribe in compared.items():
            began = time.perf_counter()
            written = transcribe(samples, "en")
            speeds[name].append(seconds / (time.perf_counter() - began))
            errors[name].append(errors_by_part(texts, written))
    words = word_errors(" ".join(texts), "")[1]
    speed = {name: statistics.median(values) for name, values in speeds.items()}
    by_clip = {name: np.mean(rounds, axis=0) for name, rounds in errors.items()}
    wrong = {name: float(clips.sum()) for name, clips in by_clip.items()}
    more = interval(by_clip["sonorant"] - by_clip["faster-whisper"])
    ratios = {name: speed["sonorant"] / speed[name] for name in compared if name != "sonorant"}
    kept = ratios["faster-whisper"] >= BOUND and more[0] <= 0
    mandarin = {
        name: [(character_errors(said, got := transcribe(clip, "zh")), got) for clip, said in chinese()]
        for name, transcribe in compared.items()
    }
    facts = machine.describe("sonorant", "faster-whisper", "ctranslate2", "onnxruntime")
    if options.json:
        figures = {
            "seconds": seconds,
            "audio_s_per_s": speed,
            "ratios": ratios,
            "errors": wrong,
            "more_errors_95": more,
            "words": words,
        }
        print(
            json.dumps({**facts, **figures, "mandarin": mandarin, "kept": kept}, indent=2, ensure_ascii=False)
        )
        return 0 if kept else 1
    print(f"{seconds:.0f} s of English\n\n| system | audio-s/s | word errors | Mandarin, character errors |")
    print("|---|---|---|---|")
    for name in compared:
        characters = ", ".join(f"{wrong} of {total}" for (wrong, total), _ in mandarin[name])
        print(f"| {name} | {speed[name]:.1f} | {wrong[name]:g} of {words} | {characters} |")
    for _, transcript in mandarin["sonorant"]:
        print(f"\n{transcript}")
    print(f"\n{more[0]:+.0f} to {more[1]:+.0f} errors more than the plain peer (95% interval)")
    print(f"ratio {ratios['faster-whisper']:.2f}, bound {BOUND}: {'kept' if kept else 'MISSED'}")
    print("; ".join(f"{name} {value}" for name, value in facts.items()))
    return 0 if kept else 1


def interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95% of the sums of `RESAMPLES` draws, each of as many clips, with replacement."""
    draws = np.random.default_rng(0).integers(len(differences), size=(RESAMPLES, len(differences)))
    low, high = np.percentile(differences[draws].sum(1), (2.5, 97.5))
    return float(low), float(high)


def chinese() -> list[tuple[Samples, str]]:
    """Real Mandarin: a sentence, and a lesson of 70 s."""
    return [heard(recording) for recording in mandarin_speech()]


if __name__ == "__main__":
    sys.exit(main())

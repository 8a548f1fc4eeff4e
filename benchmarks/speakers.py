"""How well CAM++ tells speakers apart, by the length of what it hears, and how long that takes.

    pip install 'sonorant[torch]'
    python benchmarks/speakers.py [--json]

Three real recordings of four people (the 70 s lesson is taken over by another speaker after 62 s) are cut
into pieces; each pair of pieces is of one speaker or of two.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import combinations

import numpy as np
import soundfile
from numpy.typing import NDArray

import machine
import sonorant
from recordings import mandarin_speech, real_speech

LENGTHS = (1, 2, 3, 5, 10)
"""seconds"""
ROUNDS = 10
HANDOVER = 61, 63
"""seconds of the lesson: the end of one speaker, the start of the next"""

Samples = NDArray[np.float32]


def speakers() -> dict[str, tuple[Samples, int]]:
    """Each person's audio with its rate."""
    paths = [real_speech()[1].path, *(recording.path for recording in mandarin_speech())]
    english, sentence, lesson = (soundfile.read(path, dtype="float32") for path in paths)
    samples, rate = lesson
    end, start = (second * rate for second in HANDOVER)
    return {
        "two_cities": english,
        "asr_example": sentence,
        "vad_example, teacher": (samples[:end], rate),
        "vad_example, host": (samples[start:], rate),
    }


def similarities(model: sonorant.Model, seconds: int) -> tuple[list[float], list[float]]:
    """Of all pairs of pieces: those of one speaker, those of two."""
    voices = []
    for person, (samples, rate) in speakers().items():
        size = seconds * rate
        for start in range(0, len(samples) - size + 1, size):
            piece = sonorant.AudioChunk(samples[start : start + size], rate)
            voices.append((person, model.embed(piece).result()))
    same: list[float] = []
    other: list[float] = []
    for (one, a), (another, b) in combinations(voices, 2):
        (same if one == another else other).append(sonorant.similarity(a, b))
    return same, other


def duration(model: sonorant.Model, seconds: int) -> float:
    """Median seconds for one embedding."""
    samples, rate = speakers()["two_cities"]
    piece = sonorant.AudioChunk(samples[: seconds * rate], rate)
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        model.embed(piece).result()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def main() -> int:
    parser = argparse.ArgumentParser(description="CAM++ on real speakers.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    model = sonorant.load("campplus")
    rows = []
    for seconds in LENGTHS:
        same, other = similarities(model, seconds)
        rows.append(
            {
                "seconds": seconds,
                "pairs": [len(same), len(other)],
                "same speaker, median": round(float(np.median(same)), 2),
                "same speaker, 5% below": round(float(np.quantile(same, 0.05)), 2),
                "another, median": round(float(np.median(other)), 2),
                "another, 5% above": round(float(np.quantile(other, 0.95)), 2),
                "RTF": round(duration(model, seconds) / seconds, 4),
            }
        )
    machine.show(machine.describe("sonorant", "torch", "numpy"), rows, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())

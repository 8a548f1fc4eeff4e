"""Text → our speech → Whisper base → text: the word error rate of a voice.

    python benchmarks/roundtrip.py [--model hibari] [--voice NAME] [--json]

The sentences are tests/data/english.txt: fixed before any voice was chosen, one on a line. The interval
is a bootstrap over sentences: it says how far the figure depends on which sentences were taken, and
counts the listener's own errors as the voice's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import machine
from listening import LISTENING_RATE, listener, word_errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Speak = Callable[[str], tuple[NDArray[np.float32], int]]
    """text → (samples [time] in [-1, 1], sample rate in hertz)"""

SENTENCES = Path(__file__).parent.parent / "tests" / "data" / "english.txt"
RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Heard:
    """One sentence after its round trip."""

    text: str
    heard: str
    errors: int
    words: int


def sentences() -> list[str]:
    return SENTENCES.read_text(encoding="utf-8").splitlines()


def round_trip(speak: Speak, texts: Iterable[str]) -> Iterator[Heard]:
    """Speak and hear each text, one after the other."""
    import soxr

    for text in texts:
        samples, rate = speak(text)
        heard = listener().hear(soxr.resample(samples, rate, LISTENING_RATE))
        yield Heard(text, heard, *word_errors(text, heard))


def word_error_rate(results: Sequence[Heard]) -> float:
    """All errors / all words."""
    return sum(result.errors for result in results) / sum(result.words for result in results)


def interval(results: Sequence[Heard]) -> tuple[float, float]:
    """The middle 95% of the rates of `RESAMPLES` draws, each of as many sentences, with replacement."""
    import numpy as np

    errors = np.array([result.errors for result in results])
    words = np.array([result.words for result in results])
    draws = np.random.default_rng(0).integers(len(results), size=(RESAMPLES, len(results)))
    low, high = np.percentile(errors[draws].sum(1) / words[draws].sum(1), (2.5, 97.5))
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description="Word error rate of a voice, heard by Whisper base.")
    parser.add_argument("--model", default="hibari")
    parser.add_argument("--voice", help="default: the model's own")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args()

    import sonorant

    model = sonorant.load(options.model)

    def speak(text: str) -> tuple[NDArray[np.float32], int]:
        speech = model.say(text, voice=options.voice).result()
        return speech.samples, speech.sample_rate

    results = []
    for result in round_trip(speak, sentences()):
        results.append(result)
        if not options.json:
            print(f"{result.errors:2d} of {result.words:2d}  {result.text}")
            if result.errors:
                print(f"{'':10}{result.heard}", flush=True)
    rate, (low, high) = word_error_rate(results), interval(results)
    facts = machine.describe("sonorant", "onnxruntime", "faster-whisper", "ctranslate2", "jiwer")
    facts |= {"model": options.model, "voice": options.voice or "the model's own"}
    if options.json:
        figures = {"wer": rate, "wer_95": [low, high], "sentences": [asdict(result) for result in results]}
        print(json.dumps({**facts, **figures}, ensure_ascii=False, indent=2))
        return
    words = sum(result.words for result in results)
    print(f"\nWER {rate:.2%} (95% interval {low:.2%} to {high:.2%}), {len(results)} sentences, {words} words")
    print("; ".join(f"{name} {value}" for name, value in facts.items()))


if __name__ == "__main__":
    main()

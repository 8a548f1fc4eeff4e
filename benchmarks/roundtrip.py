"""Text → our speech → Whisper base → text: the error rate of a voice.

    python benchmarks/roundtrip.py [--language LANGUAGE …] [--model NAME] [--voice NAME] [--json]

LANGUAGE: en, zh, mixed, or one of Kokoro's others: es, fr, hi, it, ja, pt. The sentences are those of
sonorant/prepare/quality/sentences: fixed before any voice was chosen, one on a line. Those of the other
languages, in other_languages.txt there, are few: they show that a language works, and roughly how well.
English is measured in words (WER); Chinese in characters (CER) and in syllables with their tones (PER),
which homophones survive; mixed text in characters and English words (MER), and so too in syllables (PER).
The interval is a bootstrap over sentences: it says how far the figure depends on which sentences were
taken, and counts the listener's own errors as the voice's.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

import machine
from listening import LISTENING_RATE, character_errors, listener, pinyin_errors, plain_errors, word_errors
from sonorant.prepare.quality.sentences import lines

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Speak = Callable[[str], tuple[NDArray[np.float32], int]]
    """text → (samples [time] in [-1, 1], sample rate in hertz)"""

RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Language:
    """What a language is measured by."""

    file: str
    model: str
    """the default"""
    measure: str
    unit: str
    voice: str = ""
    """the default; "" = the model's own"""


OTHERS = "other_languages"
"""lines of "es: text\""""
LANGUAGES = {
    "en": Language("english", "hibari", "WER", "words"),
    "zh": Language("chinese", "kokoro", "CER", "characters"),
    "mixed": Language("mixed", "kokoro", "MER", "characters and English words"),
    "es": Language(OTHERS, "kokoro", "WER", "words", "ef_dora"),
    "fr": Language(OTHERS, "kokoro", "WER", "words", "ff_siwis"),
    "hi": Language(OTHERS, "kokoro", "WER", "words", "hf_alpha"),
    "it": Language(OTHERS, "kokoro", "WER", "words", "if_sara"),
    "ja": Language(OTHERS, "kokoro", "CER", "characters", "jf_alpha"),
    "pt": Language(OTHERS, "kokoro", "WER", "words", "pf_dora"),
}


@dataclass(frozen=True, slots=True)
class Heard:
    """One sentence after its round trip."""

    text: str
    heard: str
    errors: int
    words: int
    """in Chinese each character is one"""
    pinyin_errors: int = 0
    """of as many syllables; 0 where no Chinese is"""


def sentences(language: str = "en") -> list[str]:
    found = lines(LANGUAGES[language].file)
    if LANGUAGES[language].file == OTHERS:
        return [line.partition(": ")[2] for line in found if line.startswith(f"{language}: ")]
    return found


def round_trip(speak: Speak, texts: Iterable[str], language: str = "en") -> Iterator[Heard]:
    """Speak and hear each text: results in order, as many at once as there are cores."""
    import soxr

    def one(text: str) -> Heard:
        samples, rate = speak(text)
        samples = soxr.resample(samples, rate, LISTENING_RATE)
        if language == "en":
            heard = listener().hear(samples)
            return Heard(text, heard, *word_errors(text, heard))
        if LANGUAGES[language].file == OTHERS:
            heard = listener().hear(samples, language)
            return Heard(text, heard, *plain_errors(text, heard, spaced=language != "ja"))
        heard = listener().hear(samples, "zh")
        return Heard(text, heard, *character_errors(text, heard), pinyin_errors(text, heard)[0])

    listener()  # before the threads, so that it is loaded once
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(one, texts)


def word_error_rate(results: Sequence[Heard]) -> float:
    """All errors / all words; in Chinese the character error rate, in mixed text the mixed."""
    return sum(result.errors for result in results) / sum(result.words for result in results)


def pinyin_error_rate(results: Sequence[Heard]) -> float:
    """All errors in syllables / all syllables and English words."""
    return sum(result.pinyin_errors for result in results) / sum(result.words for result in results)


def interval(
    results: Sequence[Heard], wrong: Callable[[Heard], int] = attrgetter("errors")
) -> tuple[float, float]:
    """The middle 95% of the rates of `RESAMPLES` draws, each of as many sentences, with replacement."""
    import numpy as np

    errors = np.array([wrong(result) for result in results])
    words = np.array([result.words for result in results])
    draws = np.random.default_rng(0).integers(len(results), size=(RESAMPLES, len(results)))
    low, high = np.percentile(errors[draws].sum(1) / words[draws].sum(1), (2.5, 97.5))
    return float(low), float(high)


def spoken(name: str, model: str, voice: str, *, told: bool) -> list[Heard]:
    """Every sentence of a language after its round trip, told as they come."""
    import sonorant

    speaking = sonorant.load(model)

    def speak(text: str) -> tuple[NDArray[np.float32], int]:
        speech = speaking.say(text, voice=voice).result()
        return speech.samples, speech.sample_rate

    results = []
    for result in round_trip(speak, sentences(name), name):
        results.append(result)
        if told:
            print(f"{result.errors:2d} of {result.words:2d}  {result.text}")
            if result.errors:
                print(f"{'':10}{result.heard}", flush=True)
    speaking.close()
    return results


def figures(name: str, results: Sequence[Heard]) -> dict[str, tuple[float, tuple[float, float]]]:
    """What is measured of a language → its rate and interval."""
    found = {LANGUAGES[name].measure: (word_error_rate(results), interval(results))}
    if name in ("zh", "mixed"):
        found |= syllable_figures(results)
    return found


def syllable_figures(results: Sequence[Heard]) -> dict[str, tuple[float, tuple[float, float]]]:
    return {"PER": (pinyin_error_rate(results), interval(results, attrgetter("pinyin_errors")))}


def main() -> None:
    parser = argparse.ArgumentParser(description="Error rate of a voice, heard by Whisper base.")
    parser.add_argument("--language", choices=LANGUAGES, nargs="+", default=["en"])
    parser.add_argument("--model", help="default: hibari for English, else kokoro")
    parser.add_argument("--voice", default="", help="default: the model's own")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args()
    facts = machine.describe("sonorant", "onnxruntime", "faster-whisper", "ctranslate2", "jiwer", "pypinyin")
    trees, chinese = [], list[Heard]()
    for name in options.language:
        language = LANGUAGES[name]
        model, voice = options.model or language.model, options.voice or language.voice
        results = spoken(name, model, voice, told=not options.json)
        found = figures(name, results)
        chinese += results if "PER" in found else []
        by = {"language": name, "model": model, "voice": voice or "the model's own"}
        if options.json:
            rates = {key.lower(): {"rate": rate, "interval": bounds} for key, (rate, bounds) in found.items()}
            trees.append({**by, **rates, "sentences": [asdict(result) for result in results]})
            continue
        print()
        show(found)
        print(f"{len(results)} sentences, {sum(result.words for result in results)} {language.unit}")
        print("; ".join(f"{key} {value}" for key, value in by.items()), end="\n\n")
    if options.json:
        print(json.dumps({**facts, "languages": trees}, ensure_ascii=False, indent=2))
        return
    if len(options.language) > 1 and chinese:
        print(f"All {len(chinese)} sentences with Chinese:")
        show(syllable_figures(chinese))
    print("; ".join(f"{name} {value}" for name, value in facts.items()))


def show(found: dict[str, tuple[float, tuple[float, float]]]) -> None:
    for name, (rate, (low, high)) in found.items():
        print(f"{name} {rate:.2%} (95% interval {low:.2%} to {high:.2%})")


if __name__ == "__main__":
    main()

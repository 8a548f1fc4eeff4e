"""How soon a text of thirty words begins to sound, against the time to speak all of it.

    python benchmarks/first_audio.py [--model kokoro] [--rounds 5]

In process, one text at a time. "First audio" is when 100 ms of sound past the voice's onset are there. The
bound is a share of the time of the whole text. The seam behind the first chunk (Kokoro's clause, Piper's
window) is looked at as well: the pause that is left there, and the largest step from one sample to the next
around it beside the largest step anywhere else; and for how long playback that began with the first audio has
to wait for more.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import dataclass

import numpy as np

import machine
import sonorant
from sonorant.audio.joins import sound
from sonorant.tasks import AudioChunk

BOUNDS = {"kokoro": 0.35, "piper-joe": 0.30}
"""model → first audio, of the time of the whole text"""

ENGLISH = (
    "When the storm finally passed, the fishermen went down to the harbour to see what was left of their "
    "boats, and most of them were surprised to find so little damage.",
    "The museum opens at nine. Tickets are sold at the entrance, and visitors who arrive before ten may "
    "join a guided tour of the old building without paying anything extra for it.",
    "After dinner, she read the letter twice, folded it carefully, and put it back into the drawer where "
    "it had been lying since the day her brother left for the coast.",
)
CHINESE = (
    "吃完晚饭，她把那封信又读了两遍，小心地折好，放回抽屉里，然后走到窗前，看着远处的灯光慢慢亮起来。",
    "博物馆九点开门。门票在入口处出售，十点以前到达的游客，可以免费参加一次老楼的导览。",
)
TEXTS: dict[str, dict[str, tuple[str, ...]]] = {
    "kokoro": {"af_heart": ENGLISH, "zf_xiaoxiao": CHINESE},
    "piper-joe": {"joe": ENGLISH},
}
"""model → voice → texts"""


@dataclass(frozen=True)
class Figures:
    """Of one text."""

    text: str
    first: float
    """seconds until its first audio"""
    whole: float
    """seconds until all of it is there"""
    pause: float
    """seconds of silence at the first seam"""
    step: float
    """largest step within 5 ms of the seam, as a share of the largest one anywhere"""
    dry: float
    """seconds for which a listener who began with the first audio has nothing to hear"""


def speak(model: sonorant.Model, voice: str, text: str) -> Figures:
    """One text, streamed."""
    began = time.perf_counter()
    first = dry = 0.0
    heard = began  # when a listener has heard all that is there
    chunks: list[AudioChunk] = []
    for chunk in model.say(text, voice=voice):
        now = time.perf_counter()
        dry += max(0.0, now - heard) if chunks else 0.0
        heard = max(heard, now) + len(chunk.samples) / chunk.sample_rate
        chunks.append(chunk)
        onset, end = sound(np.concatenate([c.samples for c in chunks]), chunk.sample_rate)
        if not first and end - onset >= chunk.sample_rate // 10:
            first = time.perf_counter() - began
    whole = time.perf_counter() - began
    rate = chunks[0].sample_rate
    pause = step = 0.0
    if len(chunks) > 1:
        _, end = sound(chunks[0].samples, rate)
        begin, _ = sound(chunks[1].samples, rate)
        pause = (len(chunks[0].samples) - end + begin) / rate
        steps = np.abs(np.diff(np.concatenate([c.samples for c in chunks])))
        seam, near = len(chunks[0].samples), rate // 200
        step = float(steps[seam - near : seam + near].max() / steps.max())
    return Figures(text, first, whole, pause, step, dry)


def main() -> int:
    """Print a table; 1 where the bound is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=TEXTS, help="by default all, one after the other")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(
        "| model | voice | text | first audio | whole text | share | runs dry for | pause at the seam "
        "| step at the seam |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    missed = []
    for name in [options.model] if options.model else TEXTS:
        model = sonorant.load(name)
        for voice, texts in TEXTS[name].items():
            for text in texts:
                runs = [speak(model, voice, text) for _ in range(options.rounds + 1)][1:]
                each = ((r.first, r.whole, r.first / r.whole, r.dry) for r in runs)
                first, whole, share, dry = (statistics.median(column) for column in zip(*each, strict=True))
                missed += [text] if share > BOUNDS[name] else []
                print(
                    f"| {name} | {voice} | {text[:24]}… | {first:.2f} s | {whole:.2f} s | {share:.2f} "
                    f"| {dry:.2f} s | {runs[0].pause * 1000:.0f} ms | {runs[0].step:.2f} |"
                )
        model.close()
    print(f"\nbounds {BOUNDS} of the whole: {'MISSED' if missed else 'kept'}")
    print("; ".join(f"{k} {v}" for k, v in machine.describe("sonorant", "onnxruntime").items()))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

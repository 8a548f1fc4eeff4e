"""Text to speech: two models, or two sets of recordings of the same texts, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sonorant.errors import AudioError
from sonorant.networks.proof import Note
from sonorant.prepare.quality import sentences
from sonorant.prepare.quality.figures import Figure, Figures, largest, mean, ratio
from sonorant.prepare.quality.judges import Judges, judges
from sonorant.prepare.quality.laid_over import ALIGNED, aligned
from sonorant.prepare.quality.sound import faults, frames, spectra
from sonorant.prepare.quality.sound.pitch import pitch
from sonorant.prepare.quality.words import errors as words
from sonorant.tasks import AudioChunk, similarity

if TYPE_CHECKING:
    from sonorant.library import Model

SENTENCES = 24
"""that are spoken where nobody says which"""
SAME = 1e-4
"""of full scale: two answers that differ by less are the same"""
TEXTS = {"en": "english", "zh": "chinese"}

Watch = Callable[[float, str], None]
"""share that is done (0 to 1), what is being done"""


def measure(
    reference: Model,
    candidate: Model,
    *,
    texts: Sequence[str] = (),
    voice: str = "",
    language: str = "",
    panel: Judges | None = None,
    watch: Watch | None = None,
) -> Figures:
    """Both speak the same texts with the same seed; a reference that differs from itself speaks twice."""
    language = language or reference.describe().languages[0]
    texts = texts or default_texts(language)
    watch = watch or (lambda share, what: None)

    def spoken(model: Model, text: str) -> AudioChunk:
        return model.say(text, voice=voice, seed=0).result()

    def all_spoken(model: Model, began: float) -> list[AudioChunk]:
        chunks = []
        for n, text in enumerate(texts):
            watch(began + 0.15 * n / len(texts), "speaking")
            chunks.append(spoken(model, text))
        return chunks

    originals = all_spoken(reference, 0.0)
    once_more = spoken(reference, texts[0])
    again = None if same(originals[0], once_more) else all_spoken(reference, 0.15)
    prepared = all_spoken(candidate, 0.3)
    watch(0.45, "listening")
    panel = panel or judges(language)
    return compare(originals, prepared, texts=texts, language=language, again=again, panel=panel)


def default_texts(language: str) -> list[str]:
    """Every so many of the fixed sentences. Raises AudioError where the language has none."""
    name = TEXTS.get(language.split("-")[0].lower())
    if name is None:
        raise AudioError(
            f"There are no fixed sentences in the language {language!r}",
            why=f"There are some in {', '.join(TEXTS)}",
            remedy="Give texts of your own, at least 10",
        )
    found = sentences.lines(name)
    return found[:: len(found) // SENTENCES][:SENTENCES]


def same(a: AudioChunk, b: AudioChunk) -> bool:
    return a.samples.shape == b.samples.shape and bool(np.allclose(a.samples, b.samples, rtol=0, atol=SAME))


@dataclass(frozen=True, slots=True)
class Pair:
    """One text as the reference and as the candidate say it, and as the reference says it again."""

    a: AudioChunk
    b: AudioChunk
    again: AudioChunk | None
    text: str

    @property
    def rate(self) -> int:
        return self.a.sample_rate


def compare(
    reference: Sequence[AudioChunk],
    candidate: Sequence[AudioChunk],
    *,
    texts: Sequence[str] = (),
    language: str = "en",
    again: Sequence[AudioChunk] | None = None,
    panel: Judges | None = None,
) -> Figures:
    """Recordings of the same texts in the same order.

    again: the reference's own second answers, where it says the same text differently each time; None = the
    candidate's signal should be the reference's, sample for sample. Without `texts` no words are counted.
    Raises AudioError where there is nothing to compare.
    """
    panel = panel or Judges()
    if not reference or len(reference) != len(candidate):
        raise AudioError(
            f"{len(reference)} answers of the reference and {len(candidate)} of the candidate do not pair up",
            remedy="Give one of each for every text",
        )
    others: Sequence[AudioChunk | None] = again or [None] * len(reference)
    said = texts or [""] * len(reference)
    figures = Figures("speech", len(reference), again is not None, judges=dict(panel.names))
    pairs, broken = [], []
    for n, (a, b, other, text) in enumerate(zip(reference, candidate, others, said, strict=True)):
        if a.sample_rate != b.sample_rate or faults.is_broken(b.samples, b.sample_rate):
            broken.append(n)
        elif not faults.is_broken(a.samples, a.sample_rate):
            pairs.append(Pair(a, b, other, text))
    figures.values["broken"] = Figure(len(broken), worst=broken[0] if broken else None)
    if not pairs:
        why = Note("no answer of the candidate can be heard")
        figures.unmeasured |= dict.fromkeys((*SOUND, *ALIGNED, *JUDGED), why)
        return figures
    figures.values |= sound(pairs)
    if again is None:
        found, missing = aligned([(pair.a.samples, pair.b.samples, pair.rate) for pair in pairs])
        figures.values |= found
        figures.unmeasured |= missing
    judged(figures, pairs, language if texts else "", panel)
    return figures


SOUND = (
    "clipping", "clicks", "holes", "gap", "cut_off", "level", "noise_floor", "pitch", "duration", "pace",
    "colouring",
)  # fmt: skip
JUDGED = ("dnsmos_drop", "distillmos_drop", "speaker", "wer_increase", "words_lost")


def sound(pairs: Sequence[Pair]) -> dict[str, Figure]:
    """What numpy can tell."""

    def more(of: Callable[[np.ndarray, int], float]) -> list[float]:
        return [of(pair.b.samples, pair.rate) - of(pair.a.samples, pair.rate) for pair in pairs]

    def level(samples: frames.Samples, rate: int) -> float:
        return frames.speech_level(frames.levels(samples, rate))

    def drift(by_item: list[float]) -> Figure:
        return Figure(abs(float(np.mean(by_item))), worst=int(np.argmax(np.abs(by_item))))

    seconds = [(pair.a.seconds, pair.b.seconds) for pair in pairs]
    stretch = [abs(b / a - 1) for a, b in seconds]
    mels = [[_mel(chunk) for chunk in (pair.a, pair.b, pair.again) if chunk] for pair in pairs]
    found = {
        "clipping": largest(more(lambda samples, rate: 1e3 * faults.clipped(samples))),
        "gap": largest(more(faults.longest_gap)),
        "level": drift(more(level)),
        "noise_floor": drift(more(faults.noise_floor)),
        "pitch": drift(_cents(pairs)),
        "duration": largest(stretch),
        "pace": Figure(abs(sum(b for _, b in seconds) / sum(a for a, _ in seconds) - 1)),
        "colouring": Figure(spectra.colouring([mel[0] for mel in mels], [mel[1] for mel in mels])),
    }
    if all(len(mel) > 2 for mel in mels):
        apart, usual = ([spectra.warped_distance(mel[0], mel[n]) for mel in mels] for n in (1, 2))
        found["log_mel"] = mean([a - b for a, b in zip(apart, usual, strict=True)])
    for name, count in (("clicks", faults.clicks), ("holes", faults.holes), ("cut_off", faults.cut_off)):
        extra = more(count)
        found[name] = Figure(max(0.0, sum(extra)), worst=int(np.argmax(extra)))
    return found


def _mel(chunk: AudioChunk) -> frames.Values:
    return spectra.log_mel(chunk.samples, chunk.sample_rate)


def _cents(pairs: Sequence[Pair]) -> list[float]:
    """How much higher the candidate speaks; 0 where either has no voice."""
    found = []
    for pair in pairs:
        a, b = (pitch(chunk.samples, chunk.sample_rate) for chunk in (pair.a, pair.b))
        found.append(1200 * float(np.log2(b / a)) if a and b else 0.0)
    return found


def judged(figures: Figures, pairs: Sequence[Pair], language: str, panel: Judges) -> None:
    """What the judges say, as far as there are any."""
    for name in ("dnsmos", "distillmos"):
        if score := panel.scorers.get(name):
            figures.values[f"{name}_drop"] = mean([score(fit(pair.a)) - score(fit(pair.b)) for pair in pairs])
        else:
            figures.unmeasured[f"{name}_drop"] = panel.reason(name)
    if embed := panel.embed:
        voices = [[embed(fit(chunk)) for chunk in (pair.a, pair.b, pair.again) if chunk] for pair in pairs]
        usual = [similarity(v[0], v[2]) if len(v) > 2 else 1.0 for v in voices]
        away = [own - similarity(v[0], v[1]) for own, v in zip(usual, voices, strict=True)]
        figures.values["speaker"] = mean(away)
    else:
        figures.unmeasured["speaker"] = panel.reason("campplus")
    if panel.hear is None or not language:
        why = Note("there are no texts") if panel.hear else panel.reason("listener")
        figures.unmeasured |= {"wer_increase": why, "words_lost": why}
        return
    heard = [
        [_errors(pair.text, panel.hear(fit(chunk)), language) for chunk in (pair.a, pair.b)] for pair in pairs
    ]
    extra = [b[0] - a[0] for a, b in heard]
    figures.values["wer_increase"] = ratio(extra, [max(1, a[1]) for a, _ in heard])
    figures.values["words_lost"] = largest(extra)


def _errors(text: str, heard: str, language: str) -> tuple[int, int]:
    """Words; in Chinese syllables with their tones, which homophones survive."""
    primary = language.split("-")[0].lower()
    if primary == "en":
        return words.word_errors(text, heard)
    if primary == "zh":
        return words.pinyin_errors(text, heard)
    return words.plain_errors(text, heard, spaced=primary not in ("ja", "th"))


def fit(chunk: AudioChunk) -> AudioChunk:
    """Within [-1, 1], as a player would clip it."""
    return AudioChunk(np.clip(chunk.samples, -1, 1).astype(np.float32), chunk.sample_rate)

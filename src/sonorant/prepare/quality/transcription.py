"""Speech to text: two models hear the same recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sonorant.errors import AudioError, SonorantError
from sonorant.networks.proof import Note
from sonorant.prepare.quality.figures import Figure, Figures, largest, ratio
from sonorant.prepare.quality.recordings import Recording
from sonorant.prepare.quality.words import errors as words

if TYPE_CHECKING:
    from sonorant.library import Model


def measure(reference: Model, candidate: Model, recordings: Sequence[Recording]) -> Figures:
    """Recordings with or without what is said in them; with it, errors are counted against that, too."""
    heard = [[_heard(model, recording) for recording in recordings] for model in (reference, candidate)]
    return compare(heard[0], heard[1], recordings)


def _heard(model: Model, recording: Recording) -> str | None:
    """None where the run failed."""
    try:
        return model.transcribe(recording.audio, language=recording.language).text
    except SonorantError:
        return None


def compare(
    reference: Sequence[str | None], candidate: Sequence[str | None], recordings: Sequence[Recording]
) -> Figures:
    """The transcripts of both, in the order of the recordings; None = the run failed.

    Raises AudioError where there is nothing to compare.
    """
    if not recordings or not len(reference) == len(candidate) == len(recordings):
        raise AudioError(
            f"{len(reference)} answers of the reference and {len(candidate)} of the candidate do not pair up",
            remedy="Give one of each for every recording",
        )
    figures = Figures("transcription", len(recordings))
    broken = [n for n, (a, b) in enumerate(zip(reference, candidate, strict=True)) if a and not b]
    figures.values["broken"] = Figure(len(broken), worst=broken[0] if broken else None)
    pairs = [
        (a or "", b or "", recording)
        for a, b, recording in zip(reference, candidate, recordings, strict=True)
    ]
    differ = [_errors(a, b, recording.language) for a, b, recording in pairs]
    figures.values["disagreement"] = ratio([d[0] for d in differ], [max(1, d[1]) for d in differ])
    known = [pair for pair in pairs if pair[2].text]
    if not known:
        why = Note("nobody has established what is said in the recordings")
        figures.unmeasured |= {"wer_increase": why, "words_lost": why}
        return figures
    counted = [
        [_errors(recording.text, text, recording.language) for text in (a, b)] for a, b, recording in known
    ]
    extra = [b[0] - a[0] for a, b in counted]
    figures.values["wer_increase"] = ratio(extra, [max(1, a[1]) for a, _ in counted])
    figures.values["words_lost"] = largest(extra)
    return figures


def _errors(text: str, heard: str, language: str) -> tuple[int, int]:
    """Words; in Chinese characters."""
    primary = language.split("-")[0].lower()
    if primary == "en":
        return words.word_errors(text, heard)
    if primary == "zh":
        return words.character_errors(text, heard)
    return words.plain_errors(text, heard, spaced=primary not in ("ja", "th"))

"""How good a prepared model is, measured against the one it was prepared from.

    figures = measure(sonorant.load("piper-joe"), candidate)     # two loaded models of one task
    verdict = judge(figures, thresholds())                        # sonorant.prepare.gate

Below that each task compares answers that are already there: `speech.compare`, `transcription.compare`,
`detection.compare`, `speakers.compare`, `opinions.compare`; vocoders say recordings again: `copies.measure`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sonorant.errors import UnsupportedError
from sonorant.prepare.quality.figures import Figure, Figures
from sonorant.tasks import Task

if TYPE_CHECKING:
    from sonorant.library import Model
    from sonorant.prepare.quality.copies import Copy
    from sonorant.prepare.quality.judges import Judges
    from sonorant.prepare.quality.recordings import Recording
    from sonorant.prepare.quality.speech import Watch

COPIED = 12
"""sentences that a vocoder says again, beside a recording: it takes ten times as long as a small voice"""

__all__ = ["Figure", "Figures", "measure"]


def measure(
    reference: Model,
    candidate: Model,
    *,
    language: str = "",
    voice: str = "",
    texts: Sequence[str] = (),
    recordings: Sequence[Recording] = (),
    panel: Judges | None = None,
    watch: Watch | None = None,
) -> Figures:
    """What a candidate loses beside its reference, both loaded, of the same task. Blocks.

    texts: what voices say, in place of 24 fixed sentences; recordings: what recognisers, detectors and
    embedders hear, in place of real speech and, for recognisers, fixed sentences said by our own voices;
    panel: who judges speech, in place of `judges(language)`. Raises UnsupportedError for a task that has no
    measures, and what the models raise.
    """
    from sonorant.prepare.quality import copies, detection, opinions, speakers, speech, transcription
    from sonorant.prepare.quality.judges import judges
    from sonorant.prepare.quality.recordings import VOICES, recorded, spoken

    described = reference.describe()
    known = tuple(name for name in VOICES if {name, "*"} & {tag.split("-")[0] for tag in described.languages})
    asked = (language.split("-")[0],) if language else known
    if described.task is Task.SPEECH:
        return speech.measure(
            reference, candidate, texts=texts, voice=voice, language=language, panel=panel, watch=watch
        )
    if described.task is Task.TRANSCRIPTION:
        heard = recordings or [*recorded(asked), *(one for name in asked for one in spoken(name))]
        return transcription.measure(reference, candidate, heard)
    if described.task is Task.VAD:
        return detection.measure(reference, candidate, recordings or recorded())
    if described.task is Task.EMBEDDING:
        people = recordings or [one for one in recorded() if one.audio.seconds > speakers.PIECE_SECONDS]
        return speakers.measure(reference, candidate, people)
    if described.task is Task.SCORING:
        return opinions.measure(reference, candidate, recordings or recorded())
    if described.task is Task.VOCODING:
        heard = recordings or [*recorded(("en",))[:1], *spoken("en", COPIED)]
        return copies.measure(_copying(reference), _copying(candidate), heard, panel=panel or judges("en"))
    raise UnsupportedError(
        f"There are no measures of quality for {described.task}",
        remedy="Compare its tensors: `sonorant prepare` does",
    )


def _copying(vocoder: Model) -> Copy:
    return lambda audio: vocoder.vocode(audio).result()

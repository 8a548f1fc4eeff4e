"""Vocoders: a recording, its spectrogram, and the recording again (copy synthesis)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sonorant.prepare.quality.figures import Figures
from sonorant.prepare.quality.judges import Judges
from sonorant.prepare.quality.recordings import Recording
from sonorant.prepare.quality.speech import compare
from sonorant.tasks import AudioChunk

Copy = Callable[[AudioChunk], AudioChunk]
"""a recording → the same out of its spectrogram, by one vocoder"""


def measure(
    reference: Copy, candidate: Copy, recordings: Sequence[Recording], *, panel: Judges | None = None
) -> Figures:
    """What both vocoders make of each recording, laid sample over sample."""
    texts = [recording.text for recording in recordings]
    figures = compare(
        [reference(recording.audio) for recording in recordings],
        [candidate(recording.audio) for recording in recordings],
        texts=texts if all(texts) else (),
        language=recordings[0].language if recordings else "en",
        panel=panel,
    )
    return replace(figures, kind="vocoder")

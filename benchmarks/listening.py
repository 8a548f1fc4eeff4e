"""How intelligible speech is: what an independent listener understands of it, against what was said.

The listener is Whisper base (74 million weights, int8), which Sonorant's own models have nothing to
do with. It hears each recording alone: beam search of 5, no sampling, no earlier text as a hint.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from recordings import WHISPER_BASE, Recording, fetch, mandarin_speech, real_speech
from wording import normalize

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Listener", "Recording", "listener", "mandarin_speech", "normalize", "real_speech", "word_errors"]

LISTENING_RATE = 16_000
"""hertz"""


class Listener:
    """Whisper base on the CPU."""

    def __init__(self, threads: int = 0) -> None:
        """`threads` 0: as CTranslate2 sees fit."""
        from faster_whisper import WhisperModel

        folder = fetch(WHISPER_BASE)[0].parent
        self._model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)

    def hear(self, samples: NDArray[np.float32], language: str = "en") -> str:
        """What is said in `samples`: mono [time], in [-1, 1], at 16 kHz."""
        segments, _ = self._model.transcribe(
            samples,
            language=language,
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            vad_filter=False,
        )
        return " ".join(segment.text.strip() for segment in segments)


@functools.cache
def listener() -> Listener:
    """The listener, loaded once in a process."""
    return Listener()


def word_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """(errors, words of the reference): substitutions, deletions and insertions after `normalize`.

    Where both differ only in spaces ("seat belt", "seatbelt") there is no error: nobody can hear it.
    """
    import jiwer

    said, heard = normalize(reference), normalize(hypothesis)
    if not said:
        return len(heard), 0
    alignment = jiwer.process_words(" ".join(said), " ".join(heard)).alignments[0]
    errors, run, said_run, heard_run = 0, 0, "", ""
    for chunk in alignment:
        if chunk.type == "equal":
            errors += run if said_run != heard_run else 0
            run, said_run, heard_run = 0, "", ""
            continue
        run += max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
        said_run += "".join(said[chunk.ref_start_idx : chunk.ref_end_idx])
        heard_run += "".join(heard[chunk.hyp_start_idx : chunk.hyp_end_idx])
    return errors + (run if said_run != heard_run else 0), len(said)

"""How intelligible speech is: what an independent listener understands of it, against what was said.

The listener is Whisper base (74 million weights, int8), which Sonorant's own models have nothing to
do with. It hears each recording alone: beam search of 5, no sampling, no earlier text as a hint.

Errors are counted as sonorant.prepare.quality.words does.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from recordings import WHISPER_BASE, Recording, fetch, mandarin_speech, real_speech
from sonorant.prepare.quality.words.errors import (
    character_errors,
    pinyin_errors,
    plain_errors,
    word_errors,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Listener", "Recording", "character_errors", "listener", "mandarin_speech", "pinyin_errors",
    "plain_errors", "real_speech", "word_errors",
]  # fmt: skip

LISTENING_RATE = 16_000
"""hertz"""
PROMPTS = {"zh": "以下是普通话的句子。", "hi": "यह हिन्दी का वाक्य है।"}
"""language → what the listener believes to have written before, so that it takes the same script"""


class Listener:
    """Whisper base on the CPU."""

    def __init__(self, threads: int = 0, workers: int = 1) -> None:
        """`workers` recordings can be heard at once, each with `threads`; 0: as CTranslate2 sees fit."""
        from faster_whisper import WhisperModel

        folder = fetch(WHISPER_BASE)[0].parent
        self._model = WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=threads, num_workers=workers
        )

    def hear(self, samples: NDArray[np.float32], language: str = "en") -> str:
        """What is said in `samples`: mono [time], in [-1, 1], at 16 kHz; mixed speech is heard as "zh"."""
        segments, _ = self._model.transcribe(
            samples,
            language=language,
            initial_prompt=PROMPTS.get(language),
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            vad_filter=False,
        )
        return " ".join(segment.text.strip() for segment in segments)


@functools.cache
def listener() -> Listener:
    """The listener, loaded once in a process. It hears as many recordings at once as there are cores."""
    return Listener(threads=1, workers=os.cpu_count() or 1)

"""Spoken audio on its way to the listener: trimmed, resampled and levelled as asked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonorant.audio.levelling import Leveller
from sonorant.audio.resample import Resampler
from sonorant.audio.trimming import Trimmer
from sonorant.tasks import AudioChunk, Delivery, Word


class Mastering:
    """One stream's: what `delivery` asks of the sound itself. Words keep to their sounds.

    The loudness is measured, and peaks are limited, at the rate of delivery: a telephone's narrow band
    has less of both. Where nothing is asked for, chunks pass as they are.
    """

    def __init__(self, input_rate: int, output_rate: int, delivery: Delivery) -> None:
        """Rates in hertz. Raises RequestError for a loudness that is out of range."""
        self.input_rate, self.sample_rate = input_rate, output_rate
        self._trimmer = Trimmer(input_rate) if delivery.trim_silence else None
        self._resampler = Resampler(input_rate, output_rate) if input_rate != output_rate else None
        self._leveller = Leveller(output_rate, delivery.loudness) if delivery.loudness is not None else None
        self._idle = not (self._trimmer or self._resampler or self._leveller)
        self._read = self._given = 0.0
        """seconds"""
        self._timed = False

    def process(self, chunk: AudioChunk) -> AudioChunk:
        """The next chunk, at the input's rate → what is ready, perhaps no sample."""
        if self._idle:
            return chunk
        began, self._read = self._read, self._read + chunk.seconds
        samples, end = chunk.samples, self._read
        if self._trimmer:
            samples = self._trimmer.process(samples)
            began -= self._trimmer.cut / self.input_rate
            end = (self._trimmer.end - self._trimmer.cut) / self.input_rate
        if self._resampler:
            samples = self._resampler.process(samples)
        if self._leveller:
            samples = self._leveller.process(samples)
        words = None
        if chunk.words is not None:
            self._timed = True
            words = tuple(
                Word(w.text, *(min(max(0.0, began + t), end) - self._given for t in (w.start, w.end)))
                for w in chunk.words
            )
        return self._chunk(samples, words)

    def finish(self) -> AudioChunk:
        """The last samples. Nothing may be processed afterwards."""
        samples = np.zeros(0, np.float32)
        if self._trimmer:
            samples = self._trimmer.flush()
        if self._resampler:
            samples = np.concatenate([self._resampler.process(samples), self._resampler.flush()])
        if self._leveller:
            samples = np.concatenate([self._leveller.process(samples), self._leveller.flush()])
        return self._chunk(samples, () if self._timed else None)

    def _chunk(self, samples: NDArray[np.float32], words: tuple[Word, ...] | None) -> AudioChunk:
        chunk = AudioChunk(np.clip(samples, -1, 1), self.sample_rate, words)  # a resampler overshoots
        self._given += chunk.seconds
        return chunk

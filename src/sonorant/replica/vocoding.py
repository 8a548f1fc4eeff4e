"""What is vocoded: a mel spectrogram as it came, or that of a recording."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np
from numpy.typing import NDArray

from sonorant.audio import mel_file
from sonorant.audio.sandbox import Sandbox
from sonorant.errors import AudioError
from sonorant.tasks import AudioChunk, Upload, Vocoder

Mel = NDArray[np.float32]
"""float32 [bins, frames]"""
Source = Upload | Mel | AsyncGenerator[AudioChunk, None]
"""an upload is a .npy file or a recording; audio has the model's rate"""


async def sound(
    vocoder: Vocoder, source: Source, sandbox: Sandbox, max_seconds: float
) -> AsyncGenerator[AudioChunk, None]:
    """The vocoder's sound. Raises AudioError where there is none to be made."""
    some = False
    async with (
        aclosing(_mel(vocoder, source, sandbox, max_seconds)) as mel,
        aclosing(vocoder.vocode(mel)) as chunks,
    ):
        async for chunk in chunks:
            some = True
            yield chunk
    if not some:
        raise AudioError("The mel spectrogram has no frames", remedy="Send some", param="file")


async def _mel(
    vocoder: Vocoder, source: Source, sandbox: Sandbox, max_seconds: float
) -> AsyncGenerator[Mel, None]:
    if isinstance(source, np.ndarray):
        yield source
        return
    if isinstance(source, Upload):
        if await asyncio.to_thread(mel_file.is_one, source):
            yield await asyncio.to_thread(mel_file.read, source)
            return
        rate = vocoder.describe().sample_rate or 0
        source = sandbox.decode(source, sample_rate=rate, max_seconds=max_seconds)
    async with aclosing(source) as audio, aclosing(vocoder.analyse(audio)) as mels:
        async for mel in mels:
            yield mel

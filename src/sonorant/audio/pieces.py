"""The beginning of a stream of audio, whole."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
from numpy.typing import NDArray

from sonorant.tasks import AudioChunk


async def gathered(audio: AsyncIterator[AudioChunk], wanted: int) -> NDArray[np.float32]:
    """float32 [n]: at most `wanted` samples; no more chunks are asked for than that takes."""
    pieces: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]
    async for chunk in audio:
        pieces.append(chunk.samples[:wanted])
        wanted -= len(pieces[-1])
        if not wanted:
            break
    return np.concatenate(pieces)

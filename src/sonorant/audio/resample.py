"""Change the sample rate of a stream, chunk by chunk, without clicks at the borders."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray


class Resampler:
    """One stream's resampler: libsoxr's "HQ" recipe, or nothing at all where the rates are equal.

    What comes out is the same however the input was cut. The filter holds back some 10 ms until
    `flush`; all output together has round(n · output_rate / input_rate) samples.
    """

    def __init__(self, input_rate: int, output_rate: int) -> None:
        """Rates in hertz, both positive."""
        self.input_rate, self.output_rate = input_rate, output_rate
        self._stream = (
            None
            if input_rate == output_rate
            else soxr.ResampleStream(input_rate, output_rate, 1, dtype="float32", quality="HQ")
        )

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n] in → float32 [m] out, what is ready so far (m may be 0)."""
        return self._resample(samples, last=False)

    def flush(self) -> NDArray[np.float32]:
        """float32 [m]: the rest. Call it once, at the end of the stream."""
        return self._resample(np.zeros(0, np.float32), last=True)

    def _resample(self, samples: NDArray[np.float32], *, last: bool) -> NDArray[np.float32]:
        if self._stream is None:
            return samples
        resampled: NDArray[np.float32] = self._stream.resample_chunk(samples, last=last)
        return resampled

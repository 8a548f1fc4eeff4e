"""Acoustic features: what networks hear in place of samples."""

from __future__ import annotations

import kaldi_native_fbank as knf
import numpy as np
from numpy.typing import NDArray

FRAME_SECONDS, HOP_SECONDS = 0.025, 0.010


def fbank(samples: NDArray[np.float32], sample_rate: int, *, bins: int = 80) -> NDArray[np.float32]:
    """Logarithmic mel filter bank energies as Kaldi's compute-fbank-feats has them, without dither.

    samples: float32 [n], in the scale that the network learnt with ([-1, 1], or that of 16 bit numbers)
    → float32 [frames, bins], a frame of 25 ms every 10 ms; samples that fill no whole frame are left out.
    """
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = sample_rate
    options.frame_opts.frame_length_ms = FRAME_SECONDS * 1000
    options.frame_opts.frame_shift_ms = HOP_SECONDS * 1000
    options.frame_opts.dither = 0.0
    options.mel_opts.num_bins = bins
    extractor = knf.OnlineFbank(options)
    extractor.accept_waveform(sample_rate, samples)
    extractor.input_finished()
    features = np.empty((extractor.num_frames_ready, bins), np.float32)
    for index in range(len(features)):
        features[index] = extractor.get_frame(index)
    return features


class LogMel:
    """Logarithmic mel spectrograms as HiFi-GAN's authors make them (their meldataset.py), from a stream.

    Magnitudes, not energies, behind filters of unit area (Slaney's Auditory Toolbox, as librosa has them);
    the ends are mirrored, so that n samples make n // hop frames.
    """

    def __init__(
        self,
        *,
        sample_rate: int,
        n_fft: int,
        hop: int,
        window: int,
        bins: int,
        low: float,
        high: float | None,
    ) -> None:
        """`low` and `high` in hertz, None = half of `sample_rate`; the other sizes in samples."""
        self._n_fft, self._hop, self._mirrored = n_fft, hop, (n_fft - hop) // 2
        before = (n_fft - window) // 2
        self._window = np.zeros(n_fft, np.float32)
        self._window[before : before + window] = np.hanning(window + 1)[:-1]  # periodic, as torch has it
        high = sample_rate / 2 if high is None else high
        self._filters = mel_filters(sample_rate, n_fft, bins, low, high).astype(np.float32)
        self._held = np.zeros(0, np.float32)
        self._begun = False

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n] → float32 [bins, frames]: what is ready so far, perhaps no frame."""
        self._held = np.concatenate([self._held, samples])
        if not self._begun:
            if len(self._held) <= self._mirrored:
                return np.zeros((len(self._filters), 0), np.float32)
            self._held = np.concatenate([self._held[self._mirrored : 0 : -1], self._held])
            self._begun = True
        return self._frames()

    def flush(self) -> NDArray[np.float32]:
        """float32 [bins, frames]: the rest; no frame where all of it was too short to be mirrored."""
        if self._begun and self._mirrored:
            end = self._held[-2 : -self._mirrored - 2 : -1]
            self._held = np.concatenate([self._held, end])
        return self._frames()

    def _frames(self) -> NDArray[np.float32]:
        count = max(0, 1 + (len(self._held) - self._n_fft) // self._hop) if self._begun else 0
        if not count:
            return np.zeros((len(self._filters), 0), np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(self._held, self._n_fft)[:: self._hop][:count]
        spectra = np.fft.rfft(frames * self._window)
        magnitudes = np.sqrt(spectra.real**2 + spectra.imag**2 + np.float32(1e-9))
        self._held = self._held[count * self._hop :].copy()
        mel: NDArray[np.float32] = np.log(np.maximum(self._filters @ magnitudes.T, np.float32(1e-5)))
        return mel


def mel_filters(sample_rate: int, n_fft: int, bins: int, low: float, high: float) -> NDArray[np.float64]:
    """float64 [bins, n_fft // 2 + 1]: triangles of unit area, equally far apart on Slaney's mel scale."""
    lowest, highest = map(float, _mels(np.array([low, high])))
    edges = _hertz(np.linspace(lowest, highest, bins + 2))
    hertz = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    below, centre, above = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (hertz - below) / (centre - below), (above - hertz) / (above - centre)
    filters: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling)) * 2 / (above - below)
    return filters


_LINEAR, _BEND, _STEP = 200 / 3, 1000.0, np.log(6.4) / 27
"""Slaney's scale: hertz a mel below the bend, the bend in hertz, and the logarithmic step above it"""


def _mels(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    bent: NDArray[np.float64] = _BEND / _LINEAR + np.log(np.maximum(hertz, _BEND) / _BEND) / _STEP
    return np.where(hertz < _BEND, hertz / _LINEAR, bent)


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    bend = _BEND / _LINEAR
    return np.where(mels < bend, mels * _LINEAR, _BEND * np.exp(_STEP * (mels - bend)))

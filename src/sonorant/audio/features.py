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

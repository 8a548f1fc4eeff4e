"""hibari's spectrum → waveform (the interface documented in hibari-tts's README, "ONNX interface").

    S = e^min(lh,7) · e^(iπ tanh θ) · STFT(pulses(f0)) + e^min(ln,7) · Z + e^min(lr,7) · e^(iφ)

a pulse train filtered by a harmonic branch, shaped noise Z, and a branch with free phase; then one
inverse STFT with a Hann window of 1,200 samples and a hop of 300 at 24 kHz.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Complex = NDArray[np.complex64]

SAMPLE_RATE, WINDOW, HOP = 24_000, 1200, 300
BINS = WINDOW // 2 + 1
OVERLAP = WINDOW // HOP
LOG_CEILING = 7.0
VOICED_HZ = 40.0
HARMONICS_BELOW_HZ = 11_000.0

OUTPUTS = ("lh", "theta", "ln", "lr", "phi", "f0")
"""what is needed of the network's outputs for one text: [601, F] each, f0 [F] in Hz"""

HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


def voiced(outputs: Mapping[str, Float]) -> Complex:
    """The filtered pulse train, complex64 [601, F]."""
    spectrum = _polar(outputs["lh"], np.float32(np.pi) * np.tanh(outputs["theta"]))
    spectrum *= _stft(pulses(outputs["f0"]), len(outputs["f0"]))
    return spectrum


def unvoiced(outputs: Mapping[str, Float], random: np.random.Generator) -> Complex:
    """Shaped noise and the branch with free phase, complex64 [601, F]; independent of `voiced`."""
    noise = random.standard_normal((BINS, 2 * len(outputs["f0"])), dtype=np.float32).view(np.complex64)
    noise *= np.exp(np.minimum(outputs["ln"], LOG_CEILING))
    noise += _polar(outputs["lr"], outputs["phi"])
    return noise


def waveform(voiced: Complex, unvoiced: Complex) -> Float:
    """The sum of both, float32 [300 F]. `voiced` is overwritten."""
    voiced += unvoiced
    return _istft(voiced)


def pulses(f0: Float) -> Float:
    """A pulse train with the pitch `f0` (Hz a frame, [F]) → float32 [300 F].

    Every harmonic below 11 kHz at unit amplitude, in closed form:
    Σ cos(hφ), h ≤ H  =  sin((H + ½)φ) / (2 sin(φ/2)) − ½.
    """
    centres = (np.arange(len(f0)) + 0.5) * HOP - 0.5
    pitch = np.interp(np.arange(len(f0) * HOP), centres, f0).astype(np.float32)
    voiced = pitch > VOICED_HZ
    np.maximum(pitch, VOICED_HZ, out=pitch)
    # float64 for the sum: after a minute the phase exceeds what float32 can resolve
    phase = (2 * np.pi * (np.cumsum(pitch, dtype=np.float64) / SAMPLE_RATE % 1.0)).astype(np.float32)
    order = np.floor(HARMONICS_BELOW_HZ / pitch) + np.float32(0.5)
    below = 2 * np.sin(phase / 2)
    peak = np.abs(below) <= 2e-3
    below[peak] = 1
    train = np.sin(order * phase) / below
    train[peak] = order[peak]
    train -= np.float32(0.5)
    train[~voiced] = 0
    pulse_train: Float = train.astype(np.float32, copy=False)
    return pulse_train


def _polar(log_magnitude: Float, phase: Float) -> Complex:
    value = np.empty(phase.shape, np.complex64)
    np.cos(phase, out=value.real)
    np.sin(phase, out=value.imag)
    value *= np.exp(np.minimum(log_magnitude, LOG_CEILING))
    return value


def _stft(signal: Float, frames: int) -> Complex:
    """Centred, reflect-padded STFT, scaled so that a unit cosine peaks at 1 → complex64 [601, frames]."""
    padded = np.pad(signal, WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:frames]
    spectrum: Complex = np.fft.rfft(windows * (HANN / HOP), axis=1).astype(np.complex64, copy=False)
    return spectrum.T


def _istft(spectrum: Complex) -> Float:
    """Inverse of a centred STFT: overlap-add, divided by the summed squared window → float32 [300 F]."""
    frames = spectrum.shape[1]
    pieces = np.fft.irfft(spectrum.T, WINDOW, axis=1).astype(np.float32, copy=False)
    pieces *= HANN
    pieces = pieces.reshape(frames, OVERLAP, HOP)
    signal = np.zeros((frames + OVERLAP - 1, HOP), np.float32)
    weight = np.full((frames + OVERLAP - 1, HOP), 1e-11, np.float32)
    squared = (HANN * HANN).reshape(OVERLAP, HOP)
    for k in range(OVERLAP):
        signal[k : k + frames] += pieces[:, k]
        weight[k : k + frames] += squared[k]
    signal /= weight
    half = WINDOW // 2
    return signal.reshape(-1)[half : half + frames * HOP]

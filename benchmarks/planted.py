"""Faults that prepared models have been seen to have, and changes that nobody hears, on samples.

Each is a function of (samples, rate) → samples, the same on every call.
"""

from collections.abc import Callable

import numpy as np
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Change = Callable[[Samples, int], Samples]


def noise(samples: Samples, decibels: float) -> Samples:
    """White noise this far below the signal's mean power."""
    drawn = np.random.default_rng(0).normal(size=len(samples)).astype(np.float32)
    level = np.float32(np.sqrt(np.mean(np.square(samples))) * 10 ** (-decibels / 20))
    return np.asarray(samples + drawn * level, np.float32)


def loudest(samples: Samples, rate: int, seconds: float = 0.1) -> int:
    """Where the loudest stretch of that length begins."""
    energy = np.convolve(np.square(samples, dtype=np.float64), np.ones(round(seconds * rate)), "valid")
    return int(energy.argmax())


def replaced(samples: Samples, start: int, piece: Samples) -> Samples:
    return np.concatenate([samples[:start], piece, samples[start + len(piece) :]])


def spectral(samples: Samples, change: Callable[[NDArray[np.complex128]], NDArray[np.complex128]]) -> Samples:
    """`change` on each short-time spectrum [frames, 513], hop 256."""
    size, hop = 1024, 256
    padded = np.pad(samples, size)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * np.hanning(size)
    changed = np.fft.irfft(change(np.fft.rfft(frames)), size) * np.hanning(size)
    sound = np.zeros(len(padded) + size)
    for i, frame in enumerate(changed):
        sound[i * hop :][:size] += frame
    return (sound[size : size + len(samples)] / 1.5).astype(np.float32)


def swapped_bands(samples: Samples, rate: int) -> Samples:
    """Channels of the spectrogram that change places: around 0.5 to 1 kHz with 1 to 1.5 kHz."""

    def change(spectra: NDArray[np.complex128]) -> NDArray[np.complex128]:
        a, b, c = (round(hertz * 1024 / rate) for hertz in (500, 1000, 1500))
        width = min(b - a, c - b)
        order = np.arange(spectra.shape[1])
        order[a : a + width], order[b : b + width] = order[b : b + width].copy(), order[a : a + width].copy()
        return spectra[:, order]

    return spectral(samples, change)


def lost_phase(samples: Samples, rate: int) -> Samples:
    turns = np.random.default_rng(0)
    return spectral(
        samples, lambda spectra: np.abs(spectra) * np.exp(2j * np.pi * turns.random(spectra.shape))
    )


def coarse_spectrum(samples: Samples, rate: int) -> Samples:
    """Magnitudes in steps of 6 dB: activations of too few bits."""

    def change(spectra: NDArray[np.complex128]) -> NDArray[np.complex128]:
        magnitude = np.maximum(np.abs(spectra), 1e-9)
        return spectra / magnitude * 2.0 ** np.round(np.log2(magnitude))

    return spectral(samples, change)


def one_hop_short(samples: Samples, rate: int) -> Samples:
    """Every frame of 256 samples gives 255."""
    whole = samples[: len(samples) // 256 * 256].reshape(-1, 256)
    return whole[:, :255].reshape(-1)


def band_limited(hertz: int) -> Change:
    def change(samples: Samples, rate: int) -> Samples:
        narrow = soxr.resample(samples, rate, 2 * hertz)
        return np.resize(soxr.resample(narrow, 2 * hertz, rate), len(samples)).astype(np.float32)

    return change


def shifted_pitch(semitones: float) -> Change:
    """Higher at the same pace: played faster, then stretched by overlapping similar pieces (WSOLA)."""

    def change(samples: Samples, rate: int) -> Samples:
        factor = 2 ** (semitones / 12)
        fast = soxr.resample(samples, round(rate * factor), rate)
        size, reach = round(0.04 * rate), round(0.008 * rate)
        window, sound = np.hanning(2 * size), np.zeros(len(samples) + 4 * size)
        fast, before = np.pad(fast, (reach, 4 * size)), None
        for at in range(0, len(samples) - size, size):
            start = round(at / factor) + reach
            if before is not None:
                around = np.lib.stride_tricks.sliding_window_view(
                    fast[start - reach : start + reach + size], size
                )
                start += int((around @ before).argmax()) - reach
            sound[at : at + 2 * size] += fast[start : start + 2 * size] * window
            before = fast[start + size : start + 2 * size]
        return sound[: len(samples)].astype(np.float32)

    return change


def click(samples: Samples, rate: int) -> Samples:
    at = loudest(samples, rate) + len(samples) // 50
    return replaced(samples, at, samples[at : at + 1] + np.float32(0.4))


def quiet_click(samples: Samples, rate: int) -> Samples:
    """In a pause: the quietest 10 ms of the middle."""
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    energy = np.convolve(np.square(middle, dtype=np.float64), np.ones(rate // 100), "valid")
    at = len(samples) // 4 + int(energy.argmin()) + rate // 200
    return replaced(samples, at, samples[at : at + 1] + np.float32(0.1))


def zeroed_frame(samples: Samples, rate: int) -> Samples:
    return replaced(samples, loudest(samples, rate) + 700, np.zeros(256, np.float32))


def dropped_frame(samples: Samples, rate: int) -> Samples:
    at = loudest(samples, rate) + 700
    return np.concatenate([samples[:at], samples[at + 256 :]])


def gap(samples: Samples, rate: int) -> Samples:
    """A window that nobody filled in: 150 ms faded to nothing."""
    size = round(0.15 * rate)
    at = loudest(samples, rate)
    return replaced(samples, at, samples[at : at + size] * np.float32(1e-4))


def stuck(samples: Samples, rate: int) -> Samples:
    """20 ms that are heard fifteen times."""
    at, size = loudest(samples, rate), round(0.02 * rate)
    return replaced(samples, at, np.tile(samples[at : at + size], 15))


def truncated(samples: Samples, rate: int) -> Samples:
    """0.4 s before the last sound ends."""
    heard = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    return samples[: int(heard[-1]) - round(0.4 * rate)]


def repeated_word(samples: Samples, rate: int) -> Samples:
    at, size = len(samples) // 3, round(0.4 * rate)
    return np.concatenate([samples[: at + size], samples[at:]])


def lost_word(samples: Samples, rate: int) -> Samples:
    at, size = len(samples) // 3, round(0.4 * rate)
    return np.concatenate([samples[:at], samples[at + size :]])


def echo(samples: Samples, rate: int) -> Samples:
    late = round(0.03 * rate)
    return samples + np.float32(0.3) * np.pad(samples, (late, 0))[: len(samples)]


def hum(samples: Samples, rate: int) -> Samples:
    times = np.arange(len(samples)) / rate
    tone = np.sum([np.sin(2 * np.pi * 100 * k * times) / k for k in (1, 2, 3)], axis=0)
    return samples + np.asarray(0.005 * tone, np.float32)


def buzz(samples: Samples, rate: int) -> Samples:
    """A tone at the hop's rate, as a transposed convolution leaves it."""
    pulses = (np.arange(len(samples)) % 256 == 0).astype(np.float32)
    return np.asarray(samples + np.float32(0.02) * pulses, np.float32)


FAULTS: dict[str, Change] = {
    "not a number": lambda s, r: replaced(s, len(s) // 2, np.full(1, np.nan, np.float32)),
    "infinite": lambda s, r: replaced(s, len(s) // 2, np.full(1, np.inf, np.float32)),
    "silence": lambda s, r: np.zeros_like(s),
    "nothing": lambda s, r: s[:0],
    "scale of 1/1000": lambda s, r: s * np.float32(1e-3),
    "3 dB louder": lambda s, r: s * np.float32(1.41),
    "6 dB quieter": lambda s, r: s * np.float32(0.5),
    "clipped at a third of the peak": lambda s, r: np.clip(s, -np.abs(s).max() / 3, np.abs(s).max() / 3),
    "clipped by a gain of 12 dB, then scaled back": lambda s, r: np.clip(4 * s, -1, 1) / np.float32(4),
    "click": click,
    "click in a pause": quiet_click,
    "zeroed frame": zeroed_frame,
    "dropped frame": dropped_frame,
    "gap": gap,
    "stuck frame": stuck,
    "hop one sample short": one_hop_short,
    "half the band": band_limited(4000),
    "noise at 30 dB": lambda s, r: noise(s, 30),
    "noise at 20 dB": lambda s, r: noise(s, 20),
    "hum": hum,
    "buzz at the hop": buzz,
    "a semitone higher": shifted_pitch(1),
    "two semitones lower": shifted_pitch(-2),
    "wrong sample rate": lambda s, r: soxr.resample(s, 24_000, 22_050),
    "swapped channels": swapped_bands,
    "lost phase": lost_phase,
    "coarse spectrum": coarse_spectrum,
    "six bits": lambda s, r: np.round(s * 32).astype(np.float32) / np.float32(32),
    "truncated end": truncated,
    "repeated word": repeated_word,
    "lost word": lost_word,
    "backwards": lambda s, r: s[::-1].copy(),
    "echo": echo,
    "offset": lambda s, r: s + np.float32(0.05),
}

HONEST: dict[str, Change] = {
    "the same": lambda s, r: s,
    "16 bits": lambda s, r: (np.round(s * 32767) / 32767).astype(np.float32),
    "16 bits with dither": lambda s, r: (
        (s * 32767 + np.random.default_rng(1).uniform(-1, 1, len(s))).round() / 32767
    ).astype(np.float32),
    "float16": lambda s, r: s.astype(np.float16).astype(np.float32),
    "noise of 1e-4": lambda s, r: (
        s + 1e-4 * np.random.default_rng(2).normal(size=len(s)).clip(-3, 3)
    ).astype(np.float32),
    "noise of 1e-5": lambda s, r: (s + 1e-5 * np.random.default_rng(3).normal(size=len(s))).astype(
        np.float32
    ),
    "noise at 55 dB": lambda s, r: noise(s, 55),
    "resampled there and back": lambda s, r: soxr.resample(soxr.resample(s, r, 48_000), 48_000, r),
    "3 samples late": lambda s, r: np.pad(s, (3, 0))[: len(s)],
    "7 samples early": lambda s, r: np.pad(s[7:], (0, 7)),
    "half a sample late": lambda s, r: soxr.resample(np.pad(soxr.resample(s, r, 2 * r), (1, 0)), 2 * r, r)[
        : len(s)
    ],
    "0.1 dB louder": lambda s, r: s * np.float32(10 ** (0.1 / 20)),
    "0.2 dB quieter": lambda s, r: s * np.float32(10 ** (-0.2 / 20)),
    "an offset of 1e-4": lambda s, r: s + np.float32(1e-4),
    "a hop of silence more": lambda s, r: np.pad(s, (0, 256)),
    "5 ms of its last silence less": lambda s, r: s[: -round(0.005 * r)],
    "spectra in float16": lambda s, r: spectral(
        s, lambda x: x.real.astype(np.float16).astype(float) + 1j * x.imag.astype(np.float16).astype(float)
    ),
    "taken apart and put together": lambda s, r: spectral(s, lambda x: x),
    "activations off by 0.1%": lambda s, r: spectral(
        s, lambda x: x * (1 + 1e-3 * np.random.default_rng(4).normal(size=x.shape))
    ),
    "activations off by 1%": lambda s, r: spectral(
        s, lambda x: x * (1 + 1e-2 * np.random.default_rng(5).normal(size=x.shape))
    ),
}

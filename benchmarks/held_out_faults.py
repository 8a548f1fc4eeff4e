"""Faults and honest changes that were not there when the gate's bounds were set: in networks, and on samples.

A `Plant` changes a network's graph. `SOUNDS` are what is heard of faults elsewhere in a server, `UNHEARD` are
changes that no listener hears; both are functions like those of planted.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import soxr
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from planted import Change, Samples, loudest, replaced, spectral

Values = NDArray[Any]
Plant = Callable[[onnx.ModelProto], None]


def weight(name: str, change: Callable[[Values], Values]) -> Plant:
    """The weight of that name is another, of the same shape."""

    def plant(model: onnx.ModelProto) -> None:
        found = next(each for each in model.graph.initializer if each.name == name)
        before = numpy_helper.to_array(found)
        after = np.asarray(change(before.copy()), before.dtype, order="C")
        assert after.shape == before.shape
        assert not np.array_equal(after, before)
        found.CopyFrom(numpy_helper.from_array(after, name))

    return plant


def taken(node: str, place: int, change: Callable[[Values], Values]) -> Plant:
    """The same of what a node takes at that place, whatever its name."""

    def plant(model: onnx.ModelProto) -> None:
        found = next(each for each in model.graph.node if each.name == node)
        weight(found.input[place], change)(model)

    return plant


def attributes(node: str, **values: object) -> Plant:
    """One operator is set otherwise."""

    def plant(model: onnx.ModelProto) -> None:
        found = next(each for each in model.graph.node if each.name == node)
        kept = [each for each in found.attribute if each.name not in values]
        del found.attribute[:]
        found.attribute.extend([*kept, *(helper.make_attribute(*pair) for pair in values.items())])

    return plant


def instead(node: str, op: str) -> Plant:
    """One operator is another."""

    def plant(model: onnx.ModelProto) -> None:
        next(each for each in model.graph.node if each.name == node).op_type = op

    return plant


def behind(tensor: str, op: str, *constants: float, to: str = "") -> Plant:
    """One more operator behind a tensor: for who takes it, or only for the node `to`."""

    def plant(model: onnx.ModelProto) -> None:
        names = []
        for i, value in enumerate(constants):
            names.append(f"planted/{i}")
            model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), names[-1]))
        at = 0
        for i, node in enumerate(model.graph.node):
            if tensor in node.output:
                at = i + 1
            if tensor in node.input and (not to or node.name == to):
                given = [f"{tensor}/planted" if name == tensor else name for name in node.input]
                node.input[:] = given
        added = helper.make_node(op, [tensor, *names], [f"{tensor}/planted"], name="planted")
        model.graph.node.insert(at, added)

    return plant


def forgotten(name: str, shape: tuple[int, ...]) -> Plant:
    """An input, a state, of which nothing arrives."""

    def plant(model: onnx.ModelProto) -> None:
        zeros = numpy_helper.from_array(np.zeros(shape, np.float32), "planted/zeros")
        model.graph.initializer.append(zeros)
        for node in model.graph.node:
            node.input[:] = ["planted/zeros" if each == name else each for each in node.input]

    return plant


def swapped(axis: int, a: slice, b: slice) -> Callable[[Values], Values]:
    """Two stretches of an axis change places: attention heads, channels, gates."""

    def change(values: Values) -> Values:
        moved = np.moveaxis(values, axis, 0)
        moved[a], moved[b] = moved[b].copy(), moved[a].copy()
        return values

    return change


def bits(count: int) -> Callable[[Values], Values]:
    """Rounded to so many, one scale for all of it."""

    def change(values: Values) -> Values:
        if values.dtype.kind in "iu":
            step = 2 ** (8 - count)
            limits = np.iinfo(values.dtype)
            return np.asarray(np.clip(np.round(values / step) * step, limits.min, limits.max))
        step = 2 * np.abs(values).max() / (2**count - 1)
        return np.asarray(np.round(values / step) * step)

    return change


def zeroed(values: Values) -> Values:
    return np.zeros_like(values)


def flipped(values: Values) -> Values:
    """The last axis, time, runs backwards."""
    return values[..., ::-1]


def rolled(axis: int) -> Callable[[Values], Values]:
    """Off by one."""
    return lambda values: np.roll(values, 1, axis)


def times(gain: float) -> Callable[[Values], Values]:
    return lambda values: values * gain


def kept_level(change: Change) -> Change:
    """As loud as before."""

    def same(samples: Samples, rate: int) -> Samples:
        found = np.asarray(change(samples, rate), np.float32)
        gain = np.sqrt(float(np.mean(samples**2)) / max(1e-12, float(np.mean(found**2))))
        return np.asarray(found * gain, np.float32)

    return same


def shelf(hertz: float, decibels: float) -> Change:
    """Everything above is that much louder."""

    def change(samples: Samples, rate: int) -> Samples:
        gain = np.where(np.fft.rfftfreq(1024, 1 / rate) > hertz, 10 ** (decibels / 20), 1.0)
        return spectral(samples, lambda spectra: spectra * gain)

    return change


def wobbling(samples: Samples, rate: int) -> Samples:
    """Pitch goes up and down by 1%, six times a second: a clock that drifts."""
    times_ = np.arange(len(samples)) / rate
    away = 0.01 / (2 * np.pi * 6) * np.sin(2 * np.pi * 6 * times_)
    return np.interp(times_ + away, times_, samples).astype(np.float32)


def trembling(samples: Samples, rate: int) -> Samples:
    """Level goes up and down by 3 dB, eight times a second."""
    times_ = np.arange(len(samples)) / rate
    return (samples * 10 ** (3 * np.sin(2 * np.pi * 8 * times_) / 20)).astype(np.float32)


def reversed_frame(samples: Samples, rate: int) -> Samples:
    """One window of 40 ms runs backwards."""
    at, size = loudest(samples, rate), round(0.04 * rate)
    return replaced(samples, at, samples[at : at + size][::-1])


def exchanged_frames(samples: Samples, rate: int) -> Samples:
    """Two neighbouring windows of 50 ms in the wrong order."""
    at, size = loudest(samples, rate), round(0.05 * rate)
    return replaced(
        samples, at, np.concatenate([samples[at + size : at + 2 * size], samples[at : at + size]])
    )


def every_other_frame_inverted(samples: Samples, rate: int) -> Samples:
    signs = np.where(np.arange(len(samples)) // 256 % 2, -1, 1)
    return (samples * signs).astype(np.float32)


def lost_samples(samples: Samples, rate: int) -> Samples:
    """One in a thousand: a buffer that is read too late."""
    return np.delete(samples, np.arange(999, len(samples), 1000))


def reverberant(samples: Samples, rate: int) -> Samples:
    """A small room, 0.3 s."""
    size = round(0.3 * rate)
    tail = np.random.default_rng(0).normal(size=size) * 10 ** (-3 * np.arange(size) / size)
    tail *= 0.3 / np.sqrt((tail**2).sum())
    wet = np.fft.irfft(np.fft.rfft(samples, 1 << 20) * np.fft.rfft(tail, 1 << 20))
    return (samples + wet[: len(samples)]).astype(np.float32)


def companded(samples: Samples, rate: int) -> Samples:
    """Written in five bits of a logarithmic scale."""
    coded = np.sign(samples) * np.log1p(255 * np.abs(samples)) / np.log1p(255)
    coded = np.round(coded * 16) / 16
    return np.asarray(np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(255)) / 255, np.float32)


def faded_in(samples: Samples, rate: int) -> Samples:
    """The first 0.3 s of speech come up slowly: a state that begins at zero."""
    heard = int(np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())[0])
    ramp = np.ones(len(samples), np.float32)
    ramp[:heard], ramp[heard : heard + round(0.3 * rate)] = 0, np.linspace(0, 1, round(0.3 * rate))
    return samples * ramp


SOUNDS: dict[str, Change] = {
    "sample rate off by 1%": lambda s, r: soxr.resample(s, 100, 99),
    "6 dB less above 5 kHz": shelf(5000, -6),
    "6 dB more above 5 kHz": shelf(5000, 6),
    "pitch wobbles by 1%": wobbling,
    "level trembles by 3 dB": trembling,
    "40 ms backwards": reversed_frame,
    "two windows of 50 ms exchanged": exchanged_frames,
    "every other frame inverted": every_other_frame_inverted,
    "one sample in a thousand lost": lost_samples,
    "a small room": reverberant,
    "five bits on a logarithmic scale": companded,
    "rectified": kept_level(lambda s, r: np.abs(s) - np.abs(s).mean()),
    "comes up slowly": faded_in,
}

UNHEARD: dict[str, Change] = {
    "polarity": lambda s, r: -s,
    "0.1 dB quieter": lambda s, r: s * np.float32(10 ** (-0.1 / 20)),
    "dither at -90 dB": lambda s, r: (
        s + 10 ** (-90 / 20) * np.random.default_rng(6).uniform(-1, 1, len(s))
    ).astype(np.float32),
    "one sample late": lambda s, r: np.pad(s, (1, 0))[: len(s)],
    "sample rate off by 0.01%": lambda s, r: soxr.resample(s, 10_000, 9_999),
    "20 bits": lambda s, r: (np.round(s * 2**19) / 2**19).astype(np.float32),
    "0.5 dB less above 5 kHz": shelf(5000, -0.5),
    "nothing below 20 Hz": lambda s, r: np.fft.irfft(
        np.fft.rfft(s) * (np.fft.rfftfreq(len(s), 1 / r) > 20), len(s)
    ).astype(np.float32),
}

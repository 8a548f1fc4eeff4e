"""How a version of a network sounds, where what it gives is sound: by the gate's own figures.

Decibels of signal to noise punish phases that nobody hears, and pass a hiss that everybody does. What can be
laid over the source's sound is measured as the gate will, on a few pieces of what was recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sonorant.networks.engines.engine import Engine
from sonorant.networks.signature import Array, Axis, Feeds, Signature
from sonorant.prepare.gate import thresholds
from sonorant.prepare.quality.laid_over import ALIGNED, aligned
from sonorant.prepare.quality.sound.spectra import colouring, log_mel
from sonorant.prepare.subject import Subject

PIECE, ALL = 1.0, 40.0
"""seconds: of a piece at least, as shorter ones cannot be judged, and of all pieces together"""
PAUSE = 0.1
"""times the level of the loudest piece: below it nobody speaks, and nothing can be said of how well"""
SHARE = 0.6
"""of what the gate allows, as it hears more"""
FIGURES = (*ALIGNED, "colouring")
"""of the gate's, that one piece can tell"""


@dataclass(frozen=True, slots=True)
class Piece:
    """Runs, one after the other, and what the source makes of them."""

    output: str
    rate: int
    """hertz"""
    feeds: tuple[Feeds, ...]
    sound: Array
    """float32 [samples]"""

    def parts(self, engine: Engine, allow: str = "") -> dict[str, float]:
        """Each of FIGURES of an engine's sound, in parts of what it may be.

        `allow`: the precision whose wider bounds the operator chose.
        """
        sound = _said(engine, self.feeds, self.output)
        bounds = thresholds()["vocoder"]
        figures, _ = aligned([(self.sound, sound, self.rate)])
        mels = [log_mel(each, self.rate) for each in (self.sound, sound)]
        values = {name: figure.value for name, figure in figures.items()}
        values["colouring"] = colouring(mels[:1], mels[1:])
        return {name: value / bounds[name].bound(False, allow) / SHARE for name, value in values.items()}


def pieces(subject: Subject, engine: Engine) -> tuple[Piece, ...]:
    """Of what was recorded, some seconds from all over it; () where the network's output is no sound.

    `engine` is the source's.
    """
    found = sound_of(subject.signature)
    if found is None:
        return ()
    output, rate = found
    made: list[Piece] = []
    held: list[Feeds] = []
    for feeds in subject.recorded:
        held.append(feeds)
        sound = _said(engine, held, output)
        if len(sound) >= PIECE * rate:
            made.append(Piece(output, rate, tuple(held), sound))
            held = []
    loudest = max((_level(piece.sound) for piece in made), default=0.0)
    made = [piece for piece in made if _level(piece.sound) > PAUSE * loudest]
    seconds = sum(len(piece.sound) for piece in made) / rate
    return tuple(made[:: max(1, round(seconds / ALL))])


def sound_of(signature: Signature) -> tuple[str, int] | None:
    """The output that is sound, and its rate in hertz; None = there is none."""
    for tensor in signature.outputs:
        for dim in tensor.dims:
            if isinstance(dim, Axis) and dim.unit.startswith("sample") and dim.seconds:
                return tensor.name, round(1 / dim.seconds)
    return None


def _level(sound: Array) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


def _said(engine: Engine, feeds: Sequence[Feeds], output: str) -> Array:
    sounds = [engine.prepare(each, large=True)()[output].reshape(-1) for each in feeds]
    return np.concatenate(sounds)

"""How a version of a network sounds, where what it gives is sound: by the gate's own figures.

Decibels of signal to noise punish phases that nobody hears, and pass a hiss that everybody does. What can be
laid over the source's sound is measured as the gate will, on a few seconds.
"""

from __future__ import annotations

import re

import numpy as np

from sonorant.networks.signature import Array, Axis, Signature
from sonorant.prepare.gate import thresholds
from sonorant.prepare.parity import Case, Reference
from sonorant.prepare.quality.laid_over import aligned

SECONDS = 1.5
"""that are heard of each version"""
SHARE = 0.8
"""of what the gate allows, as it hears more"""
_RATE = re.compile(r"sample at ([\d.]+) (k?)Hz")


def sound(signature: Signature) -> tuple[str, int] | None:
    """The output that is sound, and its rate in hertz; None = there is none."""
    for tensor in signature.outputs:
        for dim in tensor.dims:
            if isinstance(dim, Axis) and (found := _RATE.search(dim.unit)):
                return tensor.name, round(float(found[1]) * (1000 if found[2] else 1))
    return None


def heard(signature: Signature, reference: Reference) -> list[tuple[Case, Array]]:
    """Real cases of some seconds, and what the source makes of them; [] where the output is no sound."""
    found = sound(signature)
    cases = zip(reference.cases, reference.outputs, strict=True)
    real = [(case, outputs) for case, outputs in cases if case.kind == "real"]
    if found is None:
        return []
    name, rate = found
    chosen: list[tuple[Case, Array]] = []
    seconds, middle = 0.0, len(real) // 2
    for _, (case, outputs) in sorted(enumerate(real), key=lambda pair: abs(pair[0] - middle)):
        if seconds < SECONDS:
            chosen.append((case, outputs[name]))
            seconds += outputs[name].shape[-1] / rate
    return chosen


def excess(rate: int, source: list[Array], version: list[Array], allow: str = "") -> float:
    """The largest figure of a version's sounds beside the source's, in parts of what it may be.

    `allow`: the precision whose wider bounds the operator chose.
    """
    sounds = [np.concatenate([each.reshape(-1) for each in one]) for one in (source, version)]
    bounds = thresholds()["vocoder"]
    figures, _ = aligned([(sounds[0], sounds[1], rate)])
    return max(figure.value / bounds[name].bound(False, allow) for name, figure in figures.items()) / SHARE

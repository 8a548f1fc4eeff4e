"""Which layers a pass may change so that nobody notices: found by changing one at a time, and measuring."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from sonorant.errors import SonorantError
from sonorant.networks.engines.engine import Engine
from sonorant.networks.proof import Evidence, Note
from sonorant.prepare.hearing import Piece
from sonorant.prepare.parity import Reference, compared_on

MARGIN = 1.5
"""dB better than it must be, as what is measured briefly is not all that is compared"""
SNR = "snr"
"""among the figures that a version is held to"""
SPARE = 1.1
"""times nearer than it must be that is aimed at, as harms are estimates"""
ONCE_MORE = 1.25
"""times too far, at least, where the gate refused it: of clicks one is too many, and means may be certain"""
AT_ONCE = 2.0
"""times too far, at most, that are made good in one step"""
TRIES = 16
"""versions that are heard as a whole"""
SHOWING = 3
"""pieces, at most, on which single layers are measured"""

Version = TypeVar("Version")
"""of a network: a graph, or the folder of another engine's form"""


@dataclass(frozen=True, slots=True)
class Layers:
    """What is known of a network's layers under one pass."""

    work: Mapping[str, float]
    """node → multiplications of a usual run, of all that the pass can change"""
    harm: Mapping[str, Mapping[str, float]]
    """node → figure → what changing it alone does, in parts of what is allowed; () = not measured"""
    changed: tuple[str, ...]
    """what was changed at last; () = the bench bears none"""


@dataclass(slots=True)
class Search:
    """What is asked of a search, and what it has found out: kept from one try to the next."""

    failed: dict[str, float] = field(default_factory=dict)
    """figure → how many times its bound it was when the gate refused what was found last"""
    refusals: tuple[Note, ...] = ()
    """what the gate said, for a person"""
    layers: dict[str, Layers] = field(default_factory=dict)
    """pass → what it found"""

    def refused(self, failed: Mapping[str, Sequence[float]]) -> None:
        """The gate refused what was found. `failed`: figure → its value, and what it may be."""
        self.failed = {
            name: max(ONCE_MORE, value / most if most else 0.0) for name, (value, most) in failed.items()
        }
        changed = sum(len(each.changed) for each in self.layers.values())
        every = sum(len(each.work) for each in self.layers.values())
        what = f"{changed} of {every} layers changed" if every else "what was made before"
        said = ", ".join(
            f"{name} {value:.3g}" + (f" > {most:.3g}" if value > most else "")
            for name, (value, most) in failed.items()
        )
        self.refusals += (Note(f"{what}: refused by the quality gate: {said}"),)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> Search:
        """What `save` wrote; a new one where there is nothing."""
        if not path.is_file():
            return Search()
        tree = json.loads(path.read_text(encoding="utf-8"))
        layers = {
            name: Layers(known["work"], known["harm"], tuple(known["changed"]))
            for name, known in tree["layers"].items()
        }
        return Search(tree["failed"], tuple(tree["refusals"]), layers)


@dataclass(frozen=True, slots=True)
class Bench(Generic[Version]):
    """What versions of a network are held to."""

    engine: Callable[[Version], Engine]
    """computes a version"""
    reference: Reference
    least_snr: float
    """dB"""
    seconds: float
    """for which layers are measured"""
    allow: str = ""
    """the precision to which the operator allows wider bounds"""
    pieces: tuple[Piece, ...] = ()
    """of sound, where the network gives it"""
    share: float = 1.0
    """of what is allowed, where another change comes behind"""

    def snr(self, version: Version) -> float:
        """dB of the output that differs most; minus infinity where it does not run."""
        try:
            engine = self.engine(version)
        except SonorantError:
            return -math.inf
        try:
            return self._snr(engine)
        finally:
            engine.close()

    def parts(self, version: Version, pieces: Sequence[Piece]) -> Iterator[dict[str, float]]:
        """How far a version is from the source, 1 = as far as it may: by decibels, then by what is heard of
        each piece of sound."""
        try:
            engine = self.engine(version)
        except SonorantError:
            yield {SNR: math.inf}
            return
        try:
            snr = self._snr(engine)
            yield {SNR: 10 ** ((self.least_snr + MARGIN - snr) / 20) / self.share}
            for piece in pieces if snr > -math.inf else ():  # otherwise of another length, or not finite
                found = piece.parts(engine, self.allow)
                yield {name: part / self.share for name, part in found.items()}
        finally:
            engine.close()

    def lacking(self, version: Version) -> dict[str, float]:
        """How far it is, by decibels, on all that its proof compares; {} = near enough."""
        engine = self.engine(version)
        try:
            snr = self._snr(engine, briefly=False)
        finally:
            engine.close()
        times = 10 ** ((self.least_snr - snr) / 20) / self.share
        return {} if times <= 1 else {SNR: times}

    def _snr(self, engine: Engine, briefly: bool = True) -> float:
        return Evidence("", comparisons=compared_on(engine, self.reference, briefly=briefly)).worst


def chosen(
    work: Mapping[str, float],
    version: Callable[[frozenset[str]], Version],
    bench: Bench[Version],
    before: Layers | None = None,
    failed: Mapping[str, float] | None = None,
) -> Layers:
    """As many layers as the bench bears: those are left out, time and again, that do most of what is too
    much, for what they save.

    `work`: as in `Layers`; `version` makes one in which these layers stay as they are; `before`, `failed`: a
    choice that the gate refused, and why, as in `Search`.
    """
    every = frozenset(work)
    harm = before.harm if before else {}
    inside, excess = set(before.changed if before else work), dict(failed or {})
    for _ in range(TRIES):
        if not excess:
            apart = list(bench.parts(version(every - inside), bench.pieces))
            excess = {name: times for name, times in _largest(apart).items() if not times <= 1}
            excess = excess or bench.lacking(version(every - inside))  # a version may be loaded once
            if not excess:
                return Layers(work, harm, tuple(sorted(inside, key=lambda name: -work[name])))
        if not harm:
            if before or failed:
                apart = list(bench.parts(version(frozenset()), bench.pieces))
            harm = _measured(work, version, bench, apart)
        inside, excess = _fewer(inside & harm.keys(), excess, harm, work), {}
        if not inside:
            break
    return Layers(work, harm, ())


def _fewer(
    inside: set[str],
    excess: Mapping[str, float],
    harm: Mapping[str, Mapping[str, float]],
    work: Mapping[str, float],
) -> set[str]:
    """Without the layers that do most of what is too much; `excess`: figure → times what it may be.

    Errors of layers are as good as independent, so that their squares add.
    """
    left = set(inside)
    for figure, times in excess.items():
        squares = {name: harm[name].get(figure, 0.0) ** 2 for name in inside}
        if not sum(squares.values()):  # no piece tells of it, nor how it grows
            squares, times = {name: max(harm[name].values()) ** 2 for name in inside}, ONCE_MORE
        total = sum(squares.values())
        far = min(times, AT_ONCE) if math.isfinite(times) else ONCE_MORE  # of another length
        # far beyond what is allowed they do not add up so: then at least what they do alone must be allowed
        most = (1.0 if total > 1 else total / far**2) / SPARE**2
        ordered = sorted(left, key=lambda name: squares[name] / work[name])
        while ordered and (len(left) == len(inside) or sum(squares[name] for name in ordered) > most):
            left.discard(ordered.pop())
    return left


def _largest(apart: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each figure where it is shown most."""
    return {name: max(each.get(name, 0.0) for each in apart) for name in {n for each in apart for n in each}}


def _measured(
    work: Mapping[str, float],
    version: Callable[[frozenset[str]], Version],
    bench: Bench[Version],
    apart: Sequence[Mapping[str, float]],
) -> dict[str, dict[str, float]]:
    """What each layer does alone, those first that save most, for as long as there is time; `apart`: what all
    of them do together, by which pieces are taken that show some figure most."""
    heard, largest = apart[1:], _largest(apart[1:])
    figures = sorted(largest, key=lambda name: -largest[name])
    showing = dict.fromkeys(max(range(len(heard)), key=lambda i: heard[i][name]) for name in figures)
    pieces = [bench.pieces[i] for i in showing][:SHOWING]
    harm: dict[str, dict[str, float]] = {}
    until = time.monotonic() + bench.seconds
    every = frozenset(work)
    for name in sorted(work, key=lambda name: -work[name]):
        if time.monotonic() > until:
            break
        harm[name] = _largest(list(bench.parts(version(every - {name}), pieces)))
    return harm


def told(layers: Layers) -> tuple[Note, ...]:
    """The choice in sentences."""
    if not layers.harm:
        return ()
    share = sum(layers.work[name] for name in layers.changed) / sum(layers.work.values())
    alone = {name: max(parts.values()) for name, parts in layers.harm.items()}
    return (
        Note(
            f"{len(layers.changed)} of {len(layers.work)} layers changed,"
            f" which have {100 * share:.0f}% of the multiplications"
        ),
        *(
            Note(f"{name} alone takes {100 * alone[name]:.0f}% of what is allowed")
            for name in sorted(alone, key=lambda name: -(alone[name] ** 2) / layers.work[name])[:3]
        ),
    )

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
from sonorant.networks.proof import Evidence
from sonorant.prepare.hearing import FIGURES, Piece
from sonorant.prepare.parity import Reference, compared_on

MARGIN = 1.5
"""dB better than it must be, as what is measured briefly is not all that is compared"""
SNR = "snr"
"""among the figures that a version is held to"""
HARDER, HARDEST = 1.25, 2.0
"""times harder than before, at least and at most, that a figure is held when the gate refused it"""
SPARE = 1.1
"""more than the gate's own figure asks for"""

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

    harder: dict[str, float] = field(default_factory=dict)
    """figure → times harder than usual that it is held, as the gate refused what was made before"""
    refusals: tuple[str, ...] = ()
    """what the gate said, for a person"""
    layers: dict[str, Layers] = field(default_factory=dict)
    """pass → what it found"""

    def refused(self, failed: Mapping[str, Sequence[float]]) -> None:
        """The gate refused what was found. `failed`: figure → its value, and what it may be."""
        for name, (value, most) in failed.items():
            times = SPARE * value / most if most else HARDER  # of clicks and holes one is too many
            self.harder[name] = self.harder.get(name, 1.0) * min(HARDEST, max(HARDER, times))
        changed = sum(len(each.changed) for each in self.layers.values())
        every = sum(len(each.work) for each in self.layers.values())
        what = f"{changed} of {every} layers changed" if every else "what was made before"
        said = ", ".join(
            f"{name} {value:.3g}" + (f" > {most:.3g}" if value > most else "")
            for name, (value, most) in failed.items()
        )
        self.refusals += (f"{what}: refused by the quality gate: {said}",)

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
        return Search(tree["harder"], tuple(tree["refusals"]), layers)


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
    harder: Mapping[str, float] = field(default_factory=dict)
    """as in `Search`; of figures that cannot be told here all others bear the burden"""
    share: float = 1.0
    """of what is allowed, where more changes come behind"""

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
        each piece of sound. Errors of layers are as good as independent, so that the squares of this add."""
        try:
            engine = self.engine(version)
        except SonorantError:
            yield {SNR: math.inf}
            return
        try:
            snr = self._snr(engine)
            yield {SNR: 10 ** ((self.least_snr + MARGIN - snr) / 20)}
            if snr > -math.inf:  # otherwise it is of another length, or not finite
                yield from (piece.parts(engine, self.allow) for piece in pieces)
        finally:
            engine.close()

    def _snr(self, engine: Engine) -> float:
        return Evidence("", comparisons=compared_on(engine, self.reference, briefly=True)).worst

    def excess(self, parts: Mapping[str, float]) -> float:
        """The largest part, where some are held harder than usual."""
        told = {SNR, *(FIGURES if self.pieces else ())}
        others = max((times for name, times in self.harder.items() if name not in told), default=1.0)
        return others / self.share * max(part * self.harder.get(name, 1.0) for name, part in parts.items())

    def bears(self, version: Version) -> bool:
        """Whether it is as near as it must be."""
        return all(self.excess(each) <= 1 for each in self.parts(version, self.pieces))


def chosen(
    work: Mapping[str, float],
    version: Callable[[frozenset[str]], Version],
    bench: Bench[Version],
    before: Layers | None = None,
) -> Layers:
    """As many layers as the bench bears, those first that save most for their harm.

    `work`: as in `Layers`; `version` makes one in which these layers stay as they are; `before`: what is
    known of the layers, from a choice that the gate refused: there are fewer this time.
    """
    every = frozenset(work)
    harm = before.harm if before else {}
    if before is None or not harm:
        whole = version(frozenset())
        apart = list(bench.parts(whole, bench.pieces))
        if before is None and max(map(bench.excess, apart)) <= 1:
            return Layers(work, {}, tuple(work))
        harm = _measured(work, version, bench, apart)
    ordered = sorted(harm, key=lambda name: bench.excess(harm[name]) ** 2 / work[name])
    good, bad = 0, min(len(ordered) + 1, len(before.changed)) if before else len(ordered) + 1
    while bad - good > 1 and (middle := (good + bad) // 2):
        if bench.bears(version(every - set(ordered[:middle]))):
            good = middle
        else:
            bad = middle
    return Layers(work, harm, tuple(ordered[:good]))


def _measured(
    work: Mapping[str, float],
    version: Callable[[frozenset[str]], Version],
    bench: Bench[Version],
    apart: Sequence[Mapping[str, float]],
) -> dict[str, dict[str, float]]:
    """What each layer does alone, those first that save most, for as long as there is time; `apart`: what all
    of them do together, of which the piece counts that shows it most."""
    heard = [bench.excess(each) for each in apart[1:]]
    pieces = bench.pieces[heard.index(max(heard)) :][:1] if heard else ()
    harm: dict[str, dict[str, float]] = {}
    until = time.monotonic() + bench.seconds
    every = frozenset(work)
    for name in sorted(work, key=lambda name: -work[name]):
        if time.monotonic() > until:
            break
        harm[name] = {}
        for each in bench.parts(version(every - {name}), pieces):
            harm[name] |= each
    return harm


def told(layers: Layers, bench: Bench[Version]) -> tuple[str, ...]:
    """The choice in sentences."""
    if not layers.harm:
        return ()
    share = sum(layers.work[name] for name in layers.changed) / sum(layers.work.values())
    worst_first = sorted(
        layers.harm, key=lambda name: -(bench.excess(layers.harm[name]) ** 2) / layers.work[name]
    )
    return (
        f"{len(layers.changed)} of {len(layers.work)} layers changed, which have {100 * share:.0f}% of the"
        " multiplications",
        *(
            f"{name} alone takes {100 * bench.excess(layers.harm[name]):.0f}% of what is allowed"
            for name in worst_first[:3]
        ),
    )

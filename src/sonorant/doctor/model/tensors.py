"""The tensors of a checkpoint beside those of the network that its family makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sonorant.doctor.model.finding import ERROR, Finding, Subject, some
from sonorant.families.layouts import WeightsFile

_REMEDY = "Use the checkpoint and the settings of the same model, both from the same place"


def compared(
    subject: Subject, held: Mapping[str, tuple[int, ...]], wanted: WeightsFile | None
) -> Iterator[Finding]:
    """`held`: name → shape. At most a finding for names and one for sizes."""
    if wanted is None or wanted.names is None:
        return
    named = wanted.names(held)
    absent = [name for name in named if name not in held]
    extra = [name for name in held if name.startswith(wanted.under) and name not in named]
    other = [name for name, shape in named.items() if held.get(name, shape) != shape]
    if absent or extra:
        yield Finding(
            "wrong-name",
            ERROR,
            what=f"It lacks {len(absent)} weights of the network that the settings describe, "
            f"and has {len(extra)} others",
            why="It is another model's checkpoint, or the settings are",
            remedy=_REMEDY,
            where=f"{subject.name}: {some(absent or extra)}",
        )
    if other:
        first = other[0]
        yield Finding(
            "wrong-size",
            ERROR,
            what=f"{len(other)} weights have other sizes than the settings say: "
            f"{first} is {list(held[first])}, not {list(named[first])}",
            why="It is another model's checkpoint, or the settings are",
            remedy=_REMEDY,
            where=f"{subject.name}: {some(other)}",
        )

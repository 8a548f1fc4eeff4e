"""Prepared artefacts in use: which of them stands for a model file, and that file again where it misbehaves.

An artefact was proven on some inputs and computes for all: so what it gives is looked at while it is used.
What is not finite, silent or clipped, and is not when the publisher's own file computes it, ends its use.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sonorant.errors import EngineError
from sonorant.networks.artefacts import Artefact, Artefacts
from sonorant.networks.engines.engine import Running
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.signature import Array, Feeds

logger = logging.getLogger(__name__)

MODEL = "model.onnx"
"""the file of a prepared artefact"""
SPEED = "speed, times the source's"
SIZE, SOURCE_SIZE = "size, bytes", "source's size, bytes"
MEMORY, SOURCE_MEMORY = "memory, bytes", "source's memory, bytes"

FASTER = 1.05
"""times the source's speed, below which an artefact is not worth its place: measurements differ by as much"""
TRIAL = "trial:"
"""before the name of a recipe: its artefacts are used although their quality has not been measured, which is
how it is measured"""

SILENT = 1e-5
"""an output whose values are all nearer to zero"""
CLIPPED = 0.05
"""share of an output's values that are its largest or its smallest"""
MANY = 256
"""values that an output has at least, for clipping to be told from chance"""
ALARMS = 4
"""false ones, after which an output is known to be like that, and only what is not finite counts"""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which prepared artefacts may be used."""

    artefacts: Artefacts
    precision: str = "auto"
    """auto: the fastest that is exact or whose quality was proven. float32: none, the publisher's own.
    Another one: the fastest proven of that precision. TRIAL and a recipe: that one"""

    def of(self, source: Path, exposed: Sequence[str] = ()) -> Artefact | None:
        """The artefact that stands for the file with tensors exposed; None = the file itself."""
        if self.precision == "float32":
            return None
        usable = [
            artefact
            for artefact in self.artefacts.all(source, "prepared")
            if self._fits(artefact) and _offered(artefact, exposed, source)
        ]
        return max(usable, key=speed, default=None)

    def _fits(self, artefact: Artefact) -> bool:
        proof = artefact.proof
        recipe = proof.bindings.recipe
        if self.precision.startswith(TRIAL):
            return proof.holds and recipe == self.precision.removeprefix(TRIAL)
        if not proof.served:
            return False
        if self.precision == "auto":
            return speed(artefact) >= FASTER
        return precision_of(recipe) == self.precision


def speed(artefact: Artefact) -> float:
    """Times the source's."""
    return artefact.proof.evidence.figures.get(SPEED, 0.0)


def precision_of(recipe: str) -> str:
    """Of a recipe's name, "prepared-2.slim+int8-static": the lowest that it brings about."""
    passes = recipe.partition(".")[2].split("+")
    found = [name.partition("-")[0] for name in passes]
    return next(
        (name for name in reversed(found) if name in ("float16", "bfloat16", "int8", "int4")), "float32"
    )


class PreparedEngine(OnnxRuntime):
    """An artefact in use, with its source behind it."""

    def __init__(
        self,
        artefact: Artefact,
        source: Callable[[], OnnxRuntime],
        fell: Callable[[str], None],
        **engine: Any,
    ) -> None:
        """`source` loads the publisher's file, `fell` is told why it had to; `engine`: as for OnnxRuntime."""
        super().__init__(artefact.folder / MODEL, **engine)
        self.artefact: Artefact | None = artefact
        """None = its source has taken its place"""
        self._load, self._fell = source, fell
        self._alarms: dict[str, int] = {}
        self._lock = threading.Lock()

    def prepare(self, feeds: Feeds, *, large: bool = False) -> Running:
        call = super().prepare(feeds, large=large)
        return call if self.artefact is None else _Watched(self, call, feeds, large)

    def suspicion(self, outputs: dict[str, Array]) -> str:
        """What is strange about outputs, "" where nothing is: one pass over them."""
        for name, value in outputs.items():
            if value.dtype.kind != "f" or not value.size:
                continue
            high, low = float(value.max()), float(value.min())
            if not np.isfinite(high) or not np.isfinite(low):
                return "not finite"
            if self._alarms.get(name, 0) >= ALARMS:
                continue
            if max(high, -low) < SILENT:
                return "silent"
            if value.size >= MANY and high > low:
                edge = np.count_nonzero(value == high) + np.count_nonzero(value == low)
                if edge > CLIPPED * value.size:
                    return "clipped"
        return ""

    def compared(self, why: str, feeds: Feeds, outputs: dict[str, Array] | None) -> dict[str, Array]:
        """The source's outputs for the same feeds, and the source for good where those are not strange."""
        with self._lock:
            source = self._load()
            right = source.prepare(feeds, large=True)()
            if outputs is not None and self.suspicion(right) == why:
                source.close()
                for name in outputs:
                    self._alarms[name] = self._alarms.get(name, 0) + 1
                return outputs
            if self.artefact is not None:
                self.artefact, self._session = None, source.session
                logger.warning(
                    "%s: the prepared artefact gave what is %s; its source takes its place",
                    source.source,
                    why,
                )
                self._fell(why)
            return right


@dataclass(slots=True)
class _Watched:
    engine: PreparedEngine
    call: Running
    feeds: Feeds
    large: bool
    stopped: bool = False

    def __call__(self) -> dict[str, Array]:
        try:
            outputs = self.call()
        except EngineError as error:
            if self.stopped or _short_of_memory(error):
                raise
            return self.engine.compared("failed", self.feeds, None)
        why = self.engine.suspicion(outputs)
        return self.engine.compared(why, self.feeds, outputs) if why else outputs

    def stop(self) -> None:
        self.stopped = True
        self.call.stop()


def _short_of_memory(error: EngineError) -> bool:
    from sonorant.observe.meter import out_of_memory

    return out_of_memory(error)


def _offered(artefact: Artefact, exposed: Sequence[str], source: Path) -> bool:
    """Whether an artefact was made with the tensors exposed that its family wants of the source."""
    if not exposed:
        return True
    there, data = (artefact.folder / MODEL).read_bytes(), source.read_bytes()
    return all(name.encode() in there for name in exposed if name.encode() in data)

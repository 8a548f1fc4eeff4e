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
from typing import get_args

import numpy as np

from sonorant.errors import EngineError, SignatureError
from sonorant.networks.artefacts import Artefact, Artefacts
from sonorant.networks.engines.engine import Engine, Running
from sonorant.networks.signature import Array, Feeds, Tensor
from sonorant.networks.targets import ONNX_RUNTIME, engine_of
from sonorant.settings import Precision

logger = logging.getLogger(__name__)

SPEED = "speed, times the source's"
SIZE, SOURCE_SIZE = "size, bytes", "source's size, bytes"
MEMORY, SOURCE_MEMORY = "memory, bytes", "source's memory, bytes"

FASTER = 1.05
"""times the source's speed, below which an artefact is not worth its place: measurements differ by as much"""
TRIAL = "trial:"
"""before the name of a recipe: its artefacts are used although their quality has not been measured, which is
how it is measured"""

PRECISIONS = get_args(Precision)
"""from the highest to the lowest"""

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
    engine: str = ""
    """only artefacts for this one, the fastest whether it gains anything or not; "" = for any"""
    recipe: str = ""
    """only the artefact of this name, "slim+int8", if it is proven; "" = by precision"""

    def of(self, source: Path, exposed: Sequence[str] = ()) -> Artefact | None:
        """The artefact that stands for the file with tensors exposed; None = the file itself."""
        if self.precision == "float32" and not self.named:
            return None
        usable = [
            artefact
            for artefact in self.artefacts.all(source, "prepared")
            if self._fits(artefact) and _offered(artefact, exposed, source)
        ]
        return max(usable, key=speed, default=None)

    @property
    def named(self) -> bool:
        """Whether it was said what it shall be, so that there is no other."""
        return bool(self.recipe) or self.engine not in ("", ONNX_RUNTIME)

    def _fits(self, artefact: Artefact) -> bool:
        proof = artefact.proof
        recipe = proof.bindings.recipe
        if self.engine and engine_of(recipe) != self.engine:
            return False
        if self.recipe:
            return proof.served and recipe.partition(".")[2] == self.recipe
        if self.precision.startswith(TRIAL):
            return proof.holds and recipe == self.precision.removeprefix(TRIAL)
        if not proof.served:
            return False
        if self.precision == "auto" or (self.named and self.precision == "float32"):
            return self.named or speed(artefact) >= FASTER
        return precision_of(recipe) == self.precision


def speed(artefact: Artefact) -> float:
    """Times the source's."""
    return artefact.proof.evidence.figures.get(SPEED, 0.0)


def precision_of(recipe: str) -> str:
    """Of a recipe's name, "prepared-2.slim+int8-static": the lowest that it brings about."""
    words = recipe.partition(".")[2].replace("+", "-").split("-")
    return max((word for word in words if word in PRECISIONS), key=PRECISIONS.index, default="float32")


class PreparedEngine:
    """An artefact in use, with its source behind it. An `Engine`, whatever engine computes the artefact."""

    def __init__(
        self, artefact: Artefact, engine: Engine, source: Callable[[], Engine], fell: Callable[[str], None]
    ) -> None:
        """engine: on the artefact; `source` loads the publisher's file, `fell` is told why it had to."""
        self.artefact: Artefact | None = artefact
        """None = its source has taken its place"""
        self.computing = engine
        self._load, self._fell = source, fell
        self._alarms: dict[str, int] = {}
        self._wider: Engine | None = None
        """its source, once something was fed that the artefact is not made for"""
        self._lock = threading.Lock()

    @property
    def source(self) -> str:
        return self.computing.source

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return self.computing.inputs

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        return self.computing.outputs

    @property
    def provider(self) -> str:
        return self.computing.provider

    def prepare(self, feeds: Feeds, *, large: bool = False) -> Running:
        """A call. Raises SignatureError for what the network itself is not fed.

        An engine that is built for some sizes refuses others, which the network takes: its source has them.
        """
        artefact, engine = self.artefact, self.computing
        try:
            call = engine.prepare(feeds, large=large)
        except SignatureError as error:
            if artefact is None:
                raise
            return self._source(error).prepare(feeds, large=large)
        return call if artefact is None else _Watched(self, call, feeds)

    def close(self) -> None:
        self.computing.close()
        if self._wider is not None:
            self._wider.close()

    def _source(self, error: SignatureError) -> Engine:
        with self._lock:
            if self._wider is None:
                self._wider = self._load()
                logger.warning(
                    "%s: %s; its source computes what the artefact is not made for",
                    self._wider.source,
                    error.what,
                )
            return self._wider

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
            source = self._load() if self.artefact is not None else self.computing
            right = source.prepare(feeds, large=True)()
            if outputs is not None and self.suspicion(right) == why:
                if source is not self.computing:
                    source.close()
                for name in outputs:
                    self._alarms[name] = self._alarms.get(name, 0) + 1
                return outputs
            if self.artefact is not None:
                self.artefact, self.computing = None, source  # runs of the other one may still go on
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


def computing(engine: Engine) -> Engine:
    """The engine itself, where it is watched."""
    return engine.computing if isinstance(engine, PreparedEngine) else engine


def _short_of_memory(error: EngineError) -> bool:
    from sonorant.observe.meter import out_of_memory

    return out_of_memory(error)


def _offered(artefact: Artefact, exposed: Sequence[str], source: Path) -> bool:
    """Whether an artefact was made with the tensors exposed that its family wants of the source."""
    if not exposed:
        return True
    there = {name for each in artefact.proof.evidence.comparisons for name in each.differences}
    data = source.read_bytes()
    return all(name in there for name in exposed if name.encode() in data)

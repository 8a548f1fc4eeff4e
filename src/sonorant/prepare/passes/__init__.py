"""The passes by their names, and recipes: passes one after the other, "slim+int8"."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from sonorant.errors import RequestError
from sonorant.prepare.passes import (
    float8,
    float16,
    int8,
    optimise,
    prune,
    prune_heads,
    prune_layers,
    prune_vocabulary,
    weights,
)
from sonorant.prepare.passes.conv2d import conv2d
from sonorant.prepare.passes.equalise import equalise
from sonorant.prepare.passes.kind import Pass
from sonorant.settings import Precision

VERSION = "prepared-2"
"""raised whenever a recipe would come out otherwise"""

_MATRICES = frozenset({"MatMul", "Gemm"})
_LAYERS = frozenset({"Conv", "MatMul"})

PRUNED = 5.0
"""dB: what is left of a network is another one, and whether it is good enough is for listeners to say"""
_PRUNED = re.compile(r"(prune(?:-heads|-layers|-vocabulary)?)-([1-9][0-9]?)")

ALL = (
    Pass("slim", optimise.slim),
    Pass("optimise", optimise.optimise),
    Pass("opset", optimise.opset),
    Pass("conv2d", conv2d),
    Pass("equalise", equalise),
    Pass("float16", float16.half, least_snr=40.0, precision="float16", mending="divergence"),
    Pass("bfloat16", float16.brain, least_snr=30.0, precision="bfloat16"),
    Pass("int8", int8.dynamic, least_snr=20.0, precision="int8", mending="sensitivity", touches=_MATRICES),
    *(
        Pass(
            f"int8-{name}", partial(int8.static, method=method),
            least_snr=15.0, precision="int8", mending="sensitivity", touches=_LAYERS,
            first=(equalise, conv2d), look=partial(int8.ranges_of, method=method),
        )
        for name, method in (
            ("static", int8.LEAST), ("minmax", "minmax"), ("entropy", "entropy"), ("percentile", "percentile")
        )
    ),
    Pass(
        "int8-tensorrt", partial(int8.static, method="entropy", tensorrt=True),
        least_snr=15.0, precision="int8", mending="sensitivity", touches=_LAYERS,
        look=partial(int8.ranges_of, method="entropy"),
    ),
    Pass(
        "float8", float8.float8,
        least_snr=15.0, precision="float8", mending="sensitivity", touches=frozenset(float8.LAYERS),
        look=float8.largest, only="tensorrt",
    ),
    Pass(
        "int8-weights", partial(weights.only, bits=8),
        least_snr=25.0, precision="int8", mending="sensitivity", touches=frozenset({"MatMul"}),
    ),
    Pass(
        "int4", partial(weights.only, bits=4),
        least_snr=10.0, precision="int4", mending="sensitivity", touches=frozenset({"MatMul"}),
    ),
    Pass("prune-30", partial(prune.prune, ratio=0.3), least_snr=PRUNED),
    Pass("prune-heads-30", partial(prune_heads.prune, ratio=0.3), least_snr=PRUNED),
    Pass("prune-layers-30", partial(prune_layers.prune, ratio=0.3), least_snr=PRUNED),
    Pass(
        "prune-vocabulary-30", partial(prune_vocabulary.taken_out, ratio=0.3),
        wanted=partial(prune_vocabulary.unsaid, ratio=0.3),
    ),
)  # fmt: skip
"""every pass; which of them is worth it is measured, not known beforehand"""

PASSES = {each.name: each for each in ALL}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Passes in the order in which they are applied."""

    passes: tuple[Pass, ...]

    @property
    def name(self) -> str:
        return "+".join(each.name for each in self.passes)

    @property
    def id(self) -> str:
        """Under which its artefacts are kept."""
        return f"{VERSION}.{self.name}"

    @property
    def precision(self) -> Precision:
        """The lowest that it brings about."""
        return next((p.precision for p in reversed(self.passes) if p.precision != "float32"), "float32")

    @property
    def least_snr(self) -> float:
        return min(each.least_snr for each in self.passes)

    @property
    def searched(self) -> bool:
        """Whether layers are chosen by what changing them does."""
        return any(each.mending == "sensitivity" for each in self.passes)

    @property
    def of_tokens(self) -> bool:
        """Whether tokens are taken out: a network that says none has nothing in it for this."""
        return any(each.wanted for each in self.passes)


def parts(text: str, known: Iterable[str]) -> list[str]:
    """ "slim+int8" → the names in it. Raises RequestError where one is empty."""
    names = [name.strip() for name in text.split("+")]
    if not all(names):
        raise RequestError(
            f"Beside a + of {text!r} nothing is named" if "+" in text else "No pass is named",
            remedy=f"Name one: {', '.join(known)}",
            param="to",
        )
    return names


def recipe(text: str) -> Recipe:
    """ "slim+int8" → its passes. Raises RequestError for a name that is none."""
    names = parts(text, PASSES)
    pruned = {name: _pruning(name) for name in names if _PRUNED.fullmatch(name)}
    for name in names:
        if name in pruned:
            continue
        if name not in PASSES:
            close = difflib.get_close_matches(name, PASSES, n=1)
            raise RequestError(
                f"There is no pass {name!r}",
                why=f"Did you mean {close[0]!r}?" if close else "",
                remedy=f"Known: {', '.join(PASSES)}; several one after the other with + between them",
                param="to",
            )
    return Recipe(tuple(pruned.get(name) or PASSES[name] for name in names))


def _pruning(name: str) -> Pass:
    """ "prune-20" takes out 20%."""
    kind, _, share = name.rpartition("-")
    usual = PASSES[f"{kind}-30"]
    apply, wanted = usual.apply, usual.wanted
    assert isinstance(apply, partial)
    ratio = int(share) / 100
    if isinstance(wanted, partial):
        wanted = partial(wanted.func, ratio=ratio)
    return replace(usual, name=name, apply=partial(apply.func, ratio=ratio), wanted=wanted)

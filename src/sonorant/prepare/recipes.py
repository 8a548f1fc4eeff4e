"""Recipes as they are asked for: passes, and at the end, where there is one, the engine that it is for.

"slim+int8-static"     two passes, for ONNX Runtime
"float16+tensorrt"     a pass, and TensorRT's engine of what it gave
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from sonorant.errors import RequestError
from sonorant.networks.prepared import PRECISIONS
from sonorant.prepare.convert.kinds import CONVERSIONS, Conversion
from sonorant.prepare.passes import PASSES, VERSION, Recipe, parts
from sonorant.prepare.passes import recipe as passes_of
from sonorant.settings import Precision


@dataclass(frozen=True, slots=True)
class Converted:
    """Passes, then another engine's form."""

    passes: Recipe | None
    conversion: Conversion

    @property
    def name(self) -> str:
        return "+".join([*([self.passes.name] if self.passes else []), self.conversion.name])

    @property
    def id(self) -> str:
        """Under which its artefacts are kept."""
        return f"{VERSION}.{self.name}"

    @property
    def precision(self) -> Precision:
        """The lowest that it brings about."""
        both = (self.conversion.precision, self.passes.precision if self.passes else "float32")
        return max(both, key=PRECISIONS.index)

    @property
    def least_snr(self) -> float:
        return min(self.conversion.least_snr, self.passes.least_snr if self.passes else float("inf"))

    @property
    def searched(self) -> bool:
        """Whether layers are chosen by what changing them does."""
        return bool(self.conversion.touches) or (self.passes is not None and self.passes.searched)

    @property
    def of_tokens(self) -> bool:
        """Whether tokens are taken out."""
        return self.passes is not None and self.passes.of_tokens


Way = Recipe | Converted
"""from a publisher's file to an artefact"""


def way(text: str) -> Way:
    """ "slim+openvino" → passes and conversion. Raises RequestError for a name that is none of either."""
    known = [*PASSES, *CONVERSIONS]
    names = parts(text, known)
    for name in names:
        if name in CONVERSIONS:
            continue
        try:
            passes_of(name)
        except RequestError as error:
            close = difflib.get_close_matches(name, known, n=1)
            raise RequestError(
                error.what,
                why=f"Did you mean {close[0]!r}?" if close else "",
                remedy=f"Known: {', '.join(known)}; several one after the other with + between them",
                param="to",
            ) from None
    if early := next((name for name in names[:-1] if name in CONVERSIONS), ""):
        raise RequestError(
            f"Nothing can come after {early}: what it gives is another engine's own",
            remedy="Name it last",
            param="to",
        )
    target = names[-1] if names[-1] in CONVERSIONS else ""
    before = names[:-1] if target else names
    passes = passes_of("+".join(before)) if before else None
    for each in passes.passes if passes else ():
        if each.only not in ("", target):
            raise RequestError(
                f"{each.name} is for {each.only} only",
                why="Other engines have no kernels for it, and would compute more than before",
                remedy=f"End the recipe with +{each.only}",
                param="to",
            )
    if target:
        return Converted(passes, CONVERSIONS[target])
    assert passes is not None  # there is one name at least
    return passes

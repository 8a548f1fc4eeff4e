"""Subjects and references of tiny networks, made once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sonorant.prepare import graph
from sonorant.prepare.parity import Reference, reference
from sonorant.prepare.subject import Subject

Made = tuple[Subject, Reference]


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Callable[[Callable[[Path], Path]], Made]:
    """A network's maker → its subject, with recorded feeds, and what it computes."""
    folder, known = tmp_path_factory.mktemp("networks"), {}

    def of(network: Callable[[Path], Path]) -> Made:
        if network not in known:
            found = graph.subject(network(folder / f"{network.__name__}.onnx"))
            recorded = tuple(
                found.signature.example(seed=i, **{axis: n}) for i, n in enumerate((60, 100, 140))
                for axis in [name for name in ("frames", "tokens") if name in str(found.signature.inputs)][:1]
            )  # fmt: skip
            found = replace(found, recorded=recorded)
            known[network] = found, reference(found)
        return known[network]

    return of

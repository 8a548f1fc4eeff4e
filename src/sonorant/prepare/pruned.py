"""What was pruned, for who trains it on: which indices of each weight stayed, and the way there and back.

    less = onnx.load("model.onnx")                       # made by prune-30, prune-heads-30 …
    small = smaller(state, source, less)                 # for a module of the smaller sizes, in torch
    …                                                    # your training
    onnx.save(filled(less, small, trained), "tuned.onnx")

Weights are matched by their names, or by their values, also transposed: exporters rename and turn matrices.
A state is a mapping from names to arrays; of a torch module it is
`{name: value.numpy() for name, value in module.state_dict().items()}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sonorant.errors import PassError
from sonorant.networks.signature import Array

if TYPE_CHECKING:
    from onnx import ModelProto

Part = Literal["channels", "heads", "tokens"]
State = Mapping[str, Array]
FILE = "pruned.json"
"""beside an artefact that was pruned"""
_KEY = "sonorant.pruned"


@dataclass(frozen=True, slots=True)
class Cut:
    """One axis of one weight."""

    weight: str
    """its name in the source"""
    now: str
    """its name in what was derived"""
    axis: int
    size: int
    """before"""
    kept: tuple[int, ...]
    """indices that stayed, ascending"""
    of: Part


@dataclass(frozen=True, slots=True)
class Pruned:
    """All that was taken."""

    cuts: tuple[Cut, ...] = ()
    removed: tuple[str, ...] = ()
    """layers that went whole: the names of the operators that added them"""

    def to_json(self) -> str:
        """For a person, and for a training loop."""
        return json.dumps(asdict(self), ensure_ascii=False)


def pruned(model: ModelProto) -> Pruned:
    """What stands in a graph; nothing for one that was never pruned."""
    text = next((each.value for each in model.metadata_props if each.key == _KEY), "{}")
    tree: dict[str, Any] = json.loads(text)
    cuts = tuple(Cut(**{**each, "kept": tuple(each["kept"])}) for each in tree.get("cuts", ()))
    return Pruned(cuts, tuple(tree.get("removed", ())))


def noted(model: ModelProto, cuts: Sequence[Cut], removed: Sequence[str] = ()) -> ModelProto:
    """Enter it into the graph, beside what was pruned before."""
    before = pruned(model)
    found = Pruned((*before.cuts, *cuts), (*before.removed, *removed))
    kept = [each for each in model.metadata_props if each.key != _KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=_KEY, value=found.to_json())
    return model


def smaller(state: State, source: ModelProto, less: ModelProto) -> dict[str, Array]:
    """The state of the source's module, cut as the graph was; of layers that went, nothing is left out.

    source: the graph before, with the values of `state`. Raises PassError for a cut weight that is not there.
    """
    values = dict(_values(source))
    found = dict(state)
    origin: dict[str, str] = {}  # a weight that was cut twice has another name the second time
    for cut in pruned(less).cuts:
        weight = origin.setdefault(cut.now, origin.get(cut.weight, cut.weight))
        name, turned = _place(state, weight, values.get(weight))
        axis = found[name].ndim - 1 - cut.axis if turned else cut.axis
        found[name] = np.take(np.asarray(found[name]), cut.kept, axis=axis)
    return found


def filled(less: ModelProto, small: State, trained: State) -> ModelProto:
    """The pruned graph with trained weights. `small`: what they were before training, as `smaller` gave it.

    Raises PassError where a weight that training changed has no place in the graph, such as one that the
    export folded into another: export the trained module instead.
    """
    import onnx

    values = dict(_values(less))
    model = type(less)()
    model.CopyFrom(less)
    weights = {weight.name: weight for weight in model.graph.initializer}
    for name, before in small.items():
        after = np.asarray(trained[name])
        if np.array_equal(after, before):
            continue
        places = _places(np.asarray(before), name, values)
        if len(places) != 1:
            raise PassError(
                f"No weight of the graph, or more than one, can be {name!r}",
                why="The export folded it into another or renamed it, or the passes after it changed it",
                remedy="Export the trained module, and compare it with the source: docs/prepare.md",
            )
        [place] = places
        value = after.T if values[place].shape != before.shape or not _same(values[place], before) else after
        weights[place].CopyFrom(
            onnx.numpy_helper.from_array(np.ascontiguousarray(value.astype(values[place].dtype)), place)
        )
    return model


def _values(model: ModelProto) -> Iterator[tuple[str, Array]]:
    import onnx

    for weight in model.graph.initializer:
        yield weight.name, np.asarray(onnx.numpy_helper.to_array(weight))


def _place(state: State, weight: str, value: Array | None) -> tuple[str, bool]:
    """The name in a state of a graph's weight, and whether it is transposed there."""
    if weight in state and (value is None or state[weight].shape == value.shape):
        return weight, False
    if value is not None:
        for turned in (False, True):
            wanted = value.T if turned else value
            alike = [name for name, each in state.items() if _same(np.asarray(each), wanted)]
            if len(alike) == 1:
                return alike[0], turned
    raise PassError(
        f"The checkpoint has no weight that is {weight!r} of the graph",
        why="None has its name, and none alone has its values",
        remedy="Give the state that the graph was exported from",
    )


def _places(value: Array, name: str, graph: Mapping[str, Array]) -> list[str]:
    """Weights of a graph that one of a state may be: that of its name, else those of its values."""
    if name in graph and graph[name].shape == value.shape:
        return [name]
    return [each for each, found in graph.items() if _same(found, value) or _same(found, value.T)]


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and np.array_equal(a, b)

"""A graph from which parts are taken: what is constant in it, who makes and who takes a tensor, and cuts.

What was cut is written into the graph itself, for who trains it on (`sonorant.prepare.pruned`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sonorant.networks.signature import Array
from sonorant.prepare.pruned import Cut, Part, noted

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto


class Cutting:
    """A graph in the making."""

    def __init__(self, model: ModelProto) -> None:
        self.model, self.cuts = model, list[Cut]()
        self.weights: dict[str, TensorProto] = {w.name: w for w in model.graph.initializer}
        self.makers: dict[str, NodeProto] = {}
        self.takers: dict[str, list[NodeProto]] = {}
        for node in model.graph.node:
            self.makers |= dict.fromkeys(node.output, node)
            for name in node.input:
                self.takers.setdefault(name, []).append(node)
        self.order = {name: i for i, node in enumerate(model.graph.node) for name in node.output}
        """tensor → the place of its maker"""
        self.outputs = {value.name for value in model.graph.output}
        self._made: dict[tuple[str, int, tuple[int, ...]], str] = {}

    def value(self, name: str) -> Array | None:
        """Of a weight or another constant; None for what is computed."""
        import onnx

        if name in self.weights:
            return np.asarray(onnx.numpy_helper.to_array(self.weights[name]))
        maker = self.makers.get(name)
        if maker is not None and maker.op_type == "Constant" and maker.attribute[0].name == "value":
            return np.asarray(onnx.numpy_helper.to_array(maker.attribute[0].t))
        return None

    def taker(self, name: str, last: bool = True) -> NodeProto | None:
        """The only node that takes a tensor; None where others do, or it is given out.

        Who asks for its sizes does not count, but for the last one, where `last` is what will change.
        """
        found = [node for node in self.takers.get(name, []) if not self._asks(node, last)]
        alone = len(found) == 1 and list(found[0].input).count(name) == 1 and name not in self.outputs
        return found[0] if alone else None

    def _asks(self, node: NodeProto, last: bool) -> bool:
        """It is a Shape, of whose sizes only the first two are looked at; `last` = False: any of them."""
        if node.op_type != "Shape":
            return False
        for taker in self.takers.get(node.output[0], []) if last else ():
            place = self.value(taker.input[1]) if taker.op_type == "Gather" else None
            if place is None or place.size != 1 or int(place.reshape(-1)[0]) not in (0, 1):
                return False
        return node.output[0] not in self.outputs

    def cut(self, node: NodeProto, place: int, axis: int, kept: Sequence[int], of: Part) -> None:
        """Of the weight that a node takes there, only these indices of an axis stay.

        A weight that others take, too, stays whole for them.
        """
        name = node.input[place]
        key = name, axis, tuple(kept)
        if key not in self._made:
            whole = self.value(name)
            assert whole is not None
            less = np.ascontiguousarray(np.take(whole, kept, axis=axis))
            self._made[key] = self._constant(f"{name}.pruned{len(self._made)}", less)
            self.cuts.append(Cut(name, self._made[key], axis, whole.shape[axis], tuple(map(int, kept)), of))
        node.input[place] = self._made[key]

    def put(self, node: NodeProto, place: int, value: Array) -> None:
        """A constant of its own in that place."""
        node.input[place] = self._constant(f"{node.name}/{place}.pruned", value)

    def insert(self, node: NodeProto, before: NodeProto) -> None:
        at = next(i for i, each in enumerate(self.model.graph.node) if each.name == before.name)
        self.model.graph.node.insert(at, node)

    def done(self, removed: Sequence[str] = ()) -> ModelProto:
        """The graph without what nobody takes any more. `removed`: parts that went whole, for the record."""
        graph = self.model.graph
        needed, waiting = set(self.outputs), list(self.outputs)
        makers = {name: node for node in graph.node for name in node.output}
        while waiting:
            node = makers.get(waiting.pop())
            for name in _taken(node) if node is not None else ():
                if name not in needed:
                    needed.add(name)
                    waiting.append(name)
        nodes = [node for node in graph.node if needed & set(node.output)]
        weights = [weight for weight in graph.initializer if weight.name in needed]
        for field, kept in ((graph.node, nodes), (graph.initializer, weights)):
            copies = [type(each)() for each in kept]
            for copy, each in zip(copies, kept, strict=True):
                copy.CopyFrom(each)
            del field[:]
            field.extend(copies)
        del graph.value_info[:]  # shapes of what lies between, which have changed
        return noted(self.model, self._named_as_before(), removed)

    def _named_as_before(self) -> list[Cut]:
        """The cuts; weights that are not there whole any more have their old names again."""
        graph = self.model.graph
        there, old = {weight.name for weight in graph.initializer}, dict[str, str]()
        for cut in self.cuts:
            old[cut.now] = old.get(cut.weight, cut.weight)
        left = [first for now, first in old.items() if now in there]
        names = {
            now: first
            for now, first in old.items()
            if now in there and first not in there and left.count(first) == 1
        }
        for weight in graph.initializer:
            weight.name = names.get(weight.name, weight.name)
        for node in graph.node:
            node.input[:] = [names.get(name, name) for name in node.input]
        return [replace(cut, weight=old[cut.now], now=names.get(cut.now, cut.now)) for cut in self.cuts]

    def _constant(self, name: str, value: Array) -> str:
        import onnx

        self.model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
        self.weights[name] = self.model.graph.initializer[-1]
        return name


def _taken(node: NodeProto) -> list[str]:
    """Its inputs, those of graphs inside it included."""
    found = list(node.input)
    for attribute in node.attribute:
        for inner in attribute.g.node if attribute.HasField("g") else ():
            found += _taken(inner)
        found += [value.name for value in attribute.g.output] if attribute.HasField("g") else []
    return found

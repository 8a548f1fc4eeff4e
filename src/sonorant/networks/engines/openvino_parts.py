"""A graph of OpenVINO in two parts, so that each can be computed in a precision of its own.

OpenVINO has a mark by which an operator stays in float32, but whatever of its passes replaces the operator
loses it: of a Fourier transform in front of a network nothing stayed in float32.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

JOINT = "sonorant joint "
"""what the tensors between the parts are called, before their number"""


def parts(graph: Any, first: Collection[str]) -> tuple[Any, Any]:
    """The operators `first` of an openvino.Model, and the rest, which is what becomes of `graph` itself.

    first: friendly names; an operator among them takes nothing from one that is not, but shapes and weights.
    The first part has a result for each tensor that the other takes from it, in order; they are the other's
    parameters "JOINT0", "JOINT1" … by friendly name: a tensor's names change where it is also a result.
    """
    from openvino import Model
    from openvino.op import Parameter, Result

    copy = graph.clone()
    copies = {_name(operator): operator for operator in copy.get_ops()}
    results: list[Any] = []
    for operator in graph.get_ordered_ops():
        if _name(operator) not in first:
            continue
        for index, output in enumerate(operator.outputs()):
            takers = [each for each in output.get_target_inputs() if _name(each.get_node()) not in first]
            if not takers:
                continue
            joint = Parameter(output.get_element_type(), output.get_partial_shape())
            joint.set_friendly_name(f"{JOINT}{len(results)}")
            graph.add_parameters([joint])
            for taker in takers:
                taker.replace_source_output(joint.output(0))
            results.append(Result(copies[_name(operator)].output(index)))
    for parameter in graph.get_parameters():
        if not parameter.output(0).get_target_inputs():
            graph.remove_parameter(parameter)
    graph.validate_nodes_and_infer_types()
    return Model(results, copy.get_parameters(), "front"), graph


def _name(operator: Any) -> str:
    return str(operator.get_friendly_name())

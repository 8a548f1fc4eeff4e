"""The newest operator set, where ONNX Runtime takes the network in it."""

import numpy as np
import onnx
import pytest

from prepare import graphs
from sonorant.errors import PassError
from sonorant.prepare.passes.kind import Material
from sonorant.prepare.passes.optimise import IR, OPSET, opset


def test_an_older_operator_set_becomes_the_newest(made):
    subject, _ = made(graphs.vocoder)
    model = opset(subject.model(), Material())
    assert (model.opset_import[0].version, model.ir_version) == (OPSET, IR)


def test_a_network_that_the_engine_takes_only_as_it_was_is_refused_with_a_remedy(tmp_path):
    net = graphs.Graph()
    rows = net.constant(net.random.integers(-100, 100, (graphs.TOKENS, graphs.WIDTH)).astype(np.int8))
    scale, zero = net.constant(np.float32(0.01)), net.constant(np.int8(3))
    x = net.node("DequantizeLinear", net.node("Gather", rows, "ids"), scale, zero)
    x = net.node("Transpose", x, perm=[0, 2, 1])
    x = net.node("MatMul", net.node("Relu", x), net.weight(7, 7))
    path = net.save(
        tmp_path / "net.onnx", [("ids", graphs.INT, [1, 7])], [(x, "y", [1, graphs.WIDTH, 7])], opset=20
    )
    with pytest.raises(PassError, match=r"in operator set 20, and not in 21.* Leave the pass opset out"):
        opset(onnx.load(path), Material())

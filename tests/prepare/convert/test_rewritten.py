"""What a network computes is the same after it was rewritten for a builder that must know all sizes."""

import numpy as np
import onnx
import pytest

from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.prepare.convert.bounded import LENGTHS, bounded
from sonorant.prepare.convert.dense import dense
from sonorant.prepare.convert.neutral import neutral
from sonorant.prepare.convert.tensorrt import rewritten

HOP = 16
STEPS = 4


@pytest.fixture
def run(tmp_path):
    def ran(model, **feeds):
        onnx.save(model, tmp_path / "net.onnx")
        return OnnxRuntime(tmp_path / "net.onnx").prepare(feeds)()

    return ran


def said(*lengths, pace=1.0, seed=0):
    ids = np.random.default_rng(seed).integers(0, 20, (len(lengths), max(lengths)))
    return {"ids": ids, "real": np.array(lengths), "pace": np.array([pace], np.float32)}


def count(model, kind):
    return sum(node.op_type == kind for node in model.graph.node)


@pytest.mark.parametrize("length", [2, 7, 30])
def test_a_voice_says_the_same_as_before_up_to_its_end(voice, run, length):
    model = onnx.load(voice[0])
    feeds = said(length, seed=length)
    before, now = run(model, **feeds)["audio"], run(rewritten(model, STEPS), **feeds)
    assert now["audio"].shape == (1, 1, STEPS * length * HOP)
    assert now[LENGTHS].tolist() == [before.shape[2]]
    np.testing.assert_allclose(now["audio"][..., : before.shape[2]], before, atol=1e-6)


def test_each_row_of_a_batch_says_what_it_says_alone(voice, run):
    model = onnx.load(voice[0])
    feeds = said(20, 5, 11)
    now = run(rewritten(model, STEPS), **feeds)
    for i, real in enumerate(feeds["real"]):
        alone = run(
            model, ids=feeds["ids"][i : i + 1, :real], real=feeds["real"][i : i + 1], pace=feeds["pace"]
        )
        assert now[LENGTHS][i] == alone["audio"].shape[2]
        np.testing.assert_allclose(now["audio"][i, :, : now[LENGTHS][i]], alone["audio"][0], atol=1e-6)


def test_what_is_longer_than_there_is_room_for_is_cut_short_and_it_is_told(voice, run):
    now = run(rewritten(onnx.load(voice[0]), STEPS), **said(10, pace=9.0))
    assert now["audio"].shape[2] == STEPS * 10 * HOP < now[LENGTHS][0]


def test_sizes_follow_from_sizes_afterwards(voice):
    """Boolean indexing, the largest length, and zeros in a tensor's own size are gone."""
    model = onnx.load(voice[0])
    after = rewritten(model, STEPS)
    for kind in ("NonZero", "ReduceMax", "ConstantOfShape"):
        assert (count(model, kind), count(after, kind)) == (1, 0), kind


def test_zeros_in_the_size_of_something_else_and_ones_stay(net, run):
    bias, shape = net.weight(1, 6, 1), net.node("Shape", "mel")
    wide = net.node("Add", bias, net.node("ConstantOfShape", shape))
    value = onnx.numpy_helper.from_array(np.ones(1, np.float32))
    ones = net.node("ConstantOfShape", net.node("Shape", "mel"), value=value)
    net.nodes.append(
        onnx.helper.make_node("Identity", [net.node("Add", net.node("Add", "mel", ones), wide)], ["audio"])
    )
    declared = [onnx.helper.make_tensor_value_info(n, 1, ["b", 6, "t"]) for n in ("mel", "audio")]
    graph = onnx.helper.make_graph(net.nodes, "net", declared[:1], declared[1:], net.weights)
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 17)])
    mel = np.zeros((1, 6, 4), np.float32)
    np.testing.assert_array_equal(run(neutral(model), mel=mel)["audio"], run(model, mel=mel)["audio"])
    assert neutral(model) == model


def test_a_network_without_any_of_it_stays_as_it_is(vocoder, transformer):
    for path, _ in (vocoder, transformer):
        model = onnx.load(path)
        assert bounded(neutral(dense(model)), STEPS) == model


def test_outputs_get_the_types_that_parts_of_a_cut_network_lack(vocoder):
    model = onnx.load(vocoder[0])
    del model.graph.output[:]
    model.graph.output.append(onnx.ValueInfoProto(name="audio"))
    [output] = rewritten(model).graph.output
    assert output.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_a_sum_that_an_inner_graph_takes_stays(net):
    """The branches of an If name tensors outside them."""
    zeros = net.node("ConstantOfShape", net.node("Shape", "mel"))
    added = net.node("Add", "mel", zeros)
    branches = [
        onnx.helper.make_graph(
            [onnx.helper.make_node("Neg" if name else "Identity", [added], [f"out{name}"])],
            "branch",
            [],
            [onnx.helper.make_tensor_value_info(f"out{name}", 1, None)],
        )
        for name in range(2)
    ]
    first = net.constant(np.array(True))
    net.nodes.append(
        onnx.helper.make_node("If", [first], ["audio"], then_branch=branches[0], else_branch=branches[1])
    )
    declared = [onnx.helper.make_tensor_value_info(n, 1, ["b", 6, "t"]) for n in ("mel", "audio")]
    graph = onnx.helper.make_graph(net.nodes, "net", declared[:1], declared[1:], net.weights)
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 17)])
    assert neutral(model) == model

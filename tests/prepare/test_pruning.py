"""Heads, layers and tokens are taken out, and what was taken can be told to who trains the rest."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from prepare import graphs
from sonorant.errors import PassError, RequestError
from sonorant.prepare.making import derive
from sonorant.prepare.passes import prune_heads, prune_layers, prune_vocabulary, recipe
from sonorant.prepare.passes.cutting import Cutting
from sonorant.prepare.passes.kind import Material, named
from sonorant.prepare.pruned import filled, pruned, smaller

HEADS, WIDTH = 4, 32
IDS = {"ids": np.array([[3, 17, 4, 4, 30, 8, 9]])}


def transformer(blocks: int = 2, packed: bool = False) -> onnx.ModelProto:
    """ids → logits, with attention of four heads as exporters write it."""
    net = graphs.Graph(5)
    x = net.node("Gather", net.weight(graphs.TOKENS, WIDTH, scale=1.0), "ids")
    split = net.constant(np.array([0, 0, HEADS, WIDTH // HEADS]))
    for _ in range(blocks):
        normed = net.norm(x, WIDTH)
        q, k, v = (net.node("Reshape", net.linear(normed, WIDTH, WIDTH), split) for _ in range(3))
        q, v = (net.node("Transpose", each, perm=[0, 2, 1, 3]) for each in (q, v))
        k = net.node("Transpose", k, perm=[0, 2, 3, 1])
        scores = net.node("Div", net.node("MatMul", q, k), net.constant(np.float32((WIDTH // HEADS) ** 0.5)))
        mixed = net.node("MatMul", net.node("Softmax", scores, axis=-1), v)
        mixed = net.node("Transpose", mixed, perm=[0, 2, 1, 3])
        mixed = net.node("Reshape", mixed, net.constant(np.array([0, 0, WIDTH])))
        x = net.node("Add", x, net.linear(mixed, WIDTH, WIDTH))
        hidden = net.node("Relu", net.linear(net.norm(x, WIDTH), WIDTH, 64))
        x = net.node("Add", x, net.linear(hidden, 64, WIDTH))
    x = net.linear(net.norm(x, WIDTH), WIDTH, graphs.TOKENS)
    net.node("Identity", x, name="logits")
    graph = onnx.helper.make_graph(
        net.nodes, "net",
        [onnx.helper.make_tensor_value_info("ids", graphs.INT, ["batch", "tokens"])],
        [onnx.helper.make_tensor_value_info("logits", graphs.FLOAT, ["batch", "tokens", graphs.TOKENS])],
        net.weights,
    )  # fmt: skip
    model = onnx.helper.make_model(graph, ir_version=9, opset_imports=[onnx.helper.make_opsetid("", 17)])
    return named(model)


def run(model: onnx.ModelProto) -> np.ndarray:
    onnx.checker.check_model(model)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, IDS)[0]


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    return onnx.load_model_from_string(model.SerializeToString())


def state(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """As torch has it: matrices turned, which exporters name anew."""
    values = {
        w.name: numpy_helper.to_array(w) for w in model.graph.initializer if w.data_type == graphs.FLOAT
    }
    turned = {f"layer.{name}": value.T for name, value in values.items() if value.ndim == 2}
    return {**turned, **{name: value for name, value in values.items() if value.ndim == 1}}


def test_heads_that_do_nothing_go_first_and_nothing_is_lost():
    model = transformer()
    for each in prune_heads.attentions(Cutting(model)):
        weight = next(w for w in model.graph.initializer if w.name == each.out.weight)
        value = numpy_helper.to_array(weight).copy()
        value[each.width : 2 * each.width] = 0  # nobody listens to the second head
        weight.CopyFrom(numpy_helper.from_array(value, weight.name))
    before = run(model)
    less = prune_heads.prune(copied(model), Material(), ratio=0.25)
    np.testing.assert_allclose(run(less), before, atol=1e-5)
    kept = [cut.kept for cut in pruned(less).cuts]
    assert {len(each) for each in kept} == {24}
    assert all(set(each).isdisjoint(range(8, 16)) for each in kept)
    assert len(less.SerializeToString()) < len(model.SerializeToString())


def test_of_every_share_a_head_stays():
    less = prune_heads.prune(transformer(), Material(), ratio=0.99)
    assert {len(cut.kept) for cut in pruned(less).cuts} == {WIDTH // HEADS}
    assert np.isfinite(run(less)).all()


def test_no_attention_is_said_with_what_was_looked_for(made):
    subject, _ = made(graphs.vocoder)
    with pytest.raises(PassError, match="No attention is recognised") as raised:
        prune_heads.prune(named(subject.model()), Material(), ratio=0.3)
    assert "Softmax" in raised.value.why
    with pytest.raises(PassError, match="No row of transformer blocks"):
        prune_layers.prune(named(subject.model()), Material((IDS,)), ratio=0.3)


def test_the_block_that_changes_least_goes():
    model = transformer(3)
    found = prune_layers.blocks(Cutting(model))
    assert len(found) == 3
    quiet = {one.node.name for one in found[1].sums}
    for one in found[1].sums:  # its two sums add a thousandth
        f = next(name for name in one.node.input if name != one.x)
        bias = next(n for n in model.graph.node if f in n.output)
        product = next(n for n in model.graph.node if bias.input[0] in n.output)
        for name in (bias.input[1], product.input[1]):
            weight = next(w for w in model.graph.initializer if w.name == name)
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1e-3), name))
    before = run(model)
    less = prune_layers.prune(copied(model), Material((IDS,)), ratio=0.3)
    assert set(pruned(less).removed) == quiet
    assert np.abs(run(less) - before).max() < 0.05
    assert len(less.graph.initializer) < len(model.graph.initializer)
    with pytest.raises(PassError, match="real speech"):
        prune_layers.prune(transformer(3), Material(), ratio=0.3)


def test_tokens_that_stay_score_as_before_and_others_are_never_said():
    model = transformer()
    keep = sorted({*IDS["ids"][0].tolist(), 0, 12, 49})
    before, less = run(model), prune_vocabulary.prune(copied(model), keep, size=graphs.TOKENS)
    after = run(less)
    np.testing.assert_allclose(after[..., keep], before[..., keep], atol=1e-5)
    gone = [token for token in range(graphs.TOKENS) if token not in keep]
    assert (after[..., gone].max(-1) < after[..., keep].min(-1) - 19).all()
    assert [cut.of for cut in pruned(less).cuts] == ["tokens"] * 3
    with pytest.raises(RequestError):
        prune_vocabulary.prune(copied(model), [50], size=50)
    with pytest.raises(PassError, match="0 matrices with 49 columns"):
        prune_vocabulary.prune(copied(model), keep[:-1], size=49)


def test_a_graph_whose_nodes_have_no_names():
    model = transformer()
    gather = next(node for node in model.graph.node if node.op_type == "Gather")
    model.graph.node.insert(0, onnx.helper.make_node("Abs", ["ids"], ["ids/plain"]))
    gather.input[1] = "ids/plain"
    for node in model.graph.node:
        node.name = ""
    keep = sorted(set(IDS["ids"][0].tolist()))
    before, less = run(model), prune_vocabulary.prune(copied(model), keep, size=graphs.TOKENS)
    np.testing.assert_allclose(run(less)[..., keep], before[..., keep], atol=1e-5)


def test_a_table_of_positions_with_as_many_rows_is_not_taken_for_tokens():
    text = """<ir_version: 9, opset_import: ["": 17]>
    net (int64[n] ids, int64[n] places) => (float[n, 50] scores) {
        word = Gather (embedding, ids)
        place = Gather (positions, places)
        hidden = Add (word, place)
        scores = MatMul (hidden, output)
    }"""
    model = onnx.parser.parse_model(text)
    for name, shape in (("embedding", (50, 8)), ("positions", (50, 8)), ("output", (8, 50))):
        value = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    with pytest.raises(PassError, match="read by more than one tensor"):
        prune_vocabulary.prune(model, list(range(25)), size=50)


def test_which_tokens_stay():
    kept = prune_vocabulary.most_used([[7, 7, 9], [9, 9]], size=10, ratio=0.6, always=[5])
    assert kept == [0, 5, 7, 9]


def test_there_and_back():
    source = transformer()
    less = prune_heads.prune(copied(source), Material(), ratio=0.5)
    small = smaller(state(source), copied(source), less)
    sizes = {name: value.shape for name, value in small.items()}
    assert sum(np.prod(shape) for shape in sizes.values()) < sum(v.size for v in state(source).values())
    trained = {name: value * np.float32(1.5) for name, value in small.items()}
    tuned = filled(less, small, trained)
    for before, after in zip(less.graph.initializer, tuned.graph.initializer, strict=True):
        if before.data_type == graphs.FLOAT and before.dims:
            np.testing.assert_allclose(numpy_helper.to_array(after), 1.5 * numpy_helper.to_array(before))
    small["new"] = np.ones(3, np.float32)
    with pytest.raises(PassError, match="'new'"):
        filled(less, small, {**trained, "new": np.zeros(3, np.float32)})


def test_what_was_taken_lies_beside_the_artefact(made, tmp_path):
    subject, _ = made(graphs.vocoder)
    derive(tmp_path, subject, recipe("prune-10"))
    assert '"of": "channels"' in (tmp_path / "pruned.json").read_text()
    assert recipe("prune-heads-20+prune-layers-50").name == "prune-heads-20+prune-layers-50"


@pytest.mark.filterwarnings("ignore:`isinstance")  # torch's own exporter
def test_a_torch_module_of_the_smaller_sizes_computes_what_the_pruned_graph_does(tmp_path):
    """What a training loop begins with, and what comes back from it."""
    torch = pytest.importorskip("torch")

    class Attention(torch.nn.Module):
        def __init__(self, heads: int) -> None:
            super().__init__()
            self.q, self.k, self.v = (torch.nn.Linear(WIDTH, 8 * heads) for _ in range(3))
            self.o = torch.nn.Linear(8 * heads, WIDTH)

        def forward(self, x):
            q, k, v = (each(x).unflatten(-1, (-1, 8)).transpose(1, 2) for each in (self.q, self.k, self.v))
            mixed = ((q @ k.transpose(-1, -2)) / 8**0.5).softmax(-1) @ v
            return x + self.o(mixed.transpose(1, 2).flatten(2))

    torch.manual_seed(0)
    module, x = Attention(HEADS).eval(), torch.randn(1, 9, WIDTH)
    path = tmp_path / "source.onnx"
    torch.onnx.export(module, (x,), path, dynamo=True, external_data=False, verbose=False, input_names=["x"])
    source = named(onnx.load(path))
    less = prune_heads.prune(copied(source), Material(), ratio=0.5)

    def state_of(each) -> dict[str, np.ndarray]:
        return {name: value.detach().numpy().copy() for name, value in each.state_dict().items()}

    def computed(model) -> np.ndarray:
        return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x.numpy()})[0]

    small = smaller(state_of(module), source, less)
    half = Attention(HEADS // 2)
    half.load_state_dict({name: torch.from_numpy(value) for name, value in small.items()})
    with torch.no_grad():
        np.testing.assert_allclose(computed(less), half(x).numpy(), atol=1e-5)
        for each in half.parameters():
            each.add_(0.01 * torch.randn_like(each))  # as training does
        tuned = filled(less, small, state_of(half))
        np.testing.assert_allclose(computed(tuned), half(x).numpy(), atol=1e-5)

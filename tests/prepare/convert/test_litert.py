"""ONNX to LiteRT: the lengths that graphs are made for, and, heavy, what they compute."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hosts import host
from prepare import graphs
from prepare.convert.test_making import made_by, served
from prepare.convert.test_stft import graph as transform
from sonorant.errors import EngineError, MissingExtraError, ModelFileError
from sonorant.networks import BATCH, Axis, Signature, Tensor, targets
from sonorant.networks.engines.litert import Buckets, LiteRt
from sonorant.networks.prepared import SPEED, PreparedEngine
from sonorant.prepare import child, graph, session
from sonorant.prepare.convert import environment, litert
from sonorant.prepare.convert.kinds import CONVERSIONS, Limits, Material
from sonorant.prepare.recipes import way
from sonorant.settings import Settings

heavy = pytest.mark.heavy  # the environment that translates is 1.6 GB; and needs ai-edge-litert
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sonorant" / "test-data" / "litert"


@pytest.mark.parametrize(
    ("axis", "state", "sizes"),
    [
        (Axis("frames", typical=100), False, (7, 13, 25, 50, 100, 200, 400, 800)),
        (Axis("frames", min=48, typical=500, max=2998), False, (48, 94, 188, 375, 750, 1499, 2998)),
        (Axis("frames", typical=32, max=4096), True, (1, 2, 4, 8, 16, 32)),
        (Axis("frames", min=5, typical=5, max=5), False, (5,)),
    ],
)
def test_buckets_reach_from_the_shortest_to_the_longest_that_the_signature_allows(axis, state, sizes):
    assert litert.grid(axis, state) == sizes


def test_buckets_may_be_named_and_several_axes_are_refused():
    mel = Tensor("mel", "float32", (BATCH, 8, Axis("frames", typical=50)))
    signature = Signature((mel,), ())
    assert litert.chosen(signature, {"frames": (10, 20, 40)}).sizes == (10, 20, 40)
    assert litert.chosen(Signature((Tensor("x", "float32", (BATCH, 8)),), ())).sizes == ()
    both = Signature((mel, Tensor("ids", "int64", (BATCH, Axis("tokens")))), ())
    with pytest.raises(ModelFileError, match="frames, tokens change independently"):
        litert.chosen(both)


def test_what_follows_from_sizes_is_computed_before_it_is_translated(tmp_path):
    path = graphs.masked(tmp_path / "masked.onnx")
    litert.fixed(onnx.load(path), {"feats": [1, 24, graphs.MELS], "lengths": [1]}, tmp_path / "fixed.onnx")
    kinds = {node.op_type for node in onnx.load(tmp_path / "fixed.onnx").graph.node}
    assert "Conv" in kinds
    assert not kinds & {"Shape", "Range"}


def test_fourier_transforms_are_convolutions_before_they_are_translated(tmp_path):
    onnx.save(transform(16, 16), tmp_path / "net.onnx")
    x = Tensor("x", "float32", (BATCH, Axis("samples", min=40, typical=100, max=100)))
    buckets = litert.chosen(Signature((x,), ()))
    written = [onnx.load(each["graph"]) for each in litert._graphs(tmp_path / "net.onnx", buckets, tmp_path)]
    assert len(written) == 3
    kinds = {node.op_type for each in written for node in each.graph.node}
    assert "Conv" in kinds
    assert "STFT" not in kinds


def test_without_the_extra_nothing_is_installed(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    signature = Signature((Tensor("x", "float32", (BATCH, 8)),), ())
    with pytest.raises(MissingExtraError, match="LiteRT is not installed"):
        litert.convert(tmp_path / "model.onnx", signature, tmp_path / "out", home=tmp_path)
    assert list(tmp_path.iterdir()) == []


class Apart:
    """In place of the environment that translates: this Python."""

    def python(self, home, seconds, report):
        return Path(sys.executable)


@pytest.fixture
def translate(monkeypatch, tmp_path):
    """A translator's body, and a limit → what is written of a network, in a folder."""
    (tmp_path / "apart" / "translation").mkdir(parents=True)
    monkeypatch.setattr(environment, "APART", tmp_path / "apart")
    monkeypatch.setattr(litert, "ENVIRONMENT", Apart())
    monkeypatch.setattr(litert, "interpreter", lambda: None)
    path = graphs.vocoder(tmp_path / "net.onnx")

    def made(body):
        program = f"import json, time\ndef main():\n    asked = json.loads(input())\n    {body}\n"
        (tmp_path / "apart" / "translation" / "run.py").write_text(program)
        material = Material(path, graph.subject(path).signature, (), Limits())
        (tmp_path / "out").mkdir(exist_ok=True)
        CONVERSIONS["litert"].write(material, tmp_path / "out")
        return tmp_path / "out"

    return made


def test_what_is_translated_and_its_description_are_found_by_the_engine(translate):
    out = translate("open(asked['target'], 'w').close(); print(json.dumps({'done': True}))")
    path = targets.model_file(out)
    assert path.name == targets.LITERT_FILE
    assert Buckets.read(path).axis == "frames"


def test_translating_takes_as_long_as_the_operator_allows(translate, monkeypatch):
    monkeypatch.setattr(litert, "left", lambda: 0.5)
    with pytest.raises(EngineError, match=r"translation\.run took more than 0\.5 s") as late:
        translate("time.sleep(60)")
    assert "--timeout" in late.value.remedy
    monkeypatch.setattr(litert, "left", lambda: 90000.0)
    given = []
    monkeypatch.setattr(litert, "spoken", lambda python, target, asked, seconds: given.append(seconds) or [])
    with pytest.raises(ModelFileError, match="was not translated"):
        translate("")
    assert given == [90000], "also where that is more than usual"


def test_the_limit_of_the_command_is_the_translations(monkeypatch, tmp_path):
    asked = []

    def confined(target, arguments, *, seconds, **_):
        name = target.partition(":")[2]
        if name != "make_one":
            return getattr(child, name)(**arguments)
        asked.append(seconds)
        raise EngineError("It is not made here")

    monkeypatch.setattr(session, "confined", confined)
    path = graphs.vocoder(tmp_path / "net.onnx")
    settings = Settings(device="cpu", catalogue={"home": tmp_path})
    session.prepare(session.Asked(str(path), (way("litert"),), seconds=90000), settings)
    assert asked == [90000], "which the child knows (`left`)"


@pytest.fixture
def prepared(tmp_path):
    """A graph's maker → its artefact; the environment is made once, and kept."""
    (tmp_path / "home").mkdir()
    (CACHE / "environments").mkdir(parents=True, exist_ok=True)
    (tmp_path / "home" / "environments").symlink_to(CACHE / "environments")

    def made(network, **changed):
        found = graph.subject(network(tmp_path / "net.onnx"))
        return made_by("litert", replace(found, **changed), tmp_path)

    return made


def everything(path):
    """Layers that the other networks lack, added up; [batch, MELS, frames] → the same."""
    net, width = graphs.Graph(3), graphs.MELS
    one = net.constant(np.array([1]))
    shape = ["batch", width, "frames"]
    found = [
        net.node("Conv", "mel", net.weight(width, 1, 5), group=width, dilations=[2], pads=[4, 4]),
        net.node("Conv", "mel", net.weight(width, width // 4, 3), net.weight(width), group=4, pads=[2, 0]),
        net.node("MaxPool", "mel", kernel_shape=[3], pads=[1, 1]),
        net.node("BatchNormalization", "mel", *(net.node("Abs", net.weight(width)) for _ in range(4))),
        net.node("Sub", "mel", net.node("ReduceMean", "mel", axes=[2], keepdims=1)),
        net.node("Mul", "mel", net.node("ReduceMax", "mel", axes=[1, 2], keepdims=1)),
        net.node("Div", "mel", net.node("ReduceL2", "mel", axes=[2], keepdims=1)),
        net.node("Softmax", "mel", axis=2),
        net.node(
            "Clip", net.node("Elu", "mel"), net.constant(np.float32(-0.5)), net.constant(np.float32(0.3))
        ),
    ]
    halves = [net.node("Slice", "mel", net.constant(np.array([a])), net.constant(np.array([b])), one)
              for a, b in ((0, width // 2), (width // 2, width))]  # fmt: skip
    found.append(net.node("Concat", *halves[::-1], axis=1))
    high = net.node("Unsqueeze", "mel", one)
    high = net.node("Conv", high, net.weight(4, 1, 3, 3), strides=[2, 1], pads=[1, 1, 1, 1])
    high = net.node("AveragePool", net.node("Sigmoid", high), kernel_shape=[2, 1], strides=[2, 1])
    found.append(net.node("Reshape", high, net.constant(np.array([0, width, -1]))))
    quick = net.node("Conv", "mel", net.weight(width, width, 3), strides=[1], pads=[0, 0])
    found.append(net.node("Pad", quick, net.constant(np.array([0, 0, 1, 0, 0, 1]))))
    turned = net.node("Transpose", "mel", perm=[0, 2, 1])
    wide = net.node("LayerNormalization", turned, net.weight(width), net.weight(width))
    flat = net.node("Reshape", wide, net.constant(np.array([-1, width])))
    flat = net.node("Gemm", flat, net.weight(width, width), net.weight(width), transB=1)
    found.append(
        net.node("Transpose", net.node("Unsqueeze", flat, net.constant(np.array([0]))), perm=[0, 2, 1])
    )
    total = found[0]
    for each in found[1:]:
        total = net.node("Add", total, each)
    where = net.node("Greater", "mel", net.constant(np.float32(0)))
    total = net.node("Where", where, total, net.node("Neg", total))
    return net.save(path, [("mel", TensorProto.FLOAT, shape)], [(total, "y", shape)])


@heavy
@pytest.mark.parametrize("network", [graphs.vocoder, graphs.transformer, graphs.masked, everything])
def test_padding_is_not_heard_at_any_length(prepared, network, tmp_path):
    artefact = prepared(network)
    evidence = artefact.proof.evidence
    assert artefact.proof.served, evidence.fault
    assert evidence.worst > 100
    assert any(c.data.startswith("short: ") for c in evidence.comparisons)
    assert artefact.proof.bindings.engine.startswith("LiteRT ")
    assert sorted(file.name for file in artefact.folder.iterdir()) == [
        "model.json",
        "model.tflite",
        "proof.json",
    ]


@heavy
def test_it_serves_where_it_is_the_fastest_and_falls_back_where_it_misbehaves(
    prepared, tmp_path, monkeypatch
):
    artefact = prepared(graphs.vocoder)
    served(artefact, tmp_path, **{SPEED: 2.0})
    engine = host(tmp_path, "auto").engine("net", tmp_path / "net.onnx", intra_op_num_threads=1)
    assert isinstance(engine, PreparedEngine)
    assert engine.provider.startswith("LiteRT")
    feeds = {"mel": np.random.default_rng(0).standard_normal((1, graphs.MELS, 37), np.float32)}
    ours = engine.prepare(feeds)()["audio"]
    monkeypatch.setattr(LiteRt, "prepare", lambda self, feeds, large=False: lambda: {"audio": ours * np.nan})
    theirs = engine.prepare(feeds)()["audio"]
    assert engine.provider == "CPUExecutionProvider"
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def by_its_length(path):
    """Scaled by how many frames there are: a number that a fixed graph knows before it runs."""
    net = graphs.Graph()
    frames = net.node("Gather", net.node("Shape", "mel"), net.constant(np.array(2)), axis=0)
    x = net.node("Div", "mel", net.node("Cast", frames, to=TensorProto.FLOAT))
    shape = ["batch", graphs.MELS, "frames"]
    return net.save(path, [("mel", TensorProto.FLOAT, shape)], [(x, "y", shape)])


def backwards(path):
    """In the other order."""
    net = graphs.Graph()
    last, first, axis = (net.constant(np.array([v])) for v in (-1, -(2**31), 2))
    x = net.node("Slice", "mel", last, first, axis, net.constant(np.array([-1])))
    shape = ["batch", graphs.MELS, "frames"]
    return net.save(path, [("mel", TensorProto.FLOAT, shape)], [(x, "y", shape)])


@heavy
def test_where_padding_changes_what_a_network_computes_it_is_refused(prepared):
    with pytest.raises(ModelFileError, match="cannot be translated to LiteRT") as refused:
        prepared(backwards)
    assert "padding would change what it computes: Slice" in refused.value.why
    proof = prepared(by_its_length).proof
    assert not proof.holds
    assert "less than 70 dB like its source" in proof.evidence.fault


@heavy
def test_a_recurrence_with_state_goes_on_from_piece_to_piece(tmp_path, prepared):
    net = graphs.Graph()
    h = net.node(
        "LSTM",
        net.node("Unsqueeze", "x", net.constant(np.array([1]))),
        *(net.weight(1, 4 * graphs.WIDTH, n) for n in (graphs.MELS, graphs.WIDTH)),
        net.weight(1, 8 * graphs.WIDTH),
        "", "h", "c", hidden_size=graphs.WIDTH,
    )  # fmt: skip
    net.nodes[-1].output.extend(["hn", "cn"])
    y = net.node("Squeeze", h, net.constant(np.array([1, 2])))
    state = [1, 1, graphs.WIDTH]
    kind, value = TensorProto.FLOAT, helper.make_tensor_value_info
    graph_ = helper.make_graph(
        net.nodes,
        "net",
        [value("x", kind, ["frames", graphs.MELS]), value("h", kind, state), value("c", kind, state)],
        [value(y, kind, ["frames", graphs.WIDTH]), value("hn", kind, state), value("cn", kind, state)],
        net.weights,
    )
    path = tmp_path / "lstm.onnx"
    onnx.save(helper.make_model(graph_, ir_version=9, opset_imports=[helper.make_opsetid("", 17)]), path)
    frames = Axis("frames", typical=4, max=64)
    fixed = (1, 1, graphs.WIDTH)
    signature = Signature(
        (
            Tensor("x", "float32", (frames, graphs.MELS), -1, 1),
            Tensor("h", "float32", fixed),
            Tensor("c", "float32", fixed),
        ),
        (
            Tensor(y, "float32", (Axis("frames"), graphs.WIDTH)),
            Tensor("hn", "float32", fixed),
            Tensor("cn", "float32", fixed),
        ),
        state={"h": "hn", "c": "cn"},
    )
    fed = [(f"{n} frames", signature.example(seed=n, frames=n)) for n in (1, 3, 4, 11, 64)]
    converted = litert.convert(path, signature, tmp_path / "out", home=CACHE, compared=fed)
    assert not converted.evidence.fault
    assert len(converted.evidence.comparisons) == 5

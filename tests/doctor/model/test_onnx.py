"""Broken .onnx files: each is told by its code, with its cause and what mends it."""

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from doctor.model.made import codes, diagnosed, external, network, saved, weights
from sonorant.cli.doctor_model import GIVEN
from sonorant.doctor.model import session, tensorrt
from sonorant.doctor.model.child import look
from sonorant.doctor.model.finding import Subject, Target
from sonorant.doctor.model.wiring import loose_ends
from sonorant.errors import EngineError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


def test_a_whole_one_is_healthy_and_described(path):
    outcome = look(str(saved(path)))
    assert outcome["findings"] == []
    (facts,) = outcome["files"]
    assert facts["kind"] == "ONNX"
    assert facts["opset"] == {"ai.onnx": 17}
    assert facts["ir"] == 10
    assert facts["operators"] == {"MatMul": 1, "Relu": 1}
    assert facts["parameters"] == 1024
    assert facts["dtypes"] == {"float32": 1024}
    assert facts["inputs"] == ("x: float32 [T, 32]",)
    assert facts["outputs"] == ("y: float32 [T, 32]",)
    assert facts["bytes"] == path.stat().st_size


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_truncated(path, kept):
    whole = network().SerializeToString()
    path.write_bytes(whole[: int(len(whole) * kept)])
    diagnosed(path, "truncated", "and has", "again", "model.onnx")


def test_cut_between_graph_and_operator_sets(path):
    model = network()
    model.ClearField("opset_import")
    diagnosed(saved(path, model), "no-opset", "ai.onnx", "cut off")


def test_random_bytes(path):
    path.write_bytes(b"\x91" + np.random.default_rng(1).bytes(5000))
    diagnosed(path, "not-a-model", "91")


def test_other_bytes_in_the_middle(path):
    data = bytearray(network().SerializeToString())
    data[40:400] = b"\xff" * 360
    path.write_bytes(data)
    assert codes(path).keys() <= {"damaged", "weights-size", "missing-tensor", "nan-weights"}
    assert "error" in codes(path).values()


def test_a_field_that_no_model_has(path):
    path.write_bytes(network().SerializeToString() + b"\xfa\x07\x01x")
    diagnosed(path, "damaged", "no model has", "again")


def test_no_graph(path):
    diagnosed(saved(path, onnx.ModelProto(ir_version=8)), "no-graph", "cut off")


def test_no_ir_version(path):
    model = network()
    model.ClearField("ir_version")
    model.producer_name = "by hand"
    diagnosed(saved(path, model), "no-ir-version")


def test_ir_newer_than_everything(path):
    diagnosed(saved(path, network(ir=99)), "ir-too-new", "99", "Update onnxruntime")


def test_ir_newer_than_the_engine(path):
    diagnosed(saved(path, network(ir=onnx.IR_VERSION)), "ir-too-new", "ONNX Runtime", str(onnx.IR_VERSION))


def test_opset_newer_than_everything(path):
    diagnosed(saved(path, network(opset=99)), "opset-too-new", "99", "opset_version")


def test_opset_newer_than_the_engine(path):
    newest = onnx.defs.onnx_opset_version()
    diagnosed(saved(path, network(opset=newest)), "opset-too-new", "ONNX Runtime", str(newest), "lower")


def test_an_operator_that_is_none(path):
    nodes = [helper.make_node("MatMull", ["x", "w"], ["y"], name="typo")]
    diagnosed(saved(path, network(nodes=nodes)), "unknown-operator", "MatMull", "Perhaps MatMul", "typo")


def test_an_operator_of_the_engine_under_no_domain(path):
    nodes = [helper.make_node("FusedMatMul", ["x", "w"], ["y"], name="fused")]
    diagnosed(saved(path, network(nodes=nodes)), "unknown-operator", "com.microsoft")


def test_an_operator_of_the_engine_under_its_domain(path):
    nodes = [helper.make_node("FusedMatMul", ["x", "w"], ["y"], domain="com.microsoft")]
    assert codes(saved(path, network(nodes=nodes, domains=["com.microsoft"]))) == {}


def test_a_custom_operator(path):
    nodes = [helper.make_node("Istft", ["x", "w"], ["y"], domain="my.operators", name="istft")]
    model = network(nodes=nodes, domains=["my.operators"])
    diagnosed(saved(path, model), "custom-operator", "my.operators.Istft", "machine code", "istft")


def test_a_function_of_the_model_is_no_custom_operator(path):
    nodes = [helper.make_node("Twice", ["h"], ["y"], domain="own")]
    model = network(nodes=[helper.make_node("MatMul", ["x", "w"], ["h"]), *nodes], domains=["own"])
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    model.functions.append(
        helper.make_function("own", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    )
    assert codes(saved(path, model)) == {}


def test_an_operator_newer_than_the_opset(path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Gelu", ["h"], ["y"])]
    diagnosed(saved(path, network(nodes=nodes)), "operator-too-new", "Gelu", "opset 20", "opset_version=20")


def test_a_tensor_that_nothing_makes(path):
    model = network()
    del model.graph.initializer[:]
    diagnosed(saved(path, model), "missing-tensor", "cut in the wrong place", "w")


def test_a_circle_and_a_tensor_made_of_itself(path):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("Add", ["p", "b"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    finding = diagnosed(saved(path, network(nodes=nodes)), "cyclic-graph", "2 tensors", "circle")
    assert set(finding["where"].partition(": ")[2].split(", ")) == {"a", "b"}
    nodes = [helper.make_node("Add", ["x", "a"], ["a"]), helper.make_node("MatMul", ["a", "w"], ["y"])]
    assert diagnosed(saved(path, network(nodes=nodes)), "cyclic-graph")["where"].endswith(": a")


def test_a_circle_through_a_graph_inside_a_node(path):
    branch = helper.make_graph(
        [helper.make_node("Relu", ["y"], ["z"])], "b", [], [helper.make_tensor_value_info("z", 1, None)]
    )
    nodes = [
        helper.make_node("If", ["yes"], ["h"], then_branch=branch, else_branch=branch),
        helper.make_node("MatMul", ["h", "w"], ["y"]),
    ]
    extra = [numpy_helper.from_array(np.array(True), "yes")]
    diagnosed(saved(path, network(nodes=nodes, extra=extra)), "cyclic-graph", "2 tensors")


def test_nodes_that_are_only_out_of_order(path):
    """ONNX Runtime sorts them: it is loaded, and nothing is missing."""
    model = network()
    nodes = [*model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes))
    finding = diagnosed(
        saved(path, model), "unsorted-graph", "before the node", "toposort", severity="warning"
    )
    assert finding["where"].endswith(": h")


def test_a_large_graph_in_the_wrong_order_takes_no_time(path):
    count = 20_000
    nodes = [helper.make_node("MatMul", ["x", "w"], ["t0"])]
    nodes += [helper.make_node("Relu", [f"t{i}"], [f"t{i + 1}"]) for i in range(count)]
    nodes.append(helper.make_node("Relu", [f"t{count}"], ["y"]))
    model = network(nodes=nodes[::-1])
    (finding,) = loose_ends(Subject(path, path.name, ""), model)
    assert finding.code == "unsorted-graph"


def test_a_data_type_that_onnx_does_not_have(path):
    model = network()
    model.graph.initializer[0].data_type = 99
    diagnosed(saved(path, model), "unknown-type", "99", ": w", "newer onnx")


def test_an_operator_that_resembles_none(path):
    """Neither is another one proposed, nor is an empty place told where nodes have no name."""
    nodes = [helper.make_node("Frobnicate", ["x", "w"], ["y"])]
    finding = diagnosed(saved(path, network(nodes=nodes)), "unknown-operator", "exporter invented it")
    assert finding["where"] == f"{path.name}: y"


def test_a_tensor_that_is_made_twice(path):
    model = network()
    model.graph.node.append(helper.make_node("Relu", ["h"], ["y"]))
    diagnosed(saved(path, model), "duplicate-tensor", "joined")


def test_a_graph_inside_a_node_sees_the_one_outside(path):
    branch = helper.make_graph(
        [helper.make_node("Relu", ["h"], ["z"])], "b", [], [helper.make_tensor_value_info("z", 1, None)]
    )
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch),
    ]
    extra = [numpy_helper.from_array(np.array(True), "yes")]
    assert codes(saved(path, network(nodes=nodes, extra=extra))) == {}


def test_a_graph_that_breaks_the_rules(path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h", "h"], ["y"])]
    diagnosed(saved(path, network(nodes=nodes)), "invalid-graph", "Relu")


def test_types_that_do_not_fit(path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "n"], ["y"])]
    extra = [numpy_helper.from_array(np.ones(32, np.int64), "n")]
    assert "error" in codes(saved(path, network(nodes=nodes, extra=extra))).values()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_or_infinity_in_weights(path, bad):
    weight = weights(32, 32)
    weight[3, 5] = bad
    diagnosed(saved(path, network(weight)), "nan-weights", "65504", "w")


def test_infinity_in_a_mask_is_meant(path):
    mask = np.triu(np.full((32, 32), -np.inf, np.float32), 1)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "mask"], ["y"])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [32, 32])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [32, 32])]
    extra = [numpy_helper.from_array(mask, "mask")]
    model = network(nodes=nodes, inputs=inputs, outputs=outputs, extra=extra)
    assert codes(saved(path, model)) == {}


def test_zeroed_weights(path):
    diagnosed(saved(path, network(np.zeros((32, 32), np.float32))), "zeroed-weights", "never filled", "w")


def test_zeros_in_a_bias_are_usual(path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "b"], ["y"])]
    extra = [numpy_helper.from_array(np.zeros(512, np.float32), "b")]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["T", 512])]
    assert codes(saved(path, network(weights(32, 512), nodes=nodes, extra=extra, outputs=outputs))) == {}


def test_a_hole_in_the_weights(path):
    weight = weights(32, 1024)
    weight.reshape(-1)[4096:12288] = 0
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["T", 1024])]
    diagnosed(saved(path, network(weight, outputs=outputs)), "zeroed-part", "pruned", severity="warning")


def test_a_flipped_bit(path):
    weight = weights(32, 32)
    weight.view(np.uint32)[1, 2] ^= 1 << 30
    diagnosed(saved(path, network(weight)), "implausible-weights", "flipped", severity="warning")


def test_fewer_bytes_than_the_shape_needs(path):
    model = network()
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:100]
    diagnosed(saved(path, model), "weights-size", "shapes", "w")


def test_external_data_is_read_and_weighed(path):
    outcome = look(str(external(path)))
    assert outcome["findings"] == []
    assert outcome["files"][0]["bytes"] == path.stat().st_size + 4096
    assert outcome["files"][0]["parameters"] == 1024


def test_external_data_missing(path):
    diagnosed(external(path, write=False), "external-missing", "model.data", "4096 bytes", "beside")


def test_external_data_short(path):
    external(path)
    os.truncate(path.parent / "model.data", 1000)
    diagnosed(path, "external-short", "1000 bytes", "4096")


def test_external_data_that_is_a_pointer(path):
    external(path)
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4096\n"
    (path.parent / "model.data").write_text(pointer)
    diagnosed(path, "lfs-pointer", "git lfs pull", "model.data")


@pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "C:\\secret", "a/../../b", "..\\b"])
def test_external_data_that_leaves_the_folder(path, location):
    diagnosed(external(path, location=location), "external-escapes", repr(location), "Do not use it")


def test_external_data_behind_a_link_out_of_the_folder(path):
    external(path)
    aside = path.parent / "aside"
    aside.mkdir()
    folder = path.parent / "model"
    folder.mkdir()
    path.rename(folder / "model.onnx")
    (path.parent / "model.data").rename(aside / "model.data")
    (folder / "model.data").symlink_to(aside / "model.data")
    diagnosed(folder / "model.onnx", "external-refused", "link", "beside the model")


def test_zeroed_external_data(path):
    external(path)
    (path.parent / "model.data").write_bytes(b"\0" * 4096)
    diagnosed(path, "zero-bytes", "never filled", "model.data")


def test_a_length_in_a_reshape(path):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Reshape", ["h", "shape"], ["y"], name="heads"),
    ]
    extra = [numpy_helper.from_array(np.array([50, 4, 8]), "shape")]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [50, 4, 8])]
    model = network(nodes=nodes, extra=extra, outputs=outputs)
    diagnosed(saved(path, model), "baked-length", "traced", "dynamic axes", "heads", severity="warning")


def test_a_length_in_positions(path):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Add", ["h", "positions"], ["y"], name="add"),
    ]
    extra = [numpy_helper.from_array(weights(50, 32), "positions")]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    model = network(nodes=nodes, extra=extra, outputs=outputs)
    diagnosed(saved(path, model), "baked-length", "several lengths", "add", severity="warning")


def test_dynamic_quantisation_is_named_and_refused_for_tensorrt(path, tmp_path):
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(saved(tmp_path / "float.onnx"), path)
    diagnosed(path, "dynamic-quantised", "DynamicQuantizeLinear", "QDQ", severity="note")
    diagnosed(path, "dynamic-quantised", "MatMulInteger", "float16", engine="tensorrt")


def indexed(*, more: bool) -> onnx.ModelProto:
    """y[x > 0] = exp(x[x > 0]), which preparing makes dense. `more`: with a NonZero, too, that is an output."""
    nodes = [
        helper.make_node("Greater", ["x", "zero"], ["mask"]),
        helper.make_node("NonZero", ["mask"], ["where"], name="where"),
        helper.make_node("Transpose", ["where"], ["rows"], perm=[1, 0]),
        helper.make_node("GatherND", ["x", "rows"], ["some"]),
        helper.make_node("Exp", ["some"], ["grown"]),
        helper.make_node("ScatterND", ["x", "rows", "grown"], ["y"]),
    ]
    nodes += [helper.make_node("NonZero", ["x"], ["z"], name="places")] * more
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["T"])]
    outputs += [helper.make_tensor_value_info("z", TensorProto.INT64, None)] * more
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["T"])]
    zero = numpy_helper.from_array(np.zeros((), np.float32), "zero")
    return network(nodes=nodes, inputs=inputs, outputs=outputs, extra=[zero])


@pytest.fixture
def parser(monkeypatch):
    """Stands for TensorRT's: it takes no NonZero."""

    def refused(path):
        return [f"NonZero {node.name}" for node in onnx.load(path).graph.node if node.op_type == "NonZero"]

    monkeypatch.setattr("sonorant.networks.engines.tensorrt_library.refused", refused)


def test_what_preparing_mends_for_tensorrt_is_a_warning(path, parser):
    how = {"engine": "tensorrt", "given": GIVEN["tensorrt"]}
    words = ("NonZero where", "`sonorant prepare MODEL --to tensorrt`")
    diagnosed(saved(path, indexed(more=False)), "tensorrt-rewritten", *words, severity="warning", **how)
    left = diagnosed(saved(path, indexed(more=True)), "tensorrt-refuses", "NonZero places", **how)
    assert "NonZero where" not in left["why"]
    assert codes(path, **how)["tensorrt-rewritten"] == "warning"
    assert set(codes(path, engine="tensorrt")) == {"tensorrt-refuses"}, "it is asked of the file alone"


def test_of_a_voice_that_is_served_in_parts_these_are_asked(path, parser):
    """A sum over all times, by way of a NonZero, before a vocoder."""
    nodes = [
        helper.make_node("NonZero", ["x"], ["places"], name="where"),
        helper.make_node("ReduceMax", ["places"], ["last"], keepdims=0),
        helper.make_node("Cast", ["last"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "number"], ["moved"]),
        helper.make_node("Conv", ["moved", "w"], ["seen"], kernel_shape=[7], pads=[3, 3]),
        helper.make_node("LeakyRelu", ["seen"], ["bent"]),
        helper.make_node(
            "ConvTranspose", ["bent", "up"], ["sound"], kernel_shape=[8], pads=[2, 2], strides=[4]
        ),
        helper.make_node("Tanh", ["sound"], ["audio"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 6, "T"])]
    outputs = [helper.make_tensor_value_info("audio", TensorProto.FLOAT, [1, 1, "samples"])]
    extra = [numpy_helper.from_array(weights(6, 1, 8), "up")]
    saved(path, network(weights(6, 6, 7), nodes=nodes, inputs=inputs, outputs=outputs, extra=extra))

    def codes(cut: str) -> list[str]:
        target = Target("tensorrt", GIVEN["tensorrt"], cut)
        return [finding.code for finding in tensorrt.refused(Subject(path, path.name, ""), target)]

    assert codes("") == codes("no output") == ["tensorrt-refuses"]
    assert codes("audio") == ["tensorrt-rewritten"]


def test_where_rewriting_fails_nothing_is_mended(path, parser):
    saved(path, indexed(more=False))
    diagnosed(path, "tensorrt-refuses", "NonZero where", engine="tensorrt", given="json:loads")


@pytest.mark.heavy  # needs tensorrt-rtx, which `make test-systems` installs
def test_what_tensorrt_does_not_take_is_told_by_its_own_parser(path):
    how = {"engine": "tensorrt", "given": GIVEN["tensorrt"]}
    saved(path, indexed(more=True))
    assert (
        codes(path, **how).items() >= {"tensorrt-rewritten": "warning", "tensorrt-refuses": "error"}.items()
    )
    diagnosed(path, "tensorrt-refuses", "NonZero", "ONNX Runtime", **how)
    saved(path, indexed(more=False))
    diagnosed(path, "tensorrt-rewritten", "NonZero", severity="warning", **how)
    assert "tensorrt-rewritten" not in {f["code"] for f in look(str(path))["findings"]}


def test_where_tensorrt_is_not_installed_it_is_said_that_it_was_not_asked(path, monkeypatch):
    monkeypatch.setattr("importlib.import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    diagnosed(saved(path), "tensorrt-not-asked", "sonorant[tensorrt]", severity="note", engine="tensorrt")


def test_types_that_the_cpu_has_no_kernel_for(path):
    inputs = [helper.make_tensor_value_info("x", TensorProto.BFLOAT16, [1, 32, "T"])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.BFLOAT16, None)]
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="conv")]
    model = network(nodes=nodes, inputs=inputs, outputs=outputs, opset=22)
    values = weights(32, 32, 3)
    model.graph.initializer[0].CopyFrom(
        helper.make_tensor("w", TensorProto.BFLOAT16, [32, 32, 3], values.reshape(-1).tolist())
    )
    diagnosed(saved(path, model), "no-kernel", "Conv", "float32")


def test_inputs_of_a_type_that_is_not_fed(path):
    inputs = [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["T", 32])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["T", 32])]
    model = network(weights(32, 32).astype(np.float64), inputs=inputs, outputs=outputs)
    diagnosed(saved(path, model), "wrong-dtype", "tensor(double)", "float32", severity="warning")


def test_a_provider_that_is_not_there(path):
    diagnosed(saved(path), "provider-missing", "CUDAExecutionProvider", "onnxruntime-gpu", device="cuda")


def test_a_provider_that_falls_back(path, monkeypatch):
    def fallen(*_, **__):
        raise EngineError(
            "model.onnx was to run on CUDAExecutionProvider, but ONNX Runtime fell back to CPUExecutionProvider",
            why="The provider's libraries did not load",
            remedy="Install what the provider needs, or choose --device cpu",
        )

    monkeypatch.setattr(session, "OnnxRuntime", fallen)
    diagnosed(saved(path), "provider-fell-back", "fell back", "libraries did not load", device="cuda")

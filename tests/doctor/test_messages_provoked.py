"""The libraries that are installed here, made to fail: what they print today must still find its entry."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from sonorant.doctor.messages import diagnose

PAGE = b"<!DOCTYPE html><html></html>"


def graph(*nodes, weights=(), kind=TensorProto.FLOAT, shape=(1, 3, 100), ir=10, opset=17):
    taken = helper.make_tensor_value_info("x", kind, shape)
    given = helper.make_tensor_value_info("y", kind, None)
    made = helper.make_graph(nodes, "g", [taken], [given], list(weights))
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("custom", 1)]
    return helper.make_model(made, opset_imports=domains, ir_version=ir)


def relu(**kinds):
    return graph(helper.make_node("Relu", ["x"], ["y"]), **kinds)


def run(model, **feeds):
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def zeros(*shape, dtype="float32"):
    return np.zeros(shape, dtype)


def outside(folder):
    model = graph(
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        weights=[numpy_helper.from_array(zeros(64, 64), "w")],
        shape=(1, 64),
    )
    path = folder / "m.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="w.data", size_threshold=0)
    return path, folder / "w.data"


def short(folder):
    path, data = outside(folder)
    data.write_bytes(data.read_bytes()[:128])
    return path


def gone(folder):
    path, data = outside(folder)
    data.unlink()
    return path


def checkpoint(folder, content):
    path = folder / "c.pt"
    path.write_bytes(content)
    return path


def unary(name, domain=""):
    return graph(helper.make_node(name, ["x"], ["y"], domain=domain))


def half():
    return graph(
        helper.make_node("Add", ["x", "w"], ["y"]),
        weights=[numpy_helper.from_array(zeros(1, dtype="float16"), "w")],
    )


PROVOKED = [
    ("onnx-damaged", lambda _: InferenceSession(b"garbage" * 10)),
    ("onnx-damaged", lambda folder: onnx.load(checkpoint(folder, PAGE))),
    ("onnx-no-graph", lambda _: InferenceSession(b"")),
    ("onnx-no-graph", lambda _: onnx.checker.check_model(onnx.ModelProto())),
    ("onnx-ir-too-new", lambda _: run(relu(ir=99))),
    ("onnx-ir-too-new", lambda _: onnx.checker.check_model(relu(ir=99))),
    ("onnx-opset-too-new", lambda _: run(relu(opset=99))),
    ("onnx-unknown-op", lambda _: run(unary("Grid"))),
    ("onnx-unknown-op", lambda _: run(unary("Grid", "custom"))),
    ("onnx-unknown-op", lambda _: run(relu(kind=TensorProto.BFLOAT16))),
    ("onnx-missing-initializer", lambda _: run(graph(helper.make_node("Add", ["x", "w"], ["y"])))),
    ("onnx-input-dtype", lambda _: run(half())),
    ("onnx-input-dtype", lambda _: run(relu(), x=zeros(1, 3, 100, dtype="float64"))),
    ("onnx-invalid-dimensions", lambda _: run(relu(), x=zeros(1, 3, 217))),
    ("onnx-invalid-dimensions", lambda _: run(relu(), x=zeros(3, 100))),
    ("onnx-input-name", lambda _: run(relu(), z=zeros(1, 3, 100))),
    ("onnx-input-name", lambda _: run(relu(), x=zeros(1, 3, 100), z=zeros(1))),
    ("onnx-file-missing", lambda folder: InferenceSession(folder / "none.onnx")),
    ("onnx-external-data", lambda folder: InferenceSession(short(folder))),
    ("onnx-external-data", lambda folder: onnx.load(short(folder))),
    ("onnx-external-data", lambda folder: InferenceSession(gone(folder))),
    ("onnx-external-data", lambda folder: onnx.load(gone(folder))),
    ("numpy-abi", lambda _: np.float_),
    ("no-module", lambda _: __import__("a_package_that_nobody_has")),
]


@pytest.mark.parametrize(("name", "fail"), PROVOKED, ids=[f"{n}-{i}" for i, (n, _) in enumerate(PROVOKED)])
def test_what_is_printed_today_finds_its_entry(name, fail, tmp_path):
    with pytest.raises(Exception) as caught:
        fail(tmp_path)
    told = f"{type(caught.value).__name__}: {caught.value}"
    assert diagnose(told)[0].name == name, told

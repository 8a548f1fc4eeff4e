"""Models that are made for the tests, tiny ones, and how what the doctor says of them is compared."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sonorant.doctor.model.child import look


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def network(
    weight: np.ndarray | None = None, *, ir: int = 10, opset: int = 17, **more: Any
) -> onnx.ModelProto:
    """y [T, 32] = relu(x [T, 32] · w)."""
    nodes = more.pop("nodes", None) or [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="product"),
        helper.make_node("Relu", ["h"], ["y"], name="relu"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        more.pop("inputs", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["T", 32])]),
        more.pop("outputs", [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["T", 32])]),
        [numpy_helper.from_array(weights(32, 32) if weight is None else weight, "w"), *more.pop("extra", [])],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in more.pop("domains", ()))]
    return helper.make_model(graph, ir_version=ir, opset_imports=opsets)


def saved(path: Path, model: onnx.ModelProto | None = None) -> Path:
    path.write_bytes((model or network()).SerializeToString())
    return path


def external(path: Path, *, location: str = "model.data", write: bool = True) -> Path:
    """The network with its weights in a file beside it."""
    model = network()
    onnx.external_data_helper.convert_model_to_external_data(model, location="model.data", size_threshold=0)
    onnx.save_model(model, path)
    if not write:
        (path.parent / "model.data").unlink()
    if location != "model.data":
        again = onnx.load(path, load_external_data=False)
        for entry in again.graph.initializer[0].external_data:
            if entry.key == "location":
                entry.value = location
        path.write_bytes(again.SerializeToString())
    return path


def safetensors(path: Path, header: dict[str, Any] | bytes | None = None, data: bytes | None = None) -> Path:
    values = weights(32, 32).tobytes() if data is None else data
    if header is None:
        header = {"layer.weight": {"dtype": "F32", "shape": [32, 32], "data_offsets": [0, 4096]}}
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + values)
    return path


def checkpoint(path, tree=None, *, damage=None, imports=("torch._utils", "_rebuild_tensor_v2"), drop=()):
    """What torch.save writes (its zip form), without torch. Arrays in `tree` are its float32 tensors; one
    alone is the weight of a layer."""
    if tree is None or isinstance(tree, np.ndarray):
        tree = {"layer": {"weight": weights(32, 32) if tree is None else tree}, "epoch": 3}
    arrays: list[np.ndarray] = []

    class Writer(pickle._Pickler):  # the one in Python can write imports of what is not here
        def persistent_id(self, obj):
            return obj.id if isinstance(obj, _Stored) else None

        def save_global(self, obj, name=None):
            module, name = (obj.module, obj.name) if isinstance(obj, _Name) else ("builtins", obj.__name__)
            self.write(b"c" + f"{module}\n{name}\n".encode())

        def save(self, obj, save_persistent_id=True):
            if isinstance(obj, _Name):
                self.save_global(obj)
            elif isinstance(obj, np.ndarray):
                storage = ("storage", _Name("torch", "FloatStorage"), str(len(arrays)), "cpu", obj.size)
                arrays.append(obj)
                strides = tuple(step // obj.itemsize for step in obj.strides)
                self.save(_Name(*imports))
                self.save((_Stored(storage), 0, obj.shape, strides, False, {}))
                self.write(pickle.REDUCE)
            else:
                super().save(obj, save_persistent_id)

    stream = io.BytesIO()
    Writer(stream, 2).dump(tree)
    parts = {"data.pkl": stream.getvalue(), "version": b"3\n"}
    parts |= {f"data/{key}": values.tobytes() for key, values in enumerate(arrays)}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            if name not in drop:
                archive.writestr(f"model/{name}", data)
    if damage:
        data = path.read_bytes()
        at = data.index(arrays[0].tobytes())
        path.write_bytes(data[: at + 8] + damage + data[at + 8 + len(damage) :])
    return path


class _Name:
    def __init__(self, module, name):
        self.module, self.name = module, name


class _Stored:
    def __init__(self, id_):
        self.id = id_


def codes(path: Path, **how: Any) -> dict[str, str]:
    """code → severity of all findings."""
    return {finding["code"]: str(finding["severity"]) for finding in look(str(path), **how)["findings"]}


def diagnosed(path: Path, code: str, *words: str, severity: str = "error", **how: Any) -> dict[str, Any]:
    """The finding of that code, which is the only error, once, and tells these words in what, why, remedy, where."""
    findings = look(str(path), **how)["findings"]
    errors = [f["code"] for f in findings if f["severity"] == "error"]
    assert errors == ([code] if severity == "error" else []), findings
    (finding,) = [f for f in findings if f["code"] == code]
    assert finding["severity"] == severity
    assert all(finding[part] for part in ("what", "why", "remedy", "where")), finding
    told = " | ".join(str(finding[part]) for part in ("what", "why", "remedy", "where"))
    for word in words:
        assert word in told, told
    return finding

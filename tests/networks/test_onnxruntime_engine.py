"""The ONNX Runtime engine on small graphs that are made here."""

import asyncio
import threading
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from sonorant.errors import EngineError, ModelFileError, SignatureError
from sonorant.networks import Axis, Network, Signature, Tensor
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.replica import Device
from sonorant.replica.lane import DeviceLane

FOREVER = 2**60


def saved(graph: onnx.GraphProto, path: Path) -> Path:
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[opset]), path)
    return path


def value(name: str, *shape: str | int, dtype: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def doubling(path: Path) -> Path:
    """y = x + x, and a second output that nobody needs."""
    nodes = [helper.make_node("Add", ["x", "x"], ["y"]), helper.make_node("Neg", ["x"], ["z"])]
    graph = helper.make_graph(nodes, "doubling", [value("x", "n")], [value("y", "n"), value("z", "n")])
    return saved(graph, path)


def counting(path: Path) -> Path:
    """Adds `x` to itself `rounds` times."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["sum", "step"], ["next"]),
            helper.make_node("Identity", ["go"], ["on"]),
        ],
        "body",
        [
            value("round", dtype=TensorProto.INT64),
            value("go", dtype=TensorProto.BOOL),
            value("sum", 1),
        ],
        [value("on", dtype=TensorProto.BOOL), value("next", 1)],
        [helper.make_tensor("step", TensorProto.FLOAT, [1], [1.0])],
    )
    true = helper.make_tensor("true", TensorProto.BOOL, [], [True])
    loop = helper.make_node("Loop", ["rounds", "true", "x"], ["y"], body=body)
    inputs = [value("x", 1), value("rounds", dtype=TensorProto.INT64)]
    return saved(helper.make_graph([loop], "counting", inputs, [value("y", 1)], [true]), path)


def rounds(n: int) -> dict[str, np.ndarray]:
    return {"x": np.zeros(1, np.float32), "rounds": np.array(n)}


def test_a_run_gives_outputs_by_name(tmp_path):
    engine = OnnxRuntime(doubling(tmp_path / "m.onnx"))
    feeds = {"x": np.array([1, 2], np.float32)}
    outputs = engine.prepare(feeds)()
    assert outputs["y"].tolist() == [2, 4]
    assert outputs["z"].tolist() == [-1, -2]
    assert engine.inputs == (Tensor("x", "float32", (Axis("n"),)),)
    assert engine.provider == "CPUExecutionProvider"


def test_a_run_can_be_stopped_from_another_thread(tmp_path):
    engine = OnnxRuntime(counting(tmp_path / "m.onnx"))
    assert engine.prepare(rounds(10))()["y"].tolist() == [10]
    running = engine.prepare(rounds(FOREVER))
    stopper = threading.Timer(0.2, running.stop)
    stopper.start()
    with pytest.raises(EngineError, match="terminate"):
        running()
    stopper.join()
    assert engine.prepare(rounds(3))()["y"].tolist() == [3], "the engine lives on"


def test_a_run_that_was_stopped_before_it_began_never_computes(tmp_path):
    running = OnnxRuntime(counting(tmp_path / "m.onnx")).prepare(rounds(FOREVER))
    running.stop()
    with pytest.raises(EngineError, match="terminate"):
        running()


def test_who_stops_waiting_for_a_network_stops_the_run(tmp_path):
    """The device's one slot is free again after the cancellation: the next run gets it."""
    signature = Signature(
        (Tensor("x", "float32", (1,)), Tensor("rounds", "int64")), (Tensor("y", "float32", (1,)),)
    )

    async def main():
        device = Device("cpu", slots=1)
        network = Network("loop", signature, OnnxRuntime(counting(tmp_path / "m.onnx")), DeviceLane(device))
        endless = asyncio.create_task(network.run(**rounds(FOREVER)))
        await asyncio.sleep(0.1)
        endless.cancel()
        async with asyncio.timeout(30):
            assert (await network.run(**rounds(5)))["y"].tolist() == [5]
        assert endless.cancelled()
        device.close()

    asyncio.run(main())


def test_a_network_checks_feeds_before_the_engine_sees_them(tmp_path):
    class Unreachable:
        async def run(self, *_):
            raise AssertionError("the feed reached the lane")

    signature = Signature(
        (Tensor("x", "float32", (Axis("n", max=4),)),),
        (Tensor("y", "float32", (Axis("n"),)), Tensor("z", "float32", (Axis("n"),))),
    )
    network = Network("d", signature, OnnxRuntime(doubling(tmp_path / "m.onnx")), Unreachable())
    with pytest.raises(SignatureError, match="x has 5 along n"):
        asyncio.run(network.run(x=np.zeros(5, np.float32)))


def test_what_the_engine_refuses_is_told_in_one_line(tmp_path):
    engine = OnnxRuntime(doubling(tmp_path / "m.onnx"))
    with pytest.raises(EngineError, match="Unexpected input data type") as error:
        engine.prepare({"x": np.zeros(2, np.int64)})()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["empty", "truncated", "text", "folder", "absent"])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path, damage):
    path = doubling(tmp_path / "voice.onnx")
    whole = path.read_bytes()
    path.unlink()
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(whole[: len(whole) // 2])
        case "text":
            path.write_text("version https://git-lfs.github.com/spec/v1\n")
        case "folder":
            path.mkdir()
    with pytest.raises(ModelFileError, match=r"cannot load voice\.onnx.*sonorant pull") as error:
        OnnxRuntime(path)
    assert isinstance(error.value, OSError)


def test_a_tensor_type_that_is_not_fed_is_refused(tmp_path):
    node = helper.make_node("Identity", ["s"], ["t"])
    sides = [value("s", 1, dtype=TensorProto.STRING)], [value("t", 1, dtype=TensorProto.STRING)]
    with pytest.raises(ModelFileError, match=r"s has the type tensor\(string\)"):
        OnnxRuntime(saved(helper.make_graph([node], "strings", *sides), tmp_path / "m.onnx"))


@pytest.mark.skipif("CUDAExecutionProvider" in ort.get_available_providers(), reason="CUDA is here")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_device_that_is_not_here_is_refused_never_replaced(tmp_path, device):
    with pytest.raises(EngineError, match="no CUDAExecutionProvider.*--device cpu"):
        OnnxRuntime(doubling(tmp_path / "m.onnx"), device=device)


@pytest.mark.parametrize("device", ["gpu", "", "cuda:x", "cpu:1", "auto:0"])
def test_what_is_no_device_is_refused(tmp_path, device):
    with pytest.raises(EngineError, match="is not a device"):
        OnnxRuntime(doubling(tmp_path / "m.onnx"), device=device)


def test_a_fallback_is_never_silent(tmp_path, monkeypatch):
    """A build with CUDA on a machine without: ONNX Runtime only warns and computes on the CPU."""
    path = doubling(tmp_path / "m.onnx")
    real = ort.InferenceSession
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(
        ort,
        "InferenceSession",
        lambda path, options, providers: real(path, options, ["CPUExecutionProvider"]),
    )
    with pytest.raises(EngineError, match="fell back to CPUExecutionProvider"):
        OnnxRuntime(path, device="cuda")
    assert OnnxRuntime(path, device="auto").provider == "CPUExecutionProvider"


def test_options_change_what_the_session_does(tmp_path):
    options = OnnxRuntimeOptions({"intra_op_num_threads": 1, "enable_cpu_mem_arena": False})
    engine = OnnxRuntime(doubling(tmp_path / "m.onnx"), options)
    assert engine.session.get_session_options().intra_op_num_threads == 1
    assert engine.prepare({"x": np.ones(1, np.float32)})()["y"].tolist() == [2]

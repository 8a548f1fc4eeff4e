"""The TensorRT engine, on a stand-in for TensorRT: there is no GPU here. It has the calls of the real one (a
test looks for each of them in TensorRT for RTX), and computes on memory of the processor, by address."""

import contextlib
import ctypes
import json
import types
from pathlib import Path

import numpy as np
import pytest

from sonorant.errors import EngineError, ModelFileError, SignatureError
from sonorant.networks.engines import tensorrt
from sonorant.networks.engines.tensorrt import TensorRt
from sonorant.networks.engines.tensorrt_library import Gpu, Library

torch = pytest.importorskip("torch")

VERSION = "10.13.2"
BUILT = {"library": f"tensorrt {VERSION}", "gpu": "NVIDIA A10G"}


class Engine:
    """x float32 [rows, 2] → doubled [rows, 2], and found int64 [n]: where it is above 0."""

    num_io_tensors = 3
    shapes = {"x": (-1, 2), "doubled": (-1, 2), "found": (-1,)}  # noqa: RUF012

    def get_tensor_name(self, i):
        return list(self.shapes)[i]

    def get_tensor_mode(self, name):
        return "in" if name == "x" else "out"

    def get_tensor_location(self, name):
        return "device"

    def get_tensor_dtype(self, name):
        return types.SimpleNamespace(name="INT64" if name == "found" else "FLOAT")

    def get_tensor_shape(self, name):
        return self.shapes[name]

    def get_tensor_profile_shape(self, name, profile):
        return [(1, 2), (4, 2), (8, 2)]

    def create_execution_context(self):
        return Context(self)


class Context:
    made = 0

    def __init__(self, engine):
        self.engine, self.rows, self.at, self.allocators = engine, 0, {}, {}
        Context.made += 1

    def set_input_shape(self, name, shape):
        self.rows = shape[0]
        return True

    def set_tensor_address(self, name, address):
        self.at[name] = address

    def get_tensor_shape(self, name):
        return (-1,) if name == "found" else (self.rows, 2)

    def set_output_allocator(self, name, allocator):
        self.allocators[name] = allocator

    def execute_async_v3(self, stream):
        x = np.ctypeslib.as_array(ctypes.cast(self.at["x"], ctypes.POINTER(ctypes.c_float)), (self.rows, 2))
        y = np.ctypeslib.as_array(
            ctypes.cast(self.at["doubled"], ctypes.POINTER(ctypes.c_float)), (self.rows, 2)
        )
        y[:] = 2 * x
        found = np.flatnonzero(x > 0)
        at = self.allocators["found"].reallocate_output_async("found", 0, found.nbytes, 256, stream)
        ctypes.memmove(at, found.ctypes.data, found.nbytes)
        self.allocators["found"].notify_shape("found", found.shape)
        return True


class IOutputAllocator:
    pass


class Logger:
    ERROR = 1

    def __init__(self, severity):
        pass


class Runtime:
    def __init__(self, log):
        pass

    def deserialize_cuda_engine(self, plan):
        return Engine() if plan == b"plan" else None


TRT = types.SimpleNamespace(
    Runtime=Runtime,
    Logger=Logger,
    IOutputAllocator=IOutputAllocator,
    TensorLocation=types.SimpleNamespace(HOST="host"),
    TensorIOMode=types.SimpleNamespace(INPUT="in"),
    __version__=VERSION,
)


@pytest.fixture
def plan(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(tensorrt, "library", lambda name="": Library("tensorrt", TRT))
    monkeypatch.setattr(tensorrt, "gpu", lambda index=0: Gpu("NVIDIA A10G", (8, 6)))
    monkeypatch.setattr(tensorrt, "torch_device", lambda name: torch.device("cpu"))
    monkeypatch.setattr(tensorrt, "_on", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(tensorrt, "_streaming", lambda stream: contextlib.nullcontext())
    stream = types.SimpleNamespace(cuda_stream=7, synchronize=lambda: None)
    monkeypatch.setattr(tensorrt, "_stream", lambda device: stream)
    (tmp_path / "model.engine").write_bytes(b"plan")
    describe(tmp_path, **BUILT)
    return tmp_path / "model.engine"


def describe(folder: Path, **built: object) -> None:
    (folder / "model.json").write_text(json.dumps(built), encoding="utf-8")


class Sized(Engine):
    """With an input that holds sizes of others."""

    num_io_tensors = 4
    shapes = {**Engine.shapes, "crops": (2,)}  # noqa: RUF012

    def get_tensor_mode(self, name):
        return "in" if name in ("x", "crops") else "out"

    def get_tensor_location(self, name):
        return "host" if name == "crops" else "device"

    def get_tensor_dtype(self, name):
        return types.SimpleNamespace(name="INT64") if name == "crops" else super().get_tensor_dtype(name)

    def get_tensor_profile_shape(self, name, profile):
        return [(2,)] * 3 if name == "crops" else super().get_tensor_profile_shape(name, profile)

    def create_execution_context(self):
        return SizedContext(self)


class SizedContext(Context):
    def set_input_shape(self, name, shape):
        return name == "crops" or super().set_input_shape(name, shape)


def x(*rows: tuple[float, float]) -> dict[str, np.ndarray]:
    return {"x": np.array(rows, np.float32)}


def test_a_plan_is_run_with_sizes_that_follow_from_shapes_and_from_values(plan):
    engine = TensorRt(plan)
    assert [(t.name, t.dtype, t.dims[1]) for t in engine.inputs] == [("x", "float32", 2)]
    assert [t.name for t in engine.outputs] == ["doubled", "found"]
    assert engine.provider == f"tensorrt {VERSION} on NVIDIA A10G"
    began = Context.made
    for rows in ([(1, -1)], [(1, 2), (-3, 4), (0, 0)]):
        outputs = engine.prepare(x(*rows))()
        np.testing.assert_array_equal(outputs["doubled"], 2 * np.array(rows))
        np.testing.assert_array_equal(outputs["found"], np.flatnonzero(np.array(rows) > 0))
        assert outputs["found"].dtype == np.int64
    assert Context.made - began == 1, "runs that follow each other share a context"
    both = [engine._contexts.take() for _ in range(2)]
    assert both[0] is not both[1], "runs side by side have one each"


def test_what_holds_sizes_stays_where_the_processor_reads_it(plan, monkeypatch):
    """TensorRT looks at it before a run, so its address must not be one of the GPU's memory."""
    monkeypatch.setattr(Runtime, "deserialize_cuda_engine", lambda self, plan: Sized())
    moved = torch.Tensor.to
    gpu = torch.device("cpu")  # the fixture's; what goes there is another copy
    monkeypatch.setattr(
        torch.Tensor, "to", lambda self, where: self.clone() if where is gpu else moved(self, where)
    )
    monkeypatch.setattr(tensorrt, "torch_device", lambda name: gpu)
    feeds = {**x((1, 2)), "crops": np.array([0, 7])}
    engine = TensorRt(plan)
    np.testing.assert_array_equal(engine.prepare(feeds)()["doubled"], [[2, 4]])
    at = engine._contexts.take().context.at
    assert at["crops"] == feeds["crops"].ctypes.data
    assert at["x"] != feeds["x"].ctypes.data


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({"y": np.zeros((1, 2), np.float32)}, "Feed exactly"),
        ({"x": np.zeros((1, 2), np.float64)}, "x is float64 with 2 dimensions"),
        (x(*[(0, 0)] * 9), r"shape \(9, 2\).*built for \(1, 2\) to \(8, 2\).*--profile"),
    ],
)
def test_what_it_was_not_built_for_is_refused(plan, feeds, message):
    with pytest.raises(SignatureError, match=message):
        TensorRt(plan).prepare(feeds)


@pytest.mark.parametrize(
    ("built", "message"),
    [
        ({"library": "tensorrt 10.9.0"}, rf"built by tensorrt 10\.9\.0, and tensorrt {VERSION} is installed"),
        (
            {"gpu": "NVIDIA L4"},
            "built for NVIDIA L4, and this is NVIDIA A10G.*prepare MODEL --to tensorrt --force",
        ),
    ],
)
def test_a_plan_of_another_version_or_gpu_is_refused(plan, built, message):
    describe(plan.parent, **{**BUILT, **built})
    with pytest.raises(EngineError, match=message):
        TensorRt(plan)


def test_without_a_gpu_it_says_so(plan, monkeypatch):
    monkeypatch.setattr(tensorrt, "gpu", lambda index=0: None)
    with pytest.raises(EngineError, match="no NVIDIA GPU here"):
        TensorRt(plan)


def test_a_plan_that_nobody_here_built_is_not_loaded(plan):
    (plan.parent / "model.json").unlink()
    with pytest.raises(ModelFileError, match="not loaded: it could run anything"):
        TensorRt(plan)


def test_a_damaged_plan_is_named(plan):
    plan.write_bytes(b"plam")
    with pytest.raises(ModelFileError, match=r"cannot load model\.engine"):
        TensorRt(plan)


def test_a_call_that_was_stopped_before_it_began_does_not_begin(plan):
    call = TensorRt(plan).prepare(x((1, 2)))
    call.stop()
    with pytest.raises(EngineError, match="told to stop"):
        call()


def test_a_run_that_cannot_be_started_is_an_error_and_its_context_is_not_used_again(plan, monkeypatch):
    engine = TensorRt(plan)
    monkeypatch.setattr(Context, "execute_async_v3", lambda self, stream: False)
    with pytest.raises(EngineError, match="could not be started"):
        engine.prepare(x((1, 2)))()
    assert not engine._contexts._free


@pytest.mark.heavy  # needs tensorrt-rtx, which `make test-systems` installs
def test_the_stand_in_has_the_calls_of_the_real_one():
    trt = pytest.importorskip("tensorrt_rtx")
    for ours, real in (
        (Engine, trt.ICudaEngine), (Context, trt.IExecutionContext), (Runtime, trt.Runtime), (TRT, trt),
        (types.SimpleNamespace(**TRT.TensorIOMode.__dict__), trt.TensorIOMode),
    ):  # fmt: skip
        names = {n for n in vars(ours) if not n.startswith("_")} - {"shapes", "made"}
        assert names <= set(dir(real)), real
    assert set(tensorrt.DTYPES) <= set(trt.DataType.__members__)
    names = {trt.DataType.__members__[name].name for name in tensorrt.DTYPES}
    assert names == set(tensorrt.DTYPES)


@pytest.mark.heavy
def test_a_plan_of_the_real_one_is_refused_where_there_is_no_gpu(tmp_path):
    from prepare import graphs
    from sonorant.prepare import graph
    from sonorant.prepare.convert import tensorrt as conversion
    from sonorant.prepare.convert.profile import Profile

    pytest.importorskip("tensorrt_rtx")
    path = graphs.vocoder(tmp_path / "net.onnx")
    conversion.plan(path, tmp_path / "model.engine", Profile.of(graph.subject(path).signature))
    with pytest.raises(EngineError, match="no NVIDIA GPU here"):
        TensorRt(tmp_path / "model.engine")

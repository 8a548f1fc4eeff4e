"""The TensorRT engine. Reads plans that were built on this machine, for its GPU and this version.

Needs the extra sonorant[tensorrt] and torch with CUDA, which holds the device's memory. The calls are those
that TensorRT 10 and 11, and TensorRT for RTX, have alike (their Python API, ICudaEngine and
IExecutionContext). Written without a GPU: see docs/engines.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sonorant.errors import EngineError, ModelFileError, SignatureError
from sonorant.networks.engines.engine import check
from sonorant.networks.engines.pool import Pool
from sonorant.networks.engines.tensorrt_library import Gpu, Library, gpu, library
from sonorant.networks.engines.torch import in_one_line, torch_device
from sonorant.networks.signature import Array, Axis, DType, Feeds, Tensor

DTYPES: dict[str, DType] = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT64": "int64",
    "INT32": "int32",
    "BOOL": "bool",
}
"""by the names of tensorrt.DataType"""
AGAIN = "Build it again on this machine: `sonorant prepare MODEL --to tensorrt --force`"


class TensorRt:
    """A plan, and contexts that run it: each has a CUDA stream of its own.

    Raises MissingExtraError without TensorRT, ModelFileError for what is no plan, EngineError where it was
    built by another version or for another GPU, and where there is no GPU.
    """

    def __init__(self, path: Path, device: str = "cuda") -> None:
        """path: MODEL.engine, with MODEL.json beside it, which says what it was built by and for."""
        self.source = str(path)
        built = _read(path.with_suffix(".json"))
        chosen = library(built["library"].partition(" ")[0])
        index = int(device.partition(":")[2] or 0)
        fits(path, built, chosen, gpu(index))
        trt = chosen.module
        self._device = torch_device("cuda" if device == "auto" else device)
        self._log = trt.Logger(trt.Logger.ERROR)
        self._runtime = trt.Runtime(self._log)
        with _on(self._device):
            self._engine: Any = self._runtime.deserialize_cuda_engine(path.read_bytes())
        if self._engine is None:
            raise ModelFileError(
                f"{chosen.name} {chosen.version} cannot load {path.name}",
                why="It is damaged, or the driver is too old; the log has TensorRT's own words",
                remedy=AGAIN,
            )
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        fed = [n for n in names if self._engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        host = trt.TensorLocation.HOST
        sized = {n for n in fed if self._engine.get_tensor_location(n) == host}
        self._spans = {n: [tuple(s) for s in self._engine.get_tensor_profile_shape(n, 0)] for n in fed}
        self.inputs = tuple(_tensor(self._engine, n) for n in fed)
        self.outputs = tuple(_tensor(self._engine, n) for n in names if n not in fed)
        where = f" on {built['gpu']}" if built.get("gpu") else ""
        self.provider = f"{chosen.name} {chosen.version}{where}"
        self._contexts = Pool(partial(_context, self._engine, self._device, _allocator(trt), sized))

    def prepare(self, feeds: Feeds, *, large: bool = False) -> _Call:
        """A call that computes all outputs; a `large` one gives the device's memory back.

        Raises SignatureError for other names, dtypes or ranks than the plan's, and for sizes that it was not
        built for.
        """
        check(feeds, self.inputs, self.source)
        for tensor in self.inputs:
            value, (low, _, high) = feeds[tensor.name], self._spans[tensor.name]
            if not all(a <= n <= b for a, n, b in zip(low, value.shape, high, strict=True)):
                raise SignatureError(
                    f"{tensor.name} has the shape {value.shape}",
                    why=f"The engine was built for {low} to {high}",
                    remedy="Feed less at a time, or build it for more: "
                    "`sonorant prepare MODEL --to tensorrt --profile AXIS=MIN,OPT,MAX`",
                )
        return _Call(self._contexts, self._device, feeds, [t.name for t in self.outputs], large)

    def close(self) -> None:
        """Free contexts and plan."""
        self._contexts = self._engine = self._runtime = None  # type: ignore[assignment]  # no run comes after this


def fits(path: Path, built: dict[str, Any], here: Library, found: Gpu | None) -> None:
    """Raises EngineError for a plan of another version or GPU than those that are here."""
    now = f"{here.name} {here.version}"
    if built["library"] != now:
        raise EngineError(
            f"{path.name} was built by {built['library']}, and {now} is installed",
            why="TensorRT loads only what its own version has built",
            remedy=AGAIN,
        )
    if found is None:
        raise EngineError(
            f"There is no NVIDIA GPU here to run {path.name} on",
            why="A TensorRT engine runs on the kind of GPU that it was built for",
            remedy="Serve it where that is, or leave `engine` out of the network's settings",
        )
    if built.get("gpu") not in (None, found.name):
        raise EngineError(
            f"{path.name} was built for {built['gpu']}, and this is {found.name}",
            why="On another GPU an engine is slow, or fails",
            remedy=AGAIN,
        )


def _context(engine: Any, device: Any, allocator: Any, sized: set[str]) -> _Context:
    """A new one: it holds the memory of one run. Raises RuntimeError."""
    context = engine.create_execution_context()
    if context is None:
        raise RuntimeError("out of memory for another execution context")
    return _Context(context, _stream(device), allocator, sized)


@dataclass(slots=True)
class _Context:
    context: Any
    stream: Any
    allocator: Any
    """makes what gives memory to outputs whose size follows from values"""
    sized: set[str]
    """inputs that hold sizes of other tensors: TensorRT reads them in the processor's memory"""
    held: dict[str, Any] = field(default_factory=dict)
    """tensors that the run reads and writes"""

    def run(self, feeds: Feeds, outputs: list[str], device: Any) -> dict[str, Array]:
        """Copy, compute, copy back. Raises RuntimeError."""
        import torch

        self.held = {
            n: torch.from_numpy(np.ascontiguousarray(v)).to("cpu" if n in self.sized else device)
            for n, v in feeds.items()
        }
        for name, tensor in self.held.items():
            if not self.context.set_input_shape(name, tuple(tensor.shape)):
                raise RuntimeError(f"it does not take {name} in the shape {tuple(tensor.shape)}")
            self.context.set_tensor_address(name, tensor.data_ptr())
        late: dict[str, Any] = {}
        for name in outputs:
            shape, kind = tuple(self.context.get_tensor_shape(name)), _torch_dtype(self.context.engine, name)
            if -1 in shape:
                late[name] = self.allocator(kind, device)
                self.context.set_output_allocator(name, late[name])
            else:
                self.held[name] = torch.empty(shape, dtype=kind, device=device)
                self.context.set_tensor_address(name, self.held[name].data_ptr())
        if not self.context.execute_async_v3(self.stream.cuda_stream):
            raise RuntimeError("the run could not be started")
        self.stream.synchronize()
        self.held |= {name: each.tensor() for name, each in late.items()}
        found = {name: self.held[name].cpu().numpy() for name in outputs}
        self.held = {}
        return found


@dataclass(slots=True)
class _Call:
    contexts: Pool[_Context]
    device: Any
    feeds: Feeds
    names: list[str]
    large: bool
    stopped: bool = False

    def __call__(self) -> dict[str, Array]:
        try:
            if self.stopped:
                raise RuntimeError
            with _on(self.device):
                context = self.contexts.take()
                with _streaming(context.stream):
                    outputs = context.run(self.feeds, self.names, self.device)
        except Exception as error:  # RuntimeErrors, of torch and of TensorRT's bindings, for the most part
            raise EngineError(
                "TensorRT could not finish a run",
                why="It was told to stop" if self.stopped else in_one_line(error),
                remedy="Try the request again; if it fails each time, build the engine again: "
                "`sonorant prepare MODEL --to tensorrt --force`",
            ) from error
        if self.large:
            del context
            self.contexts.release()
            _give_back()
        else:
            self.contexts.give(context)
        return outputs

    def stop(self) -> None:
        """Before it has begun: kernels that are under way cannot be ended."""
        self.stopped = True


def _allocator(trt: Any) -> Any:
    class Allocator(trt.IOutputAllocator):  # type: ignore[misc]  # no types
        """Memory for one output, as large as it turns out to be."""

        def __init__(self, dtype: Any, device: Any) -> None:
            super().__init__()
            self._dtype, self._device = dtype, device
            self._bytes: Any = None
            self._shape: tuple[int, ...] = ()

        def reallocate_output(self, name: str, memory: int, size: int, alignment: int) -> int:
            import torch

            if self._bytes is None or self._bytes.numel() < size:
                self._bytes = torch.empty(max(size, 1), dtype=torch.uint8, device=self._device)
            return int(
                self._bytes.data_ptr()
            )  # torch's blocks are aligned to 512 bytes, TensorRT asks for 256

        def reallocate_output_async(
            self, name: str, memory: int, size: int, alignment: int, stream: int
        ) -> int:
            return self.reallocate_output(name, memory, size, alignment)

        def notify_shape(self, name: str, shape: Any) -> None:
            self._shape = tuple(shape)

        def tensor(self) -> Any:
            size = self._dtype.itemsize * int(np.prod(self._shape))
            return self._bytes[:size].view(self._dtype).reshape(self._shape)

    return Allocator


def _tensor(engine: Any, name: str) -> Tensor:
    return Tensor(
        name, _dtype(engine, name), tuple(Axis("?") if n < 0 else n for n in engine.get_tensor_shape(name))
    )


def _dtype(engine: Any, name: str) -> DType:
    kind = engine.get_tensor_dtype(name).name
    if kind not in DTYPES:
        raise ModelFileError(
            f"{name} has the type {kind}, which Sonorant does not feed",
            remedy="Export the model with float32, float16, int64, int32 or bool tensors",
        )
    return DTYPES[kind]


def _torch_dtype(engine: Any, name: str) -> Any:
    import torch

    return getattr(torch, _dtype(engine, name))


def _read(described: Path) -> dict[str, Any]:
    try:
        tree = json.loads(described.read_text(encoding="utf-8"))
        if isinstance(tree["library"], str):
            return dict(tree)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ModelFileError(
        f"{described.name} does not say what the engine was built by",
        why="An engine that this machine did not build is not loaded: it could run anything",
        remedy=AGAIN,
    )


def _on(device: Any) -> Any:
    import torch

    return torch.cuda.device(device)


def _stream(device: Any) -> Any:
    import torch

    return torch.cuda.Stream(device)


def _streaming(stream: Any) -> Any:
    """Copies, and memory from torch's cache, are in the order of that stream, too."""
    import torch

    return torch.cuda.stream(stream)


def _give_back() -> None:
    import torch

    torch.cuda.empty_cache()

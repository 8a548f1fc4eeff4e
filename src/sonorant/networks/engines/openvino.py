"""The OpenVINO engine. Reads .onnx files and OpenVINO's own .xml with the .bin beside it.

Needs the extra sonorant[openvino].
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sonorant.errors import EngineError, MissingExtraError, ModelFileError
from sonorant.networks.engines.engine import check
from sonorant.networks.engines.openvino_options import OpenVinoOptions
from sonorant.networks.engines.openvino_parts import JOINT, parts
from sonorant.networks.engines.pool import Pool
from sonorant.networks.signature import Array, Axis, DType, Feeds, Tensor

PRECISION = ["sonorant", "precision"]
"""where a file of ours says in which it is computed, where no option says it: OpenVINO has no place for it"""
FLOAT32 = ["sonorant", "float32"]
"""where it says, in JSON, which operators at its inputs are computed in float32 all the same"""
DTYPES: dict[str, DType] = {
    "f32": "float32",
    "f16": "float16",
    "i64": "int64",
    "i32": "int32",
    "boolean": "bool",
}


class OpenVino:
    """A compiled model, and requests that run it.

    Raises MissingExtraError without openvino, ModelFileError when the file is no model that it reads,
    EngineError for a device that it does not drive.
    """

    def __init__(self, path: Path, options: OpenVinoOptions | None = None, device: str = "cpu") -> None:
        ov = openvino()
        self.source = str(path)
        if device not in ("cpu", "auto"):
            raise EngineError(
                f"OpenVINO computes on the processor here, not on {device!r}",
                remedy="Choose --device cpu, or another engine",
            )
        options = options or OpenVinoOptions()
        core = ov.Core()
        with _loading(path):
            graph = core.read_model(path)
        # A result stands behind the tensor that it names, which may have several names by then.
        self.inputs = tuple(_tensor(port, port.get_node().friendly_name) for port in graph.inputs)
        self.outputs = tuple(
            _tensor(port, port.get_node().friendly_name.removesuffix("/sink_port_0"))
            for port in graph.outputs
        )
        if graph.has_rt_info(PRECISION):
            own = graph.get_rt_info(PRECISION).astype(str)
            options = OpenVinoOptions({"INFERENCE_PRECISION_HINT": own, **options.chosen})
        with _loading(path):
            graphs = [(graph, options.values)]
            if graph.has_rt_info(FLOAT32):
                front, graph = parts(graph, json.loads(graph.get_rt_info(FLOAT32).astype(str)))
                float32 = {**options.values, "INFERENCE_PRECISION_HINT": "f32"}
                graphs = [(front, float32), (graph, options.values)]
            compiled = [core.compile_model(each, "CPU", values) for each, values in graphs]
        precision = compiled[-1].get_property("INFERENCE_PRECISION_HINT").to_string()
        self.provider = f"OpenVINO {version()} CPU {precision}"
        joints = [f"{JOINT}{index}" for index in range(len(compiled[0].outputs))]
        gives = [joints, [tensor.name for tensor in self.outputs]][-len(compiled) :]
        self._requests = _Requests([_Part(*each) for each in zip(compiled, gives, strict=True)])

    def prepare(self, feeds: Feeds, *, large: bool = False) -> _Call:
        """A call that computes all outputs; a `large` one gives back afterwards the memory that it took.

        Raises SignatureError for another name, dtype or rank than the model's.
        """
        check(feeds, self.inputs, self.source)
        return _Call(self._requests, feeds, [tensor.name for tensor in self.outputs], large)

    def close(self) -> None:
        """Free the model."""
        self._requests = None  # type: ignore[assignment]  # no run comes after this


class _Part:
    """A compiled graph, and the names of what it takes and gives."""

    def __init__(self, compiled: Any, gives: Sequence[str]) -> None:
        self.compiled = compiled
        self.takes = tuple(port.get_node().friendly_name for port in compiled.inputs)
        self.gives = gives


class _Requests(Pool[list[Any]]):
    """Requests that have run and are free, one for each part of the model: they keep buffers of their own."""

    def __init__(self, parts: Sequence[_Part]) -> None:
        super().__init__(lambda: [part.compiled.create_infer_request() for part in parts])
        self.parts = parts

    def release(self, keep: int = 0) -> None:
        """What runs left behind, too."""
        super().release(keep)
        with suppress(RuntimeError):  # while another run needs it
            for part in self.parts:
                part.compiled.release_memory()


@dataclass(slots=True)
class _Call:
    requests: _Requests
    feeds: Feeds
    names: list[str]
    large: bool
    request: Any = None
    """the one that runs"""
    stopped: bool = False

    def __call__(self) -> dict[str, Array]:
        requests = self.requests.take()
        try:
            values: dict[str, Any] = {n: np.ascontiguousarray(feed) for n, feed in self.feeds.items()}
            for part, request in zip(self.requests.parts, requests, strict=True):
                if self.stopped:  # a short run would be over before it could be cancelled
                    raise RuntimeError
                request.start_async({index: values[name] for index, name in enumerate(part.takes)})
                self.request = request
                if self.stopped:
                    request.cancel()
                request.wait()
                values |= {name: request.get_output_tensor(i) for i, name in enumerate(part.gives)}
            outputs = {name: np.array(values[name].data) for name in self.names}
        except Exception as error:  # RuntimeErrors for the most part
            raise EngineError(
                "OpenVINO could not finish a run",
                why="It was told to stop" if self.stopped else in_one_line(error),
                remedy="Try the request again; "
                "if it fails each time, check the model with `sonorant pull NAME --force`",
            ) from error
        finally:
            self.request = None
            if self.large:
                request = values = None  # type: ignore[assignment]
                del requests
                self.requests.release()
            elif not self.stopped:
                self.requests.give(requests)
        return outputs

    def stop(self) -> None:
        """It ends behind the layer that is being computed."""
        self.stopped = True
        if (request := self.request) is not None:
            request.cancel()


def openvino() -> Any:
    """The package, without its telemetry. Raises MissingExtraError."""
    # It tells its makers of each import, from a fork of this process, whose threads may hold a lock then: the
    # fork stays. Without this package it tells nobody, nor does NNCF.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # so importlib has it
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError(
            "OpenVINO is not installed", remedy='Install it: `pip install "sonorant[openvino]"`'
        ) from error
    return openvino


@contextmanager
def _loading(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # its exceptions are RuntimeErrors, but for missing files
        raise ModelFileError(
            f"OpenVINO {version()} cannot load {path.name}",
            why=in_one_line(error),
            remedy="Pull the model again (`sonorant pull NAME --force`), or run it on ONNX Runtime",
        ) from error


def version() -> str:
    """Of OpenVINO, without the build."""
    return str(openvino().__version__).partition("-")[0]


def _tensor(port: Any, name: str) -> Tensor:
    kind = port.get_element_type().get_type_name()
    if kind not in DTYPES:
        raise ModelFileError(
            f"{name} has the type {kind}, which Sonorant does not feed",
            remedy="Export the model with float32, float16, int64, int32 or bool tensors",
        )
    dims = [Axis("?") if dim.is_dynamic else dim.get_length() for dim in port.get_partial_shape()]
    return Tensor(name, DTYPES[kind], tuple(dims))


def in_one_line(error: Exception) -> str:
    """What OpenVINO said: its summary, if it wrote one, without the places in its source that it names."""
    said = str(error)
    lines = [line.strip() for line in (said.partition("Summary:")[2] or said).splitlines()]
    telling = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return " ".join(telling or lines)[:300] or type(error).__name__

"""The ONNX Runtime engine. Reads .onnx and .ort files."""

from __future__ import annotations

import logging
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

from sonorant.errors import EngineError, ModelFileError
from sonorant.networks.engines.engine import Running
from sonorant.networks.engines.expose import expose
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.networks.signature import Array, Axis, DType, Feeds, Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

CUDA = "CUDAExecutionProvider"
DTYPES: dict[str, DType] = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
}


class OnnxRuntime:
    """A session on one model file.

    Raises ModelFileError when the file is no model that this ONNX Runtime reads, EngineError when
    the provider that `device` names is not there or is not really used ("auto" takes what there is).
    """

    def __init__(
        self,
        path: Path,
        options: OnnxRuntimeOptions | None = None,
        device: str = "cpu",
        exposed: tuple[str, ...] = (),
        derived: bytes | None = None,
    ) -> None:
        """`exposed` names tensors inside an .onnx graph that become outputs; those it lacks do not.

        `derived`: the model itself, where it was made from that in `path`.
        """
        self.source = str(path)
        self._options = options or OnnxRuntimeOptions()
        provider, provider_options = provider_of(device)
        self._gpu = ""
        if provider == CUDA:
            _load_libraries()
            self._gpu = provider_options.get("device_id", "0")
            provider_options |= self._options.cuda()
        try:
            model: Path | bytes = path if derived is None else derived
            if exposed:
                data = path.read_bytes()
                model = expose(data, [name for name in exposed if name.encode() in data])
            self._session: Any = ort.InferenceSession(
                model, self._options.session(), providers=[(provider, provider_options)]
            )
        except Exception as error:  # ONNX Runtime's exceptions share no base but Exception
            raise ModelFileError(
                f"ONNX Runtime {ort.__version__} cannot load {path.name}",
                why=_first_line(error),
                remedy="Choose --device cpu: operators of an .ort file are fused for processors"
                if provider == CUDA and path.suffix == ".ort"
                else "Pull the model again (`sonorant pull NAME --force`), or update onnxruntime",
            ) from error
        # it would make the session anew on another provider, silently, and keeps the whole model for that
        self._session.disable_fallback()
        self._session._model_bytes = None
        self.provider: str = self._session.get_providers()[0]
        self.fell_back = self.provider != provider
        """to another provider than the first that this ONNX Runtime has for the device"""
        if self.fell_back and device != "auto":
            raise EngineError(
                f"{path.name} was to run on {provider}, but ONNX Runtime fell back to {self.provider}",
                why="The provider's libraries did not load",
                remedy="Install them: `pip install 'onnxruntime-gpu[cuda,cudnn]'`, or choose --device cpu; "
                "`sonorant doctor` tells which are there",
            )
        self.inputs = tuple(_tensor(node) for node in self._session.get_inputs())
        self.outputs = tuple(_tensor(node) for node in self._session.get_outputs())
        self._names = [tensor.name for tensor in self.outputs]

    def prepare(self, feeds: Feeds, *, large: bool = False) -> Running:
        """A call that computes all outputs; the arena shrinks after a `large` one."""
        options = self._options.run(shrink=large, gpu=self._gpu)
        return _Call(self._session, options, feeds, self._names)

    @property
    def session(self) -> Any:
        """The onnxruntime.InferenceSession, for decode loops that keep tensors on the device."""
        return self._session

    def step_options(self) -> Any:
        """New RunOptions for the many small runs of a decode loop; `.terminate = True` stops them.

        They do not shrink the arena: a step is small, and the next one needs the same memory again.
        """
        return self._options.run(shrink=False)

    def close(self) -> None:
        """Free the session."""
        self._session = None


@dataclass(slots=True)
class _Call:
    session: Any
    options: Any
    feeds: Feeds
    names: list[str]

    def __call__(self) -> dict[str, Array]:
        try:
            values: Sequence[Array] = self.session.run(self.names, self.feeds, self.options)
        except Exception as error:
            raise failure(error) from error
        return dict(zip(self.names, values, strict=True))

    def stop(self) -> None:
        self.options.terminate = True


def failure(error: Exception) -> EngineError:
    """An EngineError that says in one line what ONNX Runtime said."""
    return EngineError(
        "ONNX Runtime could not finish a run",
        why=_first_line(error),
        remedy="Try the request again; "
        "if it fails each time, check the model with `sonorant pull NAME --force`",
    )


def provider_of(device: str) -> tuple[str, dict[str, str]]:
    """The execution provider and its options for "cpu", "cuda", "cuda:1" … or "auto".

    Raises EngineError where this build of ONNX Runtime does not have it.
    """
    kind, _, index = device.partition(":")
    available = ort.get_available_providers()
    if kind == "auto":
        kind = "cuda" if CUDA in available else "cpu"
    names = {"cpu": "CPUExecutionProvider", "cuda": CUDA}
    if kind not in names or (index and (device.partition(":")[0] != "cuda" or not index.isdigit())):
        raise EngineError(f"{device!r} is not a device", remedy="Choose cpu, cuda, cuda:1 … or auto")
    if names[kind] not in available:
        raise EngineError(
            f"This ONNX Runtime has no {names[kind]}",
            why=f"Its providers are {', '.join(available)}",
            remedy="Install onnxruntime-gpu in place of onnxruntime, or choose --device cpu",
        )
    return names[kind], {"device_id": index} if index else {}


@cache
def _load_libraries() -> None:
    """CUDA's own, out of the wheels that hold them: they are on no path that the loader looks at."""
    told = StringIO()
    with redirect_stdout(told):  # it prints what it does not find
        ort.preload_dlls(msvc=False)
    if told.getvalue():
        logger.info("ONNX Runtime: %s", " ".join(told.getvalue().split())[:300])


def described(device: str) -> str:
    """The engine as a proof names it: its version, and what computes on `device`. Raises EngineError."""
    return f"onnxruntime {ort.__version__} {provider_of(device)[0]}"


def _tensor(node: Any) -> Tensor:
    if node.type not in DTYPES:
        raise ModelFileError(
            f"{node.name} has the type {node.type}, which Sonorant does not feed",
            remedy="Export the model with float32, float16, int64, int32 or bool tensors",
        )
    dims = tuple(d if isinstance(d, int) else Axis(d or "?") for d in node.shape)
    return Tensor(node.name, DTYPES[node.type], dims)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__

"""The torch engine: for checkpoints that have no ONNX. Needs the extra sonorant[torch]."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sonorant.errors import EngineError, MissingExtraError, ModelFileError
from sonorant.networks.engines.torch_options import TorchOptions, accelerated
from sonorant.networks.signature import Array, Axis, DType, Feeds, Signature, Tensor

SAFE = (2, 6)
"""before it, a file made for the purpose runs code despite weights_only (CVE-2025-32434)"""
THREADS = 1
"""of one run: the device's slots fill the cores. Two that wait for each other by spinning made runs ten
times slower on two busy cores"""


class Torch:
    """A torch.nn.Module with the weights of a checkpoint (a state dict), in evaluation mode.

    The feeds are the arguments of its `forward`, by name; its result is `signature`'s one output, or a
    tuple of all of them. A checkpoint declares no tensors: that it fits is told by the names and shapes of
    its weights, and `outputs` are what one run on the smallest feeds gave.

    Raises MissingExtraError without torch, ModelFileError when the file is no checkpoint of this module,
    EngineError for a device that is not there or a torch that reads checkpoints unsafely.
    """

    def __init__(
        self,
        path: Path,
        build: Callable[[], Any],
        signature: Signature,
        device: str = "cpu",
        options: TorchOptions | None = None,
    ) -> None:
        """`build` makes the module; it may import torch, which is known to be there when it is called.

        With `options` that compile or capture, a run can be stopped before it begins, and not at each layer.
        """
        torch = _torch()
        self.source = str(path)
        self._device = torch_device(device)
        self._names = [tensor.name for tensor in signature.outputs]
        self._options = options or TorchOptions()
        if self._device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = self._options.tf32
        module = load_module(path, build)
        self._module: Any = module.to(self._device).eval().requires_grad_(False)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)  # runs have streams of their own, which do not wait for this
        for part in () if self._options.whole else self._module.modules():
            part.register_forward_pre_hook(_heed)
        self._compute = accelerated(self._module, self._options, self._device)
        self.provider = f"torch {torch.__version__} on {next(self._module.parameters()).device}"
        self.inputs = signature.inputs
        outputs = self.prepare(signature.example(size="min"))()
        self.outputs = tuple(_declared(tensor, outputs[tensor.name]) for tensor in signature.outputs)

    def prepare(self, feeds: Feeds, *, large: bool = False) -> _Call:
        """A call that computes all outputs; on a GPU a `large` one gives its memory back."""
        return _Call(self._compute, self._device, feeds, self._names, large)

    def close(self) -> None:
        """Free the module."""
        self._module = None
        self._compute = None  # type: ignore[assignment]  # no run comes after this


class _Stopped(Exception):
    """The call was told to stop."""


_thread = threading.local()
"""`.call`: the call that this thread computes. One module serves several at once"""


@dataclass(slots=True)
class _Call:
    module: Any
    device: Any
    feeds: Feeds
    names: list[str]
    large: bool
    stopped: bool = False

    def __call__(self) -> dict[str, Array]:
        import torch

        _thread.call = self
        try:
            _heed()
            with _stream(self.device):
                return computed(self.module, self.feeds, self.names, self.device)
        except Exception as error:  # whatever an operator, a driver or an allocator raises
            raise EngineError(
                "torch could not finish a run",
                why="It was told to stop" if isinstance(error, _Stopped) else in_one_line(error),
                remedy="Try the request again; "
                "if it fails each time, check the model with `sonorant pull NAME --force`",
            ) from error
        finally:
            _thread.call = None
            if self.large and self.device.type == "cuda":
                torch.cuda.empty_cache()

    def stop(self) -> None:
        self.stopped = True


def _stream(device: Any) -> AbstractContextManager[Any]:
    """A CUDA stream for each thread, which is a slot of the device: what several compute can overlap."""
    import torch

    if device.type != "cuda":
        return nullcontext()
    streams = _thread.__dict__.setdefault("streams", {})
    if device not in streams:
        streams[device] = torch.cuda.Stream(device)
    return cast(AbstractContextManager[Any], torch.cuda.stream(streams[device]))


def _heed(*_: Any) -> None:
    """Before each layer: torch itself cannot be told to stop."""
    if _thread.call.stopped:
        raise _Stopped


def computed(module: Any, feeds: Feeds, names: Sequence[str], device: Any = "cpu") -> dict[str, Array]:
    """The outputs of a module for feeds by the names of its arguments; `names` are given to the outputs."""
    import torch

    with torch.inference_mode():
        result = module(**{name: torch.tensor(feed, device=device) for name, feed in feeds.items()})
        values = result if isinstance(result, tuple) else (result,)
        return {name: value.cpu().numpy() for name, value in zip(names, values, strict=True)}


def torch_device(device: str) -> Any:
    """The torch.device of "cpu", "cuda", "cuda:1" … or "auto". Raises EngineError where it is not there."""
    torch = _torch()
    kind, _, index = device.partition(":")
    if device == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind not in ("cpu", "cuda") or (index and (kind != "cuda" or not index.isdigit())):
        raise EngineError(f"{device!r} is not a device", remedy="Choose cpu, cuda, cuda:1 … or auto")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise EngineError(
            f"torch {torch.__version__} has no device {device}",
            why=f"It finds {torch.cuda.device_count()} CUDA devices",
            remedy="Install a torch that is built for your driver's CUDA, or choose --device cpu",
        )
    return torch.device(f"{kind}:{index or 0}" if kind == "cuda" else kind)


def _torch() -> Any:
    """torch, imported when it is first needed. Its threads are left as they are where others chose them."""
    ours = "torch" not in sys.modules and "OMP_NUM_THREADS" not in os.environ
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError(
            "This model needs torch, which is not installed",
            why="Its publisher ships it as a torch checkpoint only",
            remedy='Install it: `pip install "sonorant[torch]"`',
        ) from error
    if ours:
        torch.set_num_threads(THREADS)
    return torch


def load_module(path: Path, build: Callable[[], Any]) -> Any:
    """The torch.nn.Module that `build` makes, with a checkpoint's weights. Raises as `Torch` does."""
    torch = _torch()
    if torch.__version__ < SAFE:
        raise EngineError(
            f"torch {torch.__version__} does not read checkpoints safely",
            why="One made for the purpose can run code in it (CVE-2025-32434)",
            remedy='Update it: `pip install "torch>=2.6"`',
        )
    module = build()
    try:
        module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # unpickling and zip errors share no base but Exception
        raise ModelFileError(
            f"{path.name} is not a checkpoint of {type(module).__name__}",
            why=_refused(error),
            remedy=f"`sonorant doctor {path}` tells what it holds; "
            "one of the catalogue is mended by `sonorant pull NAME --force`",
        ) from error
    return module


def _refused(error: Exception) -> str:
    """Without torch's advice to load what may run code (torch/serialization.py, _get_wo_message)."""
    _, unpickler, said = " ".join(str(error).split()).partition("WeightsUnpickler error: ")
    if not unpickler:
        return in_one_line(error)
    return f"It holds more than weights, and is not loaded since that can run code: {said.split('. ')[0]}"


def _declared(tensor: Tensor, value: Array) -> Tensor:
    """What one run says of an output: sizes where the signature has them, otherwise unknown."""
    fixed = [isinstance(dim, int) for dim in tensor.dims] + [False] * value.ndim
    dims = tuple(size if known else Axis("?") for size, known in zip(value.shape, fixed, strict=False))
    return Tensor(tensor.name, cast(DType, value.dtype.name), dims)


def in_one_line(error: Exception) -> str:
    """What a library said, short."""
    return " ".join(str(error).split())[:300] or type(error).__name__

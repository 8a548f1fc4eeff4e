"""What makes the torch engine faster, under torch's own names; all of it is off unless chosen.

On a processor torch.compile takes a minute and a C++ compiler before it gains anything; CUDA graphs are for
GPUs, where launching many small kernels takes longer than they do. What cannot be compiled or captured runs
as it would without, and the log says why.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from sonorant.errors import SettingsError

logger = logging.getLogger(__name__)

MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
KERNELS = ("FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "MATH")
HALVES = ("float16", "bfloat16")
CAPTURED = 16
"""CUDA graphs that are kept, one for each combination of shapes; each holds its own memory"""


@dataclass(frozen=True, slots=True)
class TorchOptions:
    """Raises SettingsError for what torch does not know."""

    compile: str = ""
    """the mode of torch.compile; "" = not compiled"""
    sdpa_kernel: tuple[str, ...] = ()
    """kernels that scaled_dot_product_attention may take, the best first; () = torch chooses. MATH is always
    among them: flash kernels take no masks, and a mask must not be dropped"""
    cuda_graphs: bool = False
    """capture a run of each combination of shapes and replay it (GPU)"""
    autocast: str = ""
    """float16 or bfloat16, for layers that torch holds safe in it (GPU)"""
    tf32: bool = False
    """convolutions of float32 in TensorFloat-32 (GPU), which torch does by default: 10 bits of mantissa. It
    holds for the process"""

    def __post_init__(self) -> None:
        for name, value, known in (
            ("compile", self.compile, MODES),
            ("autocast", self.autocast, HALVES),
            *(("sdpa_kernel", kernel, KERNELS) for kernel in self.sdpa_kernel),
        ):
            if value and value not in known:
                raise SettingsError(
                    f"torch option {name} = {value!r}", remedy=f"Choose one of {', '.join(known)}"
                )

    @property
    def whole(self) -> bool:
        """Whether a run is one piece, in which nothing of ours can look whether it shall stop."""
        return bool(self.compile) or self.cuda_graphs


def accelerated(module: Any, options: TorchOptions, device: Any) -> Callable[..., Any]:
    """What computes `module`, called with its arguments by name."""
    compute: Callable[..., Any] = module
    if options.compile:
        compute = _compiled(module, options.compile)
    if options.sdpa_kernel or options.autocast:
        compute = _inside(compute, options, device)
    if options.cuda_graphs and device.type == "cuda":
        return Graphs(compute, device)
    if options.cuda_graphs:
        logger.warning("CUDA graphs are for GPUs: this model runs without them on %s", device)
    return compute


def _compiled(module: Any, mode: str) -> Callable[..., Any]:
    """Compiled at the first run, for sizes that change; as it is where that fails."""
    import torch

    compiled = cache(partial(torch.compile, module, mode=mode, dynamic=True))
    failed = threading.Event()

    def compute(**feeds: Any) -> Any:
        if failed.is_set():
            return module(**feeds)
        try:
            return compiled()(**feeds)
        except Exception as error:  # whatever its compilers raise
            result = module(**feeds)  # what fails in both ways is the feeds' fault, and raised here
            failed.set()
            said = " ".join(str(error).split())[:300]
            logger.warning("torch.compile failed, the model runs without: %s", said)
            return result

    return compute


def _inside(compute: Callable[..., Any], options: TorchOptions, device: Any) -> Callable[..., Any]:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    names = dict.fromkeys((*options.sdpa_kernel, "MATH"))
    kernels = [getattr(SDPBackend, name) for name in names]

    def inside(**feeds: Any) -> Any:
        with ExitStack() as stack:
            if options.sdpa_kernel:
                stack.enter_context(sdpa_kernel(kernels, set_priority=True))
            if options.autocast:
                stack.enter_context(torch.autocast(device.type, getattr(torch, options.autocast)))
            return _widened(compute(**feeds)) if options.autocast else compute(**feeds)

    return inside


def _widened(result: Any) -> Any:
    """Outputs in float32, as the signature declares them."""
    values = result if isinstance(result, tuple) else (result,)
    wide = tuple(value.float() if value.is_floating_point() else value for value in values)
    return wide if isinstance(result, tuple) else wide[0]


class Graphs:
    """Captured runs, one for each combination of shapes, the latest kept."""

    def __init__(self, compute: Callable[..., Any], device: Any) -> None:
        self._compute, self._device = compute, device
        self._captured: OrderedDict[tuple[Any, ...], _Captured | None] = OrderedDict()
        self._lock = threading.Lock()  # a graph has one set of buffers

    def __call__(self, **feeds: Any) -> Any:
        key = tuple((name, tuple(feed.shape), feed.dtype) for name, feed in sorted(feeds.items()))
        with self._lock:
            if key not in self._captured:
                self._captured[key] = self._capture(feeds)
                if len(self._captured) > CAPTURED:
                    self._captured.popitem(last=False)
            self._captured.move_to_end(key)
            captured = self._captured[key]
            if captured is not None:
                return captured.replay(feeds)
        return self._compute(**feeds)

    def _capture(self, feeds: Mapping[str, Any]) -> _Captured | None:
        """None where the run cannot be captured: it waits for the GPU, or its shapes follow from values."""
        import torch

        try:
            inputs = {name: feed.clone() for name, feed in feeds.items()}
            stream = torch.cuda.Stream(self._device)
            stream.wait_stream(torch.cuda.current_stream(self._device))
            with torch.cuda.stream(stream):
                for _ in range(3):  # libraries choose algorithms and take workspaces in their first runs
                    self._compute(**inputs)
            torch.cuda.current_stream(self._device).wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                outputs = self._compute(**inputs)
        except Exception as error:  # whatever an operator or the driver raises
            logger.warning("This run cannot be a CUDA graph: %s", " ".join(str(error).split())[:300])
            return None
        return _Captured(graph, inputs, outputs)


@dataclass(slots=True)
class _Captured:
    graph: Any
    inputs: Mapping[str, Any]
    outputs: Any

    def replay(self, feeds: Mapping[str, Any]) -> Any:
        """Outputs are copies: the next replay writes over the graph's own."""
        for name, feed in feeds.items():
            self.inputs[name].copy_(feed)
        self.graph.replay()
        outputs = self.outputs
        if isinstance(outputs, tuple):
            return tuple(output.clone() for output in outputs)
        return outputs.clone()

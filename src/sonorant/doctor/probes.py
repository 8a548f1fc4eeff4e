"""What the libraries of this machine say of themselves. Each function runs in a child process of its own,
since importing them may crash, hang or take gigabytes; each returns JSON."""

from __future__ import annotations

import ctypes
import importlib
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from sonorant.doctor.fatbin import architectures

_ON_GPUS = ("CUDAExecutionProvider", "TensorrtExecutionProvider")
_MAJORS = {
    "cuda": ("cudart", ("13", "12", "11.0")),
    "cublas": ("cublas", ("13", "12", "11")),
    "cudnn": ("cudnn", ("9", "8")),
    "tensorrt": ("nvinfer", ("11", "10", "8")),
}
"""NVIDIA's libraries: lib{word}.so.{major}"""


def torch() -> dict[str, Any]:
    """version, cuda ("" = a build for CPUs), cudnn, architectures, sees_gpu."""
    torch = importlib.import_module("torch")
    cuda = torch.version.cuda or ""
    return {
        "version": torch.__version__,
        "cuda": cuda,
        "cudnn": of_cudnn(torch.backends.cudnn.version() or 0) if cuda else "",
        "architectures": list(torch.cuda.get_arch_list()) if cuda else [],
        "sees_gpu": bool(cuda and torch.cuda.is_available()),
    }


def onnxruntime() -> dict[str, Any]:
    """version, providers (built in), fallen_back (those of them for GPUs that do not really run here), ir and
    opset (the newest that it reads), architectures (of its CUDA code)."""
    library = importlib.import_module("onnxruntime")
    folder = Path(str(library.__file__)).parent / "capi"
    cuda = [name for path in folder.glob("*providers_cuda*.so") for name in architectures(path)]
    return {
        "version": library.__version__,
        "providers": list(library.get_available_providers()),
        "fallen_back": [name for name in _ON_GPUS if _falls_back(library, name)],
        "ir": _refusal(library, model(99, 7), r"max supported IR version: (\d+)"),
        "opset": _refusal(library, model(3, 99), r"domain ai\.onnx is till opset (\d+)"),
        "architectures": cuda,
    }


def _falls_back(library: Any, provider: str) -> bool:
    """Whether it is built in and a session goes on without it: ONNX Runtime only warns of that."""
    if provider not in library.get_available_providers():
        return False
    try:
        session = library.InferenceSession(model(8, 17), providers=[provider, "CPUExecutionProvider"])
    except Exception:  # its errors have no class in common; what does not load does not run
        return True
    return provider not in session.get_providers()


def _refusal(library: Any, refused: bytes, pattern: str) -> int | None:
    """The number in the words with which ONNX Runtime refuses a model; None where it does not."""
    try:
        library.InferenceSession(refused, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class in common
        found = re.search(pattern, str(error))
        return int(found[1]) if found else None
    return None


def model(ir: int, opset: int) -> bytes:
    """An ONNX file of one Identity, in protobuf's wire format (onnx.proto)."""

    def text(number: int, value: bytes) -> bytes:
        return bytes([number << 3 | 2, len(value)]) + value

    def tensor(name: bytes) -> bytes:
        return text(1, name) + text(2, text(1, b"\x08\x01"))  # float32

    node = text(1, b"x") + text(2, b"y") + text(4, b"Identity")
    graph = text(1, node) + text(2, b"g") + text(11, tensor(b"x")) + text(12, tensor(b"y"))
    return bytes([8, ir]) + text(7, graph) + text(8, bytes([16, opset]))


def onnx() -> dict[str, Any]:
    """version, and the ir and opset that it writes where nothing else is asked for."""
    library, defs = (cast(Any, importlib.import_module(name)) for name in ("onnx", "onnx.defs"))
    return {
        "version": library.__version__,
        "ir": int(library.IR_VERSION),
        "opset": int(defs.onnx_opset_version()),
    }


def tensorrt() -> dict[str, Any]:
    """version, of the Python package."""
    return {"version": importlib.import_module("tensorrt").__version__}


def nvidia_libraries() -> dict[str, Any]:
    """CUDA, cuBLAS, cuDNN and TensorRT as programs find them: name → version, where (pip, or system)."""
    found = {}
    spec = find_spec("nvidia")
    packaged = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    for name, (word, majors) in _MAJORS.items():
        for major in majors:
            file = f"lib{word}.so.{major}"
            paths = [file, *(str(path) for place in packaged for path in place.glob(f"*/lib/{file}"))]
            if loaded := _load(paths):
                library, path = loaded
                told = _VERSIONS[name](library) if name in _VERSIONS else ""
                version = told or major.partition(".")[0]
                found[name] = {"version": version, "where": "system" if path == file else "pip"}
                break
    return found


def _load(paths: list[str]) -> tuple[ctypes.CDLL, str] | None:
    for path in paths:
        try:
            return ctypes.CDLL(path), path
        except OSError:
            continue
    return None


def _cuda_version(library: ctypes.CDLL) -> str:
    number = ctypes.c_int()
    library.cudaRuntimeGetVersion(ctypes.byref(number))
    return of_cuda(number.value)


def _cudnn_version(library: ctypes.CDLL) -> str:
    library.cudnnGetVersion.restype = ctypes.c_size_t
    return of_cudnn(library.cudnnGetVersion())


def _tensorrt_version(library: ctypes.CDLL) -> str:
    return of_tensorrt(library.getInferLibVersion())


_VERSIONS: dict[str, Callable[[ctypes.CDLL], str]] = {
    "cuda": _cuda_version,
    "cudnn": _cudnn_version,
    "tensorrt": _tensorrt_version,
}


def of_cuda(number: int) -> str:
    """12040 → 12.4."""
    return f"{number // 1000}.{number % 1000 // 10}" if number else ""


def of_cudnn(number: int) -> str:
    return _of(number, 10_000 if number >= 90_000 else 1_000)


def of_tensorrt(number: int) -> str:
    """100300 → 10.3.0; before 10: 8601 → 8.6.1."""
    return _of(number, 10_000 if number >= 100_000 else 1_000)


def _of(number: int, major: int) -> str:
    return f"{number // major}.{number % major // 100}.{number % 100}" if number else ""


def nvml() -> dict[str, Any]:
    """driver, cuda (the newest that the driver runs), gpus (name, memory in bytes, capability); or `absent`,
    the driver's or the library's own words."""
    try:
        pynvml = importlib.import_module("pynvml")
    except ImportError:
        return {"absent": "nvidia-ml-py is not installed"}
    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        return {
            "driver": pynvml.nvmlSystemGetDriverVersion(),
            "cuda": of_cuda(pynvml.nvmlSystemGetCudaDriverVersion_v2()),
            "gpus": [
                {
                    "name": pynvml.nvmlDeviceGetName(handle),
                    "memory": pynvml.nvmlDeviceGetMemoryInfo(handle).total,
                    "capability": "{}.{}".format(*pynvml.nvmlDeviceGetCudaComputeCapability(handle)),
                }
                for handle in handles
            ],
        }
    except pynvml.NVMLError as error:
        return {"absent": str(error)}


def ctranslate2() -> dict[str, Any]:
    """version, and the architectures that it was compiled for; it is not imported."""
    from importlib.metadata import version

    spec = find_spec("ctranslate2")
    place = Path(spec.origin).parent if spec and spec.origin else Path()
    files = [*place.glob("*.so*"), *place.with_name("ctranslate2.libs").glob("libctranslate2*")]
    found = {name for file in files for name in architectures(file)}
    return {
        "version": version("ctranslate2"),
        "architectures": sorted(found, key=lambda name: int(name.partition("_")[2])),
    }

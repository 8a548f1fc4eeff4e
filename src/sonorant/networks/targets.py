"""What computes a prepared artefact: ONNX Runtime, or the engine that its recipe ends in.

A proof names the engine with its version (and TensorRT's the GPU), so that it holds for nothing else. What
an engine needs to be here is told without importing it: most models never meet it.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from sonorant.errors import EngineError
from sonorant.networks.engines.engine import Engine
from sonorant.networks.engines.onnxruntime import OnnxRuntime, provider_of
from sonorant.networks.engines.options import OnnxRuntimeOptions

ONNX_RUNTIME, OPENVINO, TENSORRT, LITERT = "onnxruntime", "openvino", "tensorrt", "litert"
LAST = {
    "openvino": OPENVINO,
    "openvino-bfloat16": OPENVINO,
    "openvino-int8": OPENVINO,
    "tensorrt": TENSORRT,
    "litert": LITERT,
}
"""the last word of a recipe → the engine that its artefact is for"""
ONNX_FILE, ORT_FILE, OPENVINO_FILE = "model.onnx", "model.ort", "model.xml"
TENSORRT_FILE, LITERT_FILE = "model.engine", "model.tflite"
FILES = (ONNX_FILE, ORT_FILE, OPENVINO_FILE, TENSORRT_FILE, LITERT_FILE)
"""what an artefact holds one of"""


def engine_of(recipe: str) -> str:
    """Of a recipe's name, "prepared-2.float16+tensorrt"."""
    return LAST.get(recipe.partition(".")[2].rpartition("+")[2], ONNX_RUNTIME)


def described(engine: str, device: str) -> str:
    """The engine as a proof names it; "" where it is not here, or does not compute on `device`."""
    if engine == OPENVINO:
        found = _version("openvino") if _on_processor(device) else ""
        return f"OpenVINO {found} CPU" if found else ""
    if engine == TENSORRT:
        from sonorant.networks.engines import tensorrt_library

        return tensorrt_library.described(device)
    if engine == LITERT:
        found = _version("ai-edge-litert") if _on_processor(device) else ""
        return f"LiteRT {found} CPU XNNPACK" if found else ""
    raise ValueError(engine)


def model_file(folder: Path) -> Path:
    """The file in an artefact's folder that an engine loads."""
    return next((folder / name for name in FILES if (folder / name).is_file()), folder / FILES[0])


def load(folder: Path, engine: str, options: OnnxRuntimeOptions, device: str) -> Engine:
    """An engine on the artefact in `folder`; of `options`, other engines than ONNX Runtime take the threads.

    Raises what the engine raises.
    """
    path = model_file(folder)
    if engine == OPENVINO:
        from sonorant.networks.engines.openvino import OpenVino
        from sonorant.networks.engines.openvino_options import OpenVinoOptions

        threads = int(options.values["intra_op_num_threads"])
        return OpenVino(path, OpenVinoOptions({"INFERENCE_NUM_THREADS": threads} if threads else {}))
    if engine == TENSORRT:
        from sonorant.networks.engines.tensorrt import TensorRt

        return TensorRt(path, device)
    if engine == LITERT:
        from sonorant.networks.engines.litert import LiteRt

        return LiteRt(path, int(options.values["intra_op_num_threads"]))
    return OnnxRuntime(path, options, device)


def _on_processor(device: str) -> bool:
    try:
        return provider_of(device)[0] == "CPUExecutionProvider"
    except EngineError:
        return False


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""

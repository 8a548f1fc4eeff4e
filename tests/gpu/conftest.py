"""What only a machine with an NVIDIA GPU can show: `pytest tests/gpu` there; elsewhere all of it is skipped."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from servers import launch

__all__ = ["launch"]


@pytest.fixture(autouse=True)
def gpu() -> None:
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("there is no NVIDIA GPU here")


@pytest.fixture
def onnxruntime_cuda() -> None:
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has no CUDA: pip install 'onnxruntime-gpu[cuda,cudnn]'")


@pytest.fixture
def torch_cuda() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")


@pytest.fixture(scope="session")
def vocoder(tmp_path_factory) -> Path:
    """mel [batch, 80, frames] → audio [batch, 1, 64 × frames]: convolutions of random weights."""
    random = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def layer(kind: str, x: str, *shape: int, **attributes: object) -> str:
        loudness = (2 / np.prod(shape[1:] if kind == "Conv" else (shape[0], 2))) ** 0.5
        name = f"w{len(weights)}"
        weights.append(numpy_helper.from_array(random.normal(0, loudness, shape).astype(np.float32), name))
        nodes.append(helper.make_node(kind, [x, name], [f"y{len(nodes)}"], **attributes))
        nodes.append(helper.make_node("LeakyRelu", [f"y{len(nodes) - 1}"], [f"y{len(nodes)}"], alpha=0.1))
        return f"y{len(nodes) - 1}"

    x, channels = layer("Conv", "mel", 256, 80, 7, pads=[3, 3]), 256
    for by in (4, 4, 4):
        half = channels // 2
        x = layer("ConvTranspose", x, channels, half, 2 * by, strides=[by], pads=[by // 2, by // 2])
        for dilation in (1, 3, 5):
            x = layer("Conv", x, half, half, 7, dilations=[dilation], pads=[3 * dilation] * 2)
        channels = half
    x = layer("Conv", x, 1, channels, 7, pads=[3, 3])
    nodes.append(helper.make_node("Tanh", [x], ["audio"]))
    value, kind = helper.make_tensor_value_info, TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "vocoder", [value("mel", kind, ["b", 80, "t"])], [value("audio", kind, ["b", 1, "n"])], weights
    )
    path = tmp_path_factory.mktemp("vocoder") / "vocoder.onnx"
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path

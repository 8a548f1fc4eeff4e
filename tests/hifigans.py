"""Small HiFi-GANs of random weights, in the official layout, and as graphs that owe nothing to torch."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sonorant.families.hifigan.config import parse
from sonorant.families.hifigan.networks import signature
from sonorant.families.hifigan.pipeline import generator
from sonorant.networks.artefacts import Artefacts
from sonorant.networks.checkpoint import Checkpoint
from sonorant.networks.engines.onnxruntime import described
from sonorant.networks.proof import Comparison, Evidence
from sonorant.networks.targets import ONNX_FILE

V1 = {"resblock": "1", "upsample_rates": [8, 8, 2, 2], "upsample_kernel_sizes": [16, 16, 4, 4],
      "upsample_initial_channel": 512, "resblock_kernel_sizes": [3, 7, 11],
      "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
      "num_mels": 80, "n_fft": 1024, "hop_size": 256, "win_size": 1024,
      "sampling_rate": 22050, "fmin": 0, "fmax": 8000}  # fmt: skip
V2 = V1 | {"upsample_initial_channel": 128}
V3 = V1 | {"resblock": "2", "upsample_rates": [8, 8, 4], "upsample_kernel_sizes": [16, 16, 8],
           "upsample_initial_channel": 256, "resblock_kernel_sizes": [3, 5, 7],
           "resblock_dilation_sizes": [[1, 2], [2, 6], [3, 12]]}  # fmt: skip
TINY = V1 | {"upsample_initial_channel": 16}
TINY_V3 = V3 | {"upsample_initial_channel": 16}


def weights(config: dict, seed: int = 0) -> dict[str, np.ndarray]:
    """Of an official checkpoint: under the authors' names, weight norm not removed."""
    random = np.random.default_rng(seed)
    found: dict[str, np.ndarray] = {}

    def add(name: str, channels: int, *shape: int) -> None:
        found[f"{name}.bias"] = random.normal(0, 0.1, channels).astype(np.float32)
        found[f"{name}.weight_v"] = random.normal(size=shape).astype(np.float32)
        size = (shape[0], 1, 1)
        found[f"{name}.weight_g"] = random.uniform(0.5, 1.5, size).astype(np.float32)

    width = config["upsample_initial_channel"]
    add("conv_pre", width, width, config["num_mels"], 7)
    blocks = list(zip(config["resblock_kernel_sizes"], config["resblock_dilation_sizes"], strict=True))
    for level, kernel in enumerate(config["upsample_kernel_sizes"]):
        add(f"ups.{level}", width // 2, width, width // 2, kernel)
        width //= 2
        for i, (size, dilations) in enumerate(blocks):
            place = f"resblocks.{level * len(blocks) + i}"
            lists = ("convs1", "convs2") if config["resblock"] == "1" else ("convs",)
            for name in (f"{place}.{part}.{j}" for part in lists for j in range(len(dilations))):
                add(name, width, width, width, size)
    add("conv_post", 1, 1, width, 7)
    return found


def graph(config: dict, state: dict[str, np.ndarray]) -> onnx.ModelProto:
    """The generator, from the paper and the weights: weight norm by its formula, no torch."""
    nodes, values = [], {}

    def op(kind: str, *inputs: str, **attributes) -> str:
        nodes.append(helper.make_node(kind, inputs, [f"n{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    def conv(x: str, name: str, kind: str = "Conv", **attributes) -> str:
        v, g = state[f"{name}.weight_v"], state[f"{name}.weight_g"]
        values[f"{name}.w"] = g * v / np.sqrt((v.astype(np.float64) ** 2).sum((1, 2), keepdims=True))
        values[f"{name}.b"] = state[f"{name}.bias"]
        return op(kind, x, f"{name}.w", f"{name}.b", **attributes)

    def same(x: str, name: str, kernel: int, dilation: int = 1) -> str:
        pad = (kernel - 1) * dilation // 2
        return conv(x, name, dilations=[dilation], pads=[pad, pad])

    def leaky(x: str, slope: float = 0.1) -> str:
        return op("LeakyRelu", x, alpha=slope)

    x = same("mel", "conv_pre", 7)
    blocks = list(zip(config["resblock_kernel_sizes"], config["resblock_dilation_sizes"], strict=True))
    values["count"] = np.array(len(blocks), np.float32)
    for level, (rate, kernel) in enumerate(
        zip(config["upsample_rates"], config["upsample_kernel_sizes"], strict=True)
    ):
        pad = (kernel - rate) // 2
        x = conv(leaky(x), f"ups.{level}", "ConvTranspose", strides=[rate], pads=[pad, pad])
        heard = []
        for i, (size, dilations) in enumerate(blocks):
            place, y = f"resblocks.{level * len(blocks) + i}", x
            for j, dilation in enumerate(dilations):
                if config["resblock"] == "1":
                    inner = same(leaky(y), f"{place}.convs1.{j}", size, dilation)
                    y = op("Add", same(leaky(inner), f"{place}.convs2.{j}", size), y)
                else:
                    y = op("Add", same(leaky(y), f"{place}.convs.{j}", size, dilation), y)
            heard.append(y)
        x = op("Div", op("Sum", *heard), "count")
    nodes.append(helper.make_node("Tanh", [same(leaky(x, 0.01), "conv_post", 7)], ["audio"]))
    return helper.make_model(
        helper.make_graph(
            nodes,
            "generator",
            [helper.make_tensor_value_info("mel", TensorProto.FLOAT, ["batch", 80, "frames"])],
            [helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["batch", 1, "samples"])],
            [numpy_helper.from_array(np.asarray(v, np.float32), name) for name, v in values.items()],
        ),
        ir_version=10,
        opset_imports=[helper.make_opsetid("", 18)],
    )


def folder(place: Path, config: dict, checkpoint: bytes = b"weights") -> Path:
    """An official folder."""
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps(config))
    (place / "g_00000100").write_bytes(checkpoint)
    return place


def checkpoint_of(place: Path) -> Checkpoint:
    """As the family names it to its host."""
    from functools import partial

    text = (place / "config.json").read_text()
    return Checkpoint(place / "g_00000100", partial(generator, text), signature(parse(text)))


def exported(place: Path, home: Path, model: onnx.ModelProto) -> None:
    """Keep `model` as the proven export of the checkpoint in `place`."""

    def make(made: Path) -> Evidence:
        onnx.save(model, made / ONNX_FILE)
        return Evidence("a test's", 1e-4, (Comparison("one", {"audio": 0.0}),))

    one = checkpoint_of(place)
    Artefacts(home, described("cpu")).make(one.path, "export", one.recipe, make)

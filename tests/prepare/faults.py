"""Faults that conversions are known for, planted into tiny networks; and artefacts that are as they should be.

Both tables grow by a line: a fault is a network, what is wrong with what was derived from it, and the pass whose
bound it must not pass. An honest artefact is a network and a recipe.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from prepare import graphs
from sonorant.networks.signature import Feeds
from sonorant.prepare.passes import PASSES
from sonorant.prepare.passes.kind import Material, named

Plant = Callable[[onnx.ModelProto, tuple[Feeds, ...]], onnx.ModelProto]


@dataclass(frozen=True)
class Fault:
    """What is wrong, with what, and in the name of which pass."""

    name: str
    network: Callable[[Path], Path]
    plant: Plant
    by: str = "optimise"


def _weights(model: onnx.ModelProto, op: str) -> list[onnx.TensorProto]:
    """Of the operators of a kind, in order: their largest constants."""
    known = {w.name: w for w in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.op_type == op:
            mine = [known[name] for name in node.input if name in known]
            if mine:
                found.append(max(mine, key=lambda w: np.prod(w.dims)))
    return found


def changed(op: str, change: Callable[[np.ndarray], np.ndarray], which: int = 0) -> Plant:
    """One weight is another."""

    def plant(model: onnx.ModelProto, _: tuple[Feeds, ...]) -> onnx.ModelProto:
        weight = _weights(model, op)[which]
        value = change(numpy_helper.to_array(weight).copy())
        weight.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), weight.name))
        return model

    return plant


def attribute(op: str, name: str, value: object) -> Plant:
    """One operator is set otherwise."""

    def plant(model: onnx.ModelProto, _: tuple[Feeds, ...]) -> onnx.ModelProto:
        node = next(node for node in model.graph.node if node.op_type == op)
        kept = [a for a in node.attribute if a.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])
        return model

    return plant


def behind(*operators: tuple[str, list[np.ndarray], dict[str, object]], output: int = 0) -> Plant:
    """More operators before an output."""

    def plant(model: onnx.ModelProto, _: tuple[Feeds, ...]) -> onnx.ModelProto:
        last = next(n for n in model.graph.node if model.graph.output[output].name in n.output)
        x = last.output[0] = f"{last.output[0]}/before"
        for i, (op, constants, attributes) in enumerate(operators):
            names = []
            for j, value in enumerate(constants):
                names.append(f"planted/{i}/{j}")
                model.graph.initializer.append(numpy_helper.from_array(value, names[-1]))
            end = i == len(operators) - 1
            to = model.graph.output[output].name if end else f"planted/{i}"
            model.graph.node.append(helper.make_node(op, [x, *names], [to], **attributes))
            x = to
        return model

    return plant


def without_bias(model: onnx.ModelProto, _: tuple[Feeds, ...]) -> onnx.ModelProto:
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    del node.input[2]
    return model


def without_mask(model: onnx.ModelProto, _: tuple[Feeds, ...]) -> onnx.ModelProto:
    node = next(node for node in model.graph.node if node.op_type == "Less")
    node.op_type = "GreaterOrEqual"
    model.graph.initializer.append(numpy_helper.from_array(np.array(0), "planted"))
    node.input[1] = "planted"
    return model


def baked(model: onnx.ModelProto, feeds: tuple[Feeds, ...]) -> onnx.ModelProto:
    """The mask has the length that the exporter was shown."""
    node = next(node for node in model.graph.node if node.op_type == "Range")
    model.graph.initializer.append(numpy_helper.from_array(np.array(feeds[0]["feats"].shape[1]), "planted"))
    node.input[1] = "planted"
    return model


def overflowing(model: onnx.ModelProto, _: tuple[Feeds, ...]) -> onnx.ModelProto:
    """Converted to float16 although a layer goes beyond 65,504."""
    return PASSES["float16"].apply(named(model), Material())


def badly_calibrated(model: onnx.ModelProto, feeds: tuple[Feeds, ...]) -> onnx.ModelProto:
    """Static ranges of what is a hundred times as quiet as speech."""
    quiet = tuple({name: value * np.float32(0.01) for name, value in each.items()} for each in feeds)
    return PASSES["int8-static"].apply(named(model), Material(quiet))


def clipped_scale(model: onnx.ModelProto, _: tuple[Feeds, ...]) -> onnx.ModelProto:
    """An activation goes through 8 bits whose scale is an eighth of what it should be."""
    scale, zero = np.float32(0.125 / 127), np.int8(0)
    through = [("QuantizeLinear", [scale, zero], {}), ("DequantizeLinear", [scale, zero], {})]
    return behind(*[(op, list(map(np.asarray, c)), a) for op, c, a in through])(model, _)


def zeroed(w: np.ndarray) -> np.ndarray:
    return np.zeros_like(w)


def transposed(w: np.ndarray) -> np.ndarray:
    return w.T


def swapped(w: np.ndarray) -> np.ndarray:
    w[[0, 1]] = w[[1, 0]]
    return w


def reversed_kernel(w: np.ndarray) -> np.ndarray:
    return w[..., ::-1]


def holed(w: np.ndarray) -> np.ndarray:
    w.reshape(-1)[7] = np.nan
    return w


def of_another_checkpoint(w: np.ndarray) -> np.ndarray:
    return w + np.random.default_rng(9).normal(0, 0.1 * w.std(), w.shape).astype(w.dtype)


def coarse(w: np.ndarray) -> np.ndarray:
    step = np.abs(w).max() / 2
    return np.round(w / step).astype(w.dtype) * step


def loud(path: Path) -> Path:
    """The vocoder, one of its layers a hundred thousand times as loud as the next expects it."""
    graphs.vocoder(path)
    model = onnx.load(path)
    first = next(node for node in model.graph.node if node.op_type == "LeakyRelu")
    for name, factor, at in (("louder", 1e6, 0), ("quieter", 1e-6, 1)):
        model.graph.initializer.append(numpy_helper.from_array(np.float32(factor), name))
        model.graph.node.append(
            helper.make_node(
                "Mul", [first.input[0] if at == 0 else "louder/x", name], [f"{name}/x"], name=name
            )
        )
    first.input[0] = "quieter/x"
    nodes = list(model.graph.node)
    ordered = [n for n in nodes if n.name not in ("louder", "quieter")]
    place = ordered.index(first)
    ordered[place:place] = nodes[-2:]
    del model.graph.node[:]
    model.graph.node.extend(ordered)
    onnx.save(model, path)
    return path


def crop(by: int) -> Plant:
    """The output begins `by` steps late, and is as long as it was."""
    pads = np.array([0, 0, 0, 0, 0, by])
    start, end, axis = np.array([by]), np.array([np.iinfo(np.int64).max]), np.array([2])
    return behind(("Pad", [pads], {}), ("Slice", [start, end, axis], {}))


VOCODER, TRANSFORMER, MASKED = graphs.vocoder, graphs.transformer, graphs.masked

FAULTS = (
    Fault("not a number in float16", loud, overflowing, "float16"),
    Fault("a zeroed layer", VOCODER, changed("Conv", zeroed, 1), "int8-static"),
    Fault("a zeroed matrix", TRANSFORMER, changed("MatMul", zeroed, 3), "int8"),
    Fault("a transposed weight", TRANSFORMER, changed("MatMul", transposed), "int8"),
    Fault("a dropped bias", VOCODER, without_bias, "float16"),
    Fault("a clipped scale", VOCODER, clipped_scale, "int8-static"),
    Fault("a bad calibration", VOCODER, badly_calibrated, "int8-static"),
    Fault("a baked length", MASKED, baked, "int8"),
    Fault("a crop that is off by one", VOCODER, crop(1), "int8-static"),
    Fault("a hop that is off", VOCODER, crop(8), "int8-static"),
    Fault("swapped channels", VOCODER, changed("Conv", swapped), "float16"),
    Fault("swapped channels of a matrix", TRANSFORMER, changed("MatMul", swapped), "float16"),
    Fault("a reversed kernel", VOCODER, changed("Conv", reversed_kernel, 1), "int8-static"),
    Fault("wrong padding", VOCODER, attribute("Conv", "pads", [4, 2]), "int8-static"),
    Fault("wrong padding of an upsampling", VOCODER, attribute("ConvTranspose", "pads", [3, 5]), "int8-static"),
    Fault("a wrong mask", MASKED, without_mask, "float16"),
    Fault("a softmax over the wrong axis", TRANSFORMER, attribute("Softmax", "axis", 1), "int8"),
    Fault("a norm over the wrong axis", TRANSFORMER, attribute("LayerNormalization", "epsilon", 1.0), "float16"),
    Fault("another slope", VOCODER, attribute("LeakyRelu", "alpha", 0.2), "float16"),
    Fault("one weight that is not a number", VOCODER, changed("Conv", holed), "int8-static"),
    Fault("weights of another checkpoint", TRANSFORMER, changed("MatMul", of_another_checkpoint), "float16"),
    Fault("weights of two bits", TRANSFORMER, changed("MatMul", coarse, 4), "int8"),
    Fault("a table that is off by one row", TRANSFORMER, changed("Gather", lambda w: np.roll(w, 1, 0)), "int8"),
    Fault("another scale", VOCODER, behind(("Mul", [np.float32(0.9)], {})), "float16"),
    Fault("inverted polarity", VOCODER, behind(("Neg", [], {})), "int8-static"),
    Fault("an offset", VOCODER, behind(("Add", [np.float32(0.05)], {})), "float16"),
    Fault("rows of a batch that are one", MASKED,
          behind(("Gather", [np.array([0])], {"axis": 0})), "int8"),
    Fault("noise that was left in", VOCODER,
          behind(("Dropout", [np.float32(0.1), np.array(True)], {"seed": 3})), "int8-static"),
)  # fmt: skip

HONEST = (
    *((network, name) for network in (VOCODER, TRANSFORMER, MASKED) for name in
      ("slim", "opset", "float16", "bfloat16", "int8-static", "slim+float16")),
    *((network, name) for network in (TRANSFORMER, MASKED) for name in
      ("int8", "int8-weights", "slim+int8", "opset+bfloat16")),
    (VOCODER, "int8-percentile"), (MASKED, "int8-entropy"), (TRANSFORMER, "int4"), (VOCODER, "int8-tensorrt"), (MASKED, "int8-tensorrt"), (loud, "float16"),
)  # fmt: skip

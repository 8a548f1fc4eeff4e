"""One .tflite file with a signature for each bucket, from graphs whose sizes are all fixed.

Called as a program with one line of JSON on its standard input, which stays open: when it is closed, the
owner has died. What it says on standard output is JSON, a line each: how far it is, or why not.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

LENGTH = "length"
"""the input that says how much of the bucket is real"""


def main() -> None:
    """Translate what is asked for."""
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what TensorFlow prints is no answer

    def say(**told: Any) -> None:
        said.write(json.dumps(told) + "\n")
        said.flush()

    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_orphaned, daemon=True).start()
    say(share=0.0, doing="TensorFlow")
    from .value import Refused

    try:
        _write(asked, say)
    except Refused as error:
        say(refused=str(error))
    except Exception as error:  # whatever a strange graph makes TensorFlow say
        words = " ".join(str(error).split())
        say(refused=f"{type(error).__name__}: {words[:300]}")
    os._exit(0)


def _write(asked: dict[str, Any], say: Any) -> None:
    """asked: target, inputs (name, dtype, padded axes), outputs, buckets (name, the graph, shapes)."""
    import tensorflow as tf

    from .value import WEIGHTS

    functions = {}
    for i, bucket in enumerate(asked["buckets"]):
        say(share=(i + 1) / (2 * len(asked["buckets"]) + 2), doing=f"bucket {bucket['name']}")
        functions[bucket["name"]] = _function(asked, bucket)
    saved = str(Path(asked["scratch"]) / "saved")
    holder = tf.Module()
    holder.weights = list(WEIGHTS.values())
    tf.saved_model.save(holder, saved, signatures=functions)
    converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=list(functions))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    say(share=0.6, doing="writing")
    Path(asked["target"]).write_bytes(converter.convert())
    say(done=True)


def _function(asked: dict[str, Any], bucket: dict[str, Any]) -> Any:
    """A concrete function of the graph: inputs i0, i1 … and the length, outputs o0, o1 …

    An output o0_2 says how much of o0 is real along axis 2.
    """
    import onnx
    import tensorflow as tf

    from .operators import translated
    from .value import Refused, constant, made_of

    model = onnx.load(bucket["graph"])
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer}

    def compute(**fed: Any) -> dict[str, Any]:
        values: dict[str, Any] = {"": None}  # an input that is left out has no name
        for i, each in enumerate(asked["inputs"]):
            value = made_of(fed[f"i{i}"], False, len(bucket["shapes"][i]))
            value.times = dict.fromkeys(each["padded"], fed.get(LENGTH))
            value.clean = frozenset(value.times)
            values[each["name"]] = value
        values |= {name: constant(array) for name, array in weights.items()}
        for node in model.graph.node:
            if node.domain not in ("", "ai.onnx"):
                raise Refused(f"the operator {node.domain}.{node.op_type} is not translated")
            made = translated(node, [values[name] for name in node.input])
            values.update(zip(node.output, made, strict=False))
        outputs = {}
        for i, name in enumerate(asked["outputs"]):
            value = values[name]
            outputs[f"o{i}"] = tf.identity(value.as_first())
            outputs |= {f"o{i}_{axis}": tf.identity(length) for axis, length in value.times.items()}
        return outputs

    specs = {
        f"i{i}": tf.TensorSpec(bucket["shapes"][i], each["dtype"], name=f"i{i}")
        for i, each in enumerate(asked["inputs"])
    }
    if any(each["padded"] for each in asked["inputs"]):
        specs[LENGTH] = tf.TensorSpec((), tf.int32, name=LENGTH)
    return tf.function(compute, autograph=False).get_concrete_function(**specs)


def _orphaned() -> None:
    sys.stdin.read()
    os._exit(1)

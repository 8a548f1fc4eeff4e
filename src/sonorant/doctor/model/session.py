"""The last look at an .onnx or .ort file: it is loaded, and where its family is known run, as it would be."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from sonorant.doctor.model import operators
from sonorant.doctor.model.finding import ERROR, WARNING, Finding, Subject
from sonorant.errors import EngineError, ModelError, SonorantError
from sonorant.families.layouts import NetworkFile
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.signature import Signature

_CODES = {
    "name": "wrong-name",
    "extra": "wrong-name",
    "dtype": "wrong-dtype",
    "rank": "wrong-rank",
    "size": "wrong-size",
    "length": "baked-length",
}
"""kind of difference → code"""


def load(subject: Subject, device: str, network: NetworkFile | None) -> Iterator[Finding]:
    """`network`: what the family wants of the file."""
    where = subject.name
    try:
        engine = OnnxRuntime(subject.path, device=device)
    except EngineError as error:
        code = "provider-fell-back" if "fell back" in error.what else "provider-missing"
        yield Finding(code, ERROR, what=error.what, why=error.why, remedy=error.remedy, where=where)
        return
    except ModelError as error:
        yield _refused(subject, error)
        return
    if network is None:
        return
    try:
        signature = network.signature(engine.inputs, engine.outputs)
    except ModelError as error:
        yield Finding("wrong-name", ERROR, error.what, error.why, error.remedy, where)
        return
    differences = list(signature.differences(engine.inputs, engine.outputs))
    for difference in differences:
        told = difference.error(subject.path.name)
        yield Finding(_CODES[difference.kind], ERROR, told.what, told.why, told.remedy, where)
    if not differences:
        yield from _run(engine, signature, where)


def _run(engine: OnnxRuntime, signature: Signature, where: str) -> Iterator[Finding]:
    """At the smallest and at a typical size: what fails at one of them was exported for the other."""
    for size in ("min", "typical"):
        try:
            outputs = engine.prepare(signature.example(size=size))()
        except EngineError as error:
            yield Finding(
                "baked-length",
                ERROR,
                what=f"It loads, but does not run at its {size} length",
                why=error.why,
                remedy="Export it again with dynamic axes, and compare it at several lengths",
                where=where,
            )
            return
        broken = [n for n, v in outputs.items() if v.dtype.kind == "f" and not np.isfinite(v).all()]
        if broken:
            yield Finding(
                "nan-outputs",
                ERROR,
                what=f"It computes NaN or infinity from valid inputs: {', '.join(broken)}",
                why="Something inside overflows, as norms and softmax do in float16, or weights are damaged",
                remedy="Use the float32 model, or convert it again with those operators kept in float32",
                where=where,
            )
            return


def _refused(subject: Subject, error: SonorantError) -> Finding:
    """What ONNX Runtime said, told so that something can be done."""
    whole, where = str(error.__cause__ or error.why), subject.name
    said = _reason(whole)
    engine = error.what.removesuffix(f" cannot load {subject.path.name}")
    if "does not feed" in error.what:
        why = "The networks of speech take float32, float16, whole numbers and flags"
        # ONNX Runtime has loaded it: only what is here would not run it
        return Finding("wrong-dtype", WARNING, what=error.what, why=why, remedy=error.remedy, where=where)
    if match := re.search(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)", said):
        return operators.ir_too_new(subject, int(match[1]), int(match[2]), engine)
    if match := re.search(r"Opset (\d+) is under development .*till opset (\d+)", whole, re.DOTALL):
        return operators.opset_too_new(subject, int(match[1]), int(match[2]), engine)
    if "External data path" in said:
        return Finding(
            "external-refused",
            ERROR,
            what="The file with its weights is refused",
            why="ONNX Runtime takes no link out of the model's folder and no path that leaves it",
            remedy="Put the file itself beside the model, in place of a link",
            where=where,
        )
    if match := re.search(r"Could not find an implementation for (\S+)", said):
        return Finding(
            "no-kernel",
            ERROR,
            what=f"ONNX Runtime cannot compute {match[1]} in the types that the model has",
            why="A CPU computes fewer operators in float16, bfloat16 and small integers than a GPU",
            remedy="Use the float32 model here, or keep that operator in float32 when it is converted",
            where=where,
        )
    if subject.path.suffix.lower() == ".ort":
        return Finding(
            "ort-format",
            ERROR,
            what="This ONNX Runtime does not take that .ort file",
            why=said,
            remedy="Convert the .onnx model again with the ONNX Runtime that is installed: "
            "`python -m onnxruntime.tools.convert_onnx_models_to_ort FOLDER`",
            where=where,
        )
    return Finding(
        "invalid-graph",
        ERROR,
        what=f"{engine} cannot load it",
        why=said,
        remedy="Export it again with an up-to-date exporter; where it was downloaded so, fetch it again",
        where=where,
    )


def _reason(said: str) -> str:
    """Without ONNX Runtime's own names and places: "Unsupported model IR version: 99 …"."""
    line = re.sub(
        r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", (said.strip() or "It gives no reason").splitlines()[0]
    )
    line = re.sub(r"^Load model from .*? failed: ?", "", line)
    line = re.sub(r"^(/\S+|\w+)\.(cc|h):\d+ (.*\) |\w+ )?", "", line)
    return line[:300]

"""ONNX → a TensorRT engine, for the sizes that the signature allows and the GPU that is here.

Networks are strongly typed: precision is that of the ONNX file itself (float16 by the pass, int8 as
QuantizeLinear/DequantizeLinear of static ranges). TensorRT for RTX builds without a GPU, for several
kinds at once; such an engine is finished when it is first loaded on one.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonorant.catalogue.digests import size
from sonorant.confined import Progress, confined, report
from sonorant.errors import EngineError, ModelFileError, UnsupportedError
from sonorant.networks.engines.tensorrt_library import EMULATED, FP8, Gpu, Library, gpu, library, said
from sonorant.networks.prepared import SIZE, SOURCE_SIZE
from sonorant.networks.proof import Evidence
from sonorant.networks.signature import Signature
from sonorant.prepare import SECONDS, WORKSPACE
from sonorant.prepare.convert.bounded import LENGTHS, bounded
from sonorant.prepare.convert.converted import Converted
from sonorant.prepare.convert.dense import dense
from sonorant.prepare.convert.neutral import neutral
from sonorant.prepare.convert.profile import Profile, Shape, Span
from sonorant.prepare.convert.stft import plain
from sonorant.prepare.passes.kind import FLOAT8

if TYPE_CHECKING:
    from onnx import ModelProto


def convert(
    model: Path,
    signature: Signature,
    target: Path,
    *,
    axes: Mapping[str, Span] | None = None,
    inputs: Mapping[str, tuple[Shape, Shape, Shape]] | None = None,
    steps: int = 0,
    workspace_bytes: int = WORKSPACE,
    timing_cache: Path | None = None,
    use: str = "",
    seconds: float = SECONDS,
    memory_bytes: int = 0,
    progress: Progress | None = None,
) -> Converted:
    """Write an engine into the folder `target`, named by library, version and GPU (`key`), and what it is
    built for beside it, as JSON.

    axes, inputs: sizes, where they shall be others than the signature's (`Profile.of`). steps: for a network
    that gives its items durations, as many steps for each as it has room for (`bounded`); 0 = such a network
    is not taken. timing_cache: a file that keeps how fast tactics were, so that the next build is quick. use:
    "tensorrt" or "tensorrt-rtx".
    Nothing is proven here: parity needs the GPU. Raises MissingExtraError, RequestError for sizes that do not
    fit, UnsupportedError for a graph or precision that TensorRT does not run, ModelFileError for one that its
    parser does not take, EngineError where building fails or takes too long or too much memory.
    """
    chosen, found = library(use), gpu()
    profile = Profile.of(signature, axes, inputs)
    target.mkdir(parents=True, exist_ok=True)
    path = target / f"{key(chosen, found)}.engine"
    arguments = {
        "model": str(model.resolve()),
        "target": str(path.resolve()),
        "profile": profile.tree(),
        "steps": steps,
        "workspace_bytes": workspace_bytes,
        "timing_cache": str(timing_cache.resolve()) if timing_cache else "",
        "use": chosen.name,
        "capability": list(found.capability) if found else None,
    }
    built = confined(
        f"{__name__}:build", arguments, title=f"Building an engine of {model.name}",
        seconds=seconds, memory_bytes=memory_bytes, progress=progress,
    )  # fmt: skip
    described = {"gpu": found.name if found else None, **built}
    path.with_suffix(".json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    why = "it has not been run" if found else "it has not been run: there is no NVIDIA GPU here"
    figures = {
        SOURCE_SIZE: float(size(model)),
        SIZE: float(path.stat().st_size),
        "build, s": float(built["seconds"]),
    }
    evidence = Evidence("TensorRT beside ONNX Runtime", figures=figures, objection=why)
    return Converted(path, f"{chosen.name} {chosen.version}", evidence, tuple(built["notes"]))


def plan(
    model: Path, target: Path, profile: Profile, workspace_bytes: int = WORKSPACE, timing_cache: str = ""
) -> dict[str, Any]:
    """Write an engine to `target`, and as JSON beside it what it is built by and for, which is returned, too.

    In a child process. Raises what `convert` raises.
    """
    chosen, found = library(), gpu()
    capability = list(found.capability) if found else None
    built = build(
        str(model), str(target), profile.tree(), 0, workspace_bytes, timing_cache, chosen.name, capability
    )
    described = {"gpu": found.name if found else None, **built}
    target.with_suffix(".json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    return described


def key(chosen: Library, found: Gpu | None) -> str:
    """What can load an engine: another version refuses it, and on another GPU it is slow or fails."""
    return re.sub(r"[^a-z0-9.]+", "-", f"{chosen.name} {chosen.version} {found or 'any'}".lower())


def build(
    model: str,
    target: str,
    profile: dict[str, Any],
    steps: int,
    workspace_bytes: int,
    timing_cache: str,
    use: str,
    capability: list[int] | None,
) -> dict[str, Any]:
    """In a child process: rewrite, parse, build, write. How long it took, and what the parser warned of."""
    import time

    chosen = library(use)
    trt = chosen.module
    report(0.0, "read")
    log = _log(trt)
    builder = trt.Builder(log)
    # explicit batches are the only ones from 10 on, and strongly typed networks the only ones from 11 on
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    with tempfile.TemporaryDirectory(prefix="sonorant-") as scratch:
        taken = parser.parse_from_file(str(given(Path(model), Path(scratch), capability, steps)))
    if not taken:
        raise ModelFileError(
            f"{chosen.name} {chosen.version} does not take {Path(model).name}",
            why="; ".join(dict.fromkeys(said(parser.get_error(i)) for i in range(parser.num_errors))),
            remedy="Cut the graph so that this part runs on ONNX Runtime, or export it without this operator",
        )
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_bytes)
    config.add_optimization_profile(_profile(builder, network, profile))
    config.progress_monitor = _monitor(trt)
    cache = _timing_cache(config, Path(timing_cache)) if timing_cache else None
    started = time.monotonic()
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(
            f"{chosen.name} {chosen.version} could not build an engine of {Path(model).name}",
            why="; ".join(log.errors[-3:])[:600],
            remedy="Narrow the sizes, or allow it more workspace",
        )
    took = time.monotonic() - started
    Path(target).write_bytes(memoryview(plan))
    if cache is not None:
        Path(timing_cache).write_bytes(memoryview(config.get_timing_cache().serialize()))
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    fed = [tensor.name for tensor in inputs if tensor.is_shape_tensor]
    cut = any(network.get_output(i).name == LENGTHS for i in range(network.num_outputs))
    short = [f"{steps} steps for each item: what would be longer is cut short"] if cut else []
    return {
        "library": f"{chosen.name} {chosen.version}",
        "profile": profile["shapes"],
        "values": {name: profile["values"][name] for name in fed if name in profile["values"]},
        "seconds": round(took, 3),
        "layers": network.num_layers,
        "notes": [*short, *log.warnings[:20]],
    }


def given(model: Path, folder: Path, capability: list[int] | None = None, steps: int = 0) -> Path:
    """Write what the parser is given in a file's place; its weights lie beside it, as a file may not have
    more than 2 GB. Raises UnsupportedError for what TensorRT does not run."""
    import onnx

    read = onnx.load(model)
    _refuse(read, tuple(capability) if capability else None)
    path = folder / model.name
    onnx.save(rewritten(read, steps), path, save_as_external_data=True, location="weights")
    return path


def rewritten(model: ModelProto, steps: int = 0) -> ModelProto:
    """The same, without what TensorRT does not take though it need not be there; outputs have their types."""
    from onnx import shape_inference

    model = neutral(dense(plain(model)))
    if steps:
        model = bounded(model, steps)
    if any(not output.type.WhichOneof("value") for output in model.graph.output):
        model = shape_inference.infer_shapes(model)
    return model


def _refuse(model: ModelProto, capability: tuple[int, ...] | None) -> None:
    graph = model.graph
    emulated = sorted({node.op_type for node in graph.node} & set(EMULATED))
    if emulated:
        raise UnsupportedError(
            f"TensorRT does not run dynamically quantised graphs: this one has {', '.join(emulated)}",
            why="It wants ranges of activations that are known when the engine is built",
            remedy="Quantise the float32 model with static ranges, as QuantizeLinear and DequantizeLinear",
        )
    if any(weight.data_type in FLOAT8 for weight in graph.initializer):
        refuse_float8(capability)


def refuse_float8(capability: tuple[int, ...] | None) -> None:
    """Raises UnsupportedError for a GPU that has none; None = it is not known."""
    if capability is not None and capability < FP8:
        raise UnsupportedError(
            f"This GPU has no FP8: its compute capability is {capability[0]}.{capability[1]}",
            why="Tensor cores compute in it from 8.9 on (Ada, Hopper)",
            remedy="Quantise to int8, or convert to float16",
        )


def _profile(builder: Any, network: Any, wanted: dict[str, Any]) -> Any:
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        if tensor.name not in wanted["shapes"]:
            raise ModelFileError(
                f"The model wants an input {tensor.name!r} that its signature does not have",
                remedy="Use the model file that the card names",
            )
        if not tensor.is_shape_tensor:
            profile.set_shape(tensor.name, *wanted["shapes"][tensor.name])
        elif tensor.name in wanted["values"]:
            profile.set_shape_input(tensor.name, *wanted["values"][tensor.name])
        else:
            raise UnsupportedError(
                f"{tensor.name} holds sizes of other tensors, which an engine has to be built for",
                why="The signature does not say between which values they are",
                remedy="Declare its smallest and largest values, "
                "or export the model so that sizes follow from the shapes of its inputs",
            )
    return profile


def _timing_cache(config: Any, path: Path) -> Any:
    """One of another GPU or version is not taken up, and then written anew."""
    kept = path.read_bytes() if path.exists() else b""
    cache = config.create_timing_cache(kept) or config.create_timing_cache(b"")
    config.set_timing_cache(cache, False)
    return cache


def _log(trt: Any) -> Any:
    class Log(trt.ILogger):  # type: ignore[misc]  # no types
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []
            self.warnings: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.errors.append(message.strip())
            elif severity == trt.ILogger.WARNING and message not in self.warnings:
                self.warnings.append(message.strip())

    return Log()


def _monitor(trt: Any) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # no types
        """Phases are nested; the share is that of the outermost."""

        def __init__(self) -> None:
            super().__init__()
            self.outer, self.steps = "", 1

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            if not parent:
                self.outer, self.steps = phase, max(1, steps)

        def step_complete(self, phase: str, step: int) -> bool:
            if phase == self.outer:
                report(min(1.0, (step + 1) / self.steps), f"build: {phase}")
            return True

        def phase_finish(self, phase: str) -> None:
            pass

    return Monitor()

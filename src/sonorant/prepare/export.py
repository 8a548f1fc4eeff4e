"""torch → ONNX: by both exporters, of which the one that proves right wins, and of two right ones the faster.

Exporters fail silently: the legacy one bakes in lengths of Python loops and attention layers, the newer one
specialises on the sizes that it was shown. So what they wrote is run beside torch at several lengths and
batch sizes, none of them those of the export. The open axes come from the signature.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from sonorant.confined import Progress, confined, report
from sonorant.errors import EngineError, SonorantError
from sonorant.networks.artefacts import Artefact, Artefacts
from sonorant.networks.checkpoint import Checkpoint
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.torch import computed, in_one_line, load_module
from sonorant.networks.proof import Comparison, Evidence, compare
from sonorant.networks.signature import BATCH, Array, Axis, Feeds, Signature
from sonorant.networks.targets import ONNX_FILE
from sonorant.prepare import SECONDS

OPSET, IR = 18, 10
"""what is written; onnx itself would write newer ones than ONNX Runtime reads"""
TOLERANCE = 1e-4
"""of the largest output, or of 1 where that is more: −80 dB. Another order of the same sums comes to 1e-5"""
ROUNDS = 5
FASTER = 1.05
"""times as fast as the other: less is chance, and the newer exporter is preferred"""
CLAIM = "ONNX Runtime on the export beside torch, at several lengths and batch sizes"


@dataclass(frozen=True, slots=True)
class Exported:
    """An export that computes what its module does."""

    exporter: str
    """dynamo or legacy"""
    evidence: Evidence


def export(module: Any, signature: Signature, target: Path, *, tolerance: float = TOLERANCE) -> Exported:
    """Write `module`, a torch.nn.Module whose arguments are the signature's inputs by name, to `target`.

    Raises EngineError where neither export computes what the module does: with where each of them differs.
    """
    module = module.eval().requires_grad_(False)
    names = [tensor.name for tensor in signature.outputs]
    references = [(data, feeds, computed(module, feeds, names)) for data, feeds in cases(signature)]
    scale = max(
        1.0, *(float(np.abs(v).max(initial=0)) for _, _, outputs in references for v in outputs.values())
    )
    files = {name: target.with_name(f"{target.stem}.{name}.onnx") for name in EXPORTERS}
    right: dict[str, tuple[OnnxRuntime, tuple[Comparison, ...]]] = {}
    faults: dict[str, str] = {}
    try:
        for number, (name, write) in enumerate(EXPORTERS.items()):
            report(number / 3, f"export by {name}")
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # what matters of them is found by running the export
                    write(module, signature, files[name])
                _pin(files[name])
                engine = OnnxRuntime(files[name])
                signature.conforms(engine.inputs, engine.outputs, files[name].name)
            except Exception as error:  # exporters raise whatever torch, onnx or their own code does
                faults[name] = in_one_line(error)
                continue
            compared = tuple(_compared(engine, *reference) for reference in references)
            faults[name] = Evidence(CLAIM, tolerance * scale, compared).fault
            if not faults[name]:
                right[name] = engine, compared
        if not right:
            raise EngineError(
                f"{type(module).__name__} cannot be exported to ONNX",
                why="; ".join(f"{name}: {fault}" for name, fault in faults.items()),
                remedy="Serve it by torch; or write its forward without what depends on lengths in Python",
            )
        report(2 / 3, "time the exports")
        feeds = signature.example()
        runs: dict[str, Callable[[], Any]] = {
            name: engine.prepare(feeds) for name, (engine, _) in right.items()
        }
        seconds = _seconds({**runs, "torch": lambda: computed(module, feeds, names)})
        best = min(right, key=lambda name: seconds[name] * (1 if name == "dynamo" else FASTER))
        files[best].replace(target)
        figures = {f"{name}, ms": 1000 * value for name, value in seconds.items()}
        figures["size, bytes"] = float(target.stat().st_size)
        return Exported(best, Evidence(CLAIM, tolerance * scale, right[best][1], figures))
    finally:
        for file in files.values():
            file.unlink(missing_ok=True)


def export_checkpoint(
    checkpoint: Checkpoint,
    artefacts: Artefacts,
    *,
    seconds: float = SECONDS,
    memory_bytes: int = 0,
    progress: Progress | None = None,
) -> Artefact:
    """The proven export of a checkpoint, made in a child process and kept; again where it had been made.

    From then on its model runs on ONNX Runtime. Raises EngineError where it cannot be proven, ends
    unexpectedly, or takes too long; ModelFileError for a file that is no checkpoint of the module, and
    MissingExtraError without torch.
    """

    def make(folder: Path) -> Evidence:
        build, arguments = checkpoint.builder
        told = confined(
            f"{__name__}:_in_child",
            {
                "path": str(checkpoint.path),
                "build": build,
                "arguments": arguments,
                "signature": checkpoint.signature.tree(),
                "target": str(folder / ONNX_FILE),
            },
            title=f"Exporting {checkpoint.path.name}",
            seconds=seconds,
            memory_bytes=memory_bytes,
            progress=progress,
        )
        comparisons = tuple(Comparison(data, differences) for data, differences in told["comparisons"])
        return Evidence(CLAIM, told["tolerance"], comparisons, told["figures"])

    return artefacts.make(checkpoint.path, "export", checkpoint.recipe, make)


def _in_child(
    path: str, build: str, arguments: list[Any], signature: dict[str, Any], target: str
) -> dict[str, Any]:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    where, _, name = build.partition(":")
    declared = Signature.of(signature)
    module = load_module(Path(path), lambda: getattr(import_module(where), name)(*arguments))
    evidence = export(module, declared, Path(target)).evidence
    return {
        "comparisons": [(c.data, dict(c.differences)) for c in evidence.comparisons],
        "tolerance": evidence.tolerance,
        "figures": dict(evidence.figures),
    }


def cases(signature: Signature) -> Iterator[tuple[str, dict[str, Array]]]:
    """Feeds to compare on, and what they are: the shortest length and others, one row and several."""
    for number, (length, rows) in enumerate(((0.0, 1), (0.37, 3), (1.0, 1), (1.73, 2))):
        sizes: dict[str, Any] = {axis.name: _size(axis, length) for axis in axes(signature)}
        if any(BATCH in tensor.dims for tensor in signature.inputs):
            sizes[BATCH.name] = rows
        words = ", ".join(f"{size} {name}" for name, size in sizes.items())
        yield words or "one size", signature.example(seed=number, **sizes)


def axes(signature: Signature) -> list[Axis]:
    """Those of the inputs whose size may change, but for the batch."""
    dims = (dim for tensor in signature.inputs for dim in tensor.dims)
    return list(dict.fromkeys(dim for dim in dims if isinstance(dim, Axis) and dim != BATCH))


def _size(axis: Axis, times: float) -> int:
    """So many times the typical size, within the axis' bounds."""
    size = math.ceil(times * max(axis.typical, axis.min))
    return max(axis.min, min(size, axis.max or size))


def _shown(signature: Signature) -> dict[str, Array]:
    """What an exporter is shown: two rows, as a size of one is taken to be constant; no length of `cases`."""
    sizes: dict[str, Any] = {axis.name: _size(axis, 0.61) for axis in axes(signature)}
    if any(BATCH in tensor.dims for tensor in signature.inputs):
        sizes[BATCH.name] = 2
    return signature.example(**sizes)


def _named(signature: Signature) -> dict[str, dict[int, str]]:
    """Input or output → its open dimensions by name."""
    return {
        tensor.name: {i: dim.name for i, dim in enumerate(tensor.dims) if isinstance(dim, Axis)}
        for tensor in (*signature.inputs, *signature.outputs)
    }


def _dynamo(module: Any, signature: Signature, path: Path) -> None:
    import torch

    names = _named(signature)
    torch.onnx.export(
        module,
        kwargs=_tensors(_shown(signature)),
        f=str(path),
        input_names=[tensor.name for tensor in signature.inputs],
        output_names=[tensor.name for tensor in signature.outputs],
        dynamic_shapes={tensor.name: names[tensor.name] for tensor in signature.inputs},
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def _legacy(module: Any, signature: Signature, path: Path) -> None:
    import torch

    mha = torch.backends.mha
    fast = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)  # ONNX has no word for a whole layer
    try:
        torch.onnx.export(
            module,
            kwargs=_tensors(_shown(signature)),
            f=str(path),
            input_names=[tensor.name for tensor in signature.inputs],
            output_names=[tensor.name for tensor in signature.outputs],
            dynamic_axes=_named(signature),
            opset_version=OPSET,
            dynamo=False,
        )
    finally:
        mha.set_fastpath_enabled(fast)


EXPORTERS: Mapping[str, Callable[[Any, Signature, Path], None]] = {"dynamo": _dynamo, "legacy": _legacy}


def _tensors(feeds: Feeds) -> dict[str, Any]:
    import torch

    return {name: torch.from_numpy(feed) for name, feed in feeds.items()}


def _pin(path: Path) -> None:
    """The version of the file's own format that ONNX Runtime reads."""
    import onnx

    model = onnx.load(path)
    model.ir_version = min(model.ir_version, IR)
    onnx.save(model, path)


def _compared(engine: OnnxRuntime, data: str, feeds: Feeds, reference: Mapping[str, Array]) -> Comparison:
    """A run that fails differs by everything."""
    try:
        return compare(data, reference, engine.prepare(feeds)())
    except SonorantError:
        return Comparison(data, dict.fromkeys(reference, math.inf))


def _seconds(runs: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """The shortest of several runs of each, in turns."""
    best = dict.fromkeys(runs, math.inf)
    for _ in range(ROUNDS):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - began)
    return best

"""Models that hear with faults in them: their folder, or the network they load, with other weights in it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx

import held_out_faults as plant
import sonorant
from held_out_faults import UNHEARD, Plant, Values
from held_out_gate import FAULT, HONEST, Found, catalogue, chosen, found, loaded
from sonorant.networks import ort_format
from sonorant.networks.engines.engine import Engine
from sonorant.prepare.making import derive
from sonorant.prepare.passes import recipe
from sonorant.prepare.quality import Figures, detection, speakers, transcription
from sonorant.prepare.quality.recordings import Recording, recorded, spoken
from sonorant.prepare.subject import Subject
from sonorant.replica.host import ReplicaHost
from sonorant.tasks import AudioChunk

DECODER = "/model/decoder/layers.2"
HEADS = plant.swapped(1, slice(0, 36), slice(36, 72))
MOONSHINE: dict[str, tuple[str, str, int, Callable[[Values], Values]]] = {
    "values of two heads swapped": ("encoder", "/layers.2/self_attn/v_proj/MatMul_quant", 1, HEADS),
    "queries of all heads off by one": (
        "encoder", "/layers.2/self_attn/q_proj/MatMul_quant", 1, lambda values: np.roll(values, 36, 1),
    ),
    "gamma of a LayerNorm lost": ("encoder", "/layers.2/input_layernorm/LayerNormalization", 1, np.ones_like),
    "gamma of a LayerNorm 10% larger": (
        "encoder", "/layers.2/input_layernorm/LayerNormalization", 1, plant.times(1.1),
    ),
    "rotary frequencies 10% higher": ("encoder", "/rotary_emb/Expand", 0, plant.times(1.1)),
    "a kernel flipped in time": ("encoder", "/conv2/Conv", 1, plant.flipped),
    "a kernel off by one frame": ("encoder", "/conv3/Conv", 1, plant.rolled(2)),
    "a layer in 3 bits": ("encoder", "/layers.2/mlp/fc1/MatMul_quant", 1, plant.bits(3)),
    "a scale of half": ("encoder", "/layers.2/mlp/fc2/MatMul_quant", 2, plant.times(0.5)),
    "a zero point off by 16": ("encoder", "/layers.2/self_attn/o_proj/MatMul_quant", 3, lambda at: at - 16),
    "bias of a layer lost": ("encoder", "/layers.2/mlp/fc1/MatMul_quant", 4, plant.zeroed),
    "vocabulary off by one": ("decoder", "/model/decoder/embed_tokens/Gather", 0, plant.rolled(0)),
    "columns of the output off by one": ("decoder", "/proj_out/MatMul_quant", 1, plant.rolled(1)),
    "keys of two heads swapped": ("decoder", f"{DECODER}/encoder_attn/k_proj/MatMul_quant", 1, HEADS),
    "gamma of the last norm lost": ("decoder", "/model/decoder/norm/LayerNormalization", 1, np.ones_like),
    "bias of the decoder's layer lost": ("decoder", f"{DECODER}/mlp/fc1/MatMul_quant", 4, plant.zeroed),
    "rows of a matrix backwards": (
        "decoder", f"{DECODER}/self_attn/o_proj/MatMul_quant", 1, lambda values: values[::-1],
    ),
}  # fmt: skip

SILERO: dict[str, Plant] = {
    "a kernel flipped in time": plant.weight("encoder.2.weight", plant.flipped),
    "bins off by one": plant.weight("encoder.0.weight", plant.rolled(1)),
    "the state is forgotten": plant.forgotten("h", (1, 1, 128)),
    "the cell is forgotten": plant.forgotten("c", (1, 1, 128)),
    "gates of the recurrence swapped": plant.weight(
        "onnx::LSTM_210", plant.swapped(1, slice(0, 128), slice(128, 256))
    ),
    "bias of the output lost": plant.weight("output.bias", plant.zeroed),
    "bias of a layer lost": plant.weight("encoder.1.bias", plant.zeroed),
    "a layer in 3 bits": plant.weight("encoder.3.weight", plant.bits(3)),
    "the recurrence in 4 bits": plant.weight("onnx::LSTM_209", plant.bits(4)),
    "output twice as steep": plant.weight("output.weight", plant.times(2)),
    "an activation clipped": plant.behind("/Relu_1_output_0", "Clip", 0.0, 0.5),
    "energies for magnitudes": plant.instead("/stft/Sqrt", "Identity"),
}


def campplus_faults(model: onnx.ModelProto) -> dict[str, Plant]:
    """Layers by their order."""
    known = {each.name for each in model.graph.initializer}
    convs = [n.name for n in model.graph.node if n.op_type == "Conv" and n.input[1] in known]
    relus = [n.output[0] for n in model.graph.node if n.op_type == "Relu"]
    return {
        "the first kernel turned in frequency": plant.taken(convs[0], 1, lambda w: w[:, :, ::-1]),
        "a kernel flipped in time": plant.taken(convs[1], 1, plant.flipped),
        "bins off by one": plant.taken(convs[5], 1, plant.rolled(2)),
        "a layer of the head lost": plant.taken(convs[3], 1, plant.zeroed),
        "a layer in 3 bits": plant.taken(convs[10], 1, plant.bits(3)),
        "the last layer in 4 bits": plant.taken(convs[-1], 1, plant.bits(4)),
        "the last layer in 3 bits": plant.taken(convs[-1], 1, plant.bits(3)),
        "weights of the last layer backwards": plant.taken(convs[-1], 1, lambda w: w[:, ::-1]),
        "statistics swapped": plant.taken(
            convs[-1], 1, lambda w: np.concatenate([w[:, w.shape[1] // 2 :], w[:, : w.shape[1] // 2]], 1)
        ),
        "channels swapped": plant.taken(convs[20], 1, plant.swapped(0, slice(0, 8), slice(8, 16))),
        "an activation clipped": plant.behind(relus[0], "Clip", 0.0, 1.0),
        "a rectifier lost": plant.behind(relus[2], "Neg"),
    }


@contextlib.contextmanager
def computing(file: bytes | None) -> Iterator[None]:
    """Models that are loaded here have this network in place of their own."""
    engine = ReplicaHost.engine

    def other(self: ReplicaHost, network: str, path: Path, **more: Any) -> Engine:
        if file:
            return self.session(network, path, derived=file)
        return engine(self, network, path, **{**more, "published": True})

    def checkpoint(self: ReplicaHost, network: str, path: Path, build: Any, signature: Any) -> Engine:
        return other(self, network, path)

    with mock.patch.object(ReplicaHost, "engine", other), contextlib.ExitStack() as stack:
        if file:
            stack.enter_context(mock.patch.object(ReplicaHost, "torch", checkpoint))
        yield


def hearing(name: str, only: list[str]) -> Iterator[Found]:
    kind = {"moonshine-tiny": "transcription", "silero-vad": "vad", "campplus": "speaker"}[name]
    heard = recorded(("en",)) if name == "moonshine-tiny" else recorded()
    if name == "moonshine-tiny":
        heard = [heard[0], *spoken("en", 8)]

    def answers(model: sonorant.Model, data: list[Recording]) -> list[Any]:
        if kind == "transcription":
            return [model.transcribe(one.audio).text for one in data]
        if kind == "vad":
            return [model.detect(one.audio).result() for one in data]
        return [model.embed(piece).result() for _, piece in pieces(data)]

    def beside(candidate: list[Any]) -> Figures:
        if kind == "transcription":
            return transcription.compare(reference, candidate, heard)
        if kind == "vad":
            return detection.compare(reference, candidate, [one.audio.seconds for one in heard])
        return speakers.compare(reference, candidate, [who for who, _ in pieces(heard)])

    def asked(
        place: str, file: bytes | None = None, data: list[Recording] = heard, **options: Any
    ) -> Figures:
        with computing(file):
            model = sonorant.load(place, onnxruntime=options)
        try:
            return beside(answers(model, data))
        finally:
            model.close()

    model = sonorant.load(name)
    reference = answers(model, heard)
    model.close()
    if name == "moonshine-tiny":
        source = catalogue().ensure(catalogue().find(name))
        for label, (part, node, place, change) in chosen(MOONSHINE, only).items():
            with tempfile.TemporaryDirectory() as folder:
                for file in source.iterdir():
                    data = file.read_bytes()
                    if file.name.startswith(part):
                        data = altered(file, node, place, change)
                    (Path(folder) / file.name).write_bytes(data)
                yield found(name, label, FAULT, partial(asked, folder))
    else:
        host, _ = loaded(name)
        seen = host.heard[0]
        assert seen.network is not None
        subject = Subject(name, seen.path, seen.network[1], (), seen.exposed, seen.options)
        original = subject.model().SerializeToString()
        faults = SILERO if kind == "vad" else campplus_faults(subject.model())
        for label, change_ in chosen(faults, only).items():
            changed = onnx.load_model_from_string(original)
            change_(changed)
            yield found(name, label, FAULT, partial(asked, name, changed.SerializeToString()))
        for label, file_ in prepared(subject):
            yield found(name, label, HONEST, partial(asked, name, file_))
    for threads in (1, 2, 3):
        run = partial(asked, name, None, intra_op_num_threads=threads)
        yield found(name, f"{threads} threads", HONEST, run)
    for label in ("polarity", "dither at -90 dB", "one sample late", "0.1 dB quieter", "20 bits"):
        other = [
            replace(
                one,
                audio=AudioChunk(
                    np.asarray(UNHEARD[label](one.audio.samples, one.audio.sample_rate), np.float32),
                    one.audio.sample_rate,
                ),
            )
            for one in heard
        ]
        yield found(name, f"{label} in what it hears", HONEST, partial(asked, name, None, other))


def prepared(subject: Subject) -> Iterator[tuple[str, bytes]]:
    """What `sonorant prepare` makes, with its proof and its mending."""
    for name in ("slim", "optimise", "opset", "slim+optimise+opset", "float16", "bfloat16"):
        with tempfile.TemporaryDirectory() as folder:
            evidence = derive(Path(folder), subject, recipe(name))
            if not evidence.fault:
                yield name, (Path(folder) / "model.onnx").read_bytes()


def pieces(recordings: list[Recording]) -> list[tuple[int, AudioChunk]]:
    """Four of 3 s of each speaker."""
    size = speakers.PIECE_SECONDS
    return [
        (who, AudioChunk(one.audio.samples[round(at * size * rate) : round((at + 1) * size * rate)], rate))
        for who, one in enumerate(recordings)
        for rate in [one.audio.sample_rate]
        for at in range(speakers.PIECES)
        if (at + 1) * size <= one.audio.seconds
    ]


def altered(path: Path, node: str, place: int, change: Callable[[Values], Values]) -> bytes:
    """An .ort file in which an operator's constant is another of the same shape."""
    graph = ort_format.read(path, "else_branch")
    before = graph.weights[graph.nodes[node].inputs[place]]
    after = np.asarray(change(before.copy()), before.dtype, order="C")
    assert after.shape == before.shape
    assert not np.array_equal(after, before)
    whole = before
    while isinstance(whole, np.ndarray):
        whole = whole.base  # type: ignore[assignment]
    start = (
        before.__array_interface__["data"][0] - np.frombuffer(whole, np.uint8).__array_interface__["data"][0]
    )
    data = bytearray(path.read_bytes())
    data[start : start + before.nbytes] = after.tobytes()
    return bytes(data)

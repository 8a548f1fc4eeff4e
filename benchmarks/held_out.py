"""The gate against faults, changes and models that had no part in setting its bounds.

    pip install 'sonorant[quality,torch,prepare]'
    python benchmarks/held_out.py [kokoro hifigan moonshine-tiny silero-vad campplus] [--judges] [--json]

thresholds.toml was laid between the changes of planted.py, made to hibari and Piper's joe. Here faults are
planted in networks of other models (held_out_faults.py: heads swapped, kernels flipped in time, rows off by
one, weights of few bits …), in the bytes of Moonshine's files, and on samples; beside them stand what
`sonorant prepare` makes, other numbers of threads, and what nobody hears. A voice says three sentences, a
vocoder says two of them again, recognisers hear people and eight sentences. `--judges`: DNSMOS, DistillMOS,
CAM++ and a recogniser listen as well.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx

import held_out_faults as plant
import machine
import sonorant
from held_out_faults import SOUNDS, UNHEARD, Plant, Values
from sonorant.catalogue import Catalogue
from sonorant.errors import ModelFileError, SonorantError
from sonorant.families import family
from sonorant.networks import ort_format
from sonorant.networks.checkpoint import exported
from sonorant.networks.engines.engine import Engine
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.prepare.export import export_checkpoint
from sonorant.prepare.gate import judge, thresholds
from sonorant.prepare.making import derive
from sonorant.prepare.parity import engine_on
from sonorant.prepare.passes import recipe
from sonorant.prepare.passes.kind import Material, named
from sonorant.prepare.quality import Figures, detection, speakers, speech, transcription
from sonorant.prepare.quality.judges import Judges, judges
from sonorant.prepare.quality.recordings import Recording, recorded, spoken
from sonorant.prepare.record import RecordingHost
from sonorant.prepare.subject import Subject
from sonorant.replica.device import Device
from sonorant.replica.host import ReplicaHost
from sonorant.settings import load_settings
from sonorant.tasks import AudioChunk, SpeechRequest
from sonorant.text.segment import once

TEXTS = ("Where did you put the keys?", "The meeting has been moved to Thursday.", "How much is it?")
FAULT, HONEST = "fault", "honest"


@dataclass(frozen=True)
class Found:
    """What the gate said of one change."""

    model: str
    change: str
    kind: str
    figures: Figures | None
    failed: tuple[str, ...]
    why: str = ""
    """it does not run"""

    @property
    def right(self) -> bool:
        return bool(self.failed or self.why) == (self.kind == FAULT)


def found(model: str, change: str, kind: str, answer: Callable[[], Figures]) -> Found:
    try:
        figures = answer()
    except SonorantError as error:
        return Found(model, change, kind, None, (), str(error.why or error))
    verdict = judge(figures, thresholds())
    return Found(model, change, kind, figures, tuple(each.figure for each in verdict.failed))


# Voices and vocoders: networks on the feeds that speech brings about


@dataclass
class Sounding:
    """A network whose output is sound."""

    subject: Subject
    output: str
    rate: int
    texts: tuple[str, ...]

    def sounds(self, file: bytes, feeds: tuple[Any, ...] = (), **options: Any) -> list[AudioChunk]:
        chosen = OnnxRuntimeOptions({**self.subject.options, **options, "log_severity_level": 4})
        engine = OnnxRuntime(self.subject.path, chosen, "cpu", derived=file)
        try:
            made = [engine.prepare(each)()[self.output] for each in feeds or self.subject.recorded]
        finally:
            engine.close()
        return [AudioChunk(np.asarray(each, np.float32).reshape(-1), self.rate) for each in made]


def kokoro() -> Sounding:
    host, pipeline = loaded("kokoro")

    async def say() -> None:
        for text in TEXTS:
            async for _ in pipeline.synthesize(SpeechRequest(model="kokoro", voice="bf_emma"), once(text)):
                pass

    heard = host.heard[0]
    heard.feeds.clear()
    asyncio.run(say())
    assert heard.network is not None
    subject = Subject("kokoro", heard.path, heard.network[1], tuple(heard.feeds), (), heard.options)
    return Sounding(subject, "audio", 24_000, TEXTS)


def hifigan() -> Sounding:
    from hifigan import features
    from sonorant.families.hifigan.config import parse

    host, _ = loaded("hifigan")
    heard = host.heard[0]
    config = parse((catalogue().ensure(catalogue().find("hifigan")) / "config.json").read_text())
    mels = []
    for one in spoken("en", 12)[2:4]:
        import soxr

        mel = features(config)
        samples = soxr.resample(one.audio.samples, one.audio.sample_rate, config.sampling_rate)
        mels.append(np.concatenate([mel.process(samples.astype(np.float32)), mel.flush()], axis=1))
    feeds = tuple({"mel": mel[np.newaxis]} for mel in mels)
    assert heard.network is not None
    subject = Subject("hifigan", heard.path, heard.network[1], feeds, (), heard.options)
    return Sounding(subject, "audio", config.sampling_rate, ())


def catalogue() -> Catalogue:
    return Catalogue(load_settings().catalogue)


def loaded(name: str) -> tuple[RecordingHost, Any]:
    """Its pipeline on engines that remember; a checkpoint is exported where it has not been."""
    found_in = catalogue()
    card = found_in.find(name)
    device = Device("cpu")
    host = RecordingHost(card, found_in, device, {})
    pipeline = family(card.family).load(card, found_in.ensure(card), host)
    missing = [one for one in host.checkpoints if not exported(one, host.artefacts)]
    for one in missing:
        export_checkpoint(one, host.artefacts)
    if missing:
        host = RecordingHost(card, found_in, device, {})
        pipeline = family(card.family).load(card, found_in.ensure(card), host)
    return host, pipeline


ALBERT = "encoder.bert.encoder.albert_layer_groups.0.albert_layers.0"
GENERATOR = "/decoder/decoder/generator"
KOKORO: dict[str, Plant] = {
    "queries of two heads swapped": plant.weight(
        "onnx::MatMul_6548_3_quantized", plant.swapped(1, slice(0, 64), slice(64, 128))
    ),
    "values of two heads swapped": plant.weight(
        "onnx::MatMul_6554_3_quantized", plant.swapped(1, slice(0, 64), slice(64, 128))
    ),
    "positional embedding off by one": plant.weight(
        "encoder.bert.embeddings.position_embeddings.weight_quantized", plant.rolled(0)
    ),
    "phonemes off by one": plant.weight("encoder.text_encoder.embedding.weight_quantized", plant.rolled(0)),
    "gamma of a LayerNorm 10% larger": plant.weight("encoder.text_encoder.cnn.2.1.gamma", plant.times(1.1)),
    "gamma of a LayerNorm lost": plant.weight(f"{ALBERT}.attention.LayerNorm.weight", np.ones_like),
    "bias of a LayerNorm lost": plant.weight("encoder.text_encoder.cnn.2.1.beta", plant.zeroed),
    "durations rounded down": plant.instead("/encoder/Round", "Floor"),
    "an upsampling kernel flipped in time": plant.taken(f"{GENERATOR}/ups.0/ConvTranspose", 1, plant.flipped),
    "a dilation of 1 for 3": plant.attributes(
        f"{GENERATOR}/resblocks.3/convs1.1/Conv_quant", dilations=[1], pads=[1, 1]
    ),
    "the last convolution in 4 bits": plant.taken(f"{GENERATOR}/conv_post/Conv", 1, plant.bits(4)),
    "pitch's convolution in 2 bits": plant.weight("/encoder/F0.2/Mul_1_output_0_quantized", plant.bits(2)),
    "source of the harmonics lost": plant.weight("onnx::MatMul_6993", plant.zeroed),
    "an activation clipped": plant.behind(f"{GENERATOR}/ups.1/ConvTranspose_output_0", "Clip", -0.5, 0.5),
    "phases of the spectrum lost": plant.behind(f"{GENERATOR}/Sin_output_0", "Clip", -0.2, 0.2),
    "half of the inverse Fourier basis negated": plant.weight(
        "decoder.decoder.generator.stft.istft.stft.inverse_basis",
        lambda basis: np.concatenate([basis[:11], -basis[11:]]),
    ),
    "directions of a recurrence swapped": plant.weight(
        "onnx::LSTM_6884_quantized", plant.swapped(0, slice(0, 1), slice(1, 2))
    ),
    "styles of two layers swapped": plant.taken(
        "/decoder/decoder/decode.3/norm2/fc/Gemm_MatMul_quant",
        1,
        plant.swapped(1, slice(0, 512), slice(512, 1024)),
    ),
}


def hifigan_faults(model: onnx.ModelProto) -> dict[str, Plant]:
    """Layers by their order: exporters name them as they like."""
    convs = [node.name for node in model.graph.node if node.op_type == "Conv"]
    ups = [node.name for node in model.graph.node if node.op_type == "ConvTranspose"]
    of = {node.name: node for node in model.graph.node}
    dilated = next(
        name
        for name in convs[len(convs) // 2 :]
        for a in of[name].attribute
        if a.name == "dilations" and list(a.ints) == [3]
    )
    pads = next(a.ints[0] for a in of[dilated].attribute if a.name == "pads")
    return {
        "an upsampling kernel flipped in time": plant.taken(ups[1], 1, plant.flipped),
        "two upsampling channels swapped": plant.taken(
            ups[3], 1, plant.swapped(1, slice(0, 8), slice(8, 16))
        ),
        "bias of an upsampling lost": plant.taken(ups[2], 2, plant.zeroed),
        "an upsampling in 4 bits": plant.taken(ups[0], 1, plant.bits(4)),
        "an upsampling in 3 bits": plant.taken(ups[0], 1, plant.bits(3)),
        "the last convolution in 4 bits": plant.taken(convs[-1], 1, plant.bits(4)),
        "bins of the spectrogram off by one": plant.taken(convs[0], 1, plant.rolled(1)),
        "the first kernel off by one frame": plant.taken(convs[0], 1, plant.rolled(2)),
        "decimal for natural logarithms": plant.taken(convs[0], 1, plant.times(0.4343)),
        "a dilation of 1 for 3": plant.attributes(dilated, dilations=[1], pads=[pads // 3] * 2),
        "a kernel flipped in time": plant.taken(convs[30], 1, plant.flipped),
        "a residual branch lost": plant.taken(convs[40], 1, plant.zeroed),
        "weights of a layer 10% larger": plant.taken(convs[-1], 1, plant.times(1.1)),
        "an offset in the output": plant.taken(convs[-1], 2, lambda bias: bias + 0.03),
        "an activation clipped": plant.behind(of[ups[2]].output[0], "Clip", -0.5, 0.5),
        "slope of a rectifier 0.2 for 0.1": plant.attributes(
            next(n.name for n in reversed(model.graph.node) if n.op_type == "LeakyRelu"), alpha=0.2
        ),
        "tanh lost": plant.instead(next(n.name for n in model.graph.node if n.op_type == "Tanh"), "Identity"),
        "sigmoid for tanh": plant.instead(
            next(n.name for n in model.graph.node if n.op_type == "Tanh"), "Sigmoid"
        ),
    }


def sounding(name: str, panel: Judges, only: list[str]) -> Iterator[Found]:
    network = {"kokoro": kokoro, "hifigan": hifigan}[name]()
    subject = network.subject
    original = subject.model().SerializeToString()
    reference = network.sounds(original)
    texts = network.texts if panel.hear else ()

    def beside(candidate: list[AudioChunk]) -> Figures:
        figures = speech.compare(reference, candidate, texts=texts, panel=panel)
        return replace(figures, kind="vocoder") if name == "hifigan" else figures

    def heard(file: bytes, **options: Any) -> Figures:
        return beside(network.sounds(file, **options))

    def planted(change: Plant) -> Figures:
        model = onnx.load_model_from_string(original)
        change(model)
        return beside(network.sounds(model.SerializeToString()))

    faults = KOKORO if name == "kokoro" else hifigan_faults(subject.model())
    for label, change in faults.items():
        if not only or label in only:
            yield found(name, label, FAULT, partial(planted, change))
    if name == "kokoro":
        style = [
            {**each, "style": np.where(np.arange(256) < 128, each["style"], 0).astype(np.float32)}
            for each in subject.recorded
        ]
        yield found(
            name, "style vector cut short", FAULT, lambda: beside(network.sounds(original, tuple(style)))
        )
    for kind, table in ((FAULT, SOUNDS), (HONEST, UNHEARD)):
        for label, sound in table.items():
            if not only or label in only:
                other = [
                    AudioChunk(np.asarray(sound(c.samples, c.sample_rate), np.float32), c.sample_rate)
                    for c in reference
                ]
                yield found(name, label, kind, partial(beside, other))
    for label, file in artefacts(subject, whole=False):
        yield found(name, label, HONEST, partial(heard, file))
    for threads in (1, 3):
        yield found(
            name,
            f"{threads} threads",
            HONEST,
            partial(heard, original, intra_op_num_threads=threads),
        )


def artefacts(subject: Subject, *, whole: bool) -> Iterator[tuple[str, bytes]]:
    """What `sonorant prepare` makes. `whole`: with its proof and its mending, which for large networks takes
    long; else the pass alone."""
    for name in (
        "slim",
        "optimise",
        "opset",
        "slim+optimise+opset",
        *(("float16", "bfloat16") if whole else ()),
    ):
        if not whole:
            model = named(subject.model())
            for each in recipe(name).passes:
                model = each.apply(model, Material(subject.recorded))
            with contextlib.suppress(
                ModelFileError
            ):  # the engine does not take it: there is no such artefact
                engine_on(subject, model).close()
                yield name, model.SerializeToString()
            continue
        with tempfile.TemporaryDirectory() as folder:
            evidence = derive(Path(folder), subject, recipe(name))
            if not evidence.fault:
                yield name, (Path(folder) / "model.onnx").read_bytes()


# Models that hear: their folder with other weights in it

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
        for label, (part, node, place, change) in MOONSHINE.items():
            if not only or label in only:
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
        for label, change_ in (SILERO if kind == "vad" else campplus_faults(subject.model())).items():
            if not only or label in only:
                changed = onnx.load_model_from_string(original)
                change_(changed)
                file_ = changed.SerializeToString()
                yield found(name, label, FAULT, partial(asked, name, file_))
        for label, file_ in artefacts(subject, whole=True):
            yield found(name, label, HONEST, partial(asked, name, file_))
    for threads in (1, 2, 3):
        yield found(
            name,
            f"{threads} threads",
            HONEST,
            partial(asked, name, None, intra_op_num_threads=threads),
        )
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


ALL = ("kokoro", "hifigan", "moonshine-tiny", "silero-vad", "campplus")


def tell(one: Found) -> None:
    values: Mapping[str, Any] = one.figures.values if one.figures else {}
    shown = " ".join(f"{name} {figure.value:.3g}" for name, figure in values.items() if figure.value)
    verdict = (
        f"fails by {', '.join(one.failed)}"
        if one.failed
        else f"does not run: {one.why}"
        if one.why
        else "passes"
    )
    mark = "" if one.right else "WRONG: "
    print(f"{mark}{one.model}, {one.kind}, {one.change}: {verdict}\n    {shown}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="The gate against what had no part in setting its bounds.")
    parser.add_argument("models", nargs="*", default=ALL, help=", ".join(ALL))
    parser.add_argument("--only", nargs="+", default=[], help="faults and changes by name")
    parser.add_argument("--judges", action="store_true", help="WER, MOS and speakers as well: minutes")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    panel = judges("en") if options.judges else Judges()
    results: list[Found] = []
    for name in options.models:
        each = (
            sounding(name, panel, options.only)
            if name in ("kokoro", "hifigan")
            else hearing(name, options.only)
        )
        for one in each:
            results.append(one)
            if not options.json:
                tell(one)
    facts = machine.describe("sonorant", "onnxruntime", "numpy")
    table = [
        {"model": name}
        | {f"{kind}s": sum(r.kind == kind for r in results if r.model == name) for kind in (FAULT, HONEST)}
        | {
            f"{kind}s, right": sum(r.kind == kind and r.right for r in results if r.model == name)
            for kind in (FAULT, HONEST)
        }
        for name in options.models
    ]
    if options.json:
        rows = [
            {
                "model": r.model,
                "change": r.change,
                "kind": r.kind,
                "failed": r.failed,
                "why": r.why,
                "figures": r.figures.to_dict() if r.figures else None,
            }
            for r in results
        ]
        print(json.dumps({**facts, "table": table, "results": rows}, indent=2))
        return
    for row in table:
        print(", ".join(f"{key} {value}" for key, value in row.items()))
    print("; ".join(f"{name} {value}" for name, value in facts.items()))


if __name__ == "__main__":
    main()

"""Voices and vocoders with faults in them: their networks on the feeds that speech brings about."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import onnx

import held_out_faults as plant
from held_out_faults import SOUNDS, UNHEARD, Plant
from held_out_gate import FAULT, HONEST, Found, catalogue, chosen, found, loaded
from sonorant.errors import ModelFileError, PassError
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.prepare.parity import engine_on
from sonorant.prepare.passes import recipe
from sonorant.prepare.passes.kind import Material, named
from sonorant.prepare.quality import Figures, speech
from sonorant.prepare.quality.judges import Judges
from sonorant.prepare.quality.recordings import spoken
from sonorant.prepare.subject import Subject
from sonorant.tasks import AudioChunk, SpeechRequest
from sonorant.text.segment import once

TEXTS = ("Where did you put the keys?", "The meeting has been moved to Thursday.", "How much is it?")


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
    for label, change in chosen(faults, only).items():
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
        for label, sound in chosen(table, only).items():
            other = [
                AudioChunk(np.asarray(sound(c.samples, c.sample_rate), np.float32), c.sample_rate)
                for c in reference
            ]
            yield found(name, label, kind, partial(beside, other))
    for label, file in passes(subject):
        yield found(name, label, HONEST, partial(heard, file))
    for threads in (1, 3):
        run = partial(heard, original, intra_op_num_threads=threads)
        yield found(name, f"{threads} threads", HONEST, run)


def passes(subject: Subject) -> Iterator[tuple[str, bytes]]:
    """What `sonorant prepare` makes without loss: the passes alone, as proofs of large networks take long."""
    for name in ("slim", "optimise", "opset", "slim+optimise+opset"):
        with contextlib.suppress(ModelFileError, PassError):  # refused: there is no such artefact
            model = named(subject.model())
            for each in recipe(name).passes:
                model = each.apply(model, Material(subject.recorded))
            engine_on(subject, model).close()
            yield name, model.SerializeToString()

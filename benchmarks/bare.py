"""The bare loops: what each family's work costs with nothing around it, on the same networks.

A loop calls ONNX Runtime straight, with the options that the server uses, in the process of the
benchmark; no signature, lane, thread, encoder or HTTP. They are the yardstick of benchmarks/serving.py.
"""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from sonorant.catalogue import Catalogue
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.settings import load_settings

Samples = NDArray[np.float32]


def folder(model: str) -> Path:
    """Where the model's files are, pulled if need be."""
    catalogue = Catalogue(load_settings().catalogue)
    return catalogue.ensure(catalogue.find(model))


def session(path: Path, **options: int) -> Any:
    """A session with the server's default options."""
    return ort.InferenceSession(
        path, OnnxRuntimeOptions(options).session(), providers=["CPUExecutionProvider"]
    )


def hibari(runs: list[float] | None = None) -> Callable[[str], tuple[Samples, int]]:
    """text → (samples, rate). `runs` gets the seconds of each run of the network: nothing interrupts it."""
    from hibari.g2p import G2P

    from sonorant.families.hibari import dsp

    home = folder("hibari")
    network, phonemize = session(home / "hibari.onnx"), G2P()
    vocabulary = json.loads((home / "vocab.json").read_text(encoding="utf-8"))
    names = [output.name for output in network.get_outputs()]

    def speak(text: str) -> tuple[Samples, int]:
        ids = np.array([[0, *(vocabulary[c] for c in phonemize(text) if c in vocabulary), 0]], np.int64)
        began = perf_counter()
        values = network.run(names, {"ids": ids, "speed": np.ones(1, np.float32)})
        if runs is not None:
            runs.append(perf_counter() - began)
        outputs = {name: value[0] for name, value in zip(names, values, strict=True)}
        noise = dsp.unvoiced(outputs, np.random.default_rng())
        return dsp.waveform(dsp.voiced(outputs), noise), dsp.SAMPLE_RATE

    return speak


def piper() -> Callable[[str], tuple[Samples, int]]:
    """text → (samples, rate)"""
    from piper.phonemize_espeak import EspeakPhonemizer
    from wetext import Normalizer

    home = folder("piper-joe")
    model = next(home.glob("*.onnx"))
    config = json.loads(Path(f"{model}.json").read_text(encoding="utf-8"))
    network, espeak, normalizer = session(model), EspeakPhonemizer(), Normalizer(lang="en", operator="tn")
    table = config["phoneme_id_map"]
    scales = np.array([0.667, 1, 0.8], np.float32)

    def speak(text: str) -> tuple[Samples, int]:
        found = espeak.phonemize("en-us", normalizer.normalize(text))
        phonemes = [p for sentence in found for p in sentence if p in table]
        ids = [*table["^"], *table["_"]]
        for phoneme in phonemes:
            ids += [*table[phoneme], *table["_"]]
        feed = np.array([[*ids, *table["$"]]], np.int64)
        lengths = np.array([feed.shape[1]], np.int64)
        audio = network.run(None, {"input": feed, "input_lengths": lengths, "scales": scales})[0]
        return audio.reshape(-1), config["audio"]["sample_rate"]

    return speak


def moonshine() -> Callable[[bytes], str]:
    """WAV file → text: Silero, then the encoder and one decoder run a token, over the whole recording."""
    from sonorant.families.moonshine.tokenizer import BEGIN, END, Tokenizer

    home = folder("moonshine-tiny")
    vad = session(folder("silero-vad") / "silero_vad_16k_sequence.onnx", intra_op_num_threads=1)
    encoder, decoder = (
        session(home / "encoder_model.ort"),
        session(home / "decoder_model_merged.ort", intra_op_num_threads=1),
    )
    tokenizer = Tokenizer(home / "tokenizer.bin")
    outputs = [output.name for output in decoder.get_outputs()]
    past = {
        i.name: np.zeros([d if isinstance(d, int) else 0 for d in i.shape], np.float32)
        for i in decoder.get_inputs()
        if i.name.startswith("past")
    }
    past = {name: np.zeros((1, *value.shape[1:]), np.float32) for name, value in past.items()}

    def transcribe(file: bytes) -> str:
        with wave.open(BytesIO(file)) as recording:
            pcm = np.frombuffer(recording.readframes(recording.getnframes()), np.int16)
        samples = (pcm / np.float32(32768)).astype(np.float32)
        padded = np.pad(samples, (64, -len(samples) % 512))
        windows = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(padded, 576)[::512])
        zeros = np.zeros((1, 1, 128), np.float32)
        vad.run(None, {"input": windows, "h": zeros, "c": zeros})
        mask = np.ones((1, len(samples)), np.int64)
        hidden = encoder.run(None, {"input_values": samples[np.newaxis], "attention_mask": mask})[0]
        feeds: dict[str, Any] = {
            "encoder_hidden_states": hidden,
            "encoder_attention_mask": mask,
            **past,
            "input_ids": np.array([[BEGIN]], np.int64),
            "use_cache_branch": np.array([False]),
        }
        tokens: list[int] = []
        while len(tokens) < 6.5 * len(samples) / 16_000 + 2:
            values = dict(zip(outputs, decoder.run(outputs, feeds), strict=True))
            token = int(values["logits"][0, -1].argmax())
            if token == END:
                break
            tokens.append(token)
            for name, value in values.items():
                if name != "logits" and (".decoder." in name or not feeds["use_cache_branch"][0]):
                    feeds[name.replace("present.", "past_key_values.")] = value
            feeds["input_ids"] = np.array([[token]], np.int64)
            feeds["use_cache_branch"] = np.array([True])
        return tokenizer.decode(tokens)

    return transcribe

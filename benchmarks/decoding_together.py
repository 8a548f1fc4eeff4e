"""What decoding together brings Moonshine, and on how many threads it is heard best.

    python benchmarks/decoding_together.py [--seconds 4] [--json]

Tokens: twelve clips of real speech (4 s and a little more each) in batches of four, by the publisher's
decoder and by our network for its steps; how many get other tokens than alone. Steps: milliseconds for so
many sequences, the fastest of several bursts. Clients: so many that transcribe clips of 3 s one after the
other in this process, with one and with two threads for the encoder, interleaved; audio seconds per second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

import machine
import sonorant
from listening import real_speech
from sonorant.catalogue import Catalogue
from sonorant.families import moonshine
from sonorant.families.moonshine.tokenizer import BEGIN, END
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.generate import Decoding, decoder_signature
from sonorant.networks.sampling import Sampling
from sonorant.networks.steps import BURST, Burst
from sonorant.replica import Device
from sonorant.replica.host import ReplicaHost
from sonorant.settings import load_settings

RATE = 16_000
CLIPS, TOKENS = 12, 40
ROWS = (1, 2, 4, 8)
ROUNDS = 8
CLIENTS = (1, 4, 16)

Samples = NDArray[np.float32]
Clip = tuple[NDArray[np.float32], NDArray[np.int64]]
"""hidden states and mask"""


def speech() -> Samples:
    """All real English recordings, one after the other, at 16 kHz."""
    found = []
    for recording in real_speech():
        samples, rate = soundfile.read(recording.path, dtype="float32", always_2d=True)
        found.append(np.clip(soxr.resample(samples.mean(1), rate, RATE), -1, 1).astype(np.float32))
    return np.concatenate(found)


def clips(recognizer: Any) -> list[Clip]:
    samples, found = speech(), []
    for i in range(CLIPS):
        piece = samples[np.newaxis, 4 * RATE * i : 4 * RATE * (i + 1) + 6_400 * i]
        mask = np.ones(piece.shape, np.int64)
        running = recognizer._encoder.engine.prepare({"input_values": piece, "attention_mask": mask})
        found.append((running()["last_hidden_state"], mask))
    return found


def published(session: Any, batch: list[Clip]) -> list[list[int]]:
    """Tokens of the rows of one batch, by the publisher's decoder as it is."""
    frames, samples = (max(value.shape[1] for value in values) for values in zip(*batch, strict=True))
    hidden = np.zeros((len(batch), frames, batch[0][0].shape[2]), np.float32)
    mask = np.zeros((len(batch), samples), np.int64)
    for i, (states, ones) in enumerate(batch):
        hidden[i, : states.shape[1]], mask[i, : ones.shape[1]] = states[0], 1
    names = [node.name for node in session.get_outputs()]
    feeds = {"encoder_hidden_states": hidden, "encoder_attention_mask": mask}
    feeds |= {"input_ids": np.full((len(batch), 1), BEGIN), "use_cache_branch": np.array([False])}
    for node in session.get_inputs():
        if node.name.startswith("past"):
            feeds[node.name] = np.zeros((len(batch), node.shape[1], 0, node.shape[3]), np.float32)
    found = []
    for step in range(TOKENS):
        outputs = dict(zip(names, session.run(names, feeds), strict=True))
        found.append(outputs["logits"][:, -1].argmax(1))
        kept = {n: v for n, v in outputs.items() if n != "logits" and (step == 0 or ".encoder." not in n)}
        feeds |= {name.replace("present.", "past_key_values."): value for name, value in kept.items()}
        feeds |= {"input_ids": found[-1][:, np.newaxis], "use_cache_branch": np.array([True])}
    return [upto(row.tolist()) for row in np.array(found).T]


def upto(tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(END)] if END in tokens else tokens


def ours(decoder: Any, batch: list[Clip]) -> list[list[int]]:
    async def one(hidden: Any, mask: Any) -> list[int]:
        bursts = decoder.generate(hidden, mask, max_tokens=TOKENS)
        return [token.id async for burst in bursts for token in burst]

    async def all_of_them() -> list[list[int]]:
        return await asyncio.gather(*(one(*clip) for clip in batch))

    return asyncio.run(all_of_them())


def changed(recognizer: Any, session: Any) -> dict[str, int]:
    """Clips with other tokens in a batch than alone, by whose decoder."""
    found = clips(recognizer)
    batches = [found[i : i + 4] for i in range(0, CLIPS, 4)]
    alone = [tokens for clip in found for tokens in published(session, [clip])]
    theirs = [tokens for batch in batches for tokens in published(session, batch)]
    own = [tokens for batch in batches for tokens in ours(recognizer._decoder, batch)]
    return {
        name: sum(a != b for a, b in zip(alone, tokens, strict=True))
        for name, tokens in (("published", theirs), ("ours", own))
    }


def milliseconds(recognizer: Any, merged: OnnxRuntime) -> dict[str, float]:
    """Of a step, by the publisher's decoder for one sequence, and by ours for several; interleaved."""
    signature = decoder_signature(layers=6, heads=8, width=36, hidden=288, vocabulary=32768, masked=True)
    hidden, mask = clips(recognizer)[0]
    steps, found = recognizer._decoder.endless(), dict[str, float]()
    for _ in range(ROUNDS):
        decoding = Decoding(merged, signature, hidden, mask, Sampling(), begin=BEGIN, end=-1)
        decoding.advance(1)
        bursts: dict[str, Callable[[], Any]] = {"published, 1": partial(decoding.advance, BURST)}
        for number in ROWS:
            rows = [steps.begun(hidden) for _ in range(number)]
            Burst(steps, rows)()
            bursts[f"ours, {number}"] = Burst(steps, rows)
        for name, burst in bursts.items():
            began = time.perf_counter()
            burst()
            spent = 1000 * (time.perf_counter() - began) / BURST
            found[name] = min(spent, found.get(name, spent))
    return found


def throughput(model: sonorant.Model, clients: int, seconds: float, pieces: list[Samples]) -> float:
    heard, end = [0.0] * clients, time.perf_counter() + seconds

    def client(number: int) -> None:
        i = number
        while time.perf_counter() < end:
            samples = pieces[i % len(pieces)]
            _ = model.transcribe(sonorant.AudioChunk(samples, RATE)).text
            heard[number] += len(samples) / RATE
            i += clients

    began = time.perf_counter()
    threads = [threading.Thread(target=client, args=(i,)) for i in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(heard) / (time.perf_counter() - began)


def main() -> int:
    parser = argparse.ArgumentParser(description="What decoding together brings Moonshine.")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement with clients")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    catalogue, device = Catalogue(load_settings().catalogue), Device("cpu")
    card = catalogue.find("moonshine-tiny")
    host = ReplicaHost(card, catalogue, device, {})
    recognizer = moonshine.load(card, catalogue.ensure(card), host)
    files = moonshine.layout.find(catalogue.ensure(card))
    assert files is not None
    merged = host.session("decoder", files.decoder, intra_op_num_threads=1)
    other, steps = changed(recognizer, merged.session), milliseconds(recognizer, merged)
    device.close()
    samples = speech()
    pieces = [samples[i : i + 3 * RATE] for i in range(0, len(samples) - 3 * RATE, 3 * RATE)]
    models = {n: sonorant.load("moonshine-tiny", onnxruntime={"intra_op_num_threads": n}) for n in (1, 2)}
    speeds: dict[str, float] = {}
    for clients in CLIENTS:
        for _ in range(2):
            for threads, model in models.items():
                name = f"{clients} clients, {threads} threads"
                speeds[name] = max(speeds.get(name, 0), throughput(model, clients, options.seconds, pieces))
    figures = {"other_tokens": other, "clips": CLIPS, "step_ms": steps, "audio_s_per_s": speeds}
    facts = machine.describe("sonorant", "onnxruntime")
    if options.json:
        print(json.dumps({**facts, **figures}, indent=2))
        return 0
    for name, number in other.items():
        print(f"{name}: {number} of {CLIPS} clips get other tokens in a batch of four than alone")
    for title, table, unit in (("step of", steps, "ms"), ("", speeds, "audio-s/s")):
        for name, value in table.items():
            print(f"{title} {name}: {value:.2f} {unit}".strip())
    print("; ".join(f"{name} {value}" for name, value in facts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

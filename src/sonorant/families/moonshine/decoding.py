"""Who decodes: networks made of the publisher's decoder, where they give its tokens, or that decoder."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sonorant.audio.babble import babble
from sonorant.errors import ModelFileError
from sonorant.families.moonshine.networks import encoder_feeds
from sonorant.families.moonshine.step import step_models
from sonorant.families.moonshine.tokenizer import BEGIN, END
from sonorant.networks.generate import Decoder, Decoding, decoder_signature, difference
from sonorant.networks.sampling import Sampling
from sonorant.networks.signature import Axis, Signature
from sonorant.networks.steps import Steps, memory_signature, steps_signature

if TYPE_CHECKING:
    from sonorant.families.host import Host
    from sonorant.networks import Network
    from sonorant.networks.engines.engine import Engine
    from sonorant.networks.engines.onnxruntime import OnnxRuntime

logger = logging.getLogger(__name__)

EXAMPLES = (1.9, 1.2)
"""seconds of babble by which the two are compared; of noise, all that a decoder says is one word"""
TOKENS = 8
"""of each of them"""
TOLERANCE = 0.1
"""largest difference of a token's log probability: one 8 bit rounding of an activation that goes the other
way, because floats were summed in another order, moves it by hundredths"""
SAMPLE_RATE = 16_000


def load_decoder(path: Path, encoder: Network, host: Host) -> Decoder | Steps:
    """path: a merged decoder. Raises ModelFileError."""
    # a step is hundreds of tiny operators: a second thread slows it down (benchmarks/engine_options.py)
    merged = host.session("decoder", path, intra_op_num_threads=1)
    layers = sum(tensor.name.endswith(".decoder.key") for tensor in merged.inputs)
    heads, width = (size(merged, "past_key_values.0.decoder.key", dim) for dim in (1, 3))
    hidden, vocabulary = int(str(encoder.signature.outputs[0].dims[2])), size(merged, "logits", 2)
    signature = decoder_signature(
        layers=layers,
        heads=heads,
        width=width,
        hidden=hidden,
        vocabulary=vocabulary,
        masked=has(merged, "encoder_attention_mask"),
    )
    memory = memory_signature(layers=layers, heads=heads, width=width, hidden=hidden)
    step = steps_signature(layers=layers, heads=heads, width=width, vocabulary=vocabulary)
    networks, before = [], len(host.prepared)
    try:
        for name, model in zip(("steps", "memory", "step"), step_models(path, memory, step), strict=False):
            engine = host.session(name, path, derived=model, intra_op_num_threads=1)
            networks.append(host.network(name, memory if name == "memory" else step, engine))
    except (LookupError, ValueError) as error:
        logger.info("%s: each sequence is decoded by itself: %s", path, error)
    else:
        several, kept, *one = networks
        steps = Steps(kept, several, one[0] if one else several, begin=BEGIN, end=END)
        if len(host.prepared) > before:  # proven by itself: it may have lost what ours has
            merged.close()
            return steps
        worst = _difference(steps, merged, signature, encoder)
        logger.debug("%s: our decoder differs by %.2g", path, worst)
        if worst <= TOLERANCE:
            merged.close()
            return steps
        logger.warning("%s: each sequence is decoded by itself: our decoder differs by %.2g", path, worst)
    return Decoder(host.network("decoder", signature, merged), begin=BEGIN, end=END)


def _difference(steps: Steps, merged: OnnxRuntime, signature: Signature, encoder: Network) -> float:
    examples, rows = [], []
    for seconds in EXAMPLES:
        feeds = encoder_feeds(encoder.signature, babble(seconds, SAMPLE_RATE)[np.newaxis])
        hidden, mask = encoder.engine.prepare(feeds)()["last_hidden_state"], feeds.get("attention_mask")
        decoding = partial(Decoding, merged, signature, hidden, mask, Sampling(), begin=BEGIN, end=-1)
        examples.append(decoding)
        rows.append(steps.begun(hidden))
    return difference(steps.endless(), examples, rows, TOKENS)


def has(engine: Engine, name: str) -> bool:
    return any(tensor.name == name for tensor in engine.inputs)


def size(engine: Engine, name: str, dim: int) -> int:
    """A size that differs between the family's models, as the file declares it. Raises ModelFileError."""
    for tensor in (*engine.inputs, *engine.outputs):
        if tensor.name == name and len(tensor.dims) > dim and not isinstance(tensor.dims[dim], Axis):
            return int(tensor.dims[dim])  # type: ignore[arg-type]
    raise ModelFileError(
        f"{engine.source} is not Moonshine's",
        why=f"It has no tensor {name!r} with a fixed size",
        remedy="Use the ONNX files that the model's card names",
    )

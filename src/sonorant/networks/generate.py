"""Generating tokens one after the other with a cache of keys and values."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import onnxruntime as ort

from sonorant.networks.engines.onnxruntime import OnnxRuntime, failure
from sonorant.networks.network import Network
from sonorant.networks.sampling import Sampling, Token
from sonorant.networks.signature import BATCH, Array, Axis, Signature, Tensor
from sonorant.networks.steps import BURST, Burst, Row, Steps


def decoder_signature(
    *, layers: int, heads: int, width: int, hidden: int, vocabulary: int, masked: bool
) -> Signature:
    """An encoder-decoder's decoder as Optimum's "merged" export has it (optimum.exporters.onnx).

    The first step fills the caches, `use_cache_branch` False; every further one extends those of
    the decoder by one token. `masked`: a mask over the encoder's input is fed as well.
    """
    frames = Axis("frames", unit="encoder frame", typical=123)
    past = Axis("past", unit="token", min=0, typical=0)
    caches = [
        (i, side, kv) for i in range(layers) for side in ("decoder", "encoder") for kv in ("key", "value")
    ]
    cached = Axis("cached frames", unit="encoder frame", min=0, typical=0)
    inputs = [
        Tensor("input_ids", "int64", (BATCH, Axis("tokens")), low=0, high=vocabulary - 1),
        Tensor("encoder_hidden_states", "float32", (BATCH, frames, hidden)),
        Tensor("use_cache_branch", "bool", (1,)),
        *(
            Tensor(
                f"past_key_values.{i}.{side}.{kv}",
                "float32",
                (BATCH, heads, past if side == "decoder" else cached, width),
            )
            for i, side, kv in caches
        ),
    ]
    if masked:
        samples = Axis("samples", unit="sample at 16 kHz", typical=48_000)
        inputs.append(Tensor("encoder_attention_mask", "int64", (BATCH, samples), low=0, high=1))
    outputs = (
        Tensor("logits", "float32", (BATCH, Axis("tokens"), vocabulary)),
        *(
            Tensor(f"present.{i}.{side}.{kv}", "float32", (BATCH, heads, Axis(f"{side} length"), width))
            for i, side, kv in caches
        ),
    )
    return Signature(tuple(inputs), outputs)


class Decoder:
    """Tokens from a merged decoder, one stream at a time; caches stay inside ONNX Runtime."""

    def __init__(self, network: Network, *, begin: int, end: int) -> None:
        self._network, self._begin, self._end = network, begin, end

    async def generate(
        self,
        hidden: Array,
        mask: Array | None = None,
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> AsyncGenerator[list[Token], None]:
        """hidden: float32 [1, frames, hidden]; mask: int64 [1, samples] → bursts of tokens, until the end.

        temperature 0 takes the most probable token. Raises EngineError.
        """
        engine, signature = cast(OnnxRuntime, self._network.engine), self._network.signature
        sampling = Sampling(temperature, seed)
        decoding = Decoding(engine, signature, hidden, mask, sampling, begin=self._begin, end=self._end)
        left = max_tokens
        while left > 0 and not decoding.ended:
            burst = min(BURST, left)
            left -= burst
            yield await self._network.lane.call(partial(decoding.advance, burst), decoding.stop)


class Decoding:
    """The state of one stream of tokens."""

    def __init__(
        self,
        engine: OnnxRuntime,
        signature: Signature,
        hidden: Array,
        mask: Array | None,
        sampling: Sampling,
        *,
        begin: int,
        end: int,
    ) -> None:
        self._engine, self._sampling, self._end = engine, sampling, end
        self._options = engine.step_options()
        feeds = {
            "input_ids": np.array([[begin]], np.int64),
            "encoder_hidden_states": hidden,
            "use_cache_branch": np.array([False]),
            **{
                t.name: np.zeros([d if isinstance(d, int) else d.min for d in t.dims], np.float32)
                for t in signature.inputs
                if t.name.startswith("past_key_values.")
            },
        }
        if mask is not None:
            feeds["encoder_attention_mask"] = mask
        signature.check(feeds)
        self._feeds: dict[str, Any] = {name: ort.OrtValue.ortvalue_from_numpy(v) for name, v in feeds.items()}
        self._wanted = [tensor.name for tensor in signature.outputs]
        self._first = True
        self.ended = False

    def stop(self) -> None:
        self._options.terminate = True

    def advance(self, steps: int) -> list[Token]:
        """At most `steps` further tokens; fewer when the end token came. Blocks."""
        tokens: list[Token] = []
        for _ in range(steps):
            try:
                outputs = self._engine.session.run_with_ort_values(self._wanted, self._feeds, self._options)
            except Exception as error:
                raise failure(error) from error
            token = self._sampling.choose(outputs[0].numpy()[0, -1])
            if token.id == self._end:
                self.ended = True
                break
            tokens.append(token)
            self._feeds["input_ids"] = ort.OrtValue.ortvalue_from_numpy(np.array([[token.id]], np.int64))
            for name, value in zip(self._wanted[1:], outputs[1:], strict=True):
                self._feeds[name.replace("present.", "past_key_values.")] = value
            if self._first:  # the encoder's caches are complete after the first step
                self._feeds["use_cache_branch"] = ort.OrtValue.ortvalue_from_numpy(np.array([True]))
                self._wanted = [name for name in self._wanted if ".encoder." not in name]
                self._first = False
        return tokens


def difference(
    steps: Steps,
    examples: Sequence[Callable[[], Decoding]],
    rows: Sequence[Row],
    tokens: int,
) -> float:
    """Whether steps give the tokens of the decoder that they were made from, for so many tokens.

    examples: the sequences by that decoder, without an end; rows: the same by the steps. They begin one after
    the other and go on together. The result is the largest difference of a token's log probability; it is
    infinite where a token differs. Blocks; raises EngineError.
    """
    expected = [example().advance(tokens) for example in examples]
    found = [list[Token]() for _ in rows]

    def advance(which: Sequence[int], by: int) -> None:
        for i, more in zip(which, Burst(steps, [rows[i] for i in which], min(by, BURST))(), strict=True):
            found[i] += more

    for last in range(1, len(rows)):
        for i in range(last):
            advance([i], 1)
    while len(found[-1]) < tokens:
        advance(range(len(rows)), tokens - len(found[-1]))
    pairs = [pair for a, b in zip(expected, found, strict=True) for pair in zip(a, b, strict=False)]
    if any(a.id != b.id for a, b in pairs):
        return math.inf
    return max(abs(a.logprob - b.logprob) for a, b in pairs)

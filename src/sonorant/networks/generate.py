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
from sonorant.networks.steps import BURST, POSITIONS, ROWS, Burst, Row, Steps

COMPARED = 8
"""tokens of each example in the proof of `Decoder.batch`"""
TOLERANCE = 0.1
"""largest difference of a token's log probability there: one 8 bit rounding of an activation that goes the
other way, because floats were summed in another order, moves it by hundredths"""


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
    """Tokens from a merged decoder; caches stay inside ONNX Runtime.

    It takes the first step only, where a network made from it is proven for the others (`batch`).
    """

    def __init__(self, network: Network, *, begin: int, end: int) -> None:
        self._network, self._begin, self._end = network, begin, end
        self._steps: Steps | None = None
        self._outputs = [tensor.name for tensor in network.signature.outputs]

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
        decoding = _Decoding(self, hidden, mask, Sampling(temperature, seed))
        left = max_tokens
        if self._steps is not None and 0 < left <= POSITIONS:
            yield (first := await self._call(partial(decoding.advance, 1), decoding))
            row = decoding.row(left - 1) if first else None
            while row is not None and not row.ended:
                yield await self._steps.advance(row)
            return
        while left > 0 and not decoding.ended:
            burst = min(BURST, left)
            left -= burst
            yield await self._call(partial(decoding.advance, burst), decoding)

    def batch(self, steps: Steps, examples: Sequence[tuple[Array, Array | None]]) -> float:
        """Use `steps` from now on, where it is proven by these hidden states and masks.

        Proven: sequences that begin one after the other and go on as rows of one run have the tokens that
        each has by this network alone, for COMPARED tokens. The result is the largest difference between
        their log probabilities, infinite where a token differs. Blocks; raises EngineError.
        """
        endless = Steps(steps.network, end=-1)
        alone, rows, together = [], [], []
        for hidden, mask in examples:
            decodings = [_Decoding(self, hidden, mask, Sampling(), end=-1) for _ in range(2)]
            alone.append(decodings[0].advance(COMPARED))
            together.append(decodings[1].advance(1))
            rows.append(decodings[1].row(POSITIONS))
            for tokens, row in zip(together, rows, strict=True):
                row.left = 1
                tokens += Burst(endless, [row])()[0] if row is not rows[-1] else []
        while len(together[-1]) < COMPARED:
            for row in rows:
                row.left = COMPARED - len(together[-1])
            for tokens, found in zip(together, Burst(endless, rows)(), strict=True):
                tokens += found
        pairs = [pair for a, b in zip(alone, together, strict=True) for pair in zip(a, b, strict=False)]
        if any(a.id != b.id for a, b in pairs):
            return math.inf
        worst = max(abs(a.logprob - b.logprob) for a, b in pairs)
        if worst <= TOLERANCE:
            steps.rows, self._steps = ROWS, steps
        return worst

    async def _call(self, work: Callable[[], list[Token]], decoding: _Decoding) -> list[Token]:
        return await self._network.lane.call(work, decoding.stop)


class _Decoding:
    """The state of one stream of tokens."""

    def __init__(
        self,
        decoder: Decoder,
        hidden: Array,
        mask: Array | None,
        sampling: Sampling,
        end: int | None = None,
    ) -> None:
        self._decoder, self._sampling = decoder, sampling
        self._end = decoder._end if end is None else end
        self._engine = cast(OnnxRuntime, decoder._network.engine)
        self._options = self._engine.step_options()
        feeds = {
            "input_ids": np.array([[decoder._begin]], np.int64),
            "encoder_hidden_states": hidden,
            "use_cache_branch": np.array([False]),
            **{
                t.name: np.zeros([d if isinstance(d, int) else d.min for d in t.dims], np.float32)
                for t in decoder._network.signature.inputs
                if t.name.startswith("past_key_values.")
            },
        }
        if mask is not None:
            feeds["encoder_attention_mask"] = mask
        decoder._network.signature.check(feeds)
        self._feeds: dict[str, Any] = {name: ort.OrtValue.ortvalue_from_numpy(v) for name, v in feeds.items()}
        self._wanted = decoder._outputs
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
            self._token = token.id
            self._feeds["input_ids"] = ort.OrtValue.ortvalue_from_numpy(np.array([[token.id]], np.int64))
            for name, value in zip(self._wanted[1:], outputs[1:], strict=True):
                self._feeds[name.replace("present.", "past_key_values.")] = value
            if (
                self._wanted is self._decoder._outputs
            ):  # the encoder's caches are complete after the first step
                self._feeds["use_cache_branch"] = ort.OrtValue.ortvalue_from_numpy(np.array([True]))
                self._wanted = [name for name in self._wanted if ".encoder." not in name]
        return tokens

    def row(self, left: int) -> Row:
        """The rest of it, to be decoded beside others."""
        memory = {}
        for name, value in self._feeds.items():
            if name.startswith("past_key_values."):
                _, layer, side, kv = name.split(".")
                memory[f"{'past' if side == 'decoder' else 'frames'}.{layer}.{kv}"] = value.numpy()[0]
        return Row(self._token, self._sampling, memory, left)

"""Audio → stretches of speech → encoder → tokens → text."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sonorant.errors import ModelFileError, UnsupportedError
from sonorant.families.moonshine.decoding import has, load_decoder, size
from sonorant.families.moonshine.layout import find
from sonorant.families.moonshine.networks import SHORTEST, encoder_feeds, encoder_signature
from sonorant.families.moonshine.tokenizer import Tokenizer
from sonorant.networks.sampling import Token
from sonorant.networks.vocabulary import Vocabulary
from sonorant.tasks import (
    AudioChunk,
    Described,
    Detector,
    Normalizer,
    Segment,
    SpeechSpan,
    TranscriptEnd,
    TranscriptEvent,
    TranscriptionRequest,
)

if TYPE_CHECKING:
    from sonorant.catalogue import ModelCard
    from sonorant.families.host import Host
    from sonorant.networks import Network
    from sonorant.networks.generate import Decoder
    from sonorant.networks.steps import Steps

SAMPLE_RATE = 16_000
TOKENS_PER_SECOND = 6.5
"""more is a hallucinated loop (upstream's limit: transformers, MoonshineForConditionalGeneration)"""


class Moonshine:
    """A `Recognizer`. Memory is bounded by the longest stretch of speech, not by the audio's length."""

    def __init__(
        self,
        card: ModelCard,
        encoder: Network,
        decoder: Decoder | Steps,
        tokenizer: Tokenizer,
        vad: Detector,
        normalizer: Normalizer,
    ) -> None:
        self._card, self._encoder, self._decoder, self._tokenizer = card, encoder, decoder, tokenizer
        self._vad, self._normalizer = vad, normalizer

    @property
    def vocabulary(self) -> Vocabulary:
        """Of its decoder."""
        return Vocabulary(self._tokenizer.encode, self._tokenizer.always)

    def describe(self) -> Described:
        return replace(self._card.described(), sample_rate=SAMPLE_RATE)

    async def recognize(
        self, request: TranscriptionRequest, audio: AsyncIterator[AudioChunk]
    ) -> AsyncGenerator[TranscriptEvent, None]:
        """audio: 16 kHz. One `Segment` a stretch of speech, then `TranscriptEnd`.

        Raises UnsupportedError for word times, which Moonshine does not measure.
        `request.prompt` has no effect: the decoder was not trained to be told what to expect.
        """
        self._check(request)
        heard = 0

        async def counted() -> AsyncGenerator[AudioChunk, None]:
            nonlocal heard
            async for chunk in audio:
                heard += len(chunk.samples)
                yield chunk

        async with aclosing(self._vad.detect(counted())) as spans:
            async for span in spans:
                segment = await self._segment(request, span)
                if segment.text:
                    yield segment
        yield TranscriptEnd(heard / SAMPLE_RATE)

    def _check(self, request: TranscriptionRequest) -> None:
        if request.words:
            raise UnsupportedError(
                f"{self._card.name} does not measure when each word is said, and times are not invented",
                remedy="Ask for segment times, or choose a model that measures words",
                param="timestamp_granularities",
            )

    async def _segment(self, request: TranscriptionRequest, span: SpeechSpan) -> Segment:
        samples = np.pad(span.samples, (0, max(0, SHORTEST - len(span.samples))))[np.newaxis]
        feeds = encoder_feeds(self._encoder.signature, samples)
        hidden = (await self._encoder.run(**feeds))["last_hidden_state"]
        tokens: list[Token] = []
        limit = math.ceil(samples.shape[1] / SAMPLE_RATE * TOKENS_PER_SECOND) + 2
        bursts = self._decoder.generate(
            hidden, feeds.get("attention_mask"), max_tokens=limit, temperature=request.temperature
        )
        async for burst in bursts:
            tokens += burst
        text = self._tokenizer.decode(token.id for token in tokens)
        language = request.language or self._card.languages[0]
        if request.itn:
            text = await self._encoder.lane.call(partial(self._normalizer.written, text, language))
        return Segment(
            start=span.start / SAMPLE_RATE,
            end=span.end / SAMPLE_RATE,
            text=text,
            language=language,
            tokens=tuple(token.id for token in tokens),
            avg_logprob=sum(token.logprob for token in tokens) / len(tokens) if tokens else None,
            no_speech_prob=1 - span.probability,
        )


def load(card: ModelCard, folder: Path, host: Host) -> Moonshine:
    """Raises ModelFileError."""
    files = find(folder)
    if files is None:
        raise ModelFileError(
            f"{card.name}: the folder lacks the encoder, the merged decoder or the tokenizer",
            remedy=f"Pull the model again: `sonorant pull {card.name} --force`",
        )
    engine = host.engine("encoder", files.encoder)
    signature = encoder_signature(
        hidden=size(engine, "last_hidden_state", 2), masked=has(engine, "attention_mask")
    )
    encoder = host.network("encoder", signature, engine)
    return Moonshine(
        card,
        encoder,
        load_decoder(files.decoder, encoder, host),
        Tokenizer(files.tokenizer),
        host.part("vad"),
        host.part("normalizer"),
    )

"""How sound leaves a replica: levelled, at the rate that is asked for, encoded, and counted as heard."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from sonorant.audio.encoding import Encoder, output_rate
from sonorant.audio.mastering import Mastering
from sonorant.observe.meter import Meter
from sonorant.replica.claims import Playback, under
from sonorant.replica.device import Device
from sonorant.tasks import AudioChunk, AudioFormat, Delivery, Encoded, Terms
from sonorant.text.timing import shifted

PIECE_SECONDS = 0.5
"""of audio that a codec encodes at a time: the first of a sentence is on its way while the rest is encoded"""


class Outgoing:
    """The sound of one request, which somebody listens to as it comes."""

    def __init__(self, device: Device, encoding: Meter, rate: int, terms: Terms, delivery: Delivery) -> None:
        """`rate`: hertz, of the sound as the model makes it. Raises RequestError for what `delivery` cannot
        have.
        """
        self._device, self._encoding, self._delivery = device, encoding, delivery
        self._playback = Playback(terms, device.clock, device.underruns)
        self._mastering = Mastering(rate, output_rate(delivery.format, rate, delivery.sample_rate), delivery)
        self._plain = delivery.format in (AudioFormat.PCM, AudioFormat.WAV) and delivery.loudness is None
        """takes well under a millisecond, which is not worth a change of thread"""
        self._encoded_seconds = 0.0

    @property
    def spent(self) -> float:
        """device-seconds, so far"""
        return self._playback.spent

    async def encoded(self, audio: AsyncGenerator[AudioChunk, None]) -> AsyncGenerator[Encoded, None]:
        """What the listener is sent."""
        async with aclosing(under(self._playback, self._encode(audio))) as events:
            async for event in events:
                self._playback.delivered(event.seconds)
                yield replace(event, spent=self._playback.spent_since())

    async def mastered(self, audio: AsyncGenerator[AudioChunk, None]) -> AsyncGenerator[AudioChunk, None]:
        """The sound that `encoded` encodes, at the rate of the delivery."""
        async with aclosing(under(self._playback, self._master(audio))) as chunks:
            async for chunk in chunks:
                self._playback.delivered(chunk.seconds)
                yield chunk

    async def _master(self, audio: AsyncGenerator[AudioChunk, None]) -> AsyncGenerator[AudioChunk, None]:
        async with aclosing(audio) as chunks:
            async for chunk in chunks:
                ready = await self._device.run(partial(self._mastering.process, chunk))
                if len(ready.samples) or ready.words:
                    yield ready
        rest = await self._device.run(self._mastering.finish)
        if len(rest.samples):
            yield rest

    async def _encode(self, audio: AsyncGenerator[AudioChunk, None]) -> AsyncGenerator[Encoded, None]:
        encoder = Encoder(self._delivery.format, self._mastering.sample_rate, self._mastering.sample_rate)
        async with aclosing(audio) as chunks:
            async for chunk in chunks:
                pieces = self._pieces(encoder, chunk)
                while (event := await self._following(pieces, here=self._plain)) is not None:
                    yield event
        pieces = self._pieces(encoder, None)
        while (event := await self._following(pieces)) is not None:
            yield event

    def _pieces(self, encoder: Encoder, chunk: AudioChunk | None) -> Iterator[Encoded]:
        """The next chunk, in short pieces where a codec takes its time; None = the end."""
        mastered = self._mastering.finish() if chunk is None else self._mastering.process(chunk)
        words = None if mastered.words is None else shifted(mastered.words, self._encoded_seconds)
        self._encoded_seconds += mastered.seconds
        step = len(mastered.samples) if self._plain else round(PIECE_SECONDS * mastered.sample_rate)
        for start in range(0, max(1, len(mastered.samples)), max(1, step)):
            samples = mastered.samples[start : start + step]
            yield Encoded(encoder.encode(samples), len(samples) / mastered.sample_rate, words)
            words = None if words is None else ()
        if chunk is None:
            yield Encoded(encoder.finish(), 0.0)

    async def _following(self, pieces: Iterator[Encoded], *, here: bool = False) -> Encoded | None:
        """The next piece, made on the device or `here`."""
        work = partial(next, pieces, None)
        return self._encoding.run(work) if here else await self._device.run(self._encoding.timed(work))

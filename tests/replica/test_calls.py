"""What a replica's process does with the messages that it hears."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from sonorant.errors import EngineError, TextError
from sonorant.replica.calls import Calls
from sonorant.replica.claims import Claim
from sonorant.tasks import (
    AudioFormat,
    Delivery,
    Encoded,
    Segment,
    SpeechRequest,
    TranscriptEnd,
    TranscriptionRequest,
    Utterance,
    Word,
)
from sonorant.wire.channel import LARGEST, Channel, ChannelBroken
from sonorant.wire.messages import (
    WINDOW,
    Begun,
    Cancel,
    Done,
    Ended,
    Heard,
    Piece,
    PiecesEnd,
    Probe,
    Refused,
    Speak,
    Spoken,
    Taken,
    ToGateway,
    ToReplica,
    Transcribe,
    Tune,
)

REQUEST = SpeechRequest(model="amy", voice="amy", speed=1.25, seed=7)
DELIVERY = Delivery(format=AudioFormat.OPUS, loudness=-16.0)
WORDS = (Word("Hello.", 0.1, 0.4),)


class Replica:
    """Says its text back, a chunk a piece; "?" is refused, "!" is a fault, "#" ends the GPU, "…" never ends."""

    def __init__(self):
        self.asked, self.stopped, self.made, self.probed, self.tuned = [], 0, 0, 0, []

    async def speak(self, request, text, delivery):
        self.asked.append((request, text, delivery))
        Claim().begin()  # as the device does in the thread that computes
        await asyncio.sleep(0)
        pieces = [u.text for u in text] if isinstance(text, tuple) else text
        try:
            async for piece in _each(pieces):
                if piece == "?":
                    raise TextError("Nothing to say", remedy="Send words", param="input")
                if piece == "#":
                    cause = RuntimeError("CUDA error: an illegal memory access was encountered")
                    raise EngineError("The engine failed") from cause
                if piece == "!":
                    raise ZeroDivisionError("division by zero")
                while piece == "…":
                    self.made += 1
                    yield Encoded(b"x", 0.1)
                yield Encoded(piece.encode(), 0.5, WORDS, spent=0.25)
        finally:
            self.stopped += 1

    async def transcribe(self, request, upload):
        self.asked.append((request, upload))
        Claim().begin()
        await asyncio.sleep(0)
        yield Segment(0.0, 1.0, "heard", words=WORDS)
        yield TranscriptEnd(1.5, spent=0.5)

    def tune(self, window_ms, max_frames):
        self.tuned.append((window_ms, max_frames))

    async def probe(self, seconds):
        self.probed += 1
        return True


async def _each(pieces):
    if isinstance(pieces, list):
        for piece in pieces:
            yield piece
    else:
        async for piece in pieces:
            yield piece


@asynccontextmanager
async def connected():
    ours, theirs = socket.socketpair()
    channel, far = await Channel.over(ours, ToGateway), await Channel.over(theirs, ToReplica)
    replica = Replica()
    calls = Calls(far, replica, far.close)  # as the end of the process does

    async def serve():
        while True:
            calls.obey(await far.receive())

    serving = asyncio.create_task(serve())
    async with asyncio.timeout(10):
        yield channel, replica, far
    serving.cancel()
    calls.cancel()
    channel.close()
    far.close()
    await asyncio.gather(serving, return_exceptions=True)


async def say(channel, call, *pieces):
    await channel.send(Speak(call, REQUEST, None, DELIVERY))
    for piece in pieces:
        await channel.send(Piece(call, piece))
    await channel.send(PiecesEnd(call))


async def answer(channel, call):
    told = []
    while not told or not isinstance(told[-1], Done | Refused):
        message = await channel.receive()
        if message.call == call:
            told.append(message)
    return told


def test_a_process_whose_gpu_is_broken_ends_and_answers_nothing():
    async def main():
        async with connected() as (channel, _, _):
            await say(channel, 1, "One.", "#")
            assert await channel.receive() == Begun(1)
            assert isinstance(await channel.receive(), Spoken)
            with pytest.raises(ChannelBroken):
                await channel.receive()

    asyncio.run(main())


def test_lanes_are_tuned_while_it_answers():
    async def main():
        async with connected() as (channel, replica, _):
            await channel.send(Tune(40.0, 3000))
            await say(channel, 1, "One.")
            assert isinstance((await answer(channel, 1))[-1], Done)
            assert replica.tuned == [(40.0, 3000)]

    asyncio.run(main())


def test_speech_from_pieces_and_from_utterances():
    async def main():
        async with connected() as (channel, replica, _):
            await say(channel, 1, "One.", "Two.")
            assert await answer(channel, 1) == [
                Begun(1),
                Spoken(1, Encoded(b"One.", 0.5, WORDS, 0.25)),
                Spoken(1, Encoded(b"Two.", 0.5, WORDS, 0.25)),
                Done(1),
            ]
            utterances = (Utterance(text="Three.", pause=0.5, gain=0.5),)
            await channel.send(Speak(2, REQUEST, utterances, DELIVERY))
            assert (await answer(channel, 2))[1].event.data == b"Three."
            assert replica.asked[0][0] == REQUEST
            assert replica.asked[1] == (REQUEST, utterances, DELIVERY)

    asyncio.run(main())


def test_recordings_come_as_bytes_or_as_files(tmp_path):
    async def main():
        async with connected() as (channel, replica, _):
            request = TranscriptionRequest(model="amy", language="en", words=True)
            await channel.send(Transcribe(1, request, "a.wav", b"RIFF", ""))
            heard = Heard(1, Segment(0.0, 1.0, "heard", words=WORDS))
            assert await answer(channel, 1) == [Begun(1), heard, Ended(1, TranscriptEnd(1.5, 0.5)), Done(1)]
            await channel.send(Transcribe(2, request, "b.wav", None, str(tmp_path / "b")))
            await answer(channel, 2)
            assert [upload.source for _, upload in replica.asked] == [b"RIFF", tmp_path / "b"]

    asyncio.run(main())


def test_errors_of_the_request_and_faults_of_ours():
    async def main():
        async with connected() as (channel, *_):
            await say(channel, 1, "?")
            error = (await answer(channel, 1))[-1].fault.error()
            assert isinstance(error, TextError)
            assert (str(error), error.param) == ("Nothing to say. Send words.", "input")
            await say(channel, 2, "!")
            assert "ZeroDivisionError" in str((await answer(channel, 2))[-1].fault.error())

    asyncio.run(main())


def test_cancelling_stops_the_work_and_the_others_go_on():
    async def main():
        async with connected() as (channel, replica, _):
            await say(channel, 1, "…")
            assert isinstance(await channel.receive(), Begun)
            await channel.send(Cancel(1))
            await say(channel, 2, "Two.")
            assert isinstance((await answer(channel, 2))[-1], Done)
            assert replica.stopped == 2
            await channel.send(Taken(1, 3))  # too late
            await channel.send(Probe(3))
            assert await answer(channel, 3) == [Done(3)]
            assert replica.probed == 1

    asyncio.run(main())


def test_a_request_that_is_cancelled_before_it_began_leaves_nothing():
    async def main():
        async with connected() as (_channel, replica, far):
            calls = Calls(far, replica)
            calls.obey(Speak(1, REQUEST, None, DELIVERY))
            calls.obey(Cancel(1))
            await asyncio.sleep(0.01)
            assert calls._open == {}
            assert replica.asked == []

    asyncio.run(main())


def test_no_more_events_than_the_window_until_some_are_taken():
    async def main():
        async with connected() as (channel, replica, _):
            await say(channel, 1, "…")
            for _ in range(1 + WINDOW):
                await channel.receive()
            await asyncio.sleep(0.1)
            assert replica.made == WINDOW + 1, "the one that cannot be sent"
            await channel.send(Taken(1, 2))
            await channel.receive()
            await channel.receive()
            await asyncio.sleep(0.05)
            assert replica.made == WINDOW + 3

    asyncio.run(main())


def test_what_is_no_message_ends_the_connection():
    async def main():
        for garbage in (b"\x05\x00\x00\x00hello", (LARGEST + 1).to_bytes(4, "little"), b"\x01\x00"):
            ours, theirs = socket.socketpair()
            channel = await Channel.over(ours, ToGateway)
            theirs.sendall(garbage)
            theirs.close()
            with pytest.raises(ChannelBroken):
                await channel.receive()
            channel.close()

    asyncio.run(main())

"""What becomes of requests and processes when a replica's process dies, hangs, or cannot load."""

import asyncio
import time
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from replicas import DESCRIBED, Processes, beat, settle

from sonorant.errors import FailedModelError, LostError, NotReadyError, QuarantinedError, TextError
from sonorant.gateway import keeper as keeping
from sonorant.gateway import life
from sonorant.gateway import link as linking
from sonorant.gateway.keeper import Keeper
from sonorant.gateway.supervised import SupervisedReplica
from sonorant.settings import ReplicaSettings
from sonorant.tasks import (
    AudioFormat,
    Delivery,
    Encoded,
    Segment,
    SpeechRequest,
    State,
    TranscriptEnd,
    TranscriptionRequest,
    Upload,
)
from sonorant.wire.messages import (
    WINDOW,
    Begun,
    Cancel,
    Done,
    Ended,
    Fault,
    Heard,
    Piece,
    PiecesEnd,
    Probe,
    Refused,
    Speak,
    Spoken,
    Taken,
    Transcribe,
)

REQUEST, PCM = SpeechRequest(model="amy"), Delivery(format=AudioFormat.PCM)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(keeping, "BACK_OFF", (0.0,))
    monkeypatch.setattr(keeping, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(life, "WATCH_SECONDS", 0.02)


@asynccontextmanager
async def kept(*behaviours, **settings):
    """A replica over fake processes, being kept."""
    chosen = ReplicaSettings(**{"retry_seconds": 5, "hang_seconds": 1.5} | settings)
    processes = Processes(list(behaviours))
    replica = SupervisedReplica(Keeper(DESCRIBED, processes, chosen), chosen, 1000)
    running = asyncio.create_task(replica.keeper.run())
    try:
        async with asyncio.timeout(20):
            yield replica, processes
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert all(process.ended.done() for process in processes.spawned), "a process was left"


async def text(*pieces):
    for piece in pieces:
        yield piece


async def spoken(replica, *pieces) -> bytes:
    return b"".join([event.data async for event in replica.speak(REQUEST, text(*pieces or ("Hello.",)), PCM)])


async def until(true) -> None:
    while not true():
        await asyncio.sleep(0.005)


def speaking(answer):
    """A process that is ready and gives every request to `answer(process, channel, call, text)`."""

    async def behave(process, channel):
        await settle(channel)
        beating = asyncio.create_task(beat(channel))
        texts: dict[int, list[str]] = {}
        try:
            while True:
                match await channel.receive():
                    case Speak(call):
                        texts[call] = []
                    case Piece(call, piece):
                        texts[call].append(piece)
                    case PiecesEnd(call):
                        await answer(process, channel, call, "".join(texts[call]))
                    case Probe(call):
                        await channel.send(Done(call))
        finally:
            beating.cancel()

    return behave


async def says(process, channel, call, said):
    await channel.send(Begun(call))
    await channel.send(Spoken(call, Encoded(said.encode(), 1.0)))
    await channel.send(Done(call))


async def dies(process, channel, call, said):
    await channel.send(Begun(call))
    await asyncio.sleep(0.02)
    process.die(-11)


async def dies_before_it_begins(process, channel, call, said):
    process.die(-9)


async def dies_half_way(process, channel, call, said):
    await channel.send(Begun(call))
    await channel.send(Spoken(call, Encoded(b"half", 0.5)))
    await asyncio.sleep(0.05)
    process.die(-9)


def test_an_answer_and_what_is_known_of_the_model():
    async def main():
        async with kept(speaking(says)) as (replica, _processes):
            assert replica.state is State.LOADING
            assert await spoken(replica, "Hel", "lo.") == b"Hello."
            assert (replica.state, replica.keeper.pid) == (State.READY, 1)
            await until(lambda: replica.load().slots == 2)
            assert replica.idle_seconds < 5
        assert replica.state is State.STOPPED
        with pytest.raises(NotReadyError, match="has been stopped"):
            await spoken(replica)

    asyncio.run(main())


def test_a_request_whose_answer_has_not_begun_is_asked_again_with_its_whole_text():
    async def main():
        async with kept(speaking(dies), speaking(says)) as (replica, processes):
            assert await spoken(replica, "Once", " more.") == b"Once more."
            assert len(processes.spawned) == 2
            assert replica.keeper.restarts == 1

    asyncio.run(main())


def test_requests_that_had_not_begun_survive_any_number_of_deaths():
    async def main():
        async with kept(*[speaking(dies_before_it_begins)] * 4, speaking(says), deaths=10) as (replica, _):
            assert await asyncio.gather(*(spoken(replica, str(i)) for i in range(3))) == [b"0", b"1", b"2"]

    asyncio.run(main())


def test_a_stream_that_was_heard_ends_with_an_error_that_says_so():
    async def main():
        async with kept(speaking(dies_half_way), speaking(says)) as (replica, _):
            events = replica.speak(REQUEST, text("Hello."), PCM)
            assert (await anext(events)).data == b"half"
            with pytest.raises(LostError, match="ended while it answered.*signal SIGKILL"):
                await anext(events)
            assert await spoken(replica, "Next.") == b"Next."

    asyncio.run(main())


def test_a_request_that_was_running_at_two_deaths_is_quarantined_and_others_are_served():
    async def poisoned(process, channel, call, said):
        await (dies if said == "poison" else says)(process, channel, call, said)

    async def main():
        async with kept(speaking(poisoned)) as (replica, processes):
            with pytest.raises(QuarantinedError, match="ended twice"):
                await spoken(replica, "poison")
            assert await spoken(replica, "bread") == b"bread"
            lives = len(processes.spawned)
            with pytest.raises(QuarantinedError):
                await spoken(replica, "poison")  # not tried again
            assert len(processes.spawned) == lives

    asyncio.run(main())


def test_a_transcript_goes_on_where_the_dead_process_left_it():
    def hearing(*segments, then=None):
        async def behave(process, channel):
            await settle(channel)
            while True:
                match await channel.receive():
                    case Transcribe(call):
                        for end in segments:
                            await channel.send(Heard(call, Segment(end - 1.0, end, f"to {end:g}")))
                        if then is not None:
                            await asyncio.sleep(0.05)
                            process.die(then)
                        await channel.send(Ended(call, TranscriptEnd(9.0)))
                        await channel.send(Done(call))

        return behave

    async def main():
        async with kept(hearing(1.0, 2.0, then=-9), hearing(1.0, 2.0, 3.0)) as (replica, _):
            events = replica.transcribe(TranscriptionRequest(model="amy"), Upload(b"RIFF"))
            told = [event async for event in events]
        assert [event.text for event in told[:-1]] == ["to 1", "to 2", "to 3"]
        assert told[-1] == TranscriptEnd(9.0)

    asyncio.run(main())


def test_a_process_that_hangs_is_replaced():
    async def silent(process, channel):
        await settle(channel)
        await asyncio.sleep(60)

    async def main():
        async with kept(silent, speaking(says)) as (replica, processes):
            assert await spoken(replica) == b"Hello."
            assert processes.spawned[0].killed

    asyncio.run(main())


def test_a_process_that_never_loads_is_replaced():
    async def stuck(process, channel):
        await beat(channel)

    async def main():
        async with kept(stuck, speaking(says), start_seconds=0.2) as (replica, processes):
            assert await spoken(replica) == b"Hello."
            assert processes.spawned[0].killed

    asyncio.run(main())


def test_a_model_that_cannot_load_fails_with_its_reason_and_may_be_renewed():
    fault = Fault("ModelFileError", "amy.onnx is damaged", "", "Pull it again", None)

    async def damaged(process, channel):
        await settle(channel, fault)
        await asyncio.sleep(60)

    async def main():
        async with kept(damaged, speaking(says)) as (replica, processes):
            await until(lambda: replica.state is State.FAILED)
            assert replica.reason == "amy.onnx is damaged. Pull it again."
            with pytest.raises(FailedModelError, match="damaged"):
                await spoken(replica)
            await asyncio.sleep(0.1)
            assert len(processes.spawned) == 1, "trying again does not mend a file"
            replica.keeper.renew()
            await until(lambda: replica.state is State.READY)
            assert await spoken(replica) == b"Hello."

    asyncio.run(main())


def test_deaths_in_a_row_open_the_breaker_and_it_closes_again():
    async def crashes(process, channel):
        process.die(-11)
        await asyncio.sleep(60)

    async def main():
        async with kept(*[crashes] * 3, speaking(says), deaths=3, breaker_seconds=0.3) as (
            replica,
            _processes,
        ):
            await until(lambda: replica.state is State.FAILED)
            assert "died 3 times in a row" in replica.reason
            assert "SIGSEGV" in replica.reason
            with pytest.raises(FailedModelError):
                await spoken(replica)
            await until(lambda: replica.state is State.READY)
            assert await spoken(replica) == b"Hello."

    asyncio.run(main())


def test_deaths_that_have_served_between_do_not_open_it():
    async def once(process, channel, call, said):
        await says(process, channel, call, said)
        await asyncio.sleep(0.02)
        process.die(-9)

    async def main():
        async with kept(speaking(once), deaths=2) as (replica, processes):
            for i in range(6):
                assert await spoken(replica, str(i)) == str(i).encode()
                await until(lambda i=i: len(processes.spawned) > i + 1)
            assert replica.state is not State.FAILED

    asyncio.run(main())


def test_a_renewed_model_answers_while_the_old_one_finishes():
    go_on = asyncio.Event()

    async def slowly(process, channel, call, said):
        async def finish():
            await channel.send(Begun(call))
            await channel.send(Spoken(call, Encoded(b"old ", 1.0)))
            await go_on.wait()
            await channel.send(Spoken(call, Encoded(b"end", 1.0)))
            await channel.send(Done(call))

        process.task = asyncio.create_task(finish())

    async def main():
        async with kept(speaking(slowly), speaking(says)) as (replica, processes):
            first = asyncio.create_task(spoken(replica, "first"))
            await until(lambda: processes.spawned and hasattr(processes.spawned[0], "task"))
            replica.keeper.renew()
            await until(lambda: len(processes.spawned) == 2 and replica.keeper.pid == 2)
            assert await spoken(replica, "new") == b"new"
            assert not processes.spawned[0].ended.done()
            go_on.set()
            assert await first == b"old end"
            await until(lambda: processes.spawned[0].ended.done())
            assert replica.keeper.restarts == 0

    asyncio.run(main())


def test_a_renewal_that_cannot_load_is_rejected_and_the_old_one_stays():
    async def damaged(process, channel):
        await settle(channel, Fault("ModelFileError", "amy.onnx is damaged", "", "", None))
        await asyncio.sleep(60)

    async def main():
        async with kept(speaking(says), damaged) as (replica, _processes):
            await until(lambda: replica.state is State.READY)
            replica.keeper.renew()
            await until(lambda: replica.keeper.refused)
            assert replica.keeper.refused == "amy.onnx is damaged."
            assert (replica.state, replica.keeper.pid) == (State.READY, 1)
            assert await spoken(replica) == b"Hello."

    asyncio.run(main())


def test_a_reader_that_stops_holds_the_work_after_a_window_of_events():
    sent = 0

    async def endless(process, channel, call, said):
        async def send():
            nonlocal sent
            await channel.send(Begun(call))
            while sent < WINDOW:  # what a real replica may send before something is taken
                await channel.send(Spoken(call, Encoded(b"x", 0.1)))
                sent += 1

        process.task = asyncio.create_task(send())

    async def main():
        async with kept(speaking(endless)) as (replica, _processes):
            async with aclosing(replica.speak(REQUEST, text("Hello."), PCM)) as events:
                await anext(events)
                await until(lambda: sent == WINDOW)
            link = replica.keeper.link
            assert link.calls == 0, "the call is forgotten"

    asyncio.run(main())


def test_leaving_cancels_the_work_and_every_event_taken_is_told():
    seen = []

    async def behave(process, channel):
        await settle(channel)
        while True:
            message = await channel.receive()
            seen.append(message)
            if isinstance(message, PiecesEnd):
                for _ in range(3):
                    await channel.send(Spoken(message.call, Encoded(b"x", 0.1)))

    async def main():
        async with kept(behave) as (replica, _):
            async with aclosing(replica.speak(REQUEST, text("Hello."), PCM)) as events:
                await anext(events)
                await anext(events)
            await until(lambda: any(isinstance(message, Cancel) for message in seen))
            assert sum(message.count for message in seen if isinstance(message, Taken)) == 2

    asyncio.run(main())


def test_errors_cross_the_boundary_and_count_as_work():
    async def refuses(process, channel, call, said):
        await channel.send(Refused(call, Fault("TextError", "Nothing to say", "", "Send words", "input")))

    async def main():
        async with kept(speaking(refuses)) as (replica, _):
            with pytest.raises(TextError, match="Nothing to say. Send words.") as refused:
                await spoken(replica)
            assert refused.value.param == "input"
            assert replica.keeper.link.served

    asyncio.run(main())


def test_a_text_beyond_the_limit_is_refused_while_it_streams():
    async def main():
        async with kept(speaking(says)) as (replica, _):
            with pytest.raises(TextError, match="more than 1,000 characters"):
                await spoken(replica, "a" * 600, "b" * 600)

    asyncio.run(main())


def test_a_request_does_not_wait_for_ever():
    async def stuck(process, channel):
        await beat(channel)

    async def main():
        async with kept(stuck, retry_seconds=0.1) as (replica, _):
            with pytest.raises(NotReadyError, match="being started again"):
                await spoken(replica)

    asyncio.run(main())


def test_a_probe_that_fails_replaces_the_process():
    async def ill(process, channel):
        await settle(channel)
        beating = asyncio.create_task(beat(channel))
        try:
            while True:
                match await channel.receive():
                    case Probe(call):
                        await channel.send(Refused(call, Fault("EngineError", "NaN", "", "", None)))
        finally:
            beating.cancel()

    async def main():
        async with kept(ill, speaking(says)) as (replica, processes):
            await until(lambda: replica.state is State.READY)
            assert not await replica.probe(5)
            assert replica.state is State.RESTARTING
            assert "NaN" in replica.reason
            await until(lambda: replica.state is State.READY)
            assert await replica.probe(5)
            assert processes.spawned[0].killed

    asyncio.run(main())


def test_what_nobody_expected_counts_as_a_death_and_not_as_the_end():
    async def main():
        async with kept(speaking(says)) as (replica, processes):
            spawn, asked = replica.keeper._spawn, []

            async def broken(known):
                asked.append(known)
                if len(asked) == 1:
                    raise ZeroDivisionError("nobody expects it")
                return await spawn(known)

            replica.keeper._spawn = broken
            assert await spoken(replica) == b"Hello."
            assert (len(asked), len(processes.spawned)) == (2, 1)

    asyncio.run(main())


def test_a_request_that_ends_the_process_after_its_first_audio_is_quarantined_too():
    async def poisoned(process, channel, call, said):
        await (dies_half_way if said == "poison" else says)(process, channel, call, said)

    async def main():
        async with kept(speaking(poisoned)) as (replica, _):
            with pytest.raises(LostError):
                await spoken(replica, "poison")
            with pytest.raises(QuarantinedError):
                await spoken(replica, "poison")
            assert await spoken(replica, "bread") == b"bread"

    asyncio.run(main())


def test_a_recording_in_a_file_is_known_again_by_what_it_holds(tmp_path):
    killed = []

    async def behave(process, channel):
        await settle(channel)
        while True:
            match await channel.receive():
                case Transcribe(call, path=path):
                    await channel.send(Begun(call))
                    if Path(path).read_bytes() == b"poison":
                        killed.append(process)
                        await asyncio.sleep(0.02)
                        process.die(-11)
                    await channel.send(Ended(call, TranscriptEnd(1.0)))
                    await channel.send(Done(call))

    async def main():
        async def heard(replica, name, content):
            path = tmp_path / name
            path.write_bytes(content)
            events = replica.transcribe(TranscriptionRequest(model="amy"), Upload(path, name))
            return [event async for event in events]

        async with kept(behave) as (replica, _):
            with pytest.raises(QuarantinedError):
                await heard(replica, "one", b"poison")
            lives = len(killed)
            with pytest.raises(QuarantinedError):
                await heard(replica, "another", b"poison")
            assert len(killed) == lives > 0
            assert await heard(replica, "third", b"bread") == [TranscriptEnd(1.0)]

    asyncio.run(main())


def test_what_was_answered_after_a_death_was_not_to_blame():
    deaths = iter([True, False, True, False])

    async def unlucky(process, channel, call, said):
        await (dies if next(deaths) else says)(process, channel, call, said)

    async def main():
        async with kept(speaking(unlucky)) as (replica, _):
            for _ in range(2):
                assert await spoken(replica, "Hello.") == b"Hello."

    asyncio.run(main())


def test_a_pause_of_the_whole_machine_is_no_hang(monkeypatch):
    jump = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + jump)
    for module in (life, linking):
        monkeypatch.setattr(module, "time", clock)

    async def main():
        nonlocal jump
        async with kept(speaking(says)) as (replica, processes):
            assert await spoken(replica) == b"Hello."
            time.sleep(0.1)  # the loop stands still …
            jump = 100.0  # … for much longer than a replica may be silent
            await asyncio.sleep(0.3)
            assert await spoken(replica) == b"Hello."
            assert len(processes.spawned) == 1

    asyncio.run(main())

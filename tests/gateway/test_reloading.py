"""Settings that change while requests run, with processes that tell what they were made from."""

import asyncio
import json
import logging
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest
from replicas import DESCRIBED, FakeProcess, beat, settle

from sonorant import served
from sonorant.errors import BusyError, UnknownModelError
from sonorant.gateway import Gateway, keeper, life, supervisor
from sonorant.gateway.estimate import Size
from sonorant.in_force import InForce, Source
from sonorant.reloading import Reloading
from sonorant.tasks import AudioFormat, Delivery, Encoded, SpeechRequest, State, Task, Terms
from sonorant.wire.messages import Begun, Done, Fault, PiecesEnd, Probe, Spoken

PCM = Delivery(format=AudioFormat.PCM)
START = """
models = ["hibari"]
[limits]
waiting = 5
"""


class FakeForkery:
    """Its processes say from which options and lexicon they were made, and refuse options named `bad`."""

    def __init__(self) -> None:
        self.spawned: list[FakeProcess] = []
        self.gate = asyncio.Event()
        """until it is open, who asks "wait" waits"""

    async def spawn(self, spec: str) -> FakeProcess:
        order = json.loads(spec)
        settings, name = order["settings"], order["model"].partition("@")[0]
        options = settings["onnxruntime"]
        made = f"{options.get('intra_op_num_threads', '-')} {(settings['lexicon'] or '-')[-5:]}"

        async def behave(process, channel):
            fault = Fault("EngineError", "It does not load", "", "", None)
            bad = options.get("intra_op_num_threads") == 13
            await settle(channel, fault if bad else None, replace(DESCRIBED, name=name, task=TASKS[name]))
            beating = asyncio.create_task(beat(channel))
            saying = set()
            try:
                while True:
                    match await channel.receive():
                        case PiecesEnd(call):
                            saying.add(asyncio.create_task(self._say(channel, call, made)))
                        case Probe(call):
                            await channel.send(Done(call))
            finally:
                for task in (beating, *saying):
                    task.cancel()

        self.spawned.append(FakeProcess(len(self.spawned) + 1, behave))
        return self.spawned[-1]

    async def _say(self, channel, call, made) -> None:
        await channel.send(Begun(call))
        await channel.send(Spoken(call, Encoded(made.encode(), 1.0)))
        await self.gate.wait()
        await channel.send(Done(call))

    async def close(self) -> None:
        for process in self.spawned:
            process.die(0)


TASKS = {"hibari": Task.SPEECH, "kokoro": Task.SPEECH, "moonshine-tiny": Task.TRANSCRIPTION}


class House:
    """A gateway over supervised models, and the file with its settings."""

    def __init__(self, file, lexicon, overrides) -> None:
        self.file, self.lexicon, self.go_on = file, lexicon, asyncio.Event()
        source = Source(file, overrides)
        self.in_force = InForce(source.read())
        self.models = served.Served(self.in_force.settings)
        self.forkery = self.models._forkery
        self.forkery.gate.set()
        self.gateway = Gateway(self.models.replicas, self.in_force.settings.limits)
        self.in_force.follow(self.gateway.take)
        self.reloading = Reloading(source, self.in_force, self.gateway, self.models)

    async def change(self, text: str) -> None:
        self.file.write_text(text)
        await self.reloading.reload()

    async def later(self):
        """A text that comes when it is let."""
        await self.go_on.wait()
        yield "Hello."

    async def say(self, model: str = "hibari") -> str:
        events = self.gateway.speak(SpeechRequest(model=model), "Hello.", PCM)
        return b"".join([event.data async for event in events]).decode()

    def state(self, model: str) -> State:
        return self.gateway.router.find(model).state


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    async def nothing(self, replica):
        pass

    monkeypatch.setattr(served, "Forkery", FakeForkery)
    monkeypatch.setattr(served.Served, "_pull", nothing)
    monkeypatch.setattr(keeper, "BACK_OFF", (0.0,))
    for module in (keeper, life):
        monkeypatch.setattr(module, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(supervisor, "LEAVING_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "LOOK_SECONDS", 0.02)


@pytest.fixture
def house(tmp_path, caplog):
    caplog.set_level(logging.INFO, "sonorant")

    @asynccontextmanager
    async def opened(text=START, **overrides):
        file, lexicon = tmp_path / "sonorant.toml", tmp_path / "words.toml"
        file.write_text(text)
        lexicon.write_text('[en]\nGIF = "jif"\n')
        one = House(file, lexicon, overrides)
        async with asyncio.timeout(20), one.models.running():
            await until(lambda: one.state("hibari") is State.READY)
            yield one

    return opened


async def until(true) -> None:
    while not true():
        await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("models = [", "cannot be read"),
        ("[limits]\nwating = 1", "limits.wating is not a setting"),
        ("[limits]\nwaiting = -1", "limits.waiting"),
        ("models = ['nobody']", "nobody"),
        ("models = ['hibari']\npreload = ['kokoro']", "preload names kokoro"),
        (
            "models = ['hibari']\nlexicon = '/nowhere/words.toml'",
            "lexicon /nowhere/words.toml cannot be read",
        ),
        ("[onnxruntime]\nthreads = 1", "threads"),
        (None, "cannot be read"),
    ],
)
def test_wrong_settings_are_rejected_with_the_reason_and_nothing_changes(house, caplog, text, why):
    async def main():
        async with house() as one:
            before = one.in_force.settings
            if text is None:
                one.file.unlink()
                await one.reloading.reload()
            else:
                await one.change(text + "\n")
            assert why in one.gateway.notice
            assert why in caplog.text
            assert one.in_force.settings is before
            assert one.gateway.limits.waiting == 5
            assert await one.say() == "- -"
            assert len(one.forkery.spawned) == 1
            await one.change(START)
            assert one.gateway.notice == ""

    asyncio.run(main())


def test_limits_and_keys_count_from_the_next_request_on_and_no_process_is_replaced(house, caplog):
    async def main():
        async with house() as one:
            one.forkery.gate.clear()
            running = [asyncio.create_task(one.say()) for _ in range(3)]
            (replica,) = one.models.replicas
            await until(lambda: replica.keeper.link.calls == 3)
            changed = START.replace("5", "3") + "[replicas]\nretry_seconds = 7\n"
            keys = "[[server.keys]]\nname = 'team'\nkey = 'secret-word'\nrequests_per_minute = 9\n"
            await one.change(changed + keys)
            with pytest.raises(BusyError, match="3 requests"):
                await one.say()
            assert one.gateway.admission.quotas["team"].limit == 9
            one.forkery.gate.set()
            assert await asyncio.gather(*running) == ["- -"] * 3
            assert len(one.forkery.spawned) == 1
            assert "in force: limits.waiting, replicas.retry_seconds, server.keys\n" in caplog.text
            assert "secret-word" not in caplog.text

    asyncio.run(main())


def test_what_is_left_of_a_quota_that_stays_is_kept(house):
    key = "[[server.keys]]\nname = 'team'\nkey = 'secret-word'\nrequests_per_minute = {}\n"

    async def main():
        async with house(START + key.format(2)) as one:
            (replica,) = one.models.replicas
            admission = one.gateway.admission
            for _ in range(2):
                with admission.admit(replica, Size(), Terms(tenant="team")):
                    pass
            await one.change(START.replace("5", "6") + key.format(2))
            with (
                pytest.raises(BusyError, match="2 requests a minute"),
                admission.admit(replica, Size(), Terms(tenant="team")),
            ):
                pass
            await one.change(START + key.format(3))
            with admission.admit(replica, Size(), Terms(tenant="team")):
                pass

    asyncio.run(main())


def test_options_and_a_lexicon_need_another_process_and_running_requests_finish_in_the_old(house, caplog):
    async def main():
        async with house() as one:
            one.forkery.gate.clear()
            running = asyncio.create_task(one.say())
            (replica,) = one.models.replicas
            await until(lambda: replica.keeper.link.calls)
            named = f"lexicon = '{one.lexicon}'\n{START}[onnxruntime]\nintra_op_num_threads = 2\n"
            await one.change(named)
            await until(lambda: replica.keeper.pid == 2)
            assert not one.forkery.spawned[0].ended.done()
            one.forkery.gate.set()
            assert await running == "- -"
            assert await one.say() == "2 .toml"
            await until(lambda: one.forkery.spawned[0].ended.done())
            assert "in force: lexicon, onnxruntime, onnxruntime.intra_op_num_threads" in caplog.text

            one.lexicon.write_text('[en]\nGIF = "gift"\n')
            await one.reloading.reload()
            await until(lambda: replica.keeper.pid == 3)
            assert "in force: lexicon\n" in caplog.text
            await one.reloading.reload()
            assert len(one.forkery.spawned) == 3, "nothing has changed"

            one.lexicon.write_text("[en]\nGIF = 3\n")
            await one.reloading.reload()
            assert "has no reading" in one.gateway.notice
            assert (await one.say(), replica.keeper.pid) == ("2 .toml", 3)

    asyncio.run(main())


def test_where_the_new_process_cannot_load_the_old_goes_on_and_the_notice_says_why(house):
    async def main():
        async with house() as one:
            await one.change(START + "[onnxruntime]\nintra_op_num_threads = 13\n")
            (replica,) = one.models.replicas
            await until(lambda: replica.notice)
            assert replica.notice == "It does not load."
            assert (await one.say(), replica.keeper.pid) == ("- -", 1)
            one.forkery.spawned[0].die(-9)
            assert (await one.say(), replica.keeper.pid) == ("- -", 3), "made as the one that worked"
            assert replica.notice == "It does not load."
            await one.change(START)
            await until(lambda: not replica.notice)
            assert await one.say() == "- -"

    asyncio.run(main())


def test_a_model_comes_and_goes_while_requests_run(house, caplog):
    async def main():
        async with house() as one:
            await one.change("models = ['kokoro', 'moonshine-tiny', 'hibari']\n")
            assert await one.say("") == "- -", "who names no model is not sent to one that loads"
            assert b'sonorant_model_state{model="kokoro",state="loading"}' in one.gateway.metrics.text()
            await until(lambda: one.state("kokoro") is State.READY)
            one.forkery.gate.clear()
            running = [asyncio.create_task(one.say(name)) for name in ("kokoro", "hibari")]
            kokoro = one.gateway.router.find("kokoro")
            await until(lambda: kokoro.keeper.link.calls)
            await one.change("models = ['hibari']\n")
            with pytest.raises(UnknownModelError, match="Served are: hibari"):
                await one.say("kokoro")
            await asyncio.sleep(0.3)
            assert kokoro.state is State.READY, "it still answers"
            one.forkery.gate.set()
            assert await asyncio.gather(*running) == ["- -", "- -"]
            await until(lambda: kokoro.state is State.STOPPED)
            await until(lambda: sum(process.ended.done() for process in one.forkery.spawned) == 2)
            assert not one.forkery.spawned[0].ended.done()
            assert b'model="kokoro",state=' not in one.gateway.metrics.text()
            assert "model kokoro is no longer served" in caplog.text
            memory = one.models._supervisor.memory
            await until(lambda: memory.held == one.models.replicas[0].keeper.memory)

    asyncio.run(main())


def test_a_process_that_dies_while_its_model_leaves_is_replaced_for_those_who_wait(house):
    async def main():
        async with house("models = ['hibari', 'kokoro']\n") as one:
            await until(lambda: one.state("kokoro") is State.READY)
            old = one.gateway.router.find("kokoro")
            waiting = asyncio.create_task(_first(old.speak(SpeechRequest(model="kokoro"), one.later(), PCM)))
            await until(lambda: old.keeper.link.calls)
            await one.change("models = ['hibari']\n")
            one.forkery.spawned[old.keeper.pid - 1].die(-9)
            await until(lambda: old.state is State.READY and old.keeper.restarts)
            one.go_on.set()
            assert await waiting == b"- -"
            await until(lambda: old.state is State.STOPPED)

    asyncio.run(main())


async def _first(events) -> bytes:
    async with aclosing(events):
        return (await anext(events)).data


def test_a_model_that_comes_back_while_it_leaves_is_another_process(house):
    async def main():
        async with house("models = ['hibari', 'kokoro']\n") as one:
            await until(lambda: one.state("kokoro") is State.READY)
            old = one.gateway.router.find("kokoro")
            one.forkery.gate.clear()
            running = asyncio.create_task(one.say("kokoro"))
            await until(lambda: old.keeper.link.calls)
            await one.change("models = ['hibari']\n")
            await one.change("models = ['hibari', 'kokoro']\n")
            await until(lambda: one.state("kokoro") is State.READY)
            one.forkery.gate.set()
            assert [await running, await one.say("kokoro")] == ["- -", "- -"]
            await until(lambda: old.state is State.STOPPED)
            assert one.state("kokoro") is State.READY

    asyncio.run(main())


def test_what_a_server_is_built_with_waits_for_a_restart_and_the_command_line_stays_on_top(house, caplog):
    async def main():
        async with house(limits={"waiting": 2}) as one:
            await one.change(START.replace("5", "9") + "queue_seconds = 3\n[server]\nport = 1\n")
            assert one.gateway.limits.waiting == 2
            assert one.gateway.limits.queue_seconds == 3
            assert one.in_force.settings.server.port == 8000
            assert "when the server is started again: server.port" in caplog.text
            assert "in force: limits.queue_seconds\n" in caplog.text

    asyncio.run(main())


def test_the_budget_for_memory_counts_at_once(house):
    async def main():
        async with house() as one:
            await one.change(START + "[memory]\nbudget_bytes = 1_000_000\n")
            assert one.models._supervisor.memory.budget == 1_000_000

    asyncio.run(main())


def test_cores_for_a_model_that_is_not_served_are_told_of(house, caplog):
    async def main():
        async with house() as one:
            await one.change(START + "[replicas.cores]\nkokoro = [0]\n")
            assert await one.say() == "- -"
            assert one.gateway.notice == ""
            assert "replicas.cores names kokoro, which is not served here" in caplog.text

    asyncio.run(main())

"""The cache of spoken answers, as an HTTP client sees it."""

import asyncio

import httpx

from sonorant.gateway import Gateway
from sonorant.protocols.app import create_app
from sonorant.settings import CacheSettings, ServerSettings, Settings

SPEECH = "/v1/audio/speech"
CACHE = "x-sonorant-cache"
BODY = {"input": "Hi", "voice": "amy"}


def application(speaker, **server):
    settings = Settings(server=ServerSettings(**server), cache=CacheSettings())
    gateway = Gateway([speaker], settings.limits, settings.server.keys, settings.cache)
    return create_app(gateway, settings, "1.2.3")


def talk(app, *calls):
    """Answers to calls one after the other, in one event loop."""

    async def main():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sonorant") as client:
            answers = []
            for body, headers in calls:
                answers.append(await client.post(SPEECH, json=body, headers=headers))
                await asyncio.sleep(0.05)  # what is complete is written down behind the answer
            return answers

    return asyncio.run(main())


def test_the_header_tells_where_the_audio_is_from(fakes):
    speaker = fakes.speaker(artefact="x")
    app = application(speaker)
    fresh = {"cache-control": "max-age=0, no-cache"}
    calls = [
        (BODY, {}),
        (BODY, {}),
        (BODY, fresh),
        (BODY | {"speed": 1.5}, {}),
        (BODY | {"voice": "alloy"}, {}),
    ]
    answers = talk(app, *calls)
    assert [answer.headers[CACHE] for answer in answers] == ["miss", "hit", "miss", "miss", "hit"]
    assert {answer.content for answer in answers} == {b"head-body"}
    assert len(speaker.asked) == 3


def test_events_and_subtitles_come_from_it_too(fakes):
    speaker = fakes.speaker(artefact="x")
    events = BODY | {"stream_format": "sse", "response_format": "mp3"}
    first, second, third = talk(application(speaker), (events, {}), (events, {}), (BODY, {}))
    assert [one.headers[CACHE] for one in (first, second, third)] == ["miss", "hit", "hit"]
    assert first.text == second.text
    assert third.content == b"head-body"


def test_nobody_is_given_what_another_key_has_asked_for(fakes):
    speaker = fakes.speaker(artefact="x")
    app = application(speaker, api_keys=("one", "two"))
    calls = [(BODY, {"authorization": f"Bearer {key}"}) for key in ("one", "two", "one")]
    assert [answer.headers[CACHE] for answer in talk(app, *calls)] == ["miss", "miss", "hit"]


def test_who_forbids_it_leaves_nothing_behind(fakes):
    speaker = fakes.speaker(artefact="x")
    private = {"cache-control": "no-store"}
    answers = talk(application(speaker), (BODY, private), (BODY, {}), (BODY, private | {"x": "y"}))
    assert [answer.headers[CACHE] for answer in answers] == ["miss", "miss", "hit"]


def test_a_model_without_an_identity_is_asked_each_time(fakes):
    speaker = fakes.speaker()
    answers = talk(application(speaker), (BODY, {}), (BODY, {}))
    assert [CACHE in answer.headers for answer in answers] == [False, False]
    assert len(speaker.asked) == 2


def test_who_comes_while_it_is_spoken_joins_and_hears_the_beginning(fakes):
    release = asyncio.Event()

    class Held(type(fakes.speaker())):
        async def _follow(self):
            async for event in super()._follow():
                yield event
                await release.wait()

    fake = fakes.speaker(artefact="x")
    speaker = Held(fake.name, fake.task, fake.script, voices=fake.voices, artefact="x")

    async def main():
        transport = httpx.ASGITransport(app=application(speaker))
        async with httpx.AsyncClient(transport=transport, base_url="http://sonorant") as client:
            calls = [asyncio.create_task(client.post(SPEECH, json=BODY)) for _ in range(3)]
            await asyncio.sleep(0.1)
            release.set()
            return await asyncio.gather(*calls)

    answers = asyncio.run(main())
    assert sorted(answer.headers[CACHE] for answer in answers) == ["joined", "joined", "miss"]
    assert {answer.content for answer in answers} == {b"head-body"}
    assert len(speaker.asked) == 1

"""429: when, with which headers, and whose request counts for whom."""

import asyncio

import httpx
import pytest

from sonorant.settings import load_settings
from sonorant.tasks import Cost, Encoded, Tier

SPEECH = "/v1/audio/speech"
HEARING = "/v1/audio/transcriptions"


def keys(*names, **limits):
    return [{"name": name, "key": f"secret-{name}", **limits} for name in names]


def bearer(key):
    return {"authorization": f"Bearer {key}"}


def test_whose_request_it_is_and_how_urgent_goes_down_to_the_replica(ask, fakes):
    speaker, listener = fakes.speaker(), fakes.listener()
    app = fakes.application(speaker, listener, server={"keys": keys("team"), "api_keys": ("plain",)})
    body = {"input": "Hi", "service_tier": "flex", "first_audio_ms": 1500}
    assert ask(
        app, "POST", SPEECH, json=body, headers=bearer("secret-team") | {"x-request-id": "r-1"}
    ).is_success
    terms = speaker.asked[0][0].terms
    assert (terms.id, terms.tenant, terms.tier, terms.within) == ("r-1", "team", Tier.BULK, 1.5)
    ask(app, "POST", SPEECH, json={"input": "Hi", "service_tier": "priority"}, headers=bearer("plain"))
    terms = speaker.asked[1][0].terms
    assert (terms.tier, terms.within) == (Tier.INTERACTIVE, None)
    assert len(terms.tenant) == 12
    assert "plain" not in terms.tenant  # a key is not told
    form = {"data": {"service_tier": "bulk"}, "files": {"file": b"RIFF"}, "headers": bearer("secret-team")}
    assert ask(app, "POST", HEARING, **form).is_success
    assert listener.asked[0][0].terms.tier is Tier.BULK
    assert (
        ask(
            app, "POST", SPEECH, json={"input": "Hi", "service_tier": "gold"}, headers=bearer("plain")
        ).status_code
        == 400
    )


def test_without_keys_everybody_is_one_tenant(ask, fakes):
    speaker = fakes.speaker()
    ask(fakes.application(speaker), "POST", SPEECH, json={"input": "Hi"})
    assert speaker.asked[0][0].terms.tenant == ""


def test_a_key_with_a_quota_is_told_what_it_has_left(ask, fakes):
    app = fakes.application(server={"keys": keys("a", requests_per_minute=2) + keys("b")})

    def speak(name):
        return ask(app, "POST", SPEECH, json={"input": "Hi"}, headers=bearer(f"secret-{name}"))

    first, second, third = (speak("a") for _ in range(3))
    told = [r.headers["x-ratelimit-remaining-requests"] for r in (first, second, third)]
    assert told == ["1", "0", "0"]
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-reset-requests"].endswith("s")
    assert third.status_code == 429
    assert 25 <= int(third.headers["retry-after"]) <= 30
    error = third.json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert "'a' may send 2 requests a minute" in error["message"]
    free = speak("b")
    assert free.is_success
    assert "x-ratelimit-limit-requests" not in free.headers
    models = ask(app, "GET", "/v1/models", headers=bearer("secret-a"))
    assert "x-ratelimit-limit-requests" not in models.headers


def test_a_server_that_is_full_says_when_to_come_back(fakes):
    script = [fakes.Step(Encoded(b"head", 0.2)), fakes.Step(hold=True)]
    app = fakes.application(fakes.speaker(script=script, cost=Cost(0.0, 0.06)))
    text = {"input": "This sentence takes three seconds of the device, all of it."}

    async def crowd():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sonorant") as client:
            calls = [asyncio.create_task(client.post(SPEECH, json=text)) for _ in range(40)]
            done, waiting = await asyncio.wait(calls, timeout=2)
            for call in waiting:
                call.cancel()
            await asyncio.wait(waiting, timeout=5)
            return [call.result() for call in done], len(waiting)

    refused, inside = asyncio.run(crowd())
    assert 2 <= inside < 20
    assert {answer.status_code for answer in refused} == {429}
    assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in refused)
    assert "as much to do as it can do in time" in refused[0].json()["error"]["message"]


def test_first_audio_that_can_never_be_so_soon_is_the_callers_mistake(ask, fakes):
    app = fakes.application(fakes.speaker(cost=Cost(0.5, 0.0)))
    answer = ask(app, "POST", SPEECH, json={"input": "Hi", "first_audio_ms": 100})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "first_audio_ms")
    assert ask(app, "POST", SPEECH, json={"input": "Hi", "first_audio_ms": 900}).is_success


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 'a'\nkey = 'x'\nnam = 1", "server.keys.0.nam is not a setting; known here: name, key"),
        ("name = 'a'", "server.keys.0.key: Field required"),
        ("name = 'a'\nkey = 'x'\n[[server.keys]]\nname = 'a'\nkey = 'y'", "two keys have the same name"),
    ],
)
def test_keys_in_the_settings_file(tmp_path, text, message):
    file = tmp_path / "s.toml"
    file.write_text(f"[[server.keys]]\n{text}\n")
    with pytest.raises(ValueError, match=message):
        load_settings(file)

"""Files and batches by the official `openai` client, against a real server with fake models."""

import json
import time

import httpx
import openai
import pytest

from sonorant.errors import AudioError, BusyError, EngineError, FailedModelError, NotReadyError
from sonorant.gateway import Gateway
from sonorant.gateway.jobs import runner
from sonorant.in_force import InForce
from sonorant.protocols.app import create_app
from sonorant.settings import LimitSettings, Settings
from sonorant.tasks import Encoded, Tier

SPEECH, TRANSCRIPTIONS = "/v1/audio/speech", "/v1/audio/transcriptions"


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(runner, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr(runner, "LOADING_SECONDS", 0.01)


@pytest.fixture
def sdk():
    def client(url: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=20)

    return client


def line(custom_id: str, url: str = SPEECH, **body) -> dict:
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


def jsonl(*lines) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


def begun(client: openai.OpenAI, *lines, endpoint: str = SPEECH, **more):
    file = client.files.create(file=("list.jsonl", jsonl(*lines)), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h", **more)


def ended(client: openai.OpenAI, batch, seconds: float = 15):
    deadline = time.monotonic() + seconds
    while (batch := client.batches.retrieve(batch.id)).status not in (
        "completed",
        "failed",
        "cancelled",
        "expired",
    ):
        assert time.monotonic() < deadline, batch
        time.sleep(0.02)
    return batch


def results(client: openai.OpenAI, id: str) -> list[dict]:
    return [json.loads(text) for text in client.files.content(id).text.splitlines()]


def test_speech_from_upload_to_audio(fakes, serve, sdk):
    replica = fakes.speaker()
    with serve(fakes.application(replica)) as url, sdk(url) as client:
        created = begun(
            client,
            line("one", input="Hello.", voice="amy", response_format="wav-alaw"),
            line("two", input="Nobody says this.", voice="nobody"),
            line("three", input="Bye.", speed=9),
            line("four", input="<speak>Four.<audio src='a.wav'/></speak>", response_format="mulaw"),
            metadata={"book": "Emma"},
        )
        assert (created.object, created.metadata, created.errors) == ("batch", {"book": "Emma"}, None)
        assert created.expires_at == created.created_at + 24 * 3600
        batch = ended(client, created)
        assert batch.status == "completed"
        assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (
            4,
            2,
            2,
        )
        assert batch.completed_at >= batch.finalizing_at >= batch.in_progress_at >= batch.created_at

        done = results(client, batch.output_file_id)
        assert [one["custom_id"] for one in done] == ["one", "four"]
        first = done[0]
        assert first["error"] is None
        assert first["id"].startswith("batch_req_")
        assert first["response"]["status_code"] == 200
        assert first["response"]["request_id"].startswith("req_")
        body = first["response"]["body"]
        assert (body["content_type"], body["bytes"], body["seconds"]) == ("audio/wav", 9, 1.0)
        content = client.files.content(body["file_id"])
        assert content.content == b"head-body"
        assert content.response.headers["content-type"] == "audio/wav"
        audio = client.files.retrieve(body["file_id"])
        assert (audio.filename, audio.bytes, audio.purpose) == ("one.wav", 9, "batch_output")
        assert done[1]["response"]["body"]["ignored"] == ["audio"]
        assert client.files.retrieve(done[1]["response"]["body"]["file_id"]).filename == "four.ulaw"

        failed = {one["custom_id"]: one["response"] for one in results(client, batch.error_file_id)}
        assert failed["two"]["status_code"] == 400
        assert failed["two"]["body"]["error"]["code"] == "voice_not_found"
        assert failed["three"]["body"]["error"]["param"] == "speed"
    assert {asked[0].terms.tier for asked in replica.asked} == {Tier.BULK}
    assert replica.asked[0][0].terms.id == first["response"]["request_id"]


def test_recordings(fakes, serve, sdk):
    replica = fakes.listener(translation=True)
    with serve(fakes.application(replica)) as url, sdk(url) as client:
        talk = client.files.create(file=("talk.ulaw", b"R" * 100), purpose="user_data")
        batch = ended(client, begun(
            client,
            line("json", TRANSCRIPTIONS, file=talk.id, model="whisper-1", language="en"),
            line("verbose", TRANSCRIPTIONS, file=talk.id, response_format="verbose_json", temperature=0),
            line("srt", TRANSCRIPTIONS, file=talk.id, response_format="srt"),
            line("gone", TRANSCRIPTIONS, file="file-nothing"),
            line("without", TRANSCRIPTIONS, model="whisper-1"),
            line("contradiction", TRANSCRIPTIONS, file=talk.id, timestamp_granularities=["word"]),
            endpoint=TRANSCRIPTIONS,
        ))  # fmt: skip
        done = {one["custom_id"]: one["response"]["body"] for one in results(client, batch.output_file_id)}
        assert done["json"]["text"] == "Hello there. Second & last."
        assert len(done["verbose"]["segments"]) == 2
        assert client.files.content(done["srt"]["file_id"]).text.startswith("1\n00:00:00,500 -->")
        failed = {one["custom_id"]: one["response"] for one in results(client, batch.error_file_id)}
        assert (failed["gone"]["status_code"], failed["without"]["body"]["error"]["param"]) == (404, "file")
        assert failed["contradiction"]["body"]["error"]["param"] == "timestamp_granularities"

        there = "/v1/audio/translations"
        batch = ended(client, begun(client, line("en", there, file=talk.id), endpoint=there))
        assert batch.request_counts.completed == 1
    assert {(asked[1].name, asked[2], asked[0].terms.tier) for asked in replica.asked} == {
        ("talk.ulaw", b"R" * 100, Tier.BULK)
    }
    assert replica.asked[-1][0].translate


GOOD = line("good", input="Hi.")


@pytest.mark.parametrize(
    ("data", "code", "number", "param"),
    [
        (b"", None, None, None),
        (b"\n  \n", "empty_file", None, None),
        (jsonl(GOOD) + b"{not json}\n", "invalid_json_line", 2, None),
        (b"\n\n" + jsonl([1]), "invalid_json_line", 3, None),
        (jsonl(GOOD) + b"[" * 50_000, "invalid_json_line", 2, None),
        (jsonl(GOOD | {"custom_id": 7}), "invalid_custom_id", 1, "custom_id"),
        (jsonl(GOOD, GOOD), "duplicate_custom_id", 2, "custom_id"),
        (jsonl(GOOD | {"method": "GET"}), "invalid_method", 1, "method"),
        (jsonl(GOOD | {"url": TRANSCRIPTIONS}), "invalid_url", 1, "url"),
        (jsonl(GOOD | {"body": "Hi."}), "invalid_body", 1, "body"),
        (jsonl(line("long", input="x" * 2_000)), "line_too_long", 1, None),
        (jsonl(*(line(str(n), input="Hi.") for n in range(4))), "too_many_requests", None, None),
    ],
)
def test_an_input_that_is_no_list_of_requests(fakes, serve, sdk, data, code, number, param):
    app = fakes.application(limits={"text_characters": 100, "upload_bytes": 10**6}, jobs={"lines": 3})
    padded = data.replace(b"x" * 2_000, b"x" * 70_000)
    with serve(app) as url, sdk(url) as client:
        if code is None:
            with pytest.raises(openai.BadRequestError, match="empty"):
                client.files.create(file=("list.jsonl", padded), purpose="batch")
            return
        file = client.files.create(file=("list.jsonl", padded), purpose="batch")
        batch = client.batches.create(input_file_id=file.id, endpoint=SPEECH, completion_window="24h")
        batch = ended(client, batch)
        assert (batch.status, batch.output_file_id) == ("failed", None)
        fault = batch.errors.data[0]
        assert (fault.code, fault.line, fault.param) == (code, number, param)
        chinese = httpx.get(f"{url}/v1/batches/{batch.id}", headers={"accept-language": "zh"}).json()
        assert chinese["errors"]["data"][0]["message"] != fault.message


def test_a_model_that_is_busy_or_loading_is_asked_again(fakes, serve, sdk):
    class Reluctant(type(fakes.speaker())):
        async def speak(self, request, text, delivery):
            self.asked.append(request)
            if len(self.asked) < 6:
                raise BusyError("busy") if len(self.asked) % 2 else NotReadyError("loading")
            yield Encoded(b"done", 0.5)

    plain = fakes.speaker()
    replica = Reluctant(plain.name, plain.task, [], plain.voices)
    with serve(fakes.application(replica)) as url, sdk(url) as client:
        batch = ended(client, begun(client, line("a", input="Hi."), line("b", input="Hi.")))
        assert (batch.status, batch.request_counts.completed) == ("completed", 2)
    assert len(replica.asked) == 7


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (FailedModelError("hibari cannot be used"), 503, "model_failed"),
        (EngineError("it broke"), 500, "engine_failed"),
        (AudioError("no audio"), 400, "invalid_audio"),
        (ZeroDivisionError(), 500, "internal_error"),
    ],
)
def test_a_request_that_fails_leaves_the_others_at_work(fakes, serve, sdk, error, status, code):
    broken = fakes.speaker(name="broken", script=[fakes.Step(Encoded(b"some", 0.5)), fakes.Step(error=error)])
    app = fakes.application(fakes.speaker(), broken)
    with serve(app) as url, sdk(url) as client:
        lines = line("a", input="Hi."), line("b", input="Hi.", model="broken"), line("c", input="Hi.")
        batch = ended(client, begun(client, *lines))
        assert [one["custom_id"] for one in results(client, batch.output_file_id)] == ["a", "c"]
        (failed,) = results(client, batch.error_file_id)
        assert failed["response"]["status_code"] == status
        assert failed["response"]["body"]["error"]["code"] == code
        assert len(client.files.list(purpose="batch_output").data) == 4, "nothing is kept of what failed"


def test_cancelling_stops_the_work_and_keeps_what_is_done(fakes, serve, sdk):
    held = fakes.speaker(name="held", script=[fakes.Step(Encoded(b"some", 0.5)), fakes.Step(hold=True)])
    with serve(fakes.application(fakes.speaker(), held)) as url, sdk(url) as client:
        begin = begun(
            client, line("a", input="Hi."), *(line(f"h{n}", input="Hi.", model="held") for n in range(9))
        )
        assert held.running.wait(10)
        while client.batches.retrieve(begin.id).request_counts.completed < 1:
            time.sleep(0.02)
        with pytest.raises(openai.BadRequestError, match="input of a batch"):
            client.files.delete(begin.input_file_id)
        cancelled = client.batches.cancel(begin.id)
        assert cancelled.status == "cancelling"
        batch = ended(client, cancelled, 5)
        assert (batch.status, batch.error_file_id) == ("cancelled", None)
        assert held.closed.wait(5)
        assert [one["custom_id"] for one in results(client, batch.output_file_id)] == ["a"]
        with pytest.raises(openai.BadRequestError, match="cancelled already"):
            client.batches.cancel(begin.id)
        assert client.files.delete(begin.input_file_id).deleted
    assert len(held.asked) == 2, "as many as run at a time"


def test_what_is_not_done_in_time_expires(fakes, serve, sdk, monkeypatch):
    held = fakes.speaker(name="held", script=[fakes.Step(hold=True)])
    with serve(fakes.application(fakes.speaker(), held)) as url, sdk(url) as client:
        monkeypatch.setattr("sonorant.protocols.openai.batches._seconds", lambda _: 1)
        lines = (
            line("a", input="Hi."),
            line("b", input="Hi.", model="held"),
            line("c", input="Hi.", model="held"),
        )
        batch = ended(client, begun(client, *lines, line("d", input="Hi.")))
        assert batch.status == "expired"
        assert [one["custom_id"] for one in results(client, batch.output_file_id)] == ["a"]
        failed = results(client, batch.error_file_id)
        assert [(one["custom_id"], one["response"]) for one in failed] == [(c, None) for c in "bcd"]
        assert {one["error"]["code"] for one in failed} == {"batch_expired"}
        assert held.closed.wait(5)


def test_files_are_listed_page_by_page_and_deleted(fakes, serve, sdk):
    with serve(fakes.application()) as url, sdk(url) as client:
        made = [client.files.create(file=(f"{n}.txt", b"x"), purpose="user_data").id for n in range(5)]
        other = client.files.create(
            file=("诗 '1'.jsonl", b"x"),
            purpose="batch",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )
        assert other.expires_at == other.created_at + 3600
        assert other.filename == "诗 '1'.jsonl"
        assert [file.id for file in client.files.list(limit=2, purpose="user_data")] == made[::-1]
        assert [file.id for file in client.files.list(limit=4, order="asc")] == [*made, other.id]
        assert client.files.delete(made[2]).deleted
        for gone in (made[2], "file-nothing", "é%00", "x" * 300):
            for call in (client.files.retrieve, client.files.content, client.files.delete):
                with pytest.raises(openai.NotFoundError) as refused:
                    call(gone)
                assert refused.value.code == "not_found"
        assert client.files.content(other.id).content == b"x"


GARBAGE = (
    {},
    {"input": ""},
    {"input": "\ud800"},
    {"input": "Hi.", "voice": {"id": "\ud800"}},
    {"input": "Hi.", "model": "\ud800"},
    {"input": "Hi.", "speed": float("nan")},
    {"input": "Hi.", "seed": 10**400},
    {"input": "Hi.", "response_format": "\x00"},
    {"input": "Hi.", "stream_format": "sse"},
    {"input": "<speak><voice name='x'>Hi."},
    {"input": "Hi.", "lexicon": {"en": {"\ud800": "/x/"}}},
    {"input": "Hi.", "language": "-"},
    {"input": ["Hi."] * 1000},
    {"input": "x" * 200_000},
)


def test_garbage_fails_line_by_line(fakes, serve, sdk):
    lines = [line(f"{n}\ud800/../..", **body) for n, body in enumerate(GARBAGE)]
    with serve(fakes.application()) as url, sdk(url) as client:
        batch = ended(client, begun(client, *lines, line("good", input="Hi.")))
        counts = batch.request_counts
        assert (batch.status, counts.total) == ("completed", len(lines) + 1)
        failed = results(client, batch.error_file_id)
        assert counts.failed == len(failed)
        assert {one["response"]["status_code"] for one in failed} <= {400, 404}
        assert all(one["response"]["body"]["error"]["message"] for one in failed)
        done = results(client, batch.output_file_id)
        assert done[-1]["custom_id"] == "good"
        for one in done:
            assert client.files.content(one["response"]["body"]["file_id"]).content == b"head-body"
        assert counts.failed >= len(GARBAGE) - 2


def test_no_more_requests_run_at_a_time_than_may(fakes, serve, sdk):
    held = fakes.speaker(script=[fakes.Step(Encoded(b"some", 0.5)), fakes.Step(hold=True)])
    with serve(fakes.application(held, jobs={"concurrency": 3})) as url, sdk(url) as client:
        made = [begun(client, *(line(str(n), input="Hi.") for n in range(4))) for _ in range(3)]
        while any(client.batches.retrieve(batch.id).status != "in_progress" for batch in made):
            time.sleep(0.02)
        time.sleep(0.2)
        assert len(held.asked) == 3
        for batch in made:
            client.batches.cancel(batch.id)
        assert {ended(client, batch).status for batch in made} == {"cancelled"}


def test_bounds_that_change_count_at_once(fakes, serve, sdk, tmp_path):
    def settings(**jobs):
        return Settings.model_validate({"jobs": {"folder": tmp_path, "concurrency": 1} | jobs})

    held = fakes.speaker(script=[fakes.Step(Encoded(b"some", 0.5)), fakes.Step(hold=True)])
    in_force = InForce(settings())
    app = create_app(Gateway([held], LimitSettings()), in_force, "1")
    with serve(app) as url, sdk(url) as client:
        made = [begun(client, line("a", input="Hi.")), begun(client, line("b", input="Hi."))]
        while not held.asked:
            time.sleep(0.02)
        time.sleep(0.2)
        assert len(held.asked) == 1
        in_force.change(settings(concurrency=3, files=3))
        made += [begun(client, line("c", input="Hi."))]
        while len(held.asked) < 2:
            time.sleep(0.02)
        with pytest.raises(openai.APIStatusError, match="3 uploaded files"):
            begun(client, line("d", input="Hi."))
        for batch in made:
            client.batches.cancel(batch.id)
        assert {ended(client, batch).status for batch in made} == {"cancelled"}


def test_batches_are_listed_page_by_page(fakes, serve, sdk):
    with serve(fakes.application()) as url, sdk(url) as client:
        made = [begun(client, line("a", input="Hi.")).id for _ in range(5)]
        assert [batch.id for batch in client.batches.list(limit=2)] == made[::-1]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"endpoint": "/v1/chat/completions"}, "endpoint"),
        ({"completion_window": "60d"}, "completion_window"),
        ({"completion_window": "soon"}, "completion_window"),
        ({"metadata": {"k": "\ud800"}}, "metadata"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 5}}, "output_expires_after"),
        ({"input_file_id": "file-x"}, "file_id"),
        ({"input_file_id": None}, "input_file_id"),
    ],
)
def test_a_batch_that_cannot_be(fakes, serve, sdk, change, param):
    with serve(fakes.application()) as url, sdk(url) as client:
        file = client.files.create(file=("list.jsonl", jsonl(GOOD)), purpose="batch")
        body = {"input_file_id": file.id, "endpoint": SPEECH, "completion_window": "24h"} | change
        answer = httpx.post(
            f"{url}/v1/batches", content=json.dumps(body), headers={"content-type": "application/json"}
        )
        assert answer.status_code == (404 if param == "file_id" else 400)
        assert answer.json()["error"]["param"] == param
        recording = client.files.create(file=("a.wav", b"x"), purpose="user_data")
        with pytest.raises(openai.BadRequestError, match="purpose"):
            client.batches.create(input_file_id=recording.id, endpoint=SPEECH, completion_window="24h")


def test_bounds(fakes, serve, sdk):
    limits = {"files": 2, "total_bytes": 600, "batches": 1}
    held = fakes.speaker(script=[fakes.Step(hold=True)])
    with serve(fakes.application(held, jobs=limits)) as url, sdk(url) as client:
        first = begun(client, line("a", input="Hi."))
        file = client.files.create(file=("list.jsonl", jsonl(GOOD)), purpose="batch")
        with pytest.raises(openai.APIStatusError, match="1 unfinished batches") as refused:
            client.batches.create(input_file_id=file.id, endpoint=SPEECH, completion_window="24h")
        assert refused.value.status_code == 413
        with pytest.raises(openai.APIStatusError, match="2 uploaded files"):
            client.files.create(file=("a.txt", b"x"), purpose="user_data")
        client.files.delete(file.id)
        with pytest.raises(openai.APIStatusError, match="600 bytes of files"):
            client.files.create(file=("a.txt", b"x" * 600), purpose="user_data")
        ended(client, client.batches.cancel(first.id))


def test_a_result_that_has_no_room_fails_alone(fakes, serve, sdk):
    with serve(fakes.application(jobs={"total_bytes": 250})) as url, sdk(url) as client:
        batch = ended(client, begun(client, *(line(str(n), input="Hi.") for n in range(2))))
        assert batch.request_counts.completed == 2
    large = fakes.speaker(script=[fakes.Step(Encoded(b"x" * 10**6, 1.0))])
    with serve(fakes.application(large, jobs={"total_bytes": 1000})) as url, sdk(url) as client:
        batch = ended(client, begun(client, line("a", input="Hi.")))
        (failed,) = results(client, batch.error_file_id)
        assert failed["response"]["status_code"] == 413


def test_nothing_of_one_tenant_is_seen_by_another(fakes, serve, sdk, monkeypatch):
    from sonorant.protocols.openai import batches, files

    def by_key(scope) -> str:
        return dict(scope["headers"])[b"authorization"].decode().removeprefix("Bearer ")

    for module in (batches, files):
        monkeypatch.setattr(module, "tenant_of", by_key)
    replica = fakes.speaker()
    with (
        serve(fakes.application(replica)) as url,
        sdk(url) as ours,
        ours.with_options(api_key="them") as theirs,
    ):
        batch = ended(ours, begun(ours, GOOD))
        audio = results(ours, batch.output_file_id)[0]["response"]["body"]["file_id"]
        assert ours.files.content(audio).content == b"head-body"
        assert theirs.files.list().data == theirs.batches.list().data == []
        for name in (audio, batch.input_file_id, batch.output_file_id):
            for call in (theirs.files.retrieve, theirs.files.content, theirs.files.delete):
                with pytest.raises(openai.NotFoundError):
                    call(name)
        for call in (theirs.batches.retrieve, theirs.batches.cancel):
            with pytest.raises(openai.NotFoundError):
                call(batch.id)
        with pytest.raises(openai.NotFoundError):
            theirs.batches.create(input_file_id=batch.input_file_id, endpoint=SPEECH, completion_window="24h")
        with pytest.raises(openai.NotFoundError):
            theirs.files.list(after=batch.input_file_id)
    assert replica.asked[0][0].terms.tenant == "any"


def test_two_servers_do_not_share_a_folder(fakes, serve, sdk, tmp_path):
    with serve(fakes.application(jobs={"folder": tmp_path})) as url, sdk(url) as first:
        with serve(fakes.application(jobs={"folder": tmp_path})) as other, sdk(other) as second:
            with pytest.raises(openai.InternalServerError, match="Another server") as refused:
                second.files.list()
            assert (refused.value.status_code, refused.value.code) == (503, "storage_unavailable")
            assert (
                second.audio.speech.create(model="tts-1", voice="alloy", input="Hi").content == b"head-body"
            )
        assert first.files.list().data == []


def test_a_path_names_all_its_methods(fakes, ask):
    refused = ask(fakes.application(), "PUT", "/v1/files/file-x")
    assert (refused.status_code, refused.headers["allow"]) == (405, "DELETE, GET")
    refused = ask(fakes.application(), "GET", "/v1/audio/speech")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")

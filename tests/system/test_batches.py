"""Batches by OpenAI's SDK, with real models: a text becomes speech, the speech becomes text again."""

import json
import signal
import time

import openai
import pytest

pytestmark = pytest.mark.system

SENTENCES = (
    "She opened the window and listened to the rain.",
    "Please keep your seat belt fastened.",
    "The garden below was quiet and green.",
    "They walked home along the river in the evening.",
)


def begun(client: openai.OpenAI, endpoint: str, bodies: dict[str, dict]):
    lines = [
        {"custom_id": name, "method": "POST", "url": endpoint, "body": body} for name, body in bodies.items()
    ]
    data = "\n".join(map(json.dumps, lines)).encode()
    file = client.files.create(file=("list.jsonl", data), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h")


def results(client: openai.OpenAI, batch, seconds: float = 120) -> dict[str, dict]:
    """The bodies of the answers, when all are there."""
    deadline = time.monotonic() + seconds
    while (batch := client.batches.retrieve(batch.id)).status != "completed":
        assert batch.status in ("validating", "in_progress", "finalizing")
        assert time.monotonic() < deadline, batch
        time.sleep(0.1)
    assert batch.error_file_id is None, client.files.content(batch.error_file_id).text
    lines = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    assert len(lines) == batch.request_counts.completed == batch.request_counts.total
    return {line["custom_id"]: line["response"]["body"] for line in lines}


def test_a_killed_server_goes_on_and_what_it_spoke_can_be_heard(launch, tmp_path, assert_says):
    folder = {"SONORANT_JOBS__FOLDER": str(tmp_path / "jobs")}
    bodies = {
        f"{n}-{voice}": {"input": sentence, "voice": voice, "response_format": "wav"}
        for n, sentence in enumerate(SENTENCES)
        for voice in ("alloy", "echo", "nova")
    }
    first = launch("hibari", "moonshine-tiny", **folder)
    first.wait_until_settled()
    with first.sdk() as client:
        batch = begun(client, "/v1/audio/speech", bodies)
        first.wait_until(lambda: client.batches.retrieve(batch.id).request_counts.completed >= 2, 60)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(30)

    second = launch("hibari", "moonshine-tiny", **folder)
    second.wait_until(second.answers, 60)
    with second.sdk() as client:
        assert client.batches.retrieve(batch.id).request_counts.completed >= 2, "what was done is kept"
        spoken = results(client, batch)
        assert list(spoken) == list(bodies)
        assert all(0.5 < body["seconds"] < 10 for body in spoken.values())
        recordings = {
            name: {"file": body["file_id"], "model": "whisper-1", "language": "en"}
            for name, body in spoken.items()
            if name.endswith("alloy")
        }
        heard = results(client, begun(client, "/v1/audio/transcriptions", recordings))
    text = " ".join(heard[f"{n}-alloy"]["text"] for n in range(len(SENTENCES)))
    assert_says(text, " ".join(SENTENCES))
    assert second.stop() == 0


def test_a_batch_lets_those_who_wait_pass(server, client, assert_refused):
    batch = begun(client, "/v1/audio/speech", {str(n): {"input": " ".join(SENTENCES)} for n in range(6)})
    answer = client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.", response_format="wav")
    assert answer.content[:4] == b"RIFF"
    assert client.batches.retrieve(batch.id).status in ("validating", "in_progress")
    assert client.batches.cancel(batch.id).status == "cancelling"
    server.wait_until(lambda: client.batches.retrieve(batch.id).status == "cancelled", 20)
    server.wait_until(lambda: server.metric("tts_active_requests", model="hibari") == 0, 10)
    bad = {"input_file_id": "file-none", "endpoint": "/v1/audio/speech", "completion_window": "24h"}
    assert assert_refused(server.http.post("/v1/batches", json=bad))["code"] == "not_found"

"""A server that is killed in the middle of a batch goes on with it when it is started again."""

import json
import random
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

LINES, KILLS = 40, 4
SERVER = textwrap.dedent(
    '''
    """A server with one model, which needs 50 ms for what it says: the text."""
    import asyncio, os, sys
    import uvicorn
    from sonorant.gateway import Gateway
    from sonorant.protocols.app import create_app
    from sonorant.settings import JobSettings, Settings
    from sonorant.tasks import Described, Encoded, Load, State, Task

    class Voice:
        name, task, state, reason = "voice", Task.SPEECH, State.READY, ""

        def describe(self):
            return Described(name="voice", task=self.task, languages=("en",))

        def load(self):
            return Load(slots=2)

        def figures(self):
            return ()

        async def speak(self, request, text, delivery):
            said = "".join([piece async for piece in text])
            if said == "Die.":
                os._exit(9)
            await asyncio.sleep(0.05)
            with open(sys.argv[3], "a") as heard:
                heard.write(said + "\\n")
            yield Encoded(said.encode(), 1.0)

    settings = Settings(jobs=JobSettings(folder=sys.argv[1]))
    app = create_app(Gateway([Voice()], settings.limits), settings, "1")
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", http="h11")
    '''
)


@contextmanager
def server(folder: Path) -> Iterator[tuple[subprocess.Popen, httpx.Client]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", SERVER, str(folder / "jobs"), str(port), str(folder / "heard")]
    with subprocess.Popen(command) as process, httpx.Client(base_url=f"http://127.0.0.1:{port}/v1") as client:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    client.get("/models")
                    break
                except httpx.TransportError:
                    assert process.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            yield process, client
        finally:
            process.kill()


def until(client: httpx.Client, batch: str, true) -> dict:
    deadline = time.monotonic() + 60
    while not true(info := client.get(f"/batches/{batch}").json()):
        assert time.monotonic() < deadline, info
        time.sleep(0.01)
    return info


def test_every_line_is_done_once(tmp_path):
    lines = [
        {
            "custom_id": f"line {n}",
            "method": "POST",
            "url": "/v1/audio/speech",
            "body": {"input": f"Text {n}."},
        }
        for n in range(LINES)
    ]
    upload = {"file": ("list.jsonl", "\n".join(map(json.dumps, lines)).encode())}
    chance = random.Random(1)
    with server(tmp_path) as (process, client):
        file = client.post("/files", files=upload, data={"purpose": "batch"}).json()["id"]
        body = {"input_file_id": file, "endpoint": "/v1/audio/speech", "completion_window": "24h"}
        batch = client.post("/batches", json=body).json()["id"]
        until(client, batch, lambda info: info["request_counts"]["completed"] >= 3)
        process.send_signal(signal.SIGKILL)
    counts = []
    for kill in range(KILLS):
        with server(tmp_path) as (process, client):
            wanted = 3 + (kill + 1) * LINES // (KILLS + 2)
            info = until(client, batch, lambda info, n=wanted: info["request_counts"]["completed"] >= n)
            counts.append(info["request_counts"]["completed"])
            time.sleep(chance.random() / 20)
            process.send_signal(signal.SIGKILL)
    assert counts == sorted(counts)
    assert counts[-1] < LINES, "it was killed before its end each time"
    with server(tmp_path) as (process, client):
        info = until(client, batch, lambda info: info["status"] == "completed")
        assert info["request_counts"] == {"total": LINES, "completed": LINES, "failed": 0}
        output = client.get(f"/files/{info['output_file_id']}/content").text
        done = [json.loads(line) for line in output.splitlines()]
        assert [one["custom_id"] for one in done] == [line["custom_id"] for line in lines]
        for n, one in enumerate(done):
            audio = one["response"]["body"]["file_id"]
            assert client.get(f"/files/{audio}/content").text == f"Text {n}."
        kept = client.get("/files", params={"purpose": "batch_output"}).json()["data"]
        assert len(kept) == LINES + 1, "each recording once, and the results"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)
    heard = (tmp_path / "heard").read_text().splitlines()
    assert len(heard) <= LINES + 2 * (KILLS + 1), "no more is done again than was running"


def test_a_request_that_kills_the_server_is_given_up_and_no_other(tmp_path):
    texts = [*(f"Text {n}." for n in range(4)), "Die.", *(f"Text {n}." for n in range(5, 9))]
    lines = [
        {"custom_id": f"{n}", "method": "POST", "url": "/v1/audio/speech", "body": {"input": text}}
        for n, text in enumerate(texts)
    ]
    upload = {"file": ("list.jsonl", "\n".join(map(json.dumps, lines)).encode())}
    with server(tmp_path) as (process, client):
        file = client.post("/files", files=upload, data={"purpose": "batch"}).json()["id"]
        body = {"input_file_id": file, "endpoint": "/v1/audio/speech", "completion_window": "24h"}
        batch = client.post("/batches", json=body).json()["id"]
        assert process.wait(20) == 9
    for _ in range(2):
        assert starting(tmp_path) == 9
    with server(tmp_path) as (_, client):
        info = until(client, batch, lambda info: info["status"] == "completed")
        assert info["request_counts"] == {"total": 9, "completed": 8, "failed": 1}
        (failed,) = client.get(f"/files/{info['error_file_id']}/content").text.splitlines()
    assert json.loads(failed)["custom_id"] == "4"
    assert json.loads(failed)["error"]["code"] == "quarantined"


def starting(folder: Path) -> int:
    """Start a server that dies of what it finds → its exit status."""
    command = [sys.executable, "-c", SERVER, str(folder / "jobs"), "0", str(folder / "heard")]
    return subprocess.run(command, timeout=60, check=False).returncode

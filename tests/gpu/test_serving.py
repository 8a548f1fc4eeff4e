"""A server whose models run on a GPU, as users start it."""

import io
import signal

import numpy as np
import pytest
import soundfile

from clients import Clients
from gpus import memory

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("onnxruntime_cuda")]


@pytest.fixture(scope="module")
def server(launch):
    one = launch("hibari", "--device", "cuda")
    one.wait_until_settled()
    return one


def speech(server, text: str) -> np.ndarray:
    answer = server.http.post("/v1/audio/speech", json={"input": text, "response_format": "wav", "seed": 1})
    assert answer.status_code == 200, answer.text
    samples, _ = soundfile.read(io.BytesIO(answer.content))
    return samples


def test_it_speaks_and_its_memory_is_seen(server):
    said = speech(server, "The quick brown fox jumps over the lazy dog.")
    assert 1 < len(said) / 24_000 < 8
    assert np.sqrt(np.mean(said**2)) > 0.01
    server.wait_until(lambda: server.metric("sonorant_gpu_memory_used_bytes") > 100 << 20, 30)
    assert server.metric("sonorant_gpu_memory_limit_bytes") > 4 << 30


def test_a_killed_process_is_replaced_and_no_memory_of_the_gpu_is_lost(server):
    speech(server, "Hello.")
    before = memory()
    with Clients(server.url, count=4) as clients:
        server.wait_until(lambda: clients.answered > 5, 60)
        (process,) = server.replicas()
        process.send_signal(signal.SIGKILL)
        server.wait_until(lambda: [p.pid for p in server.replicas()] not in ([process.pid], []), 60)
        server.wait_until(lambda: server.http.get("/health/ready").json()["status"] == "ok", 120)
        count = clients.answered
        server.wait_until(lambda: clients.answered > count, 60)
    assert clients.failed == []
    server.wait_until(lambda: memory() < before + (256 << 20), 30)

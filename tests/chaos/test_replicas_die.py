"""Processes are killed, stopped and lost under load; the full size is benchmarks/chaos.py."""

import contextlib
import signal
import threading
import time

import httpx
import pytest

from clients import Clients
from servers import assert_ended

pytestmark = pytest.mark.system

KILLS = 3


@pytest.fixture(scope="module")
def server(launch):
    one = launch("hibari")
    one.wait_until_settled()
    return one


def until_answered(server, clients) -> None:
    """Until something was answered by a process that began after now."""
    (old,) = server.replicas()
    server.wait_until(lambda: [p.pid for p in server.replicas()] not in ([old.pid], []), 30)
    server.wait_until(lambda: server.http.get("/health/ready").json()["status"] == "ok", 30)
    count = clients.answered
    server.wait_until(lambda: clients.answered > count, 30)


def test_killed_again_and_again_no_request_is_lost_that_had_not_begun(server):
    with Clients(server.url) as clients:
        server.wait_until(lambda: clients.answered > 5, 30)
        for _ in range(KILLS):
            (process,) = server.replicas()
            waiting = threading.Thread(target=until_answered, args=(server, clients))
            waiting.start()
            time.sleep(0.05)
            process.kill()
            waiting.join(60)
            assert not waiting.is_alive()
    assert clients.failed == []
    # a stream that has begun may wait for the turn of its end while others have the slots
    assert clients.broken <= clients.count * KILLS, (
        "a client has one stream open: none may break twice at a kill"
    )
    assert "signal SIGKILL" in server.log()


def test_a_stopped_process_is_noticed_and_replaced(server):
    with Clients(server.url) as clients:
        server.wait_until(lambda: clients.answered > 5, 30)
        (process,) = server.replicas()
        process.send_signal(signal.SIGSTOP)
        server.wait_until(lambda: [p.pid for p in server.replicas()] not in ([process.pid], []), 40)
        server.wait_until(lambda: server.http.get("/health/ready").json()["status"] == "ok", 30)
        count = clients.answered
        server.wait_until(lambda: clients.answered > count, 30)
    assert clients.failed == []
    assert "hung" in server.log()


def test_the_process_that_forks_dies_and_everything_comes_back(server):
    (forkery,) = server.forkeries()
    below = forkery.children(recursive=True)
    forkery.kill()
    assert_ended(below)
    answer = server.http.post("/v1/audio/speech", json={"input": "Hello again.", "response_format": "pcm"})
    assert (answer.status_code, len(answer.content) > 10_000) == (200, True)


def test_nothing_is_left_when_the_server_is_killed(launch):
    server = launch("hibari", "moonshine-tiny")
    server.wait_until_settled()
    family = server.family()
    assert len(family) >= 5, "the server, the forkery, two models, decoders"
    asking = threading.Thread(target=_quietly, args=(server.url,))
    asking.start()
    server.process.kill()
    assert_ended(family)
    asking.join(30)


def _quietly(url: str) -> None:
    with contextlib.suppress(httpx.TransportError):
        httpx.post(f"{url}/v1/audio/speech", json={"input": "Hello. " * 50}, timeout=30)

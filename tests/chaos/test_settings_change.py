"""The settings of a server change while it is asked again and again: no request fails."""

import os
import re
import signal
import sys

import pytest

from clients import Clients

pytestmark = pytest.mark.system


def notice(server) -> str:
    return server.http.get("/health/ready").json()["notice"]


def spoken(server, text: str) -> bytes:
    body = {"input": text, "response_format": "pcm", "model": "hibari", "seed": 1}
    answer = server.http.post("/v1/audio/speech", json=body)
    assert answer.status_code == 200, answer.text
    return answer.content


def in_force(server) -> list[str]:
    """What each change that was taken has changed."""
    return re.findall("changed settings are in force: (.+)", server.log())


def test_limits_lexicon_models_and_a_mistake(launch, tmp_path):
    file, lexicon = tmp_path / "sonorant.toml", tmp_path / "words.toml"
    file.write_text("[limits]\ntext_characters = 1000\n")
    server = launch("--config", str(file), SONORANT_MODELS="hibari")
    server.wait_until_settled()
    plain = spoken(server, "GIF")
    with Clients(server.url, 3) as clients:
        server.wait_until(lambda: clients.answered > 2, 30)
        (old,) = server.replicas()

        file.write_text("[limits]\ntext_characters = 60\n")
        long = {"input": "A text that is longer than what is now allowed. " * 2}
        server.wait_until(lambda: server.http.post("/v1/audio/speech", json=long).status_code == 400, 30)
        assert [process.pid for process in server.replicas()] == [old.pid]

        lexicon.write_text('[en]\nGIF = "a picture that moves"\n', encoding="utf-8")
        file.write_text(f"lexicon = '{lexicon}'\n[limits]\ntext_characters = 60\n")
        server.wait_until(lambda: len(spoken(server, "GIF")) > 1.3 * len(plain), 60)
        server.wait_until(lambda: old.pid not in [process.pid for process in server.replicas()], 30)

        file.write_text("[limits]\ntext_characters = 'many'\n")
        server.wait_until(lambda: "limits.text_characters" in notice(server), 30)
        assert server.http.get("/health/ready").status_code == 200
        assert len(spoken(server, "GIF")) > 1.3 * len(plain), "all is as it was"
    assert (clients.failed, clients.broken) == ([], 0)

    lexicon.write_text('[en]\nGIF = "jif"\n', encoding="utf-8")
    file.write_text(f"lexicon = '{lexicon}'\n[server]\nroot_path = '/voice'\napi_keys = ['secret-word']\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_until(lambda: server.http.get("/v1/models").status_code == 401, 3)
    assert notice(server) == ""
    file.write_text(f"lexicon = '{lexicon}'\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_until(lambda: server.http.get("/v1/models").status_code == 200, 3)
    server.wait_until(lambda: len(spoken(server, "GIF")) < 1.3 * len(plain), 60)
    assert in_force(server)[:2] == ["limits.text_characters", "lexicon"]
    assert "when the server is started again: server.root_path" in server.log()
    assert "secret-word" not in server.log()
    assert server.stop() == 0


def test_models_come_and_go(launch, tmp_path):
    file = tmp_path / "sonorant.toml"
    file.write_text("models = ['hibari']\n")
    server = launch("--config", str(file))
    server.wait_until_settled()
    heard = {"model": (None, "moonshine-tiny"), "file": ("a.wav", _recording(server))}
    with Clients(server.url, 3) as clients:
        file.write_text("models = ['hibari', 'moonshine-tiny']\n")
        server.process.send_signal(signal.SIGHUP)

        def answer(status: int) -> bool:
            assert server.http.get("/health/ready").status_code == 200
            return server.http.post("/v1/audio/transcriptions", files=heard).status_code == status

        server.wait_until(lambda: answer(200), 60)
        assert server.metric("sonorant_model_state", model="moonshine-tiny", state="ready") == 1
        file.write_text("models = ['hibari']\n")
        server.process.send_signal(signal.SIGHUP)
        server.wait_until(lambda: answer(404), 10)
        server.wait_until(lambda: len(server.replicas()) == 1, 20)
    assert (clients.failed, clients.broken) == ([], 0)
    assert server.stop() == 0


ON_A_TERMINAL = """
import os, sys
os.open(sys.argv[1], os.O_RDWR)  # the first terminal that the leader of a session opens becomes its own
os.execv(sys.executable, [sys.executable, "-m", "sonorant", "serve", *sys.argv[2:]])
"""


def test_a_terminal_that_is_closed_ends_the_server_and_another_hang_up_does_not(launch):
    ours, theirs = os.openpty()
    wrapped = [sys.executable, "-c", ON_A_TERMINAL, os.ttyname(theirs), "hibari", "--port"]
    server = launch(command=lambda port: [*wrapped, str(port)])
    try:
        server.wait_until_settled()
        server.process.send_signal(signal.SIGHUP)
        server.wait_until(lambda: "no setting has changed" in server.log(), 10)
        assert server.answers()
    finally:
        os.close(theirs)
        os.close(ours)
    assert server.process.wait(20) == 0


def _recording(server) -> bytes:
    body = {"input": "Hello there.", "response_format": "wav"}
    return server.http.post("/v1/audio/speech", json=body).content

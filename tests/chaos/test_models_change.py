"""A model's files change while it is asked again and again: no request fails."""

import shutil

import pytest

from clients import Clients
from sonorant.catalogue import Catalogue
from sonorant.settings import Settings

pytestmark = pytest.mark.system


@pytest.fixture
def voice(tmp_path):
    """A folder with hibari's files, as a user has it."""
    catalogue = Catalogue(Settings().catalogue)
    folder = tmp_path / "my-voice"
    shutil.copytree(catalogue.ensure(catalogue.find("hibari")), folder)
    return folder


def notice(server) -> str:
    return server.http.get("/health/ready").json()["models"][0]["notice"]


def test_a_damaged_file_is_rejected_and_a_good_one_is_taken(launch, voice):
    server = launch(str(voice))
    server.wait_until_settled()
    (file,) = voice.glob("hibari.onnx")
    good = file.read_bytes()
    with Clients(server.url, 4) as clients:
        server.wait_until(lambda: clients.answered > 3, 30)
        (old,) = server.replicas()

        file.write_bytes(good[:1_000_000])
        server.wait_until(lambda: notice(server), 60)
        assert "cannot be served" in server.log()
        assert [process.pid for process in server.replicas()] == [old.pid]

        spare = voice / "spare"
        spare.write_bytes(good)
        spare.rename(file)
        server.wait_until(lambda: not notice(server), 60)
        server.wait_until(lambda: old.pid not in [process.pid for process in server.replicas()], 30)
        count = clients.answered
        server.wait_until(lambda: clients.answered > count + 3, 30)
    assert (clients.failed, clients.broken) == ([], 0)
    assert server.stop() == 0


def test_a_model_that_failed_works_once_its_file_is_mended(launch, voice):
    (file,) = voice.glob("hibari.onnx")
    good = file.read_bytes()
    file.write_bytes(b"<!DOCTYPE html>")
    server = launch(str(voice))
    server.wait_until_settled()
    assert server.http.get("/health/ready").status_code == 503
    file.write_bytes(good)
    server.wait_until(lambda: server.http.get("/health/ready").status_code == 200, 60)
    assert server.http.post("/v1/audio/speech", json={"input": "Hello."}).status_code == 200
    assert server.stop() == 0


def test_a_model_comes_when_it_is_asked_for_and_goes_when_it_is_idle(launch):
    server = launch("hibari", "moonshine-tiny", SONORANT_PRELOAD="hibari", SONORANT_MEMORY__IDLE_SECONDS="2")
    server.wait_until_settled()

    def states() -> list[str]:
        return [model["state"] for model in server.http.get("/health/ready").json()["models"]]

    assert states()[1] == "unloaded"
    for _ in range(2):
        speech = server.http.post(
            "/v1/audio/speech", json={"input": "Hello there.", "response_format": "wav"}
        )
        assert speech.status_code == 200
        heard = server.http.post("/v1/audio/transcriptions", files={"file": speech.content})
        assert heard.json()["text"].lower().startswith("hello")
        server.wait_until(lambda: states() == ["unloaded", "unloaded"], 30)
        assert server.http.get("/health/ready").status_code == 200
        server.wait_until(lambda: server.replicas() == [], 10)
    assert "are free again" in server.log()
    assert server.stop() == 0

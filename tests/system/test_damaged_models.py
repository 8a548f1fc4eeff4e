"""A model whose files are damaged or not all there is named with its remedy; the others are served."""

import shutil

import openai
import pytest

from sonorant.settings import Settings

pytestmark = pytest.mark.system

HALF = """
name = "half"
revision = "1"
family = "hibari"
task = "text-to-speech"
languages = ["en"]
licence = "Apache-2.0"

[[voices]]
name = "heart"
language = "en-US"

[[files]]
name = "hibari.onnx"
sha256 = "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8"
size = 7936868
sources = [{{ url = "http://{address}/hibari.onnx" }}]
"""
"""a user's own card, whose one source must not be asked while the offline switch is on"""


@pytest.fixture
def store(server, tmp_path, silent_listener):
    """A copy of the store that the server has filled, in which damage does no harm, and a half model."""
    del server  # it has pulled the models
    home = Settings().catalogue.home.expanduser()
    for name in ("hibari", "moonshine-tiny", "silero-vad"):
        shutil.copytree(home / "models" / name, tmp_path / "models" / name)
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "half.toml").write_text(HALF.format(address=silent_listener))
    (whole,) = (home / "models" / "hibari").rglob("hibari.onnx")
    part = tmp_path / "models" / "half" / "1" / "hibari.onnx.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(whole.read_bytes()[:4_000_000])
    return tmp_path


@pytest.fixture
def offline(launch, store, silent_listener):
    """offline(models …) → a settled server on the store; all proxies lead to the silent listener."""
    proxies = dict.fromkeys(
        (name for word in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") for name in (word, word.lower())),
        f"http://{silent_listener}",
    )

    def start(*models: str):
        server = launch(*models, "--offline", SONORANT_CATALOGUE__HOME=str(store), **proxies, NO_PROXY="")
        server.wait_until_settled()
        return server

    return start


def reasons(server) -> dict[str, str]:
    return {model["name"]: model["reason"] for model in server.http.get("/health/ready").json()["models"]}


def assert_named(server, model: str, fault: str, remedy: str) -> None:
    """In the health and in the error of a request."""
    assert server.metric("sonorant_model_state", model=model, state="failed") == 1
    with server.sdk() as sdk:
        asks = {
            "half": lambda: sdk.audio.speech.create(model="half", voice="alloy", input="Hello."),
            "hibari": lambda: sdk.audio.speech.create(model="tts-1", voice="alloy", input="Hello."),
            "moonshine-tiny": lambda: sdk.audio.transcriptions.create(model="whisper-1", file=b"RIFF"),
        }
        with pytest.raises(openai.InternalServerError) as failure:
            asks[model]()
    assert (failure.value.status_code, failure.value.code) == (503, "model_failed")
    for message in (failure.value.message, reasons(server)[model]):
        assert model in message
        assert fault in message
        assert remedy in message


def test_a_damaged_and_a_half_downloaded_voice(offline, store, wav, text, assert_says):
    (path,) = (store / "models" / "hibari").rglob("hibari.onnx")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    server = offline("hibari", "half", "moonshine-tiny")
    ready = server.http.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert reasons(server)["moonshine-tiny"] == ""
    assert_named(server, "hibari", "is damaged. Some of its bytes", "`sonorant pull hibari@0.2.1 --force`")
    assert_named(server, "half", "is not on this machine. The offline switch is on", "`sonorant pull half@1`")
    heard = server.http.post("/v1/audio/transcriptions", files={"file": wav}).json()
    assert_says(heard["text"], text)
    assert server.stop() == 0
    assert path.read_bytes() == data, "it was replaced silently"


def test_a_truncated_recogniser(offline, store):
    (path,) = (store / "models" / "moonshine-tiny").rglob("encoder*")
    path.write_bytes(path.read_bytes()[:1_000_000])
    server = offline("hibari", "moonshine-tiny")
    assert server.http.get("/health/ready").json()["status"] == "degraded"
    assert_named(server, "moonshine-tiny", "truncated: it has 1000000 of", "`sonorant pull moonshine-tiny@")
    assert server.http.post("/v1/audio/speech", json={"input": "Hello."}).status_code == 200
    assert server.stop() == 0


def test_no_model_works(offline):
    server = offline("half")
    ready = server.http.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (503, "failed")
    assert server.http.get("/health/live").status_code == 200
    assert_named(server, "half", "not on this machine", "sonorant pull half")
    assert server.stop() == 0

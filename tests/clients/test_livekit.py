"""LiveKit Agents with its plugin for OpenAI."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.heavy

SCRIPT = Path(__file__).parent / "livekit_client.py"


def test_an_agent_speaks_and_listens(environment, execute, server, folder, text, says):
    python = environment("livekit") / "python"
    got = json.loads(execute(python, SCRIPT, server.api, text, cwd=folder))

    # mp3 as bytes for tts-1, and as server-sent events for the others
    assert got["spoken"].keys() == {"tts-1", "gpt-4o-mini-tts"}
    for model, spoken in got["spoken"].items():
        server.assert_speaks(folder / f"{model}.wav")
        assert spoken["frames"] > 1
        assert spoken["rates"] == [24_000]
    (request_id,) = got["ids"]
    assert request_id.startswith("req_")

    for heard in got["heard"].values():
        says(heard["text"])
        assert heard["language"] == "en"

    assert got["refused"]["status"] == 400
    assert got["refused"]["id"].startswith("req_")
    assert "hibari has no voice 'nobody'" in got["refused"]["message"]
    assert got["realtime"] == 404


def test_the_snippet_of_the_page(environment, execute, server, snippet, folder, says):
    python = environment("livekit") / "python"
    heard = execute(python, "-c", snippet("from livekit.plugins import openai"), cwd=folder)
    says(heard, "She opened the window and listened to the rain.")

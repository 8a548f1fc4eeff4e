"""Pipecat with its services for OpenAI."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.heavy

SCRIPT = Path(__file__).parent / "pipecat_client.py"


def test_a_pipeline_speaks_and_listens(environment, execute, server, folder, text, says):
    python = environment("pipecat") / "python"
    got = json.loads(execute(python, SCRIPT, server.api, text, cwd=folder))

    assert got["spoken"].keys() == {"gpt-4o-mini-tts", "tts-1"}
    for model, spoken in got["spoken"].items():
        assert spoken["errors"] == []
        server.assert_speaks(folder / f"{model}.pcm")
        assert spoken["frames"] > 1
        assert spoken["rates"] == [24_000]

    for heard in got["heard"].values():
        assert heard["errors"] == []
        says(heard["text"])

    assert got["refused"]["frames"] == 0
    assert any("No model 'gpt-9' is served here" in error for error in got["refused"]["errors"])


def test_the_snippet_of_the_page(environment, execute, server, snippet, folder, says):
    python = environment("pipecat") / "python"
    lines = execute(python, "-c", snippet("from pipecat.services.openai.stt import"), cwd=folder).splitlines()
    sounds = [line for line in lines if line.endswith("bytes at 24000 Hz")]
    assert sounds
    says(" ".join(line for line in lines if line not in sounds))

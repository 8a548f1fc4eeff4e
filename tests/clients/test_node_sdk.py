"""OpenAI's Node SDK, in the Node.js that it asks for."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.heavy

HERE = Path(__file__).parent / "node"


@pytest.fixture
def node(environment, execute, folder) -> Callable[..., str]:
    """node(code, *arguments) → its output; the module runs in `folder`, where the SDK is installed."""
    programs = environment("node")
    modules = programs.parent / "modules"
    wanted = (HERE / "package.json").read_bytes()
    if not (modules / "node_modules").is_dir() or (modules / "package.json").read_bytes() != wanted:
        shutil.rmtree(modules, ignore_errors=True)
        modules.mkdir()
        (modules / "package.json").write_bytes(wanted)
        npm = (
            programs / "npm",
            "install",
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
            "--ignore-scripts",
        )
        execute(*npm, cwd=modules, seconds=300)
    (folder / "node_modules").symlink_to(modules / "node_modules")
    return lambda code, *arguments: execute(
        programs / "node", "--input-type=module", "--eval", code, "--", *arguments, cwd=folder
    )


def test_the_sdk_speaks_listens_and_is_told_what_is_wrong(node, server, folder, text, says):
    said = json.loads(node((HERE / "client.js").read_text(), server.api, text))

    assert said["types"] == {
        "mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac",
        "flac": "audio/flac", "wav": "audio/wav", "pcm": "audio/pcm",
    }  # fmt: skip
    for file in (*(f"speech.{name}" for name in said["types"]), "body.wav", "events.wav"):
        server.assert_speaks(folder / file)
    assert said["pieces"] > 1
    assert said["events"] == ["speech.audio.delta", "speech.audio.done"]

    transcripts = said["transcripts"]
    says(transcripts["json"]["text"])
    says(transcripts["text"])
    assert transcripts["srt"].startswith("1\n00:00:0")
    assert transcripts["vtt"].startswith("WEBVTT\n")
    assert transcripts["verbose_json"]["language"] == "english"
    says(" ".join(segment["text"] for segment in transcripts["verbose_json"]["segments"]))
    *deltas, done = said["stream"]
    assert {event["type"] for event in deltas} == {"transcript.text.delta"}
    assert done == {"type": "transcript.text.done", "text": "".join(event["delta"] for event in deltas)}
    says(done["text"])
    says(said["hinted"]["text"])

    assert said["models"] == ["hibari", "moonshine-tiny"]
    assert said["model"] == "hibari"

    refused = said["refused"]
    assert all(one["kind"] and one["id"] for one in refused.values())
    assert [(one["status"], one["param"], one["code"]) for one in refused.values()] == [
        (400, "voice", "voice_not_found"),
        (404, "model", "model_not_found"),
        (400, "language", "unsupported"),
    ]
    assert "heart" in refused["voice"]["message"]
    assert "hibari, moonshine-tiny" in refused["model"]["message"]


def test_the_snippet_of_the_page(node, snippet, server, folder, says):
    says(node(snippet("import OpenAI from")))
    assert server.hear(folder / "stream.mp3")[1] > 2

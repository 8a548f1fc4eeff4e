"""`sonorant bench` against a real server, and with a model of its own."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.system


def bench(folder, *words: object) -> tuple[str, dict]:
    """What it prints, and its JSON."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SONORANT_", "OPENAI_"))}
    command = [sys.executable, "-m", "sonorant", "bench", *map(str, words), "--json", "figures.json"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads((folder / "figures.json").read_text())


def check(load: dict, requests: int) -> None:
    """Figures that belong together, of a load in which all went well."""
    figures = load["figures"]
    assert (figures["ok"], figures["failed"], figures["hung"], figures["reasons"]) == (requests, 0, 0, {})
    first, whole = figures["ttfa"], figures["whole"]
    assert 0 < first["p50"] <= first["p95"] <= first["p99"] <= whole["most"]
    assert figures["rtf"]["p50"] * figures["rtfx"] == pytest.approx(load["clients"], rel=0.5)
    assert 0 <= figures["in_time"] <= 1
    assert 0 < load["generator_cpu"] < 1
    assert load["server_cpu"] > 0
    assert load["memory_before"] <= load["memory_peak"]


def test_a_served_model(server, tmp_path):
    said, tree = bench(tmp_path, server.url, "--clients", "1,3", "--requests", 9, "--load", "0.5")
    one, three, chance = tree["loads"]
    check(one, 9)
    check(three, 9)
    assert chance["figures"]["ok"] == 9
    assert chance["rate"] == pytest.approx(tree["capacity"] / 2)
    assert tree["concurrent"] == 3
    assert "first audio, p95" in said
    # its memory is that of the server's processes, found by the port
    held = sum(process.memory_full_info().pss for process in server.family())
    assert tree["memory_loaded"] == pytest.approx(held, rel=0.5)
    # and the server has counted the same requests: three of warm-up, then 27
    assert server.metric("tts_requests_total", model="hibari", status="ok") >= 30


def test_speech_to_text_of_a_served_model(server, tmp_path):
    said, tree = bench(tmp_path, server.url, "--task", "transcription", "--clients", "2", "--requests", 4)
    assert tree["loads"][0]["figures"]["ok"] == 4
    assert tree["loads"][0]["figures"]["ttfa"] is None
    assert "first audio" not in said


def test_a_model_in_process(tmp_path):
    _, tree = bench(tmp_path, "--model", "hibari", "--clients", "1,2", "--requests", 6)
    for load in tree["loads"]:
        check(load, 6)
        # the generator's own CPU is told apart from that of the model beside it
        assert load["generator_cpu"] * load["figures"]["wall"] < load["server_cpu"] * 6
    assert tree["facts"]["asked"] == "hibari, in process"

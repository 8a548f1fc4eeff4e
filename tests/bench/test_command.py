"""`sonorant bench URL` as a user runs it, against a scripted server."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import sonorant
from sonorant.bench.texts import sentences

SOURCES = Path(sonorant.__file__).parent.parent


def bench(*words: object, language: str = "C.UTF-8") -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SONORANT_", "OPENAI_", "LC_"))}
    env = kept | {"PYTHONPATH": str(SOURCES), "LC_ALL": language, "COLUMNS": "160", "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "sonorant", "bench", *map(str, words)]
    return subprocess.run(command, capture_output=True, timeout=120, env=env, encoding="utf-8")


def row(done: subprocess.CompletedProcess[str], name: str) -> list[str]:
    """Cells of the line of the table that begins so."""
    line = next(line for line in done.stdout.splitlines() if line.startswith(name))
    return line.removeprefix(name).split()


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1, done.stdout
    error = [line for line in done.stderr.splitlines() if not line.startswith("…")]
    assert len(error) == 1, done.stderr
    assert error[0].startswith("Error: ")
    for word in words:
        assert word in error[0]


def test_a_table_a_file_and_a_plot(fake, tmp_path):
    words = ("--clients", "1,2", "--load", "0.5", "--requests", 6, "--json", tmp_path / "a.json")
    done = bench(fake.url, *words, "--plot", tmp_path / "a.svg")
    assert done.returncode == 0, done.stderr
    assert row(done, "requests")[:3] == ["6", "6", "6"]
    assert row(done, "hung") == ["0", "0", "0"]
    assert row(done, "underruns") == ["0,", "0.00", "s"] * 3
    assert done.stderr.splitlines()[:3] == ["… warm-up", "… 1 client", "… 2 clients"]
    tree = json.loads((tmp_path / "a.json").read_text())
    assert [load["clients"] for load in tree["loads"]] == [1, 2, None]
    assert tree["loads"][2]["rate"] == pytest.approx(tree["capacity"] / 2)
    assert tree["concurrent"] == 2
    assert tree["facts"]["asked"] == fake.url
    # the scripted server lives in the process of the tests, which is found by its port
    assert tree["memory_loaded"] > 10_000_000
    assert tree["loads"][0]["server_cpu"] > 0
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    # three of warm-up, then the same texts in the same order for each load
    texts = [json.loads(body)["input"] for _, _, body in fake.seen]
    assert len(texts) == 21
    assert set(texts[3:9]) == set(texts[9:15]) == set(texts[15:21])


def test_a_target_that_is_missed_is_exit_status_1(fake, wire, tmp_path):
    (tmp_path / "mine.toml").write_text("[goals]\nwhole_p50 = { below = 60 }\nmos = { at_least = 4 }\n")
    words = (fake.url, "--clients", 1, "--requests", 3, "--target")
    kept = bench(*words, tmp_path / "mine.toml")
    assert kept.returncode == 0, kept.stderr
    assert row(kept, "whole_p50")[-1] == "kept"
    assert row(kept, "mos")[-2:] == ["not", "measured"]
    (tmp_path / "mine.toml").write_text("[goals]\nwhole_p50 = { below = 0.000001 }\n")
    missed = bench(*words, tmp_path / "mine.toml", "--json", tmp_path / "a.json")
    assert missed.returncode == 1
    assert row(missed, "whole_p50")[-1] == "MISSED"
    (goal,) = json.loads((tmp_path / "a.json").read_text())["goals"]
    assert (goal["figure"], goal["below"], goal["kept"]) == ("whole_p50", 0.000001, False)


def test_refusals_hangs_and_failures_are_counted(fake, wire, tmp_path):
    """Of six texts two are refused, one hangs, one breaks off and one is silent."""
    busy = [wire.head("429 Too Many Requests", retry_after="0.1", content_length="0")]
    fake.scripts = {
        "b": busy,
        "c": busy,
        "d": [wire.HANG],
        "e": [wire.STREAMED, *wire.chunked(wire.wav_header() + wire.tone(0.2)), wire.BREAK],
        "f": [wire.STREAMED, *wire.chunked(wire.wav_header() + wire.silence(0.5)), wire.END],
    }
    texts = tmp_path / "texts"
    texts.write_text("a\nb\nc\nd\ne\nf\n")
    seed = next(seed for seed in range(99) if "a" in sentences("en", texts, seed)[:3])  # warm-up needs one
    words = ("--texts", texts, "--seed", seed, "--clients", 1, "--requests", 6, "--timeout", 1)
    done = bench(fake.url, *words)
    assert done.returncode == 0, done.stderr
    kinds = ("ok", "refused (429)", "failed", "hung", "Retry-After")
    assert [row(done, kind)[0] for kind in kinds] == ["1", "2", "2", "1", "0.1–0.1"]
    assert "failed: 1 × silence" in done.stdout
    assert "failed: 1 × the connection ended within the answer" in done.stdout


def test_speech_to_text_of_sentences_that_the_server_speaks_first(fake, wire, tmp_path):
    """The scripted server says each the same, then answers every recording with a text."""
    fake.scripts = {"file": [wire.head(content_length="14") + b'{"text": "hi"}']}
    done = bench(fake.url, "--task", "transcription", "--clients", 2, "--requests", 4)
    assert done.returncode == 0, done.stderr
    assert row(done, "ok") == ["4"]
    assert "first audio" not in done.stdout
    paths = [line.split()[1] for line, _, _ in fake.seen]
    assert paths == ["/v1/audio/speech"] * 10 + ["/v1/audio/transcriptions"] * 7
    assert fake.seen[0][2] != fake.seen[1][2]
    data = wire.wav_header() + wire.tone(0.2) + wire.tone(0.2)
    assert b"\r\n\r\n" + data + b"\r\n--" in fake.seen[-1][2]


def test_in_chinese(fake):
    done = bench(fake.url, "--clients", 1, "--requests", 2, "--language", "zh", language="zh_CN.UTF-8")
    assert done.returncode == 0, done.stderr
    assert "首包延迟 p50" in done.stdout
    assert "… 预热" in done.stderr
    assert "\\u" in fake.seen[0][2].decode()


def test_nobody_answers(fake, wire):
    fake.otherwise = [wire.head("503 Service Unavailable", content_length="0")]
    refused(bench(fake.url), "None of 3 first requests", "503", "--server")
    fake.close()
    refused(bench(fake.url), "None of 3 first requests", "refused")


def test_a_server_that_speaks_nothing_to_write_down(fake, wire):
    fake.otherwise = [wire.head("404 Not Found", content_length="0")]
    refused(bench(fake.url, "--task", "transcription"), "It answered 404", "--recording")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("no-address",), "no-address is no address"),
        (("http://127.0.0.1:9", "--clients", "1,x"), "--clients 1,x makes no sense"),
        (("http://127.0.0.1:9", "--clients", "1.5"), "--clients 1.5 makes no sense"),
        (("http://127.0.0.1:9", "--rate", "0"), "--rate 0 makes no sense"),
        (("http://127.0.0.1:9", "--rate", "1", "--load", "0.8"), "there is none"),
        (("http://127.0.0.1:9", "--plot", "x.png"), ".svg"),
        (("http://127.0.0.1:9", "--target", "nonsense"), "assistant, default"),
        (("http://127.0.0.1:9", "--texts", "/nowhere"), "cannot be read"),
        (("http://127.0.0.1:9", "--pid", "4194305"), "There is no process 4194305"),
    ],
)
def test_a_wrong_command_line(words, said):
    refused(bench(*words), said)

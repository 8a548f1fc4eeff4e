"""`sonorant doctor` as a user runs it."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from sonorant.cli import app

MESSAGE = "RuntimeError: CUDA error: no kernel image is available for execution on the device"


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")


def doctor(*words, **more):
    return CliRunner().invoke(app, ["doctor", *words], **more)


def test_a_message_has_a_cause_and_a_command():
    done = doctor("--error", MESSAGE)
    assert done.exit_code == 0
    assert "compiled for other GPUs" in done.output
    assert "pip install --force-reinstall torch" in done.output


def test_in_chinese(monkeypatch):
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert "不是为这块 GPU 编译的" in doctor("--error", MESSAGE).output
    assert "这里不认识这条信息" in doctor("--error", "ValueError: 7").output


def test_a_log_from_standard_input():
    log = "INFO start\n" * 12_000 + MESSAGE + "\n" + "INFO more\n" * 4_000
    done = doctor("--error", "-", input=log)
    assert done.exit_code == 0
    assert f"> {MESSAGE}" in done.output


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "gbk"])
def test_a_log_as_windows_writes_it(encoding):
    """PowerShell's > writes UTF-16; programs write the system's encoding."""
    log = f"开始\r\nINFO start\r\n{'INFO more ' * 10}\r\n{MESSAGE}\r\n".encode(encoding)
    done = doctor("--error", "-", input=log)
    assert done.exit_code == 0
    assert f"> {MESSAGE}" in done.output


def test_a_line_without_end_is_read_in_bounded_pieces():
    assert doctor("--error", "-", input=b"x" * (1 << 18) + b"\n" + MESSAGE.encode()).exit_code == 0


def test_an_unknown_message_says_what_to_send():
    done = doctor("--error", "ValueError: 7")
    assert done.exit_code == 1
    assert "sonorant doctor --json" in done.output
    assert doctor("--error", "ValueError: 7", "--json").stdout.strip() == "[]"


def test_for_programs():
    (found,) = json.loads(doctor("--error", MESSAGE, "--json").stdout)
    assert found["name"] == "no-kernel-image"
    assert found["cause"].keys() == {"en", "zh"}


def test_wrong_use_has_status_2():
    assert doctor("model.onnx", "--error", "x").exit_code == 2
    assert doctor("--errors", "x").exit_code == 2


def test_wrong_use_in_chinese(monkeypatch):
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert "请分开提问" in doctor("model.onnx", "--error", "x").output


def test_this_machine(tmp_path):
    environment = os.environ | {"LC_ALL": "C", "SONORANT_CATALOGUE__HOME": str(tmp_path), "COLUMNS": "140"}
    command = [sys.executable, "-m", "sonorant", "doctor", "--no-measure"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, env=environment, timeout=120)
    told = json.loads(done.stdout)
    assert done.returncode == (0 if told["fits"] else 1), done.stderr
    assert told["environment"]["libraries"]["onnxruntime"]["opset"] >= 21
    assert told["environment"]["disk"]["folder"] == str(tmp_path)
    assert told["measured"] is None
    assert told["estimates"]["kind"] == "roofline"
    assert all(sheet["source"] for sheet in told["estimates"]["data_sheets"])
    assert all(need["source"] for need in told["projects"])
    assert {"Sonorant", "CosyVoice", "FunASR", "Voice Sculptor"} <= {n["project"] for n in told["projects"]}


@pytest.mark.parametrize("language", ["C", "zh_CN.UTF-8"])
def test_nothing_is_cut_off_in_a_narrow_terminal(monkeypatch, tmp_path, language):
    """Chinese has no spaces to wrap at: the time of a read was lost, and so were names of models."""
    from doctor.machines import machine
    from sonorant.doctor import examination

    found = machine(packages={"numpy": "2.4.6", "torch": "2.3.1"})
    monkeypatch.setattr(examination, "environment", lambda folder: found)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LC_ALL", language)
    output = doctor("--no-measure").stdout
    assert "…" not in output
    whole = "".join(output.split())
    assert "0.1ms" in whole or "0.1毫秒" in whole
    assert "torch✓==2.3.1" in whole, "colours alone say nothing in a pipe"
    assert "torch✗>=2.6" in whole


def test_the_report_reads_well(monkeypatch, tmp_path):
    from doctor.machines import machine, with_card
    from sonorant.doctor import examination

    found = machine(
        cards=with_card("Tesla T4", 15, "7.5", "535.1", "12.2"),
        libraries={
            "cuda": {"version": "12.4", "where": "pip"},
            "torch": {"failed": "torch ended unexpectedly"},
        },
        packages={"numpy": "2.4.6", "torch": "2.5.1"},
    )
    monkeypatch.setattr(examination, "environment", lambda folder: found)
    monkeypatch.setenv("COLUMNS", "140")
    done = doctor("--no-measure")
    assert done.exit_code == 1
    assert "Tesla T4" in done.output
    assert "torch 2.5.1 is older than 2.6" in done.output
    assert "not measured" in done.output
    assert 'device = "cpu"' in done.output
    assert "Jetson Nano" in done.output

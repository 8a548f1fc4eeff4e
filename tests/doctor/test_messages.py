"""Messages that users paste, and what is said of them."""

import re
import tomllib
from pathlib import Path

import pytest

import sonorant
from sonorant.doctor.messages import diagnose

TABLE = tomllib.loads((Path(sonorant.__file__).parent / "doctor/errors.toml").read_text("utf-8"))
ENTRIES = {entry["name"]: entry for entry in TABLE["error"]}
EXAMPLES = [(name, example) for name, entry in ENTRIES.items() for example in entry["examples"]]


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(EXAMPLES)])
def test_an_example_finds_its_own_entry_and_no_other(name, example):
    assert [found.name for found in diagnose(example)] == [name]


def test_the_table_is_whole():
    assert len(ENTRIES) == len(TABLE["error"]) >= 40
    for entry in ENTRIES.values():
        assert entry["examples"], entry["name"]
        assert entry["command"].strip(), entry["name"]
        assert entry["source"].strip(), entry["name"]
        assert re.search("[\u4e00-\u9fff]", entry["cause"]["zh"]), entry["name"]
        assert not re.search("[\u4e00-\u9fff]", entry["cause"]["en"]), entry["name"]


def test_what_the_message_names_is_in_the_answer():
    (found,) = diagnose("ModuleNotFoundError: No module named 'faster_whisper'")
    assert found.command == "python -m pip install 'sonorant[whisper]'"
    (found,) = diagnose("ModuleNotFoundError: No module named 'librosa'")
    assert found.command == "python -m pip install 'librosa'"
    assert "librosa" in found.cause.zh
    (found,) = diagnose("No Op registered for GridSample with domain_version of 15")
    assert "GridSample" in found.cause.en


def test_a_remedy_names_what_the_message_wanted():
    (found,) = diagnose(
        "ImportError: tokenizers>=0.22.0,<=0.23.0 is required for a normal functioning of this module, but found tokenizers==0.21.4."
    )
    assert found.command.startswith("pip install 'tokenizers>=0.22.0,<=0.23.0'")
    (found,) = diagnose("  Resource cmudict not found.")
    assert found.command.startswith("python -m nltk.downloader cmudict")
    (found,) = diagnose("ImportError: There is no such class as cosyvoice.flow.flow.CausalMaskedDiffWithDiT")
    assert "cosyvoice.flow.flow.CausalMaskedDiffWithDiT" in found.cause.zh


def test_cudnn_is_matched_to_whoever_complains():
    """cuDNN 9 does not bring libcudnn.so.8, and CTranslate2 has nothing to do with ONNX Runtime's."""
    (found,) = diagnose(
        "[E:onnxruntime:Default, provider_bridge_ort.cc:1480] Failed to load library "
        "libonnxruntime_providers_cuda.so with error: libcudnn.so.8: cannot open shared object file"
    )
    assert found.command.startswith("pip install --upgrade 'onnxruntime-gpu[cuda,cudnn]<1.27'")
    (found,) = diagnose("ImportError: libcudnn.so.8: cannot open shared object file: No such file")
    assert found.command.startswith("pip install 'nvidia-cudnn-cu12<9'")
    (found,) = diagnose("OSError: libcudnn.so.9: cannot open shared object file: No such file")
    assert found.command.startswith("pip install 'nvidia-cudnn-cu12>=9'")


def test_pip_is_asked_for_versions_by_the_name_alone():
    """`pip index versions onnxruntime-gpu==1.18.0` is no valid call."""
    (found,) = diagnose("ERROR: No matching distribution found for onnxruntime-gpu==1.18.0")
    assert "pip index versions onnxruntime-gpu " in found.command
    assert "onnxruntime-gpu==1.18.0" in found.cause.en
    (found,) = diagnose("ERROR: No matching distribution found for uvicorn[standard]>=0.30")
    assert "pip index versions uvicorn " in found.command


def test_of_a_log_the_reason_comes_before_what_followed_from_it():
    log = """\
INFO starting
\x1b[31mERROR: failed to load model\x1b[0m
Traceback (most recent call last):
  File "server.py", line 3, in <module>
onnxruntime.capi.onnxruntime_pybind11_state.Fail: Unsupported model IR version: 14, max supported IR version: 13
Segmentation fault (core dumped)
"""
    found = diagnose(log)
    assert [one.name for one in found] == ["onnx-ir-too-new", "failed-to-load-model", "segmentation-fault"]
    assert found[0].number == 5
    assert found[1].line == "ERROR: failed to load model"


def test_a_message_that_the_terminal_has_wrapped():
    (found,) = diagnose(
        "RuntimeError: CUDA error: no kernel image is\n   available for execution on the device"
    )
    assert found.name == "no-kernel-image"


@pytest.mark.parametrize("text", ["", "\n\n", "it does not work", "ValueError: 7", "\0\x01\xff" * 100])
def test_what_is_unknown_has_no_cause(text):
    assert diagnose(text) == []


def test_a_huge_log_is_read_in_bounded_time():
    noise = "ConnectionError MaxRetryError the model failed; " * 50_000
    log = "\n".join([noise] * 4 + ["x" * 100] * 100_000 + ["CUDA out of memory"])
    assert diagnose(log)[0].name == "cuda-out-of-memory"

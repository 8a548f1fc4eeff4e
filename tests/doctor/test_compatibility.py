"""The rules of what does not fit together, each with an environment that breaks it, and with one that does not."""

import re

import pytest

from doctor.machines import GOOD, machine, with_card
from sonorant.doctor import compatibility
from sonorant.doctor.compatibility import fires, misfits, needs

RULES = {rule["name"]: rule for rule in compatibility.tables()["rule"]}
CASES = [
    ("python-too-old", {"python": "3.10.14"}, {"python": "3.13.0"}),
    ("glibc-too-old", {"glibc": "2.17"}, {"glibc": "2.28"}),
    ("two-onnxruntimes", {"onnxruntime": "1.20.0", "onnxruntime-gpu": "1.19.2"}, {"onnxruntime": "1.20.0"}),
    ("gpu-unused-by-onnxruntime", {"gpu-capability": "8.6", "onnxruntime": "1.31"}, {"onnxruntime": "1.31"}),
    (
        "onnxruntime-needs-driver-for-cuda-13",
        {"onnxruntime-gpu": "1.28", "driver-cuda": "12.4"},
        {"onnxruntime-gpu": "1.26", "driver-cuda": "12.4"},
    ),
    (
        "onnxruntime-cuda-13-runtime",
        {"onnxruntime-gpu": "1.27.0", "cuda": "12.8"},
        {"onnxruntime-gpu": "1.27.0", "cuda": "13.0"},
    ),
    (
        "onnxruntime-cuda-12-runtime",
        {"onnxruntime-gpu": "1.19.0", "cuda": "11.8"},
        {"onnxruntime-gpu": "1.18.0", "cuda": "11.8"},
    ),
    (
        "onnxruntime-cuda-12-not-13",
        {"onnxruntime-gpu": "1.22.0", "cuda": "13.0"},
        {"onnxruntime-gpu": "1.22.0", "cuda": "12.9"},
    ),
    ("onnxruntime-cudnn-9", {"onnxruntime-gpu": "1.22", "cudnn": "8.9.7"}, {"onnxruntime-gpu": "1.22", "cudnn": "9.1.0"}),
    ("onnxruntime-cudnn-8", {"onnxruntime-gpu": "1.18.0", "cudnn": "9.1.0"}, {"onnxruntime-gpu": "1.18.0", "cudnn": "8.9.7"}),
    ("onnxruntime-without-cudnn", {"onnxruntime-gpu": "1.22", "gpu-capability": "8.6"}, {"onnxruntime-gpu": "1.22", "gpu-capability": "8.6", "cudnn": "9.1"}),
    ("onnxruntime-without-cuda", {"onnxruntime-gpu": "1.22", "gpu-capability": "8.6"}, {"onnxruntime-gpu": "1.22", "gpu-capability": "8.6", "cuda": "12"}),
    ("onnxruntime-falls-back", {"onnxruntime-gpu": "1.26", "onnxruntime-without-gpu": "1"}, {"onnxruntime-gpu": "1.26"}),
    ("torch-sees-no-gpu", {"torch": "2.8.0", "torch-without-gpu": "1"}, {"torch": "2.8.0"}),
    ("onnx-writes-newer-ir", {"onnx-ir": "14", "onnxruntime-ir": "13"}, {"onnx-ir": "9", "onnxruntime-ir": "13"}),
    ("onnx-writes-newer-opset", {"onnx-opset": "28", "onnxruntime-opset": "26"}, {"onnx-opset": "28"}),
    ("torch-loads-code", {"torch": "2.5.1+cu121"}, {"torch": "2.6.0+cpu"}),
    ("driver-older-than-torch", {"torch-cuda": "13.0", "driver-cuda": "12.8"}, {"torch-cuda": "12.8", "driver-cuda": "12.4"}),
    ("gpu-unused-by-torch", {"gpu-capability": "7.5", "torch": "2.13.0+cpu"}, {"gpu-capability": "7.5", "torch": "2.13.0", "torch-cuda": "13.0"}),
    ("numpy-2-before-onnxruntime-1.19", {"numpy": "2.0.0", "onnxruntime": "1.18.1"}, {"numpy": "1.26.4", "onnxruntime": "1.18.1"}),
    ("numpy-2-before-torch-2.3", {"numpy": "2.0.0", "torch": "2.2.2"}, {"numpy": "2.0.0", "torch": "2.3.0"}),
    ("pytriton-empty-outputs", {"numpy": "2.4.6", "nvidia-pytriton": "0.7.0"}, {"numpy": "1.26.4", "nvidia-pytriton": "0.7.0"}),
    ("tritonclient-protobuf", {"tritonclient": "2.73.0", "protobuf": "7.0.0"}, {"tritonclient": "2.73.0", "protobuf": "6.33.6"}),
    ("onnx-before-1.14-protobuf", {"onnx": "1.13.1", "protobuf": "4.25.0"}, {"onnx": "1.14.0", "protobuf": "4.25.0"}),
    ("tensorrt-too-old", {"tensorrt": "8.6.1"}, {"tensorrt": "10.0.1"}),
    ("tensorrt-11-without-flags", {"tensorrt": "11.0.0", "conformer": "0.3.2", "hyperpyyaml": "1.2.3"}, {"tensorrt": "11.0.0"}),
    ("tensorrt-gpu-too-old", {"tensorrt": "10.13.3.9", "gpu-capability": "7.0"}, {"tensorrt": "10.13.3.9", "gpu-capability": "7.5"}),
    ("ctranslate2-cudnn-9", {"ctranslate2": "4.6.2", "cudnn": "8.9.7"}, {"ctranslate2": "4.6.3", "cudnn": "8.9.7"}),
    ("ctranslate2-cudnn-8", {"ctranslate2": "4.4.0", "cudnn": "9.1.0"}, {"ctranslate2": "4.4.0", "cudnn": "8.9.7"}),
    ("ctranslate2-cuda-12", {"ctranslate2": "4.8.5", "gpu-capability": "8.6", "cuda": "13.0"}, {"ctranslate2": "4.8.5", "gpu-capability": "8.6", "cuda": "13.0", "nvidia-cublas-cu12": "12.9"}),
    ("modelscope-without-snapshot-download", {"modelscope": "1.5.2"}, {"modelscope": "1.6.0"}),
    ("modelscope-without-local-dir", {"modelscope": "1.14.0"}, {"modelscope": "1.15.0"}),
    ("hub-without-cached-download", {"diffusers": "0.27.2", "huggingface-hub": "0.30.0"}, {"diffusers": "0.29.0", "huggingface-hub": "0.30.0"}),
    ("transformers-4-hub-1", {"transformers": "4.57.1", "huggingface-hub": "1.0.0"}, {"transformers": "5.0.0", "huggingface-hub": "1.3.0"}),
    ("transformers-mask-of-one", {"transformers": "4.57.1", "conformer": "0.3.2", "hyperpyyaml": "1.2.3"}, {"transformers": "4.57.1", "conformer": "0.3.2", "hyperpyyaml": "1.2.3", "vllm": "0.11.0"}),
    ("nvml-missing", {"gpu-capability": "8.6"}, {"gpu-capability": "8.6", "nvidia-ml-py": "13.6"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "broken", "whole"), CASES, ids=[case[0] for case in CASES])
def test_a_rule_fires_where_it_should_and_there_alone(name, broken, whole):
    assert fires(RULES[name], broken)
    assert not fires(RULES[name], whole)


def test_every_rule_has_a_case_and_says_what_to_do_in_both_languages():
    assert {case[0] for case in CASES} == RULES.keys()
    assert len(RULES) == len(compatibility.tables()["rule"])
    for rule in RULES.values():
        assert rule["command"].strip()
        assert rule["level"] in ("error", "warning")
        for part in ("what", "why"):
            assert re.search("[\u4e00-\u9fff]", rule[part]["zh"]), rule["name"]
            chinese, english = (sorted(re.findall(r"\{[^}]*\}", rule[part][word])) for word in ("zh", "en"))
            assert chinese == english, rule["name"]


def test_every_row_names_where_it_was_read():
    tables = compatibility.tables()
    for row in [*tables["rule"], *tables["project"]]:
        assert row["source"].strip(), row["name"]
    known = {"funasr": "1.4.16"}
    assert all(need.source for need in needs(known))


def test_a_finding_names_the_versions():
    packages = GOOD.packages | {"onnx": "1.23.2", "onnxruntime": "1.31.1"}
    told = {"onnx": {"version": "1.23.2", "ir": 14}, "onnxruntime": {"version": "1.31.1", "ir": 13}}
    (found,) = misfits(machine(packages=packages, libraries=told))
    assert found.what.en == "onnx 1.23.2 writes IR version 14; ONNX Runtime 1.31.1 reads 13 at most"
    assert "m.ir_version = 13" in found.command
    assert "onnxruntime 1.31.1" in found.source


def test_a_gpu_that_torch_has_no_code_for():
    torch = {
        "version": "2.11.0",
        "cuda": "13.0",
        "sees_gpu": True,
        "architectures": ["sm_75", "sm_80", "sm_86", "sm_90"],
    }
    packages = GOOD.packages | {"torch": "2.11.0", "nvidia-ml-py": "13"}

    def found(name, capability):
        return misfits(
            machine(cards=with_card(name, 24, capability), libraries={"torch": torch}, packages=packages)
        )

    assert found("RTX 3090", "8.6") == found("L20", "8.9") == []
    (old,) = found("GTX 1080 Ti", "6.1")
    assert old.name == "architecture"
    assert "sm_61" in old.what.en
    assert "cu126" in old.command
    assert "torch<2.15" in old.command
    (new,) = found("RTX 5090", "12.0")
    assert new.command == "pip install --upgrade torch"


def test_a_gpu_that_the_libraries_were_built_for_and_do_not_use():
    torch = {"version": "2.11.0", "cuda": "13.0", "sees_gpu": False}
    onnxruntime = {"version": "1.28.0", "fallen_back": ["CUDAExecutionProvider"]}
    cuda = {"version": "13.0"}
    found = misfits(
        machine(
            cards=with_card("L20", 48, "8.9"),
            libraries={"torch": torch, "onnxruntime": onnxruntime, "cuda": cuda, "cudnn": {"version": "9.1"}},
            packages={"numpy": "2.4.6", "torch": "2.11.0", "onnxruntime-gpu": "1.28.0", "nvidia-ml-py": "13"},
        )
    )
    assert {one.name for one in found} == {"torch-sees-no-gpu", "onnxruntime-falls-back"}


def test_a_library_that_does_not_load_is_told_in_its_own_words():
    (found,) = misfits(machine(libraries={"torch": {"failed": "torch ended unexpectedly (SIGSEGV)."}}))
    assert found.level == "error"
    assert "SIGSEGV" in found.why.zh


def test_what_projects_need_of_what_is_installed():
    known = {"python": "3.11.7", "torch": "2.3.1+cu121", "numpy": "2.0.0", "onnxruntime-gpu": "1.18.0"}
    asked = {(need.project, need.package): need for need in needs(known)}
    assert asked["CosyVoice", "torch"].fits is True
    assert asked["CosyVoice", "numpy"].fits is False
    assert asked["CosyVoice", "transformers"].fits is None
    assert asked["Whisper", "onnxruntime"].fits is True  # the build for GPUs gives the same module
    assert asked["Sonorant", "numpy"].wanted == ">=2.0"
    assert ("Sonorant", "ruff") not in asked


def test_a_project_that_is_installed_complains_of_its_own_needs_and_others_do_not():
    packages = GOOD.packages | {"faster-whisper": "1.2.1", "ctranslate2": "3.24.0", "transformers": "5.0"}
    (found,) = misfits(machine(packages=packages))
    assert (found.name, found.level) == ("requirement", "warning")
    assert found.command == "pip install 'ctranslate2>=4.0,<5'"
    (ours,) = misfits(machine(packages={"numpy": "1.26.4"}))
    assert ours.level == "error"
    assert "Sonorant needs numpy >=2.0; 1.26.4 is installed" in ours.what.en


def test_what_pip_does_not_install_has_a_command_of_its_own():
    packages = GOOD.packages | {"conformer": "0.3.2", "emotivoice": "0.2.0", "numpy": "1.26.4"}
    libraries = {"cuda": {"version": "13.0"}, "tensorrt": {"version": "10.3.0"}}
    found = misfits(machine(packages=packages, python="3.13.1", libraries=libraries))
    commands = {one.what.en.split(";")[0]: one.command for one in found if one.name == "requirement"}
    assert "python=3.10 " in commands["CosyVoice needs python ==3.10.*"]
    assert "-n emotivoice python=3.11 " in commands["EmotiVoice needs python >=3.8,<3.12"]
    assert commands["CosyVoice needs tensorrt ==10.13.3.9"] == "pip install 'tensorrt-cu12==10.13.3.9'"
    assert commands["CosyVoice needs cuda >=12.1,<13"].startswith("docker run")


def test_versions_that_nobody_can_read():
    assert misfits(machine(packages={"numpy": "unknown", "torch": "git-main"}))[0].name == "requirement"

"""The command line under a Chinese locale: help, mistakes in how it is called, errors, tables."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer import rich_utils

import sonorant

SOURCES = Path(sonorant.__file__).parent
TYPER = tomllib.loads((SOURCES / "locale" / "zh.toml").read_text("utf-8"))["typer"]
COMMANDS = ("serve", "say", "transcribe", "models", "show", "pull", "remove", "bench", "doctor")
MISTAKES = (
    ("sya",),
    ("unheard-of",),
    ("say", "--speed", "9", "x"),
    ("say", "--spee"),
    ("say", "--unheard-of"),
    ("say", "x", "--voice"),
    ("models", "x", "y"),
    ("show",),
)


def run(*words: str, language: str = "zh_CN.UTF-8", **more: str) -> subprocess.CompletedProcess[str]:
    ours = ("SONORANT_", "OPENAI_", "LC_", "LANG")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    env = kept | {"LANG": language, "PYTHONUTF8": "1", "COLUMNS": "160", "HF_HUB_OFFLINE": "1"} | more
    return subprocess.run(
        [sys.executable, "-m", "sonorant", *words], capture_output=True, text=True, timeout=120, env=env
    )


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(command: str) -> None:
    shown = run(*command.split(), "--help")
    assert shown.returncode == 0, shown.stderr
    assert "用法：" in shown.stdout
    assert "显示本帮助并退出" in shown.stdout
    # names, types and ranges stay; no sentence of English does
    lines = [line.split("[默认")[0] for line in shown.stdout.splitlines() if "用法" not in line]
    assert not [line for line in lines if re.search("[a-z]+ (?!range|or )[a-z]+ [a-z]+", line)]
    for words in ("Options", "Arguments", "Commands", "default:", "Usage", "env var"):
        assert words not in shown.stdout


def test_help_of_another_locale_is_english() -> None:
    english = run("say", "--help", language="de_DE.UTF-8").stdout
    assert "Usage:" in english
    assert not re.search("[\u4e00-\u9fff]", english)


def test_help_is_whole_in_a_narrow_terminal() -> None:
    shown = "".join(re.findall("[\u4e00-\u9fff]+", run("say", "--help", COLUMNS="60").stdout))
    assert "每次使用相同的噪声前提是音色支持" in shown


def test_mistakes_and_the_frame_around_them() -> None:
    """Every entry that the catalogue has for typer is something that typer says."""
    fixed = {v for k, v in vars(rich_utils).items() if k.isupper() and isinstance(v, str)}
    said = " ".join(sorted(fixed)) + run("--help", language="C").stdout
    for words in MISTAKES:
        chinese, english = run(*words), run(*words, language="C")
        assert (chinese.returncode, english.returncode) == (2, 2)
        lines = [line.strip("│ ") for line in chinese.stderr.splitlines()]
        assert not any(
            re.search("^(No such|Missing|Invalid|Option|Got|Try|Usage)", line) for line in lines
        ), lines
        said += re.sub(r"\s*│\n│\s*", " ", english.stderr)
    for template in TYPER:
        parts = [re.escape(part) for part in re.split(r"\{[a-z_]+\}", template)]
        assert re.search(".+?".join(parts), said) or template in said, template


def test_an_error_has_a_remedy_in_chinese(tmp_path: Path) -> None:
    refused = run("transcribe", str(tmp_path / "gone.wav"))
    assert refused.returncode == 1
    assert refused.stderr == f"错误：没有文件 {tmp_path / 'gone.wav'}。请检查路径。\n"
    wrong = run("models", SONORANT_SERVER__PORT="http", SONORANT_SERVER__PROT="1")
    assert wrong.returncode == 1
    assert "server.port：应为整数，所给的字符串不是整数；" in wrong.stderr
    assert "server.prot 不是设置项；此处可用：host, port" in wrong.stderr
    assert wrong.stderr.endswith("全部设置见 docs/settings.md。\n")


def test_tables() -> None:
    table = run("models").stdout.splitlines()
    assert table[0].split() == ["模型", "任务", "语言", "大小", "本机", "许可证"]
    assert any(line.startswith("hibari ") and "语音合成" in line for line in table)
    card = run("show", "hibari").stdout
    assert re.findall("^[\u4e00-\u9fff]+", card, re.MULTILINE)[:4] == ["模型", "说明", "任务", "家族"]
    assert "en-US 女声" in card
    assert run("models", "--json").stdout == run("models", "--json", language="C").stdout  # programs read it

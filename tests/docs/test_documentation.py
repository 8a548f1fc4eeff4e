"""The documentation does what it says: every code block of README.md, README.zh.md and docs/ is run.

- bash, sh and python blocks of a page run in order, each in a process of its own, in one temporary folder a
  page; a server of this session stands at the address 127.0.0.1:8000 that the pages name. Catalogue downloads
  are switched off for them, so that nothing but that server is reached.
- A block under `<!-- not run: reason -->` is only checked for its syntax. Those of docs/clients.md are run by
  tests/clients, which has the programs that they need.
- Blocks of `make` commands are commands of the Makefile: that their targets exist is checked (`make -n`).
  They are not run here, since `make test` runs this file; continuous integration exercises them.
- toml and json blocks are read: as a settings file, or as a model card.
- Chinese pages hold the same code as the English ones, which is checked in place of running it twice.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

import httpx
import pytest

from sonorant import errors
from sonorant.catalogue import card_file
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.settings import PREFIX, Settings, load_settings

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
SLOW = {"cli.md", "bench.md"}
"""pages whose blocks take half a minute and more"""
ENGLISH = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CHINESE = [ROOT / "README.zh.md", *sorted((ROOT / "docs" / "zh").glob("*.md"))]

SHELL = ("bash", "sh")
DATA = ("toml", "json")
DRAWINGS = ("", "text", "nginx")
"""what no program here reads"""
ELSEWHERE = ("js",)
"""what only tests/clients has a program for"""

BLOCK_SECONDS = 120
START_SECONDS = 300
"""long enough to fetch the default models on a new machine"""

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run:(?P<reason>.*?)-->\n$", re.DOTALL)
_LINK = re.compile(r"\]\((?!https?://)(?P<path>[^)#]*)(?:#(?P<heading>[^)]*))?\)")
_MARKED = re.compile(r"^ *#.*$|  +#.*$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    code: str
    not_run: str | None
    """the reason; None = it is run"""

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def makes(self) -> list[str]:
        """Its commands, where all of them are `make …`; otherwise none."""
        lines = self.code.strip().splitlines()
        return lines if self.language in SHELL and all(line.startswith("make ") for line in lines) else []


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    assert text.count("\n```") % 2 == 0, f"{page.name}: a block has no end"
    found = []
    for match in _FENCE.finditer(text):
        note = _NOT_RUN.search(text[: match.start()])
        reason = note["reason"].strip() if note else None
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, match["language"], match["code"], reason))
    return found


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[str]:
    """HOST:PORT of `sonorant serve` with the default models, ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "sonorant", "serve", "--port", address.rpartition(":")[2]]
    jobs = str(tmp_path_factory.mktemp("jobs"))  # not the user's own
    with subprocess.Popen(
        command,
        cwd="/",
        env=environment(SONORANT_JOBS__FOLDER=jobs),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_until_ready(process, address)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()


def wait_until_ready(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    health = "it does not answer"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            answer = httpx.get(f"http://{address}/health/ready", timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        health = answer.text
        if answer.json()["status"] != "loading":
            break
        time.sleep(0.1)
    assert '"status":"ok"' in health, health


def environment(**more: str) -> dict[str, str]:
    """A user's: this Python's programs come first, and nothing is set that changes Sonorant."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith((PREFIX, "HF_HUB_OFF", "OPENAI_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "PYTHONWARNINGS": "error"} | more


def run(block: Block, folder: Path, address: str) -> None:
    code = re.sub(r"(127\.0\.0\.1|localhost):8000", address, block.code)
    command = (
        [sys.executable, "-c", code]
        if block.language == "python"
        else ["bash", "-euo", "pipefail", "-c", code]
    )
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(SONORANT_CATALOGUE__OFFLINE="1"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BLOCK_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{block.where} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"


def check_syntax(block: Block) -> None:
    if block.language == "python":
        compile(block.code, block.where, "exec")
    else:
        done = subprocess.run(["bash", "-n", "-c", block.code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block.where}: {done.stderr}"


def check_make(block: Block) -> None:
    for line in block.makes:
        command = [*shlex.split(line), "-n"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block.where}: {line}: {done.stderr}"


def check_data(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if block.language == "json":
        json.loads(block.code)
        return
    if "family" in tomllib.loads(block.code):
        card_file.parse(block.code.encode(), block.where)
        return
    for variable in [v for v in os.environ if v.startswith(PREFIX)]:
        monkeypatch.delenv(variable)
    file = folder / "read-as-settings.toml"
    file.write_text(block.code, encoding="utf-8")
    OnnxRuntimeOptions(load_settings(file).onnxruntime)


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=pytest.mark.heavy) if p.name in SLOW else p for p in ENGLISH],
    ids=[name(p) for p in ENGLISH],
)
def test_page_does_what_it_says(
    page: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for block in blocks(page):
        assert block.not_run != "", f"{block.where}: a block that is not run needs a reason"
        if block.language in DATA:
            check_data(block, tmp_path, monkeypatch)
        elif block.language in ELSEWHERE:
            assert block.not_run, f"{block.where}: {block.language} cannot be run here"
        elif block.language not in DRAWINGS:
            assert block.language in (*SHELL, "python"), f"{block.where}: unknown language {block.language}"
            if block.makes:
                check_make(block)
            elif block.not_run:
                check_syntax(block)
            else:
                run(block, tmp_path, server)


@pytest.mark.parametrize("page", CHINESE, ids=name)
def test_chinese_page_holds_the_same_code(page: Path) -> None:
    english = ROOT / "README.md" if page.parent == ROOT else ROOT / "docs" / page.name
    ours, theirs = blocks(page), blocks(english)
    assert [b.language for b in ours] == [b.language for b in theirs]
    for block, other in zip(ours, theirs, strict=True):
        assert block.not_run != "", f"{block.where}: a block that is not run needs a reason"
        assert (block.not_run is None) == (other.not_run is None), block.where
        if block.language != "" and block.language != "text":  # drawings speak the page's language
            assert bare(block) == bare(other), f"{block.where} differs from {other.where}"


def bare(block: Block) -> str:
    """Its code without comments and docstrings, which are in the page's language."""
    if block.language != "python":
        return _MARKED.sub("", block.code)
    tree = ast.parse(block.code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:]
    return ast.unparse(tree)


@pytest.mark.parametrize("page", [*ENGLISH, *CHINESE], ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for match in _LINK.finditer(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        target = (page.parent / match["path"]).resolve() if match["path"] else page
        assert target.is_file(), f"{page.name} links to {match['path']}, which is not there"
        if heading := match["heading"]:
            assert heading in anchors(target), f"{page.name}: {target.name} has no heading #{heading}"


def anchors(page: Path) -> set[str]:
    """Its headings as GitHub makes addresses of them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leaves(model: type, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every setting by its path, with its default."""
    for field, info in model.model_fields.items():
        default = info.get_default(call_default_factory=True)
        if hasattr(type(default), "model_fields"):
            yield from leaves(type(default), f"{prefix}{field}.")
        else:
            yield f"{prefix}{field}", default


def test_settings_page_names_every_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_CACHE_HOME", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = {
        row[0]: row[1:] for row in re.findall(r"^\| `([\w.]+)` \| `(.+?)` \| `(\w+)` \| .+ \|$", text, re.M)
    }
    known = dict(leaves(Settings))
    assert rows.keys() == known.keys()
    for setting, default in known.items():
        written, variable = rows[setting]
        assert json.loads(written) == json.loads(json.dumps(default, default=str)), setting
        name = f"{PREFIX}{setting.upper().replace('.', '__')}"
        assert variable == (f"{name}__NAME" if setting == "onnxruntime" else name)


def test_python_page_shows_the_tree_of_errors() -> None:
    drawing = next(b.code for b in blocks(ROOT / "docs" / "python.md") if b.code.startswith("SonorantError"))
    assert indent(drawing, "    ") in (errors.__doc__ or "")

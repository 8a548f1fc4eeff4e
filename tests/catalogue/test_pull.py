"""Pulling from hubs and addresses: a loopback server stands for them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import sonorant
from sonorant.catalogue import Catalogue, File, ModelCard
from sonorant.catalogue.card import Hub, Source, Url
from sonorant.catalogue.part import Abandonable, Abandoned
from sonorant.errors import DownloadError, ModelFileError, UnknownVoiceError
from sonorant.settings import CatalogueSettings
from sonorant.tasks import Task, Voice

DATA = bytes(range(256)) * 2000
HALF = len(DATA) // 2
PATH = "/org/name/resolve/main/net.onnx"


class Server(ThreadingHTTPServer):
    """A hub with one behaviour at a time, which remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {PATH: DATA}
        self.mode = "well"
        self.asked: list[tuple[str, str | None]] = []
        self.tokens: list[str | None] = []
        self.go = threading.Event()
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, span = self.server, self.headers["Range"]
        server.asked.append((self.path, span))
        server.tokens.append(self.headers["Authorization"])
        if server.mode == "silent":
            server.go.wait(30)
            return
        if server.mode == "held":
            server.go.wait(30)
        data = server.files.get(self.path)
        if server.mode == "page":
            self._answer(200, b"<html>log in</html>", "text/html")
        elif server.mode.isdigit() or data is None:
            self._answer(int(server.mode) if server.mode.isdigit() else 404, b"", "text/plain")
        else:
            self._deliver(data, span)

    def _deliver(self, data: bytes, span: str | None) -> None:
        server = self.server
        if server.mode == "other":
            data = data[::-1]
        if server.mode == "shorter":
            data = data[:HALF]
        if span and server.mode != "no ranges":
            start = int(span.removeprefix("bytes=").removesuffix("-"))
            self._answer(206, data[start:], extra=f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self._answer(200, data, cut=HALF if server.mode in ("cuts", "stalls", "drips") else None)
        if server.mode == "drips":
            while not server.go.wait(0.01):
                self.wfile.write(bytes(1000))
        if server.mode == "stalls":
            self.wfile.flush()
            server.go.wait(30)

    def _answer(
        self,
        status: int,
        data: bytes,
        kind: str = "application/octet-stream",
        extra: str = "",
        cut: int | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if extra:
            self.send_header("Content-Range", extra)
        self.end_headers()
        self.wfile.write(data[:cut])

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that HF_ENDPOINT names."""
    yield from _serve(monkeypatch)


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A second server, known by its address only."""
    with pytest.MonkeyPatch.context() as apart:
        yield from _serve(apart, endpoint=False)


def _serve(monkeypatch: pytest.MonkeyPatch, endpoint: bool = True) -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    if endpoint:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
    try:
        yield server
    finally:
        server.go.set()
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, no cache and no earlier verdict of this machine plays a part."""
    monkeypatch.setattr("sonorant.catalogue.http._skipped", {})
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "ms"))


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(
        CatalogueSettings(home=tmp_path / "home", offline=False, region="global", source_timeout_seconds=5)
    )


def file(*sources: Source, name: str = "net.onnx", voice: str = "") -> File:
    return File(
        name=name,
        sha256=hashlib.sha256(DATA).hexdigest(),
        size=len(DATA),
        voice=voice,
        optional=bool(voice),
        sources=sources or (on_hub(),),
    )


def on_hub(path: str = "net.onnx") -> Hub:
    return Hub(hub="huggingface", repo="org/name", path=path, revision="main")


def card(*files: File) -> ModelCard:
    return ModelCard(
        name="toy",
        revision="1",
        family="piper",
        task=Task.SPEECH,
        languages=("en",),
        licence="MIT",
        voices=(Voice("ann", "en-GB"), Voice("bob", "en-US")),
        files=files or (file(),),
    )


class Counter:
    """Adds up what a progress bar would show."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.bytes = 0

    def start(self, name: str, total: int) -> None:
        self.events.append((name, total))

    def advance(self, n: int) -> None:
        self.bytes += n

    def done(self) -> None:
        self.events.append("done")


def test_a_pulled_file_is_the_file_and_leaves_nothing_else(hub: Server, catalogue: Catalogue) -> None:
    counter = Counter()
    folder = catalogue.ensure(card(), progress=counter)
    assert [p.name for p in folder.iterdir()] == ["net.onnx"]
    assert (folder / "net.onnx").read_bytes() == DATA
    assert counter.events == [("net.onnx", len(DATA)), "done"]
    assert counter.bytes == len(DATA)
    catalogue.ensure(card())
    assert len(hub.asked) == 1  # what is here is not asked for again


def test_a_broken_connection_goes_on_where_it_stopped(hub: Server, catalogue: Catalogue) -> None:
    hub.mode = "cuts"
    folder = catalogue.ensure(card())
    assert (folder / "net.onnx").read_bytes() == DATA
    assert [span for _, span in hub.asked] == [None, f"bytes={HALF}-"]


def test_a_pull_that_is_given_up_ends_soon_and_keeps_what_came(hub: Server, catalogue: Catalogue) -> None:
    hub.mode = "drips"
    came = threading.Event()

    class Watcher(Counter):
        def advance(self, n: int) -> None:
            super().advance(n)
            if self.bytes >= 1000:
                came.set()

    pull = Abandonable(Watcher())
    with ThreadPoolExecutor(1) as pool:
        pulling = pool.submit(catalogue.ensure, card(), progress=pull)
        assert came.wait(10)
        pull.abandon()
        with pytest.raises(Abandoned):
            pulling.result(10)
    assert not hub.go.is_set()  # the server was still sending
    (part,) = catalogue.store.folder(card()).glob("*.part")
    assert part.stat().st_size >= 1000


@pytest.mark.parametrize("mode", ["well", "no ranges"])
def test_what_an_earlier_run_left_is_used(hub: Server, catalogue: Catalogue, mode: str) -> None:
    hub.mode = mode
    part = leave(catalogue, DATA[:1000])
    counter = Counter()
    folder = catalogue.ensure(card(), progress=counter)
    assert (folder / "net.onnx").read_bytes() == DATA
    assert [span for _, span in hub.asked] == ["bytes=1000-"]
    assert counter.bytes == len(DATA)
    assert not part.exists()


@pytest.mark.parametrize("left", [b"x" * 1000, b"x" * len(DATA), b"x" * (len(DATA) + 1)])
def test_wrong_bytes_of_an_earlier_run_do_not_spoil_the_file(
    hub: Server, catalogue: Catalogue, left: bytes
) -> None:
    leave(catalogue, left)
    folder = catalogue.ensure(card())
    assert (folder / "net.onnx").read_bytes() == DATA
    assert hub.asked[-1] == (PATH, None)


def leave(catalogue: Catalogue, data: bytes) -> Path:
    folder = catalogue.store.folder(card())
    folder.mkdir(parents=True)
    part = folder / "net.onnx.part"
    part.write_bytes(data)
    return part


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("other", "sha256"),
        ("shorter", f"{HALF} bytes, not of {len(DATA)}"),
        ("page", "web page"),
        ("404", "404"),
        ("401", "HF_TOKEN"),
        ("503", "503"),
    ],
)
def test_a_source_with_a_wrong_file_is_named_and_the_next_one_asked(
    hub: Server, other: Server, catalogue: Catalogue, mode: str, reason: str
) -> None:
    hub.mode = mode
    with pytest.raises(DownloadError) as caught:
        catalogue.ensure(card())
    message = str(caught.value)
    assert "net.onnx of the model toy@1" in message
    assert reason in message
    assert hub.address.removeprefix("http://") in message
    assert not catalogue.store.folder(card()).joinpath("net.onnx").exists()
    folder = catalogue.ensure(card(file(on_hub(), Url(url=other.address + PATH))))
    assert (folder / "net.onnx").read_bytes() == DATA


def test_a_silent_source_is_asked_only_once_in_a_run(hub: Server, other: Server, tmp_path: Path) -> None:
    hub.mode = "silent"
    other.files["/b.onnx"] = DATA
    catalogue = Catalogue(CatalogueSettings(home=tmp_path, offline=False, source_timeout_seconds=1.5))
    two = card(
        file(on_hub(), Url(url=other.address + PATH)),
        file(on_hub("b.onnx"), Url(url=other.address + "/b.onnx"), name="b.onnx"),
    )
    catalogue.ensure(two)
    assert len(hub.asked) == 1
    assert len(other.asked) == 2


def test_a_source_that_falls_silent_half_way_is_continued_by_the_next(
    hub: Server, other: Server, tmp_path: Path
) -> None:
    hub.mode = "stalls"
    catalogue = Catalogue(CatalogueSettings(home=tmp_path, offline=False, source_timeout_seconds=1.5))
    folder = catalogue.ensure(card(file(on_hub(), Url(url=other.address + PATH))))
    assert (folder / "net.onnx").read_bytes() == DATA
    assert other.asked == [(PATH, f"bytes={HALF}-")]


def test_every_source_that_failed_is_listed_with_its_reason(
    hub: Server, other: Server, catalogue: Catalogue
) -> None:
    hub.mode, other.mode = "404", "page"
    nowhere = "http://127.0.0.1:1/net.onnx"
    with pytest.raises(DownloadError) as caught:
        catalogue.ensure(card(file(on_hub(), Url(url=other.address + PATH), Url(url=nowhere))))
    for words in ("answered 404", "web page", "127.0.0.1:1 could not be reached", "sonorant pull toy@1"):
        assert words in str(caught.value)


def test_offline_nothing_is_asked(hub: Server, tmp_path: Path) -> None:
    catalogue = Catalogue(CatalogueSettings(home=tmp_path / "home", offline=True))
    with pytest.raises(DownloadError) as caught:
        catalogue.ensure(card())
    assert hub.asked == []
    for words in ("net.onnx", "toy@1", "offline", "sonorant pull toy@1", str(tmp_path / "home")):
        assert words in str(caught.value)


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
@pytest.mark.parametrize("layout", range(3))
def test_what_the_hubs_own_tools_downloaded_is_used_offline(
    hub: Server, tmp_path: Path, source: str, layout: int
) -> None:
    if source == "huggingface":
        snapshot = ("main", "0123abc", "0123abc")[layout]
        places = [tmp_path / "hf" / "models--org--name" / "snapshots" / snapshot]
        refs = tmp_path / "hf" / "models--org--name" / "refs"
        refs.mkdir(parents=True)
        (refs / "main").write_text("0123abc")
    else:
        places = [tmp_path / "ms" / below for below in ("org/name", "hub/org/name", "hub/models/org/name")]
        places = places[layout : layout + 1]
    for place in places:
        place.mkdir(parents=True)
        (place / "net.onnx").write_bytes(DATA)
    at = Hub(hub=source, repo="org/name", path="net.onnx", revision="main")  # type: ignore[arg-type]
    catalogue = Catalogue(CatalogueSettings(home=tmp_path / "home", offline=True))
    assert (catalogue.ensure(card(file(at))) / "net.onnx").read_bytes() == DATA
    assert hub.asked == []


def test_a_copy_with_other_bytes_in_a_hub_cache_is_not_used(
    hub: Server, catalogue: Catalogue, tmp_path: Path
) -> None:
    place = tmp_path / "hf" / "models--org--name" / "snapshots" / "main"
    place.mkdir(parents=True)
    (place / "net.onnx").write_bytes(DATA[::-1])
    assert (catalogue.ensure(card()) / "net.onnx").read_bytes() == DATA
    assert len(hub.asked) == 1


def test_the_token_goes_to_the_hub_and_to_nobody_else(
    hub: Server, other: Server, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    hub.mode = "404"
    catalogue.ensure(card(file(on_hub(), Url(url=other.address + PATH))))
    assert hub.tokens == ["Bearer secret"]
    assert other.tokens == [None]


def test_a_voice_is_pulled_only_when_asked_for(hub: Server, catalogue: Catalogue) -> None:
    hub.files["/org/name/resolve/main/bob.onnx"] = DATA
    model = card(file(), file(on_hub("bob.onnx"), name="bob.onnx", voice="bob"))
    catalogue.ensure(model)
    assert [v.name for v in catalogue.store.voices(model)] == ["ann"]
    catalogue.ensure(model, voices=["bob"])
    assert [v.name for v in catalogue.store.voices(model)] == ["ann", "bob"]
    with pytest.raises(UnknownVoiceError, match="ann, bob"):
        catalogue.pull(model, voices=["carol"])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (DATA[:-1], f"truncated: it has {len(DATA) - 1} of {len(DATA)} bytes"),
        (DATA + b"x", "too long"),
        (DATA[:-1] + b"x", "sha256"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "web page"),
    ],
)
def test_a_damaged_file_is_named_and_only_force_replaces_it(
    hub: Server, catalogue: Catalogue, damage: bytes, words: str
) -> None:
    path = catalogue.ensure(card()) / "net.onnx"
    path.write_bytes(damage)
    with pytest.raises(ModelFileError) as caught:
        catalogue.ensure(card())
    for expected in (str(path), words, "sonorant pull toy@1 --force"):
        assert expected in str(caught.value)
    assert path.read_bytes() == damage
    catalogue.pull(card(), force=True)
    assert path.read_bytes() == DATA


def test_force_does_not_fetch_again_what_is_right(hub: Server, catalogue: Catalogue) -> None:
    catalogue.ensure(card())
    catalogue.pull(card(), force=True)
    assert len(hub.asked) == 1


def test_a_disk_that_is_too_small_is_named_beforehand(hub: Server, catalogue: Catalogue) -> None:
    huge = File(name="net.onnx", sha256="0" * 64, size=10**18, sources=(on_hub(),))
    with pytest.raises(DownloadError, match="no room"):
        catalogue.ensure(card(huge))
    assert hub.asked == []


def test_two_processes_that_pull_at_once_download_once(hub: Server, tmp_path: Path) -> None:
    hub.mode = "held"
    home = tmp_path / "home"
    (home / "cards").mkdir(parents=True)
    (home / "cards" / "toy.toml").write_text(f"""
name = "toy"
revision = "1"
family = "piper"
task = "text-to-speech"
languages = ["en"]
licence = "MIT"
[[files]]
name = "net.onnx"
size = {len(DATA)}
sha256 = "{hashlib.sha256(DATA).hexdigest()}"
sources = [{{ hub = "huggingface", repo = "org/name", path = "net.onnx", revision = "main" }}]
""")
    program = (
        "from sonorant.catalogue import Catalogue; from sonorant.settings import load_settings\n"
        "catalogue = Catalogue(load_settings().catalogue)\n"
        "print('ready', flush=True)\n"
        "print(catalogue.ensure(catalogue.find('toy')))\n"
    )
    environment = {
        **os.environ,
        "SONORANT_CATALOGUE__HOME": str(home),
        "SONORANT_CATALOGUE__SOURCE_TIMEOUT_SECONDS": "60",
        "PYTHONPATH": str(Path(sonorant.__file__).parents[1]),
    }
    with ExitStack() as ends:
        both = []
        for _ in range(2):
            process = ends.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", program],
                    env=environment,
                    cwd=tmp_path,
                    text=True,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
            )
            ends.callback(process.kill)
            both.append(process)
        assert [process.stdout.readline() for process in both if process.stdout] == ["ready\n"] * 2
        time.sleep(0.5)  # time enough for a second download to begin, if one did
        hub.go.set()
        for process in both:
            output, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
            assert (Path(output.strip()) / "net.onnx").read_bytes() == DATA
    assert len(hub.asked) == 1

"""Files that come out of sdists: a loopback server stands for the user's package index."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sonorant.catalogue import Catalogue, File, ModelCard
from sonorant.catalogue.card import Package
from sonorant.errors import DownloadError
from sonorant.settings import CatalogueSettings
from sonorant.tasks import Task

DATA = bytes(range(256)) * 500
MEMBER = "toy_voice-1.0/voices/ann.bin"
PAGE = "/simple/toy-voice/"
SDIST = "/files/toy_voice-1.0.tar.gz"
JSON = "application/vnd.pypi.simple.v1+json"


class Index(ThreadingHTTPServer):
    """Answers what it has, and remembers what it was asked and with which password."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[str, bytes]] = {}
        self.silent = False
        self.end = threading.Event()
        self.asked: list[str] = []
        self.passwords: dict[str, str | None] = {}
        self.address = f"http://127.0.0.1:{self.server_port}"

    def lists(self, *links: str, form: str = "html") -> None:
        """Have the page of toy-voice show these links."""
        if form == "json":
            files = [{"filename": link.rpartition("/")[2], "url": link, "hashes": {}} for link in links]
            self.answers[PAGE] = (JSON, json.dumps({"meta": {"api-version": "1.0"}, "files": files}).encode())
        else:
            anchors = "".join(f'<a href="{link}#sha256=00">x</a><br>' for link in links)
            self.answers[PAGE] = ("text/html; charset=utf-8", f"<html>{anchors}</html>".encode())

    def has(self, data: bytes) -> None:
        """List and deliver this sdist."""
        self.lists(f"../..{SDIST}")
        self.answers[SDIST] = ("application/gzip", data)


class Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.passwords[self.path] = self.headers["Authorization"]
        if self.server.silent:
            self.server.end.wait(30)
            return
        kind, data = self.server.answers.get(self.path, ("", b""))
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", kind or "text/plain")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None: ...


@contextmanager
def serving(index: Index) -> Iterator[Index]:
    thread = threading.Thread(target=index.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield index
    finally:
        index.end.set()
        index.shutdown()
        thread.join(10)
        index.server_close()


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of this machine's pip, no proxy and no earlier verdict plays a part."""
    monkeypatch.setattr("sonorant.catalogue.http._skipped", {})
    for variable in list(os.environ):
        if variable.startswith("PIP_") or variable.lower().endswith("_proxy"):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """The index that pip's settings name."""
    with serving(Index()) as index:
        monkeypatch.setenv("PIP_INDEX_URL", f"{index.address}/simple")
        yield index


@pytest.fixture
def other() -> Iterator[Index]:
    """A second server."""
    with serving(Index()) as index:
        yield index


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    settings = CatalogueSettings(home=tmp_path / "home", offline=False, source_timeout_seconds=5)
    return Catalogue(settings)


def sdist(members: dict[str, bytes | tarfile.TarInfo], mode: str = "w:gz") -> bytes:
    """An archive whose build backend leaves a file behind, if it is ever run."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:  # type: ignore[call-overload]
        for name, data in {"toy_voice-1.0/setup.py": b"open('ran', 'w')", **members}.items():
            member = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            content = b"" if isinstance(data, tarfile.TarInfo) else data
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def link(name: str, to: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, to
    return member


def card(*members: str, package: str = "Toy.Voice") -> ModelCard:
    files = [
        File(
            name=member.rpartition("/")[2],
            sha256=hashlib.sha256(DATA).hexdigest(),
            size=len(DATA),
            sources=(Package(package=package, version="1.0", archive="sdist", members=(member,)),),
        )
        for member in members or (MEMBER,)
    ]
    return ModelCard(
        name="toy",
        revision="1",
        family="piper",
        task=Task.SPEECH,
        languages=("en",),
        licence="MIT",
        files=tuple(files),
    )


def refused(catalogue: Catalogue, *members: str) -> str:
    with pytest.raises(DownloadError) as caught:
        catalogue.ensure(card(*members))
    assert [p.name for p in catalogue.store.folder(card()).iterdir()] == []
    return str(caught.value)


@pytest.mark.parametrize("form", ["json", "html"])
def test_members_of_an_sdist_are_delivered_and_it_is_downloaded_once(
    index: Index,
    catalogue: Catalogue,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    second = "toy_voice-1.0/voices/bob.bin"
    index.has(sdist({MEMBER: DATA, second: DATA}))
    older, wheel = "../../files/toy_voice-0.9.tar.gz", "../../files/toy_voice-1.0-py3-none-any.whl"
    index.lists(older, wheel, f"../..{SDIST}", form=form)
    folder = catalogue.ensure(card(MEMBER, second))
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {"ann.bin": DATA, "bob.bin": DATA}
    assert index.asked == [PAGE, SDIST]
    assert [p.name for p in tmp_path.iterdir()] == ["home"]  # setup.py did not run
    assert {p.name for p in catalogue.store.home.iterdir()} == {"models", "locks"}


def test_what_leads_out_of_an_sdist_is_left_in_it(index: Index, catalogue: Catalogue, tmp_path: Path) -> None:
    out = link("toy_voice-1.0/voices", str(tmp_path), tarfile.SYMTYPE)
    evil: dict[str, bytes | tarfile.TarInfo] = {
        "../../../evil": b"x",
        str(tmp_path / "evil"): b"x",
        "link": out,
    }
    index.has(sdist({**evil, MEMBER: DATA}))
    assert (catalogue.ensure(card()) / "ann.bin").read_bytes() == DATA
    assert [p.name for p in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_a_member_that_is_no_regular_file_is_refused(index: Index, catalogue: Catalogue, kind: bytes) -> None:
    index.has(sdist({"real": DATA, MEMBER: link(MEMBER, "real", kind)}))
    assert "not a regular file" in refused(catalogue)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (sdist({}), f"no such file: {MEMBER}"),
        (sdist({MEMBER: DATA[::-1]}), "sha256"),
        (sdist({MEMBER: DATA + b"x"}), f"more than the {len(DATA)} bytes"),
        (sdist({MEMBER: DATA})[:-200], "ends too early"),
        (sdist({MEMBER: DATA}, "w"), "damaged sdist"),
        (b"", "ends too early"),
    ],
)
def test_a_wrong_sdist_is_refused_with_its_fault(
    index: Index, catalogue: Catalogue, data: bytes, words: str
) -> None:
    index.has(data)
    assert words in refused(catalogue)


def test_an_sdist_that_would_fill_the_disk_is_refused(
    index: Index, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sonorant.catalogue.sdist._LARGEST", 4 << 20)
    index.has(sdist({"zeros": bytes(16 << 20), MEMBER: DATA}))
    assert "more than 4 MiB" in refused(catalogue)


def test_the_further_index_of_a_configuration_file_is_asked_when_the_first_lacks_it(
    index: Index, other: Index, catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other.has(sdist({MEMBER: DATA}))
    file = tmp_path / "pip.conf"
    file.write_text(f"[download]\nextra-index-url =\n  {index.address}/no\n  {other.address}/simple/\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert (catalogue.ensure(card()) / "ann.bin").read_bytes() == DATA
    assert index.asked == [PAGE, "/no/toy-voice/"]


@pytest.mark.parametrize("form", ["find-links", "find-links address", "index address", "index folder"])
def test_folders_of_this_machine_are_indexes_too(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "Toy.Voice-1.0.tar.gz").write_bytes(sdist({MEMBER: DATA}))
    page = tmp_path / "simple" / "toy-voice" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text('<a href="../../files/Toy.Voice-1.0.tar.gz#sha256=00">it</a>')
    if form.startswith("find-links"):
        place = tmp_path / "files"
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", place.as_uri() if "address" in form else str(place))
    else:
        place = tmp_path / "simple"
        monkeypatch.setenv("PIP_INDEX_URL", place.as_uri() if "address" in form else str(place))
    assert (catalogue.ensure(card()) / "ann.bin").read_bytes() == DATA


def test_the_password_of_an_index_goes_to_it_and_to_nobody_else(
    index: Index, other: Index, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.address.replace("//", "//me:s%40cret@") + "/simple")
    sent = "Basic " + base64.b64encode(b"me:s@cret").decode()
    index.lists(f"{other.address}{SDIST}")
    message = refused(catalogue)
    assert "404" in message
    assert "cret" not in message
    assert (index.passwords, other.passwords) == ({PAGE: sent}, {SDIST: None})
    index.has(sdist({MEMBER: DATA}))
    index.lists(f"{index.address}{SDIST}")  # an address without the password
    catalogue.ensure(card())
    assert index.passwords[SDIST] == sent


def test_a_page_from_elsewhere_cannot_name_a_file_of_this_machine(
    index: Index, catalogue: Catalogue, tmp_path: Path
) -> None:
    private = tmp_path / "toy_voice-1.0.tar.gz"
    private.write_bytes(sdist({MEMBER: DATA}))
    index.lists(private.as_uri())
    assert "links to a file of this machine" in refused(catalogue)


def test_an_index_without_the_release_is_named(index: Index, catalogue: Catalogue) -> None:
    index.lists("../../files/toy_voice-1.0.1.tar.gz", "../../files/other-1.0.tar.gz")
    message = refused(catalogue)
    assert "Toy.Voice==1.0 of the package index" in message
    assert f"{index.address.partition('://')[2]} does not list it" in message


@pytest.mark.parametrize("page", [b"{", b"[]", b'{"files": [{}]}', b'{"files": [{"url": "http://[x"}]}'])
def test_a_page_that_makes_no_sense_is_refused(index: Index, catalogue: Catalogue, page: bytes) -> None:
    index.answers[PAGE] = (JSON, page)
    assert "no page of an index" in refused(catalogue)


def test_a_silent_index_is_asked_once(index: Index, tmp_path: Path) -> None:
    index.silent = True
    settings = CatalogueSettings(home=tmp_path / "home", offline=False, source_timeout_seconds=1.5)
    catalogue = Catalogue(settings)
    assert "was silent for 1.5 s" in refused(catalogue)
    assert "skipped" in refused(catalogue)
    assert len(index.asked) == 1


def test_without_pip_its_variables_still_name_the_index(
    index: Index, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)  # as in an environment that uv made
    index.has(sdist({MEMBER: DATA}))
    assert (catalogue.ensure(card()) / "ann.bin").read_bytes() == DATA


def test_pip_s_proxy_is_used(index: Index, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    index.has(sdist({MEMBER: DATA}))
    index.answers |= {f"http://index.invalid{path}": answer for path, answer in index.answers.items()}
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.invalid/simple")
    monkeypatch.setenv("PIP_PROXY", index.address.removeprefix("http://"))
    assert (catalogue.ensure(card()) / "ann.bin").read_bytes() == DATA


def test_only_the_authorities_that_pip_trusts_are_trusted(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, context = certificate(tmp_path)
    index = Index()
    index.socket = context.wrap_socket(index.socket, server_side=True)
    index.has(sdist({MEMBER: DATA}))
    with serving(index):
        monkeypatch.setenv("PIP_INDEX_URL", f"https://127.0.0.1:{index.server_port}/simple")
        assert "certificate" in refused(catalogue)
        monkeypatch.setattr("sonorant.catalogue.http._skipped", {})
        monkeypatch.setenv("PIP_CERT", str(tmp_path / "absent.pem"))
        assert "absent.pem cannot be read" in refused(catalogue)
        monkeypatch.setenv("PIP_CERT", str(authority))
        assert (catalogue.ensure(card()) / "ann.bin").read_bytes() == DATA


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate of 127.0.0.1 that signs itself, and a server's side of it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, public = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key)]
    command += ["-out", str(public), "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, key)
    return public, context

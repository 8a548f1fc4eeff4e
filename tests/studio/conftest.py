"""Chromium, headless, with a fake microphone; and a small server behind the page that does as it is told."""

import math
import os
import shutil
import socket
import subprocess
import threading
import time
from array import array
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

RATE = 24_000
WORDS = ("Hello", "five", "dollars", "again")  # said for "Hello: $5 again."
WORD_SECONDS = 0.4

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--window-size=1280,1000",
]

WATCH = """
window.violations = [];
window.loudest = 0;
document.addEventListener("securitypolicyviolation", (e) => violations.push(e.violatedDirective + " " + e.blockedURI));
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) {
    if (!this.context.tap) {
      this.context.tap = window.tap = this.context.createAnalyser();
      setInterval(() => {
        const samples = new Float32Array(2048);
        tap.getFloatTimeDomainData(samples);
        loudest = Math.max(loudest, ...samples);
      }, 30);
    }
    connect.call(this, this.context.tap);
  }
  return connect.call(this, target, ...rest);
};
"""
"""what the tests see: forbidden loads, and the sound that goes to the loudspeaker"""


@pytest.fixture(scope="session")
def chromium() -> tuple[str, str]:
    """The paths of Chromium and its driver, installed first where that can be done."""
    found = _chromium()
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (
            ["update", "-qq"],
            ["install", "-y", "--no-install-recommends", "chromium", "chromium-driver"],
        ):
            subprocess.run(["apt-get", *command], check=False, timeout=900, stdin=subprocess.DEVNULL)
        found = _chromium()
    if not found:
        pytest.fail(
            "These tests need chromium and chromedriver on the PATH: apt-get install chromium chromium-driver"
        )
    return found


def _chromium() -> tuple[str, str] | None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Page:
    """The page in a browser, and what a user does with it."""

    def __init__(self, driver, url: str) -> None:
        self.driver, self.url = driver, url

    def open(self, path: str = "/") -> None:
        self.driver.get(self.url + path)

    def one(self, selector: str):
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list:
        return self.driver.find_elements("css selector", selector)

    def text(self, selector: str) -> str:
        return str(self.one(selector).text)

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def until(self, true: Callable[[], object], seconds: float = 20):
        """What `true` gives once it gives something."""
        deadline = time.monotonic() + seconds
        while not (found := true()):
            assert time.monotonic() < deadline, self.text("body")
            time.sleep(0.03)
        return found

    def ready(self) -> "Page":
        """Models and voices are there."""
        self.until(lambda: self.all("#voice option") and self.all("#hear-model option"))
        return self

    def say(self, text: str) -> None:
        field = self.one("#text")
        field.clear()
        field.send_keys(text)
        self.one("#go").click()

    def keys(self, *keys: str) -> None:
        """Press keys, the last with the others held."""
        from selenium.webdriver import ActionChains

        actions = ActionChains(self.driver)
        for key in keys[:-1]:
            actions.key_down(key)
        actions.send_keys(keys[-1])
        for key in keys[:-1]:
            actions.key_up(key)
        actions.perform()

    def drop(self, name: str, data: bytes) -> None:
        """Drop a file on the transcription panel, as a browser reports it."""
        self.run(
            """const bytes = Uint8Array.from(atob(arguments[1]), (c) => c.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], arguments[0], { type: "audio/wav" }));
            const zone = document.getElementById("drop");
            for (const kind of ["dragenter", "dragover", "drop"])
              zone.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));""",
            name,
            b64encode(data).decode(),
        )

    def choose(self, selector: str, value: str) -> None:
        from selenium.webdriver.support.select import Select

        Select(self.one(selector)).select_by_value(value)

    def switch(self, language: str) -> None:
        self.choose("#language", language)

    def size(self, width: int, height: int = 900) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def colours(self, top: float, bottom: float) -> int:
        """How many colours the canvas has between two heights, fractions of its own."""
        return self.run(
            """const c = document.getElementById("timeline"), [from, to] = [arguments[0], arguments[1]].map((f) => Math.round(f * c.height));
            const data = c.getContext("2d").getImageData(0, from, c.width, to - from).data;
            return new Set(new Uint32Array(data.buffer)).size;""",
            top,
            bottom,
        )

    def complaints(self) -> list[str]:
        """What the console holds against the page."""
        log = self.driver.get_log("browser")  # "rendering": of the tests' own look at the canvas
        return [one["message"] for one in log if one["level"] != "INFO" and one["source"] != "rendering"]


@pytest.fixture
def browse(chromium, tmp_path) -> Iterator[Callable[..., Page]]:
    """browse(url, language, *flags) → Page. In the end nothing may have left the server's origin,
    been blocked, or (with `clean`) been complained about in the console."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with ExitStack() as opened:
        pages: list[tuple[Page, bool]] = []

        def start(url: str, *flags: str, language: str = "en-US", clean: bool = True) -> Page:
            options = webdriver.ChromeOptions()
            options.binary_location = chromium[0]
            for flag in (
                *FLAGS,
                f"--lang={language}",
                f"--user-data-dir={tmp_path / str(len(pages))}",
                *flags,
            ):
                options.add_argument(flag)
            folder = {"download.default_directory": str(tmp_path), "intl.accept_languages": language}
            options.add_experimental_option("prefs", folder)
            options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
            driver = webdriver.Chrome(options=options, service=Service(chromium[1]))
            opened.callback(driver.quit)
            driver.set_page_load_timeout(60)
            driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
            pages.append((Page(driver, url), clean))
            pages[-1][0].open()
            return pages[-1][0]

        yield start
        for page, clean in pages:
            assert page.run("return violations") == []
            assert _origins(page) <= {page.url}
            if clean:
                assert page.complaints() == []


def _origins(page: Page) -> set[str]:
    import json

    events = [json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert asked
    inside = ("blob", "data", "chrome")  # the browser's own
    return {f"{p.scheme}://{p.netloc}" for p in map(urlsplit, asked) if p.scheme not in inside}


def tone(seconds: float, hertz: float = 330) -> bytes:
    """s16le at 24 kHz."""
    step = 2 * math.pi * hertz / RATE
    return array("h", (int(9000 * math.sin(step * i)) for i in range(int(seconds * RATE)))).tobytes()


@dataclass
class Stub:
    """A server as the page sees it. `Hello: $5 again.` is spoken with word times; a text with SLOW goes
    on until the client leaves, REFUSED is refused, BROKEN breaks off."""

    url: str = ""
    key: str = ""
    asked: list[tuple[str, object]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    languages: dict[str, list[str]] = field(
        default_factory=lambda: {"talker": ["en", "zh"], "listener": ["en", "zh"]}
    )
    """of each model; whose name begins with "talk" speaks"""

    def count(self, path: str) -> int:
        return sum(one == path for one, _ in self.asked)

    def latest(self, path: str):
        return next(what for one, what in reversed(self.asked) if one == path)


def _application(stub: Stub):
    import asyncio
    import json

    from fastapi import FastAPI, Request
    from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

    from sonorant.protocols import studio

    app = FastAPI()
    app.include_router(studio.routes("1.2.3"))

    @app.middleware("http")
    async def keys(request: Request, go_on):
        path = request.url.path
        stub.asked.append((path, None))
        if (
            stub.key
            and path.startswith("/v1")
            and request.headers.get("authorization") != f"Bearer {stub.key}"
        ):
            return JSONResponse({"error": {"message": "An API key is missing."}}, 401)
        return await go_on(request)

    def data(event: dict) -> str:
        return f"data: {json.dumps(event)}\n\n"

    async def spoken(body: dict):
        try:
            for number, word in enumerate(WORDS):
                start = number * WORD_SECONDS
                if "timestamp_granularities" in body:
                    times = {"word": word, "start": start, "end": start + WORD_SECONDS}
                    yield data({"type": "speech.audio.words", "words": [times]})
                audio = b64encode(tone(WORD_SECONDS, 220 * (number + 1))).decode()
                yield data({"type": "speech.audio.delta", "audio": audio})
                if "BROKEN" in body["input"]:
                    yield data({"type": "error", "error": {"message": "The voice broke."}})
                    return
            while "SLOW" in body["input"]:
                await asyncio.sleep(0.1)
                yield data({"type": "speech.audio.delta", "audio": b64encode(tone(0.1)).decode()})
            yield data({"type": "speech.audio.done"})
        finally:
            stub.left.set()

    @app.post("/v1/audio/speech")
    async def speech(request: Request) -> Response:
        body = await request.json()
        stub.asked.append(("speech", body))
        if "REFUSED" in body["input"]:
            return JSONResponse({"error": {"message": "That <b>cannot</b> be said. Say less."}}, 400)
        if body.get("stream_format") != "sse":
            return Response(wav(0.5), media_type="audio/wav")
        return StreamingResponse(spoken(body), media_type="text/event-stream")

    @app.post("/v1/audio/transcriptions")
    async def transcriptions(request: Request) -> Response:
        async with request.form() as form:
            fields = {name: form.getlist(name) for name in form if name != "file"}
            file = form["file"]
            stub.asked.append(("transcription", fields | {"name": file.filename, "bytes": await file.read()}))
        words = [
            {"word": w, "start": 0.5 + i * 0.25, "end": 0.75 + i * 0.25}
            for i, w in enumerate(["One", "two", "three", "four"])
        ]
        segments = [
            {"start": 0.5, "end": 1.0, "text": "One, two."},
            {"start": 1.0, "end": 1.5, "text": "Three & four."},
        ]
        return JSONResponse(
            {"language": "english", "duration": 2.0, "text": "", "segments": segments, "words": words}
        )

    @app.get("/health")
    async def health() -> dict:
        return {
            "status": "ok",
            "models": [{"name": n, "state": "ready", "reason": ""} for n in ("talker", "listener")],
        }

    @app.get("/metrics")
    async def metrics() -> Response:
        return PlainTextResponse(
            'tts_active_requests{model="talker"} 3.0\ntts_requests_total{model="talker",status="ok"} 41.0\n'
            'tts_realtime_factor_sum{model="talker"} 1.0\ntts_realtime_factor_count{model="talker"} 8.0\n'
        )

    @app.get("/v1/models")
    async def models() -> dict:
        usual = {"state": "ready", "word_times": True}
        tasks = {
            name: "text-to-speech" if name.startswith("talk") else "speech-to-text" for name in stub.languages
        }
        return {
            "data": [
                {"id": name, "task": tasks[name], "languages": languages, **usual}
                for name, languages in stub.languages.items()
            ]
        }

    @app.get("/v1/audio/voices")
    async def voices() -> dict:
        usual = {"model": "talker", "description": ""}
        return {
            "data": [
                {
                    "id": "amy",
                    "name": "amy",
                    "language": "en-US",
                    "gender": "female",
                    "preview_url": "/v1/preview/amy",
                    **usual,
                },
                {
                    "id": "mei",
                    "name": "mei",
                    "language": "zh-CN",
                    "gender": "female",
                    "preview_url": None,
                    **usual,
                },
            ]
        }

    @app.get("/v1/preview/amy")
    async def preview() -> Response:
        return Response(wav(1), media_type="audio/wav")

    return app


def wav(seconds: float) -> bytes:
    import io
    import wave

    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(tone(seconds))
    return file.getvalue()


@contextmanager
def served(app) -> Iterator[str]:
    """The address of an application on a free loopback port."""
    import uvicorn

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        server = uvicorn.Server(
            uvicorn.Config(app, http="h11", log_level="critical", timeout_graceful_shutdown=2)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=20)
            assert not thread.is_alive()


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub()
    with served(_application(stub)) as url:
        stub.url = url
        yield stub


@pytest.fixture
def page(stub, browse) -> Page:
    """The page before the stub, in English, with its lists read."""
    return browse(stub.url).ready()


@pytest.fixture(scope="session")
def sound() -> SimpleNamespace:
    """Sounds and figures that the tests share with the stub."""
    return SimpleNamespace(wav=wav, words=WORDS, word_seconds=WORD_SECONDS)


@pytest.fixture(scope="session")
def static() -> Path:
    from sonorant.protocols import studio

    return studio.FOLDER

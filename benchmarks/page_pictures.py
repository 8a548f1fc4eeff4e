"""The pictures of the page at / that the README shows, taken of a server of its own with the default models.

    python benchmarks/page_pictures.py [--folder docs/images]

Chromium and chromedriver must be on the PATH, and a font with Chinese characters installed. Everything in
the pictures is real: the server itself speaks the recording that is dropped on the page, and the figures are
those of this machine at this moment, so let nothing else run on it.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.select import Select

from serving import server
from sonorant.tasks import DEFAULT_MODELS

WIDTH = 1280
WAIT_SECONDS = 120.0
FIGURES = ("ttfa", "rtf", "underruns")
"""what the page says of the speech, told beside each picture: a busy machine gives none to be shown"""
PAUSE = '<break time="800ms"/>'
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
    "--hide-scrollbars",
)
DROP = """
const bytes = Uint8Array.from(atob(arguments[1]), (c) => c.charCodeAt(0));
const dataTransfer = new DataTransfer();
dataTransfer.items.add(new File([bytes], arguments[0], { type: "audio/wav" }));
document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
"""


@dataclass(frozen=True)
class Picture:
    """One language of the page."""

    name: str
    locale: str
    scheme: str
    """light or dark"""
    model: str
    voice: str
    text: str
    listener: str
    """the model that writes down the recording"""
    recording: tuple[str, ...]
    """what is said in it, with pauses between"""


PICTURES = (
    Picture(
        "page-zh.png", "zh-CN", "dark", "kokoro", "zf_xiaoxiao",
        "早上好。现在是七点半，第一班列车将在二十分钟后发车。请保管好您的车票，直到旅程结束。",
        "whisper-base",
        ("委员会星期四再次开会。请大家在会前阅读报告。", "如果不能参加，请给秘书留言。",
         "会后我们会打电话告诉您结果。"),
    ),
    Picture(
        "page-en.png", "en-US", "light", "hibari", "heart",
        "Good morning. It is 7:30, and the first train leaves in twenty minutes. "
        "Please keep your ticket until the end of your journey.",
        "moonshine-tiny",
        ("The committee will meet again on Thursday. Everyone should read the report before then.",
         "If you cannot come, please send a short note to the secretary.",
         "We will call you afterwards and tell you what was decided."),
    ),
)  # fmt: skip


def spoken(client: httpx.Client, picture: Picture) -> bytes:
    """The recording, a WAV; its models have then had something to do."""
    said = f"<speak>{PAUSE.join(picture.recording)}</speak>"
    asked = {"model": picture.model, "voice": picture.voice, "input": said, "response_format": "wav"}
    recording = client.post("/v1/audio/speech", json=asked).raise_for_status().content
    file, form = {"file": ("recording.wav", recording)}, {"model": picture.listener}
    client.post("/v1/audio/transcriptions", files=file, data=form).raise_for_status()
    return recording


def take(browser: Any, url: str, picture: Picture, recording: bytes) -> bytes:
    """PNG: the recording written down, and the text being spoken, a word of its second half lit."""
    colours = {"name": "prefers-color-scheme", "value": picture.scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [colours]})
    browser.get(url)
    until(lambda: found(browser, "#voice option") and found(browser, "#hear-model option"))
    choose(browser, "hear-model", picture.listener)
    browser.execute_script(DROP, "recording.wav", base64.b64encode(recording).decode())
    until(lambda: found(browser, "#transcript li"))

    choose(browser, "speak-model", picture.model)
    choose(browser, "voice", picture.voice)
    field = browser.find_element("id", "text")
    field.clear()
    field.send_keys(picture.text)
    browser.find_element("id", "go").click()
    until(lambda: found(browser, "#spoken-text .word"))
    height = browser.execute_script("return document.documentElement.scrollHeight")
    size = {"width": WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    until(lambda: played(browser) > 0.6 and found(browser, "#spoken-text .lit"))
    return base64.b64decode(browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"])


def choose(browser: Any, list: str, value: str) -> None:
    Select(browser.find_element("id", list)).select_by_value(value)


def found(browser: Any, selector: str) -> bool:
    return bool(browser.find_elements("css selector", selector))


def played(browser: Any) -> float:
    """The share of the whole that has been played, once the whole is there."""
    done = "return document.getElementById('rtf').textContent"
    if browser.execute_script(done) == "–":
        return 0.0
    now, end = browser.find_element("id", "clock").text.split(" / ")
    return seconds(now) / seconds(end)


def seconds(clock: str) -> float:
    minutes, rest = clock.split(":")
    return 60 * int(minutes) + float(rest)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("The page did not come so far")
        time.sleep(0.05)


@contextmanager
def chromium(locale: str) -> Iterator[Any]:
    """A browser in this language, ended afterwards."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for flag in (*FLAGS, f"--lang={locale}", f"--window-size={WIDTH},1000"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"intl.accept_languages": locale})
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield browser
    finally:
        browser.quit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    folder: Path = parser.parse_args().folder
    if not subprocess.run(["fc-list", ":lang=zh"], capture_output=True, check=True).stdout:
        parser.error("No font here has Chinese characters: apt-get install fonts-noto-cjk")
    with server(*(name for names in DEFAULT_MODELS.values() for name in names)) as client:
        recordings = [spoken(client, picture) for picture in PICTURES]
        for picture, recording in zip(PICTURES, recordings, strict=True):
            with chromium(picture.locale) as browser:
                image = take(browser, str(client.base_url), picture, recording)
                shown = {name: browser.find_element("id", name).text for name in FIGURES}
            (folder / picture.name).write_bytes(image)
            print(folder / picture.name, *(f"{name} {text}" for name, text in shown.items()), sep="  ")


if __name__ == "__main__":
    main()

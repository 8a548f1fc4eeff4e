"""What holds for all of the page: languages, keyboard, narrow screens, keys, the live panel."""

import re
import time

import pytest

pytestmark = pytest.mark.heavy

VISIBLE = """
const found = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const owner = walk.currentNode.parentElement;
  if (owner.closest("script, noscript") || !owner.checkVisibility() && !owner.closest("select")) continue;
  if (walk.currentNode.data.trim()) found.push(walk.currentNode.data.trim());
}
for (const element of document.querySelectorAll("[title], [aria-label], [aria-valuetext], [placeholder]"))
  for (const name of ["title", "aria-label", "aria-valuetext", "placeholder"])
    if (element.getAttribute(name)) found.push(element.getAttribute(name));
return [...found, document.title];
"""
NAMES = {  # of things, the same in every language
    "Sonorant", "HTTP", "API", "English", "talker", "listener", "amy", "mei", "mp3", "wav", "flac", "opus", "aac", "pcm",
    "srt", "vtt",
    "Ctrl", "Esc", "https", "meeting", "Hello", "again", "One", "two", "Three", "four",
}  # fmt: skip


def filled(page, sound) -> None:
    """Every part of the page has something to show."""
    page.say("Hello: $5 again.")
    page.drop("meeting.wav", sound.wav(2))
    page.until(lambda: page.all("#transcript li") and page.text("#length").startswith("1.60"))
    page.until(lambda: page.text("#play") in ("Play", "播放"))


def test_chinese_is_chinese_throughout_and_remembered(page, sound):
    filled(page, sound)
    english = page.run(VISIBLE)
    assert not re.search("[\u4e00-\u9fff]", "".join(english).replace("中文", ""))
    page.switch("zh")
    chinese = page.run(VISIBLE)
    left = set(re.findall(r"[A-Za-z]\w+", " ".join(chinese), re.ASCII)) - NAMES
    assert left == set()
    assert page.run("return document.documentElement.lang") == "zh-CN"
    assert {"首包延迟", "实时率", "就绪"} <= set(chinese)
    page.open()
    page.ready()
    assert page.text("#go").startswith("朗读")
    page.switch("en")
    assert page.text("#go").startswith("Speak")


def test_the_browsers_language_is_the_pages(stub, browse):
    page = browse(stub.url, language="zh-CN").ready()
    assert page.text("#speak-title") == "语音合成"
    page.one("#voice").send_keys("mei")
    page.until(lambda: page.one("#text").get_attribute("value").startswith("早上好"))


def test_everything_is_reached_and_done_by_keyboard(page, stub):
    page.run("document.body.focus()")
    seen, unmarked = [], []
    for _ in range(40):
        page.keys("\ue004")  # Tab
        name, outline = page.run(
            "const e = document.activeElement; return [e === document.body ? 'BODY' : e.id || e.textContent.trim(), getComputedStyle(e).outlineStyle]"
        )
        if name == "BODY" or name in seen:
            break
        seen.append(name)
        if outline == "none":
            unmarked.append(name)
    reached = ["language", "text", "speak-model", "voice", "speed", "go", "format", "download", "timeline"]
    assert [name for name in seen if name in reached] == reached
    assert {"hear-model", "itn", "choose", "record"} <= set(seen)
    assert unmarked == []
    page.run("document.getElementById('text').focus()")
    page.keys("\ue009", "a")
    page.keys("SLOW")
    page.keys("\ue009", "\ue007")  # Ctrl+Enter
    page.until(lambda: page.text("#speak-status") == "Speaking")
    page.keys("\ue00c")  # Escape
    assert stub.left.wait(10)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_narrow_screens_need_no_sideways_scrolling(page, sound, language):
    page.size(360, 740)
    page.switch(language)
    filled(page, sound)
    page.run(
        """import(new URL("studio/language.js", document.baseURI)).then(({ showPlain }) =>
        showPlain(document.getElementById("speak-error"), "x".repeat(300)))"""
    )
    page.until(lambda: page.text("#speak-error"))
    assert page.run("return document.documentElement.scrollWidth") == 360
    wider = page.run(
        """return [...document.querySelectorAll("main *")].filter((e) => e.checkVisibility()
        && e.getBoundingClientRect().right > 360.5 && !e.closest("svg")).map((e) => e.id || e.className)"""
    )
    assert wider == []


def test_the_live_panel_shows_models_load_and_voices(page):
    [talker, listener] = page.all("#models li")
    assert talker.text.split("\n")[:3] == ["talker", "text to speech", "ready"]
    figures = dict(zip(*[iter(talker.text.split("\n")[3:])] * 2, strict=True))
    assert figures == {"Active": "3", "Requests": "41", "Failed": "0", "First result": "–", "RTF": "0.125"}
    assert listener.text.startswith("listener")
    amy, mei = page.all("#voices li")
    assert amy.text.split("\n")[:2] == ["amy", "American English · female · talker"]
    assert not mei.find_element("css selector", ".hear").is_enabled()
    amy.find_element("css selector", ".hear").click()
    page.until(lambda: "live" in page.one("#voices .hear").get_attribute("class"))
    mei.find_elements("css selector", "button")[1].click()
    assert page.one("#voice").get_attribute("value") == "mei"


def test_nothing_is_asked_while_the_page_is_hidden(page, stub):
    page.driver.switch_to.new_window("tab")
    hidden = page.driver.window_handles[0]
    time.sleep(1)  # a poll may have been under way
    before = stub.count("/metrics")
    time.sleep(6)
    assert stub.count("/metrics") == before
    page.driver.close()
    page.driver.switch_to.window(hidden)
    page.until(lambda: stub.count("/metrics") > before)


def test_a_key_is_asked_for_and_sent(stub, browse):
    stub.key = "secret"
    page = browse(stub.url, clean=False)  # the console reports the 401
    page.until(lambda: page.text("#key-why") == "An API key is missing.")
    page.one("#key-value").send_keys("secret\n")
    page.ready()
    assert not page.one("#key").is_displayed()
    page.say("Hello: $5 again.")
    page.until(lambda: page.text("#speak-status") == "All audio received")


def test_a_server_that_is_gone_is_told(stub, browse):
    page = browse(stub.url, clean=False).ready()
    page.driver.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    page.until(lambda: page.text("#health") == "Not reachable")
    assert page.text("#server-error") == "The server cannot be reached. Is it running?"
    page.driver.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {**offline, "offline": False, "downloadThroughput": -1, "uploadThroughput": -1},
    )
    page.until(lambda: page.text("#health") == "Ready")
    assert page.text("#server-error") == ""

"""The page's text to speech, in a real browser before a stub server."""

import pytest

pytestmark = pytest.mark.heavy

TEXT = "Hello: $5 again."


def test_speech_is_heard_drawn_and_measured(page, stub):
    assert page.run("return document.getElementById('timeline').width") > 300
    blank = page.colours(0, 0.3)
    page.say(TEXT)
    page.until(lambda: page.run("return window.loudest") > 0.2)
    page.until(lambda: page.text("#speak-status") == "All audio received")
    assert page.colours(0, 0.3) > blank
    page.until(lambda: page.colours(0.55, 1) > 30)
    assert page.text("#ttfa").endswith("ms")
    assert float(page.text("#rtf")) > 0
    assert page.text("#length") == "1.60 s"
    asked = stub.latest("speech")
    assert (asked["model"], asked["voice"], asked["input"], asked["speed"]) == ("talker", "amy", TEXT, 1)
    assert (asked["response_format"], asked["stream_format"]) == ("pcm", "sse")
    assert asked["timestamp_granularities"] == ["word"]
    page.until(lambda: page.text("#play") == "Play")  # to its end
    assert page.text("#clock") == "0:01.6 / 0:01.6"


def test_words_are_lit_as_they_are_spoken_and_play_when_chosen(page):
    page.run(
        """window.lit = [];
        new MutationObserver((changes) => {
          for (const { target } of changes)
            if (target.classList?.contains("lit") && lit.at(-1) !== target.textContent) lit.push(target.textContent);
        }).observe(document.getElementById("spoken-text"), { subtree: true, attributeFilter: ["class"] });"""
    )
    page.say(TEXT)
    # "five dollars" was said for "$5", and only one text is shown: the one that was written
    page.until(lambda: page.run("return lit") == ["Hello", "$5", "again"])
    assert page.text("#spoken-text") == TEXT
    page.until(lambda: page.text("#play") == "Play")
    page.run("lit = []")
    page.all("#spoken-text .word")[1].click()
    page.until(lambda: page.run("return lit") == ["$5", "again"])


def test_stopping_stops_the_server_too(page, stub):
    page.say("SLOW")
    page.until(lambda: page.text("#speak-status") == "Speaking")
    page.keys("\ue00c")
    assert stub.left.wait(10)
    page.until(lambda: page.text("#speak-status") == "Stopped")
    assert not page.one("#stop").is_enabled()
    length = page.text("#length")
    page.run("loudest = 0")
    page.until(lambda: page.text("#play") == "Play")
    assert page.text("#length") == length
    assert page.text("#speak-error") == ""


def test_a_new_text_takes_the_place_of_the_one_that_runs(page, stub):
    page.say("SLOW")
    page.until(lambda: page.text("#speak-status") == "Speaking")
    page.say(TEXT)
    assert stub.left.wait(10)
    page.until(lambda: page.text("#speak-status") == "All audio received")
    assert page.text("#length") == "1.60 s"
    assert page.text("#spoken-text") == TEXT


def test_errors_are_shown_as_the_server_words_them(stub, browse):
    page = browse(stub.url, clean=False).ready()  # the console reports the 400
    page.say("REFUSED")
    page.until(lambda: page.text("#speak-error") == "That <b>cannot</b> be said. Say less.")
    page.say("BROKEN")
    page.until(lambda: page.text("#speak-error") == "The voice broke.")
    assert page.text("#length") == "0.40 s"  # what came before it can still be heard
    page.say(TEXT)
    page.until(lambda: page.text("#speak-status") == "All audio received")
    assert page.text("#speak-error") == ""


def test_the_file_is_what_was_heard_in_the_chosen_format(page, stub, tmp_path):
    page.say(TEXT)
    page.until(lambda: page.text("#speak-status") == "All audio received")
    heard = stub.latest("speech")
    page.one("#format").send_keys("wav")
    page.one("#download").click()
    page.until(lambda: page.text("#speak-status") == "speech.wav written")
    asked = stub.latest("speech")
    assert asked["response_format"] == "wav"
    assert (asked["seed"], asked["input"]) == (heard["seed"], heard["input"])
    page.until(lambda: (tmp_path / "speech.wav").is_file())
    assert (tmp_path / "speech.wav").stat().st_size == 44 + 2 * 12_000


def test_the_timeline_is_a_slider(page):
    page.say(TEXT)
    page.until(lambda: page.text("#play") == "Play" and page.text("#length") == "1.60 s")
    timeline = page.one("#timeline")
    page.run("arguments[0].focus()", timeline)
    page.keys("\ue011")  # Home
    page.until(lambda: timeline.get_attribute("aria-valuenow") == "0.0")
    page.keys("\ue014")  # right
    page.until(lambda: timeline.get_attribute("aria-valuenow") == "0.5")
    assert timeline.get_attribute("aria-valuetext") == "0.5 of 1.6 seconds"
    page.keys(" ")
    page.until(lambda: page.text("#play") == "Pause")
    page.until(lambda: page.text("#play") == "Play")
    assert timeline.get_attribute("aria-valuenow") == "1.6"


def test_without_word_times_nothing_is_lit(page, stub):
    page.run(
        "const old = fetch; fetch = (url, o) => old(url, o?.body?.includes?.('timestamp') ? { ...o, body: o.body.replace('timestamp_granularities', 'x') } : o)"
    )
    page.say(TEXT)
    page.until(lambda: page.text("#spoken-none").startswith("This voice's model does not measure"))
    assert not page.one("#spoken-words").is_displayed()

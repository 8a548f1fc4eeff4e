"""The page's speech to text, in a real browser before a stub server."""

import pytest

pytestmark = pytest.mark.heavy


def playing_from(page, start: float) -> bool:
    audio = "const audio = document.getElementById('recording');"
    return page.run(
        f"{audio} return !audio.paused && audio.currentTime >= {start} && audio.currentTime < {start} + 0.4"
    )


def test_a_dropped_file_becomes_a_transcript_that_can_be_heard(page, stub, sound):
    page.drop("meeting.wav", sound.wav(2))
    page.until(lambda: len(page.all("#transcript li")) == 2)
    asked = stub.latest("transcription")
    assert (asked["name"], asked["bytes"]) == ("meeting.wav", sound.wav(2))
    assert asked["response_format"] == ["verbose_json"]
    assert asked["timestamp_granularities[]"] == ["segment", "word"]
    assert [line.text.split("\n") for line in page.all("#transcript li")] == [
        ["0:00.5", "One, two."],
        ["0:01.0", "Three & four."],
    ]
    assert [word.text for word in page.all("#transcript .word")] == ["One", "two", "Three", "four"]
    assert (page.text("#heard"), page.text("#heard-language")) == ("2.00 s", "English")
    page.all("#transcript li button")[1].click()
    page.until(lambda: playing_from(page, 1.0))
    page.until(lambda: "lit" in page.all("#transcript li")[1].get_attribute("class"))
    page.all("#transcript .word")[1].click()
    page.until(lambda: playing_from(page, 0.75))
    page.until(lambda: "lit" in page.all("#transcript .word")[1].get_attribute("class"))


def test_a_chosen_file_is_sent_with_what_was_asked_for(page, stub, sound, tmp_path):
    (tmp_path / "数字.wav").write_bytes(sound.wav(0.5))
    page.one("#itn").click()
    page.choose("#hear-language", "zh")
    page.one("#file").send_keys(str(tmp_path / "数字.wav"))
    page.until(lambda: page.text("#hear-status") == "Segments: 2")
    asked = stub.latest("transcription")
    assert (asked["name"], asked["itn"], asked["model"]) == ("数字.wav", ["true"], ["listener"])
    assert asked["language"] == ["zh"]


def test_a_language_is_detected_unless_one_is_chosen(page, stub, sound):
    offered = [option.text for option in page.all("#hear-language option")]
    assert offered == ["detect", "Chinese", "English"]
    page.drop("a.wav", sound.wav(0.5))
    page.until(lambda: stub.count("transcription"))
    assert "language" not in stub.latest("transcription")
    page.switch("zh")
    assert [option.text for option in page.all("#hear-language option")] == ["自动检测", "英语", "中文"]


def test_a_model_that_knows_several_languages_detects_them_after_one_that_knows_one(stub, browse):
    stub.languages = {"talker": ["en"], "listener": ["en"], "linguist": ["en", "zh"]}
    page = browse(stub.url).ready()
    languages = [option.text for option in page.all("#hear-language option")]
    assert (page.one("#hear-model").get_attribute("value"), languages) == ("listener", ["English"])
    page.choose("#hear-model", "linguist")
    assert page.one("#hear-language").get_attribute("value") == ""


def test_a_page_in_chinese_begins_with_what_knows_chinese(stub, browse):
    stub.languages = {"talker": ["en", "zh"], "listener": ["en"], "linguist": ["en", "zh"]}
    page = browse(stub.url, language="zh-CN").ready()
    chosen = [
        page.one(f"#{field}").get_attribute("value") for field in ("speak-model", "voice", "hear-model")
    ]
    assert chosen == ["talker", "mei", "linguist"]
    page.choose("#hear-model", "listener")
    page.switch("en")
    assert page.one("#hear-model").get_attribute("value") == "listener", "a choice stays"


def test_the_microphone_is_recorded_and_transcribed(page, stub):
    page.one("#record").click()
    page.until(lambda: page.text("#hear-status") == "Recording from the microphone")
    page.until(lambda: page.one("#recorded").text >= "0:01.0")
    assert float(page.one("#level").get_attribute("value")) >= 0
    assert page.text("#record") == "Finish recording"
    page.one("#record").click()
    page.until(lambda: len(page.all("#transcript li")) == 2)
    asked = stub.latest("transcription")
    assert asked["name"] == "recording.webm"
    assert asked["bytes"][:4] == bytes.fromhex("1a45dfa3")  # Matroska
    page.all("#transcript li button")[0].click()
    page.until(lambda: playing_from(page, 0.5))


def test_escape_discards_a_recording(page, stub):
    page.one("#record").click()
    page.until(lambda: page.text("#record") == "Finish recording")
    page.keys("\ue00c")
    page.until(lambda: page.text("#hear-status") == "Cancelled")
    assert page.text("#record") == "Record"
    assert stub.count("transcription") == 0


def test_the_transcript_is_read_with_arrow_keys(page, sound):
    page.drop("meeting.wav", sound.wav(2))
    page.until(lambda: len(page.all("#transcript li")) == 2)
    page.run("document.querySelector('#transcript [tabindex=\"0\"]').focus()")
    assert len(page.all("#transcript [tabindex='0']")) == 1  # one stop of the Tab key
    for key, focused in (
        ("\ue014", "One"),
        ("\ue014", "two"),
        ("\ue015", "0:01.0"),
        ("\ue010", "four"),
        ("\ue011", "0:00.5"),
    ):
        page.keys(key)
        assert page.run("return document.activeElement.textContent") == focused
    page.keys("\ue014")
    page.keys("\ue007")  # Enter
    page.until(lambda: playing_from(page, 0.5))

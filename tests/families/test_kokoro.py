"""Kokoro: its layouts, its voices and mixtures, mixed text, and when each word sounds."""

import asyncio
import json

import numpy as np
import pytest

from sonorant.catalogue import Catalogue
from sonorant.errors import ModelFileError, UnknownVoiceError, UnsupportedError
from sonorant.families import recognise
from sonorant.families.kokoro import load
from sonorant.families.kokoro.layout import read_vocabulary
from sonorant.families.kokoro.phonemes import spoken as units_of
from sonorant.families.kokoro.voices import level, mix, read_style, speaker, together
from sonorant.replica import Device
from sonorant.replica.host import ReplicaHost
from sonorant.settings import load_settings
from sonorant.tasks import SpeechRequest, Voice, mixture
from sonorant.text.segment import Sentence, once

VOICES = {
    name: Voice(name, language, gender)
    for name, language, gender in (
        ("af_heart", "en-US", "female"),
        ("am_fenrir", "en-US", "male"),
        ("zf_xiaobei", "zh", "female"),
        ("zf_xiaoxiao", "zh", "female"),
        ("zm_yunxi", "zh", "male"),
    )
}


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue(load_settings().catalogue)


@pytest.fixture(scope="module")
def folder(catalogue):
    return catalogue.ensure(catalogue.find("kokoro"))


@pytest.fixture(scope="module")
def kokoro(catalogue, folder):
    device = Device("cpu")
    card = catalogue.find("kokoro")
    yield load(card, folder, ReplicaHost(card, catalogue, device, {}))
    device.close()


def spoken(kokoro, text: str, voice: str, **request):
    async def main():
        asked = SpeechRequest(model="kokoro", voice=voice, **request)
        return [chunk async for chunk in kokoro.synthesize(asked, once(text))]

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("asked", "language", "expected"),
    [
        ("af_heart", "en", "af_heart"),
        ("af_heart", "zh", "zf_xiaoxiao"),
        ("am_fenrir", "zh", "zm_yunxi"),
        ("zm_yunxi", "en", "am_fenrir"),
        ("zf_xiaobei", "zh", "zf_xiaobei"),
        ("zf_xiaobei+zm_yunxi", "zh", "zf_xiaobei+zm_yunxi"),
        ("af_heart*0.7+zf_xiaobei*0.3", "zh", "zf_xiaobei*0.3"),
        ("af_heart", "ko", ""),
    ],
)
def test_who_speaks_a_language(asked, language, expected):
    assert speaker(VOICES, asked, language) == expected


def test_a_mixture_is_the_weighted_mean_of_its_styles(folder):
    styles = {name: read_style(folder / "voices" / f"{name}.bin") for name in ("af_heart", "zf_xiaoxiao")}
    np.testing.assert_array_equal(mix(styles, "af_heart"), styles["af_heart"])
    expected = 0.75 * styles["af_heart"] + 0.25 * styles["zf_xiaoxiao"]
    np.testing.assert_allclose(mix(styles, "af_heart*3+zf_xiaoxiao"), expected, rtol=1e-5)
    assert mixture("a+b*2") == {"a": 1.0, "b": 2.0}
    assert level("af_heart") < level("af_heart+zf_xiaoxiao") < level("zf_xiaoxiao")
    for wrong in ("", "+", "a*", "a*-1", "a*nan+b", "a*inf"):
        with pytest.raises(UnknownVoiceError):
            mixture(wrong)


@pytest.mark.parametrize(
    ("asked", "speakers", "expected"),
    [
        ("af_heart", ["af_heart"], "af_heart"),
        ("zf_xiaoxiao", ["zf_xiaoxiao", "af_heart"], "zf_xiaoxiao*0.5+af_heart*0.5"),
        ("af_heart*3+zf_xiaobei", ["af_heart*3+zf_xiaobei", "zf_xiaobei*1"], "af_heart*3+zf_xiaobei"),
        (
            "af_heart*3+af_bella",
            ["af_heart*3+af_bella", "zf_xiaobei"],
            "af_heart*0.375+af_bella*0.125+zf_xiaobei*0.5",
        ),
    ],
)
def test_who_speaks_a_sentence_of_several_languages(asked, speakers, expected):
    assert together(asked, speakers) == expected


def test_mixed_text_is_spoken_by_a_mixture_as_loud_as_the_voice(kokoro):
    found = kokoro.passage(Sentence("我喜欢 New York 的春天。"), "zf_xiaoxiao")
    assert [(span.language, span.text) for span in found.spans] == [
        ("zh", "我喜欢 "), ("en-US", "New York "), ("zh", "的春天。"),
    ]  # fmt: skip
    assert found.voice == "zf_xiaoxiao*0.5+af_heart*0.5"
    assert found.gain == pytest.approx(level("zf_xiaoxiao") / level(found.voice))
    assert kokoro.passage(Sentence("春天。"), "zf_xiaoxiao").voice == "zf_xiaoxiao"
    whole = kokoro.passage(Sentence("OK 好"), "zf_xiaoxiao", "zh")
    assert [span.language for span in whole.spans] == ["zh"]
    with pytest.raises(UnsupportedError, match="'ko'"):
        kokoro.passage(Sentence("안녕"), "af_heart")


@pytest.mark.parametrize(
    ("sentence", "phonemes"),
    [
        ("我用 PDF。", ["wo↓jʊ↘ŋ", "pʰˌidˌiˈɛf."]),  # without ʰ, BDF
        ("请打开 Settings 页面。", ["sˈɛdɪŋz"]),  # with T, 塞灵
        ("A better 北京 is near.", ["bˈɛTəɹ"]),
        ("北京很大。", ["pei↓ʨi→ŋ", "xə↓nta↘."]),
        ("We are in 北京 today.", ["bei↓ʨi→ŋ"]),  # with p, 佩京
        ("Use a PDF.", ["pˌidˌiˈɛf."]),
    ],
)
def test_stops_are_written_for_the_language_around_them(kokoro, sentence, phonemes):
    spans = kokoro.passage(Sentence(sentence), "zf_xiaoxiao" if sentence[0] > "z" else "af_heart").spans
    told = "".join(unit.phonemes for unit in units_of(spans, kokoro._normalizer)).split()
    assert set(phonemes) <= set(told)


def test_speech_with_a_time_for_each_written_word(kokoro):
    chunks = spoken(kokoro, "Hello there, this costs $5. 谢谢！", "af_heart")
    words = [word.text for chunk in chunks for word in chunk.words]
    assert words == ["Hello", "there,", "this", "costs", "$5.", "谢", "谢！"]
    for chunk in chunks:
        assert chunk.sample_rate == 24_000
        assert chunk.samples.dtype == np.float32
        for word in chunk.words:
            part = chunk.samples[round(word.start * 24_000) : round(word.end * 24_000)]
            assert np.sqrt(np.mean(part**2)) > 0.005


@pytest.mark.parametrize(
    "text",
    [
        "Mail a.b@example.co.uk 🙂 or call 555-0142 — it costs $1.2M.",
        "飞往广州的CZ3102次航班，9:00-18:00，2点开会，涨了50-60%。",
        "请访问https://www.example.com/docs?a=1，用iPhone 15拍照❤️，再给我13812345678。",
    ],
)
def test_the_words_joined_are_the_text_as_it_is_written(kokoro, text):
    chunks = spoken(kokoro, text, "zf_xiaoxiao")
    words = [word for chunk in chunks for word in chunk.words]
    assert "".join(word.text for word in words).replace(" ", "") == text.replace(" ", "")
    assert all(word.start <= word.end for word in words)


def test_the_first_sentence_begins_with_a_clause(kokoro):
    text = "On the first day of the month, the museum is open until late in the evening and costs nothing."
    chunks = spoken(kokoro, text, "af_heart")
    assert len(chunks) == 2
    assert chunks[0].seconds < 0.45 * sum(chunk.seconds for chunk in chunks)
    assert len(spoken(kokoro, "The museum is open until late in the evening.", "af_heart")) == 1


def test_twice_the_speed_is_about_half_as_long(kokoro):
    text = "The museum is open until late in the evening on every day of the week."
    slow, fast = (spoken(kokoro, text, "am_michael", speed=speed)[0].words for speed in (1.0, 2.0))
    assert 0.4 < (fast[-1].end - fast[0].start) / (slow[-1].end - slow[0].start) < 0.65


@pytest.mark.parametrize("text", ["...", "！？", "🙂", "— 。"])
def test_what_cannot_be_spoken_gives_no_audio(kokoro, text):
    assert spoken(kokoro, text, "af_heart") == []


def test_folders_are_recognised_and_damage_is_named(folder, tmp_path):
    (tmp_path / "voices").mkdir()
    (tmp_path / "model.onnx").symlink_to(folder / "kokoro-v1.0.int8.onnx")
    table = read_vocabulary(folder / "vocab.json")
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": table}}))
    for name in ("zf_xiaoxiao", "af_heart"):
        (tmp_path / "voices" / f"{name}.bin").symlink_to(folder / "voices" / f"{name}.bin")
    card = recognise(tmp_path)
    assert (card.family, card.languages) == ("kokoro", ("en", "zh"))
    assert [voice.name for voice in card.voices] == ["af_heart", "zf_xiaoxiao"]
    (tmp_path / "short.bin").write_bytes(b"x" * 100)
    with pytest.raises(ModelFileError, match="not a Kokoro voice"):
        read_style(tmp_path / "short.bin")
    (tmp_path / "vocab.json").write_text("[1, 2]")
    with pytest.raises(ModelFileError, match="vocabulary"):
        read_vocabulary(tmp_path / "vocab.json")

"""SSML: what is obeyed, what is reported, what is refused."""

import pytest

from sonorant.errors import TextError
from sonorant.text.lexicon import MARK
from sonorant.text.markup import DEEPEST, is_markup, parse
from sonorant.text.said import said


def ssml(inside: str) -> str:
    return f"<speak>{inside}</speak>"


def said_and_pauses(inside: str) -> list[tuple[str, float | None]]:
    return [(u.text, u.pause) for u in parse(ssml(inside)).utterances]


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("<speak>a</speak>", True),
        ("  <speak version='1.1'>a</speak>", True),
        ("<?xml version='1.0'?>\n<speak>a</speak>", True),
        ('<!DOCTYPE speak SYSTEM "a"><speak>a</speak>', True),
        ("<speaker>a</speaker>", False),
        ("Say <speak>", False),
        ("2 < 3", False),
    ],
)
def test_what_is_markup(text: str, yes: bool) -> None:
    assert is_markup(text) is yes


def test_one_manner_is_one_utterance() -> None:
    assert said_and_pauses("One. Two,\n  three &amp; four &#33;") == [("One. Two, three & four !", None)]


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ('time="500ms"', 0.5),
        ('time="1.5s"', 1.5),
        ('strength="none"', 0.0),
        ('strength="x-strong"', 1.2),
        ("", 0.4),
        ('time="60s"', 10.0),
    ],
)
def test_breaks(given: str, seconds: float) -> None:
    assert said_and_pauses(f"One<break {given}/>two") == [("One", seconds), ("two", None)]


def test_breaks_add_up_and_may_come_first() -> None:
    assert said_and_pauses('<break time="1s"/><break time="1s"/>a') == [("", 2.0), ("a", None)]


def test_a_break_that_is_cut_is_reported() -> None:
    assert parse(ssml('a<break time="60s"/>')).ignored == ("break beyond 10s",)


def test_a_change_inside_a_sentence_leaves_no_pause_of_a_sentence() -> None:
    (a, first), (b, second), (c, third) = said_and_pauses(
        'So <prosody rate="slow">very slow</prosody>, it is.'
    )
    assert (a, b, c) == ("So", "very slow,", "it is.")
    assert first == second
    assert first is not None
    assert 0 < first < 0.2
    assert third is None


def test_paragraphs_and_sentences() -> None:
    found = parse(ssml("<p><s>One</s><s>Two</s></p><p>Three</p>")).utterances
    assert [(u.text, u.paragraph) for u in found] == [("One", False), ("Two", True), ("Three", True)]


@pytest.mark.parametrize(
    ("given", "rate", "gain"),
    [
        ('rate="slow"', 0.75, 1),
        ('rate="150%"', 1.5, 1),
        ('rate="+20%"', 1.2, 1),
        ('rate="-20%"', 0.8, 1),
        ('rate="1.25"', 1.25, 1),
        ('volume="silent"', 1, 0),
        ('volume="+6dB"', 1, 1.995),
        ('volume="-20dB"', 1, 0.1),
    ],
)
def test_prosody(given: str, rate: float, gain: float) -> None:
    (found,) = parse(ssml(f"<prosody {given}>a</prosody>")).utterances
    assert (found.rate, found.gain) == (pytest.approx(rate), pytest.approx(gain, abs=1e-3))


def test_prosody_inside_prosody_multiplies() -> None:
    (found,) = parse(ssml('<prosody rate="50%"><prosody rate="150%">a</prosody></prosody>')).utterances
    assert found.rate == pytest.approx(0.75)


def test_voice_and_language() -> None:
    found = parse(
        '<speak xml:lang="en-US">A <voice name="zf_xiaoxiao">你好</voice> <lang xml:lang="fr">oui</lang>'
        '<voice gender="male" languages="zh-CN">再见</voice></speak>'
    ).utterances
    assert [(u.voice, u.gender, u.language) for u in found] == [
        ("", "", ""),
        ("zf_xiaoxiao", "", ""),
        ("", "", "fr"),
        ("", "male", "zh-CN"),
    ]


def test_words_with_their_own_reading_stand_apart_from_the_same_words() -> None:
    (found,) = parse(ssml('<phoneme ph="ɹɛd">read</phoneme>, read, <sub alias="reed">read</sub>')).utterances
    assert found.text.replace(MARK, "") == "read, read, read"
    assert [entry.reading for entry in found.lexicon] == ["/ɹɛd/", "reed"]
    words = {entry.word for entry in found.lexicon}
    assert len(words) == 2
    assert "read" not in words


@pytest.mark.parametrize(
    ("text", "kind", "language", "meant"),
    [
        ("abc1", "characters", "", "A.B.C. 1"),
        ("1203", "digits", "", "1 2 0 3"),
        ("+1 (555) 010-99", "telephone", "", "plus 1, 5 5 5, 0 1 0, 9 9"),
        ("3", "ordinal", "", "3rd"),
        ("11", "ordinal", "en", "11th"),
        ("3", "ordinal", "zh-CN", "第3"),
        ("2026-05-01", "date", "", "2026-05-01"),
    ],
)
def test_say_as(text: str, kind: str, language: str, meant: str) -> None:
    assert said(text, kind, language) == meant


def test_what_is_not_obeyed_is_reported_once_and_its_text_is_spoken() -> None:
    found = parse(
        ssml(
            '<emphasis>a</emphasis> <emphasis>b</emphasis> <prosody pitch="+2st">c</prosody>'
            '<say-as interpret-as="expletive">d</say-as><phoneme alphabet="x-sampa" ph="e">e</phoneme>'
        )
    )
    assert found.text == "a b cde"
    assert found.ignored == ("emphasis", "prosody pitch", "say-as expletive", "phoneme alphabet x-sampa")


def test_text_that_is_not_meant_to_be_heard_is_not() -> None:
    assert parse(ssml("<metadata>x</metadata>a<audio src='http://b/c.wav'>d</audio>")).text == "a"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("<speak>a", "not well-formed"),
        ("<speak>a & b</speak>", "not well-formed"),
        ("<speak></speak>", "no text"),
        ("<speak><break/></speak>", "no text"),
        ("<speak><script>a</script></speak>", "no element of SSML"),
        ("<speak><speak>a</speak></speak>", "one <speak>"),
        (ssml("<p>" * DEEPEST + "a" + "</p>" * DEEPEST), "elements inside each other"),
        ('<!DOCTYPE speak [<!ENTITY a "b">]><speak>&a;</speak>', "document type"),
        ('<!DOCTYPE speak SYSTEM "file:///etc/passwd"><speak>a</speak>', "document type"),
        (ssml("<break time='soon'/>a"), "cannot be understood"),
        (ssml("<break strength='huge'/>a"), "cannot be understood"),
        (ssml("<prosody rate='0%'>a</prosody>"), "cannot be understood"),
        (ssml("<prosody volume='999dB'>a</prosody>"), "cannot be understood"),
        (ssml("<phoneme>a</phoneme>"), "lacks its ph"),
        (ssml("<sub>a</sub>"), "lacks its alias"),
        (ssml('<sub alias="b"><s>a</s></sub>'), "holds text only"),
    ],
)
def test_what_is_refused(document: str, reason: str) -> None:
    with pytest.raises(TextError, match=reason) as found:
        parse(document)
    assert found.value.remedy

"""Subtitle cues from word times."""

import pytest

from sonorant.tasks import Word
from sonorant.text.cues import LINE, cues


def said(text: str, pace: float = 0.3, pause: float = 0.4) -> list[Word]:
    """Words one after another; `pause` after those that end with a mark and a bar: "end.|"."""
    words, at = [], 0.0
    for token in text.split():
        words.append(Word(token.rstrip("|"), at, at + pace))
        at += pace + (pause if token.endswith("|") else 0.02)
    return words


def columns(line: str) -> int:
    return sum(2 if ord(c) > 0x2E80 else 1 for c in line)


def test_a_cue_a_sentence_and_an_abbreviation_ends_none():
    found = cues(said("Dr. Smith was right.| Nobody else was!| Really?|"))
    assert [c.text for c in found] == ["Dr. Smith was right.", "Nobody else was!", "Really?"]
    assert found[0].start == 0
    assert found[1].start == pytest.approx(4 * 0.3 + 3 * 0.02 + 0.4)


def test_long_sentences_are_cut_at_clauses_into_lines_that_fit():
    text = (
        "The weather will be sunny in the morning, with clouds and a light breeze later in the day; nobody, "
        "not even the oldest fisherman on the island, could remember a summer like this one.|"
    )
    found = cues(said(text, pace=0.1))
    assert len(found) > 1
    assert " ".join(c.text.replace("\n", " ") for c in found) == text.rstrip("|")
    for cue in found:
        lines = cue.text.split("\n")
        assert len(lines) <= 2
        assert all(columns(line) <= LINE for line in lines)
    assert found[0].text.endswith((",", ";"))


def test_chinese_has_no_spaces_and_shorter_lines():
    sentence = "今天天气很好，我们一起去公园散步，然后去吃饭，晚上还可以看一场电影，明天早上再去爬山，大家都觉得非常开心。"
    words = said(" ".join(sentence).replace(" ，", "，").replace(" 。", "。"), pace=0.2)
    found = cues(words)
    assert "".join(c.text.replace("\n", "") for c in found) == sentence
    assert all(len(line) <= 21 for cue in found for line in cue.text.split("\n"))
    assert len(found) >= 2


def test_mixed_text_and_words_that_share_an_entry():
    found = cues([Word("我", 0, 0.2), Word("用", 0.2, 0.4), Word("Python", 0.4, 1), Word("of the", 1, 1.2)])
    assert [c.text for c in found] == ["我用Python of the"]


def test_a_word_longer_than_a_line_is_not_split():
    long = "https://example.com/" + "a" * 60
    found = cues(said(f"See {long} for more, please, and then go on with what you were doing before.|"))
    assert any(long in cue.text.split("\n") or long in cue.text.split(" ") for cue in found)


def test_cues_last_long_enough_and_never_overlap():
    found = cues(said("Yes.| No.| Maybe it is so.|", pace=0.15, pause=0.25))
    for before, after in zip(found, found[1:], strict=False):
        assert before.start < before.end <= after.start
    assert found[-1].end - found[-1].start >= 0.6
    (only,) = cues([Word("Yes.", 0.5, 0.7)])
    assert (only.start, only.end) == (0.5, 1.5)


def test_a_cue_lasts_seven_seconds_at_most():
    found = cues(said("Very slow words that nobody says in a hurry at all, ever.|", pace=1.4))
    assert all(cue.end - cue.start <= 7 for cue in found)


def test_nothing_said():
    assert cues([]) == []

"""Mandarin phonemes against the alphabet that Kokoro's weights know."""

import pytest

from sonorant.text.mandarin import ipa, units


@pytest.mark.parametrize(
    ("pinyin", "expected"),
    [
        # from misaki 0.9.4 (ZHG2P.py2ipa), of which all 7,310 syllable and tone pairs were compared once
        ("hao3", "xau↓"), ("ni3", "ni↓"), ("zhi1", "ꭧɨ→"), ("chi2", "ꭧʰɨ↗"), ("ri4", "ɻɨ↘"), ("si2", "sɨ↗"),
        ("er2", "ɚ↗"), ("yuan2", "ɥɛ↗n"), ("wen3", "wə↓n"), ("wo3", "wo↓"), ("you3", "jou↓"), ("liu4", "ljou↘"),
        ("gui4", "kwei↘"), ("jun1", "ʨy→n"), ("xue2", "ɕɥe↗"), ("lü4", "ly↘"), ("nüe4", "nɥe↘"), ("yi1", "i→"),
        ("wu2", "u↗"), ("yong3", "jʊ↓ŋ"), ("weng1", "wə→ŋ"), ("bo1", "pwo→"), ("ng4", "ŋ↘"), ("de5", "tɤ"),
        ("xiong2", "ɕjʊ↗ŋ"), ("dia3", "tja↓"), ("o1", "ɔ→"),
    ],
)  # fmt: skip
def test_syllables(pinyin, expected):
    assert ipa(pinyin) == expected


@pytest.mark.parametrize("wrong", ["", "hao", "xyz1", "3", "hello5"])
def test_what_is_no_syllable_is_silent(wrong):
    assert ipa(wrong) == ""


def test_words_decide_the_reading():
    """行 is háng in a bank and xíng on foot; 重 is chóng when repeated and zhòng when important."""
    readings = {unit.word: unit.phonemes for unit in units("银行")}
    assert readings["行"] == ipa("hang2")
    assert {u.word: u.phonemes for u in units("步行")}["行"] == ipa("xing2")
    assert {u.word: u.phonemes for u in units("重复")}["重"] == ipa("chong2")
    assert {u.word: u.phonemes for u in units("重要")}["重"] == ipa("zhong4")


def test_every_character_has_its_unit_and_punctuation_none():
    found = units("你好，世界！")
    assert [unit.word for unit in found if unit.word] == list("你好世界")
    assert ", " in [unit.phonemes for unit in found]
    assert "! " in [unit.phonemes for unit in found]


def test_letters_among_chinese_are_english_and_a_is_no_article():
    assert "".join(unit.phonemes for unit in units("选 A 座")) == "ɕɥɛ↓n ˈA ʦwo↘"
    assert [unit.word for unit in units("用 U 盘") if unit.word] == ["用", "U", "盘"]
    assert "".join(unit.phonemes for unit in units("唱 K 歌")) == "ꭧʰa↘ŋ kʰˈA kɤ→"  # without ʰ it would be 给

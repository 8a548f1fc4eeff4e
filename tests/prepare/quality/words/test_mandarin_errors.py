import pytest

from roundtrip import Heard, interval, pinyin_error_rate, word_error_rate
from sonorant.prepare.quality.words.errors import character_errors, pinyin_errors


@pytest.mark.parametrize(
    ("said", "heard", "characters", "syllables", "of"),
    [
        ("请系好安全带。", "请系好安全带", 0, 0, 6),
        ("交易停滞", "交易停制", 1, 0, 4),  # homophones
        ("他的书", "她得书", 2, 0, 3),
        ("你好", "泥好", 1, 0, 2),  # the tone of connected speech
        ("公园里走", "公园离走", 1, 0, 4),
        ("一起走", "义起走", 1, 0, 3),
        ("我要买", "我要卖", 1, 1, 3),  # mǎi, mài
        ("山上的雪", "山上的血", 1, 1, 4),  # xuě, xuè
        ("四十", "十四", 2, 2, 2),
        ("银行很远", "银航很远", 1, 0, 4),
        ("银行很远", "银形很远", 1, 1, 4),
        ("会议改到星期四", "会议到星期四", 1, 1, 7),
        ("会议改到星期四", "会议改到了星期四", 1, 1, 7),
        ("2025年", "2026年", 1, 1, 5),
        ("价格是6999元", "價格是六千九百九十九元", 0, 0, 11),
        ("门口的花儿开了", "门口的花开了", 0, 0, 6),
        ("打开WiFi", "打开Wi-Fi", 0, 0, 3),
        ("这是Google", "这是Goggle", 1, 1, 3),
        ("这是Google", "这是谷歌", 2, 2, 3),
        ("你好，then we go.", "你好，then we went.", 1, 1, 5),
        ("I live in 上海 now", "I live in Shanghai now", 2, 0, 6),  # the sound, in other letters
        ("say 你好", "say nǐ hǎo", 2, 0, 3),
        ("say 你好", "say nihao ma", 2, 2, 3),
        ("你好", "", 2, 2, 2),
        ("", "你好", 2, 2, 0),
    ],
)
def test_homophones_cost_characters_but_no_syllables(
    said: str, heard: str, characters: int, syllables: int, of: int
) -> None:
    assert character_errors(said, heard) == (characters, of)
    assert pinyin_errors(said, heard) == (syllables, of)


def test_both_rates_are_over_all_units() -> None:
    results = [Heard("", "", errors, 10, pinyin) for errors, pinyin in ((0, 0), (3, 1), (1, 0), (0, 0))]
    assert word_error_rate(results) == 4 / 40
    assert pinyin_error_rate(results) == 1 / 40
    low, high = interval(results, lambda result: result.pinyin_errors)
    assert 0 == low < 1 / 40 < high <= 1 / 10

"""Which language each part of a text is in."""

import random

import pytest

from sonorant.text.languages import knows_all, languages_of, size, spans


@pytest.mark.parametrize(
    ("text", "home", "expected"),
    [
        ("我用 iPhone 15 拍照，very good！", "zh",
         [("zh", "我用 "), ("en", "iPhone "), ("zh", "15 拍照，"), ("en", "very good！")]),
        ("Please call 张伟 at 3 pm.", "en", [("en", "Please call "), ("zh", "张伟 "), ("en", "at 3 pm.")]),
        ("价格是$5.20吗？", "zh", [("zh", "价格是$5.20吗？")]),
        # single letters and measures beside Chinese are Chinese, inside English they are English
        ("A4很小，3D也是", "zh", [("zh", "A4很小，3D也是")]),
        ("广州的CZ3102次航班", "zh", [("zh", "广州的"), ("en", "CZ"), ("zh", "3102次航班")]),
        ("选A还是B？不要超过20MB。", "zh", [("zh", "选A还是B？不要超过20MB。")]),
        ("It weighs 5kg on A4 paper，对吗", "zh", [("en", "It weighs 5kg on A4 paper，"), ("zh", "对吗")]),
        # figures at the end of one English word are Chinese, of several English
        ("我有iPhone15", "zh", [("zh", "我有"), ("en", "iPhone"), ("zh", "15")]),
        ("我有 iPhone 15。", "zh", [("zh", "我有 "), ("en", "iPhone "), ("zh", "15。")]),
        ("the time is 10:30，明天", "zh", [("en", "the time is 10:30，"), ("zh", "明天")]),
        # addresses stay whole
        ("访问https://a.example.com/b?c=1，写信给a1@b.cn。", "zh",
         [("zh", "访问"), ("en", "https://a.example.com/b?c=1，"), ("zh", "写信给"), ("en", "a1@b.cn。")]),
        ("今日は天気がいい", "ja", [("ja", "今日は天気がいい")]),
        ("今日は天気がいい", "en", [("ja", "今日は天気がいい")]),
        ("日本", "ja", [("ja", "日本")]),
        ("日本", "zh", [("zh", "日本")]),
        ("Bonjour à tous", "fr", [("fr", "Bonjour à tous")]),
        ("2024", "zh", [("zh", "2024")]),
        ("", "en", []),
    ],
)  # fmt: skip
def test_spans(text, home, expected):
    assert [(span.language, span.text) for span in spans(text, home)] == expected


def test_the_spans_joined_are_the_text():
    chance = random.Random(7)
    alphabet = [
        "我",
        "好",
        "a",
        "B",
        "A4",
        "km",
        "a.com",
        " ",
        "，",
        ".",
        "5",
        "$",
        "が",
        "한",
        "é",
        "!",
        "-",
        "@",
        "\n",
        "🙂",
    ]
    for _ in range(2000):
        text = "".join(chance.choice(alphabet) for _ in range(chance.randrange(25)))
        for home in ("en", "zh", "ja"):
            found = spans(text, home)
            assert "".join(span.text for span in found) == text
            assert all(a.language != b.language for a, b in zip(found, found[1:], strict=False))


def test_how_much_a_text_is():
    assert size("今天开会，3点！") == 6
    assert size("machine learning") == pytest.approx(5)
    assert size("?! 🙂") == 0


def test_languages_and_who_knows_them():
    assert languages_of("我用 iPhone") == {"zh", ""}
    assert languages_of("!!! 5") == set()
    assert knows_all({"zh", ""}, ["en-US", "zh"])
    assert not knows_all({"zh"}, ["en-US"])
    assert knows_all({"zh", "fr"}, ["*"])

"""Sentences out of a stream of text."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable

import pytest

from sonorant.text.segment import Sentence, sentences


async def stream(pieces: Iterable[str]) -> AsyncIterator[str]:
    for piece in pieces:
        yield piece


def segmented(*pieces: str, longest: int = 300) -> list[Sentence]:
    async def main() -> list[Sentence]:
        return [sentence async for sentence in sentences(stream(pieces), longest)]

    return asyncio.run(main())


def texts(*pieces: str, longest: int = 300) -> list[str]:
    return [sentence.text for sentence in segmented(*pieces, longest=longest)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Smith met Mrs. Jones at St. Mary's. They left.",
         ["Dr. Smith met Mrs. Jones at St. Mary's.", "They left."]),
        ("See e.g. Fig. 3 and No. 5. Then stop.", ["See e.g. Fig. 3 and No. 5.", "Then stop."]),
        ("It was 9 a.m. in the U.S. Army camp.", ["It was 9 a.m. in the U.S. Army camp."]),
        ("Pens, paper, etc. They had it all.", ["Pens, paper, etc.", "They had it all."]),
        ("It costs $3.14 at example.com/a?b=C today.", ["It costs $3.14 at example.com/a?b=C today."]),
        ("J. R. R. Tolkien and J.R.R. Tolkien are one.", ["J. R. R. Tolkien and J.R.R. Tolkien are one."]),
        ('"Really?" she said. "Yes." He left.', ['"Really?" she said.', '"Yes."', "He left."]),
        ("“Stop!” “Why?” (Nobody knew.) End.", ["“Stop!”", "“Why?”", "(Nobody knew.)", "End."]),
        ("Well... maybe. I… do not know… Yes.", ["Well... maybe.", "I… do not know…", "Yes."]),
        ("What?! No!! Oh.", ["What?!", "No!!", "Oh."]),
        ("你好。世界！真的吗？好。", ["你好。", "世界！", "真的吗？", "好。"]),
        ("你好。 世界。\n再见。", ["你好。", "世界。", "再见。"]),
        ("他说：“走吧。”然后走了。", ["他说：“走吧。”", "然后走了。"]),
        ("「はい。」と言った。", ["「はい。」", "と言った。"]),
        ("真的?好吧!走了.", ["真的?", "好吧!", "走了."]),
        ("版本3.5发布了。Hello world. 你好!OK", ["版本3.5发布了。", "Hello world.", "你好!", "OK"]),
        ("A line that is\nwrapped.\tNext one.", ["A line that is wrapped.", "Next one."]),
        ("A title\n\nText", ["A title", "Text"]),
        ("A title\r\n \r\nText", ["A title", "Text"]),
        ("", []),
        (" \n\n\t ", []),
        ("...", ["..."]),
    ],
)  # fmt: skip
def test_where_sentences_end(text, expected):
    assert texts(text) == expected


def test_the_last_sentence_of_a_paragraph_is_marked():
    assert segmented("One. Two.\n\nThree.\nFour. ") == [
        Sentence("One."),
        Sentence("Two.", paragraph=True),
        Sentence("Three."),
        Sentence("Four.", paragraph=True),
    ]


def test_any_cuts_give_the_sentences_of_the_whole_text():
    chance = random.Random(20240521)
    words = ["Dr. ", "he ", "Word", "word", '"', "”", "...", "…", "。", "！", "你好", "\n", "\n\n", "\r\n", " ", "  ",
             ", ", "，", "3.14", "?", "!", "A.", "etc. ", "—", " - ", "x" * 30, "(", ")", "\u3000"]  # fmt: skip
    for _ in range(800):
        text = "".join(chance.choice(words) for _ in range(chance.randrange(60)))
        longest = chance.choice([5, 20, 50, 300])
        cuts = [0, *sorted(chance.randrange(len(text) + 1) for _ in range(chance.randrange(12))), len(text)]
        pieces = [text[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]
        whole = segmented(text, longest=longest)
        assert segmented(*pieces, longest=longest) == whole, (pieces, longest)
        assert segmented(*text, longest=longest) == whole, (text, longest)
        spoken = "".join("".join(sentence.text.split()) for sentence in whole)
        assert spoken == "".join(text.split()), "something was lost"
        assert all(0 < len(sentence.text) <= longest for sentence in whole)


def test_whole_words_survive_in_order():
    text = "The quick brown fox, it seems, jumps; over the lazy dog and on and on " * 40
    assert " ".join(texts(text, longest=80)).split() == text.split()


def test_a_sentence_comes_as_soon_as_it_is_certain():
    """Each sentence is there after the first character of the next, not at the end of the text."""
    taken: list[str] = []

    async def letters(text: str) -> AsyncIterator[str]:
        for letter in text:
            taken.append(letter)
            yield letter

    async def main() -> list[str]:
        return ["".join(taken) async for _ in sentences(letters("Hi there. Next one! 好。走"))]

    assert asyncio.run(main()) == ["Hi there. N", "Hi there. Next one! 好", "Hi there. Next one! 好。走",
                                   "Hi there. Next one! 好。走"]  # fmt: skip


def test_long_sentences_are_cut_at_a_clause_else_at_a_space_else_anywhere():
    clause = "and so it went on and on without an end, "
    assert texts(clause * 3, longest=60) == [clause.strip()] * 3
    assert texts("word " * 30, longest=22) == ["word word word word"] * 7 + ["word word"]
    assert texts("字" * 25, longest=10) == ["字" * 10, "字" * 10, "字" * 5]


@pytest.mark.parametrize("unit", ["word ", "x", "字", "a, ", "A. ", "...", "\n", "Hi there. "])
def test_a_megabyte_stays_in_pieces_of_bounded_length(unit):
    pieces = texts(unit * (1_000_000 // len(unit)))
    assert all(len(piece) <= 300 for piece in pieces)
    spoken = sum(len("".join(piece.split())) for piece in pieces)
    assert spoken == len("".join(unit.split())) * (1_000_000 // len(unit))


def test_text_without_an_end_in_sight_is_not_held_back():
    """Of a stream without punctuation no more than `longest` and a few characters wait."""
    fed = 0

    async def endless() -> AsyncIterator[str]:
        nonlocal fed
        for _ in range(10_000):
            fed += 5
            yield "word "

    async def main() -> None:
        spoken = 0
        async for sentence in sentences(endless(), longest=100):
            spoken += len(sentence.text) + 1
            assert fed - spoken <= 110

    asyncio.run(main())

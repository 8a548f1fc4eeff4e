"""What is spoken in one go, so that speech begins early and goes on."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sonorant.text.portions import letters, portions
from sonorant.text.segment import Sentence, once

LONG = (
    "After dinner, she read the letter twice, folded it carefully, and put it back into the drawer where "
    "it had been lying since the day her brother left for the coast."
)
CHINESE = "吃完晚饭，她把那封信又读了两遍，小心地折好，放回抽屉里，然后走到窗前，看着远处的灯光慢慢亮起来。"


def divided(text: str | AsyncIterator[str], pace: float = 2.2) -> list[Sentence]:
    async def main() -> list[Sentence]:
        found = portions(once(text) if isinstance(text, str) else text, 300, pace)
        return [portion async for portion in found]

    return asyncio.run(main())


def waits(found: list[Sentence], pace: float) -> list[float]:
    """How long a listener waits for each portion but the first, in letters."""
    late, heard, computed = [], 0.0, letters(found[0].text) / pace
    heard = computed + letters(found[0].text)
    for portion in found[1:]:
        computed += letters(portion.text) / pace
        late.append(max(0.0, computed - heard))
        heard = max(heard, computed) + letters(portion.text)
    return late


def test_short_sentences_stay_whole():
    for text in ("It rains, and it is cold.", "今天下雨，天气很冷。", "One moment, please, and then go on."):
        assert [portion.text for portion in divided(text)] == [text]


@pytest.mark.parametrize("text", [LONG, CHINESE])
def test_a_long_first_sentence_comes_in_clauses_that_end_before_more_is_needed(text):
    found = divided(text)
    assert letters(found[0].text) < letters(text) / 4
    assert sum(waits(found, 2.2)) < sum(waits([found[0], Sentence(text[len(found[0].text) :])], 2.2))


def test_nothing_is_lost_or_changed():
    assert "".join(portion.text for portion in divided(CHINESE)) == CHINESE
    assert " ".join(portion.text for portion in divided(LONG)) == LONG
    ends = [portion.ends for portion in divided(LONG)]
    assert ends == [False] * (len(ends) - 1) + [True]


def test_only_the_beginning_of_a_text_is_cut():
    found = divided(" ".join([LONG] * 4))
    assert [portion.text for portion in found][-3:] == [LONG] * 3


def test_a_long_sentence_behind_a_short_one_is_cut_too():
    found = divided("Good morning. " + LONG)
    assert found[0].text == "Good morning."
    assert found[1].text != LONG


def test_a_faster_model_needs_fewer_cuts():
    assert len(divided(CHINESE, 8)) < len(divided(CHINESE, 2.2))


def test_a_clause_is_never_clipped():
    long = "Well, " + LONG[0].lower() + LONG[1:]
    found = divided(long[:-1] + ", so.")
    assert all(letters(portion.text) >= 10 for portion in found)


def test_a_sentence_without_clauses_stays_whole():
    text = (
        "She read the letter twice and folded it carefully and put it back into the drawer where it had been."
    )
    assert [portion.text for portion in divided(text)] == [text]


def test_the_cuts_do_not_depend_on_where_the_stream_is_broken():
    async def stream() -> AsyncIterator[str]:
        for at in range(0, len(LONG), 7):
            yield LONG[at : at + 7]

    assert divided(stream()) == divided(LONG)

"""From the durations of phonemes to the times of written words."""

import pytest

from sonorant.tasks import Word
from sonorant.text.phonemes import Unit, pieces
from sonorant.text.timing import as_written, shifted, word_times


def test_words_last_as_long_as_their_phonemes():
    # begin, "hi" of two, a space, "you" of three, end
    durations = [4.0, 2, 2, 1, 1, 2, 3, 8]
    found = word_times(["Hi", "", "you"], [2, 1, 3], durations, 0.1)
    assert [(w.text, round(w.start, 3), round(w.end, 3)) for w in found] == [
        ("Hi", 0.4, 0.8),
        ("you", 0.9, 1.5),
    ]


def spoken(*words: str) -> list[Word]:
    return [Word(word, float(i), i + 0.5) for i, word in enumerate(words)]


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("Hello there.", ("hello", "there"), [("Hello", 0, 0.5), ("there.", 1, 1.5)]),
        ("It is $5 now", ("It", "is", "five", "dollars", "now"),
         [("It", 0, 0.5), ("is", 1, 1.5), ("$5", 2, 3.5), ("now", 4, 4.5)]),
        ("Dr. Lee", ("Doctor", "Lee"), [("Dr.", 0, 0.5), ("Lee", 1, 1.5)]),
        ("你好，世界！", ("你", "好", "世", "界"), [("你", 0, 0.5), ("好，", 1, 1.5), ("世", 2, 2.5), ("界！", 3, 3.5)]),
        ("在2024年", ("在", "二", "零", "二", "四", "年"), [("在", 0, 0.5), ("2024", 1, 4.5), ("年", 5, 5.5)]),
        ("Well — done 🙂 now", ("Well", "done", "now"), [("Well —", 0, 0.5), ("done 🙂", 1, 1.5), ("now", 2, 2.5)]),
        ("— ! —", (), []),
        ("Yes", (), []),
    ],
)  # fmt: skip
def test_times_go_to_the_words_as_they_are_written(text, words, expected):
    assert [(w.text, w.start, w.end) for w in as_written(text, spoken(*words))] == expected


def test_a_shift_never_leads_before_the_beginning():
    assert shifted([Word("a", 0.1, 0.4)], -0.2) == (Word("a", 0.0, 0.2),)
    assert shifted([Word("a", 0.1, 0.4), Word("b", 0.5, 0.9)], 0, 0.3) == (
        Word("a", 0.1, 0.3),
        Word("b", 0.3, 0.3),
    )


def test_pieces_hold_what_fits_and_lose_nothing():
    vocabulary = {"a": 1, "b": 2, " ": 3, ".": 4}
    units = [Unit("ab", "w1"), Unit(" "), Unit("ba?", "w2"), Unit("."), Unit(" "), Unit("aaa", "w3")]
    whole = pieces(units, vocabulary, 100)
    assert len(whole) == 1
    assert whole[0].ids == (1, 2, 3, 2, 1, 4, 3, 1, 1, 1)  # ? is not in the vocabulary
    assert sum(whole[0].sizes) == len(whole[0].ids)
    cut = pieces(units, vocabulary, 4)
    assert all(len(piece.ids) <= 4 for piece in cut)
    assert tuple(i for piece in cut for i in piece.ids) == whole[0].ids
    assert pieces([Unit(" "), Unit(".")], vocabulary, 10) == []
    long = pieces([Unit("a" * 25, "long")], vocabulary, 10)
    assert [len(piece.ids) for piece in long] == [10, 10, 5]

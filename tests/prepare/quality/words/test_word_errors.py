import pytest

from roundtrip import Heard, interval, word_error_rate
from sonorant.prepare.quality.words.errors import errors_by_part, word_errors


@pytest.mark.parametrize(
    ("said", "heard", "errors", "words"),
    [
        ("The dog hid under the bed.", "the dog hid under the bed", 0, 6),
        ("The dog hid under the bed.", "the dog hit under the bed", 1, 6),
        ("The dog hid under the bed.", "the dog under the bed", 1, 6),
        ("The dog hid under the bed.", "the big dog hid under the bed", 1, 6),
        ("The dog hid under the bed.", "", 6, 6),
        ("Fasten your seat belt.", "Fasten your seatbelt.", 0, 4),
        ("Send an e-mail today.", "Sent an email today.", 1, 5),
        ("It was 48,000.", "It was 40,000.", 1, 5),
        ("", "hello there", 2, 0),
    ],
)
def test_errors_are_the_words_that_differ_to_the_ear(said: str, heard: str, errors: int, words: int) -> None:
    assert word_errors(said, heard) == (errors, words)


def test_the_rate_is_over_all_words_and_lies_in_its_interval() -> None:
    results = [Heard("", "", errors, 10) for errors in (0, 0, 0, 1, 0, 3, 0, 0)]
    low, high = interval(results)
    assert word_error_rate(results) == 4 / 80
    assert 0 <= low < 4 / 80 < high < 3 / 10


def test_without_errors_the_interval_is_zero() -> None:
    assert interval([Heard("", "", 0, 7)] * 5) == (0, 0)


def test_errors_are_found_in_the_part_in_which_they_are() -> None:
    parts = ["The first one.", "A second, longer sentence.", "And the end."]
    assert errors_by_part(parts, "the first one a second sentence and the end") == [0, 1, 0]
    assert errors_by_part(parts, "the worst one a second longer sentence and the end is near") == [1, 0, 2]

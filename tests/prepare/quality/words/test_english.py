"""The normaliser by which word errors are counted: fair to both ways of writing, blind to no real error."""

import pytest

from sonorant.prepare.quality import sentences
from sonorant.prepare.quality.words.english import normalize

SAME = [
    ("It costs $5.20.", "it costs five dollars and twenty cents"),
    ("It costs $5.20.", "It costs 5 dollars and 20 cents"),
    ("It costs $5.20.", "it costs five dollars twenty"),
    ("$0.99 each", "99 cents each"),
    ("$5.00", "five dollars"),
    ("a $20 bill", "a twenty dollar bill"),
    ("$2.5 million", "two point five million dollars"),
    ("$2,500,000", "$2.5 million"),
    ("£2.40", "two pounds and forty pence"),
    ("€1,200", "twelve hundred euros"),
    ("in 1969", "in nineteen sixty-nine"),
    ("in 2008", "in two thousand and eight"),
    ("in 2008", "in twenty oh eight"),
    ("1,250 people", "one thousand two hundred and fifty people"),
    ("1,250 people", "twelve hundred fifty people"),
    ("221 Baker Street", "two twenty-one Baker St."),
    ("135,000", "one hundred thirty-five thousand"),
    ("3,000,000", "three million"),
    ("in the 1990s", "in the nineteen nineties"),
    ("her 22nd birthday", "her twenty-second birthday"),
    ("the 104th floor", "the one hundred and fourth floor"),
    ("March 14, 2025", "March fourteenth, twenty twenty-five"),
    ("3 June 2026", "the third of June 2026"),
    ("June 3rd, 2026", "3 June 2026"),
    ("07/04/2023", "July 4th, 2023"),
    ("2024-03-05", "March 5, 2024"),
    ("5 Jan. 2020", "January 5th, 2020"),
    ("at 10:30 a.m.", "at ten thirty AM"),
    ("at 10:30 a.m.", "at 10.30am"),
    ("at 7:05 pm", "at seven oh five p.m."),
    ("at 9 a.m.", "at 9:00 AM"),
    ("at 8:00", "at eight o’clock"),
    ("12% and 4.5%", "twelve per cent and four point five percent"),
    ("pi is 3.14", "pi is three point one four"),
    ("-5 degrees", "minus five degrees"),
    ("31°C", "31 degrees Celsius"),
    ("23 kg, 14 km", "twenty-three kilograms, fourteen kilometres"),
    ("90 km/h or 56mph", "90 kilometers per hour or fifty-six miles per hour"),
    ("16GB", "sixteen gigabytes"),
    ("3/4 full", "three quarters full"),
    ("1/2 cup", "half a cup"),
    ("1½ hours", "one and a half hours"),
    ("aged 16-18", "aged sixteen to eighteen"),
    ("Call 555-0142", "call five five five oh one four two"),
    ("(212) 555-0187", "212-555-0187"),
    (
        "Dr. Lee met Mrs. Fox at St. Mary's, e.g. today",
        "doctor Lee met missus Fox at Saint Marys for example today",
    ),
    ("10 Park Ave.", "Ten Park Avenue"),
    ("the USA, HTTP and D.C.", "the U.S.A., H T T P and DC"),
    ("I can't, it's late and they're gone", "I cannot, it is late and they are gone"),
    ("The colour of the theatre was analysed", "the color of the theater was analyzed"),
    ("Um, a well-known café", "a well known cafe"),
]

DIFFERENT = [
    ("$5.20", "$5.30"),
    ("$5.20", "£5.20"),
    ("$2.5 million", "$2.5 billion"),
    ("fifteen people", "fifty people"),
    ("in 1969", "in 1996"),
    ("48,000", "48"),
    ("the 3rd door", "three doors"),
    ("the first", "the third"),
    ("March 14", "March 15"),
    ("March 14", "May 14"),
    ("at 7:30", "at half past seven"),
    ("at 9 a.m.", "at 9 p.m."),
    ("3.14", "3.40"),
    ("-5 degrees", "5 degrees"),
    ("12 kg", "12 km"),
    ("12%", "12"),
    ("3/4", "1/4"),
    ("16-18", "16 and 18"),
    ("555-0142", "555-0143"),
    ("a light breeze", "light breeze"),
    ("he hid under it", "he hit under it"),
    ("I can go", "I can't go"),
    ("the keys", "the key"),
    ("HTTP", "HTML"),
    ("wait here", "weight here"),
    ("Maria and Thomas", "Thomas and Maria"),
]


@pytest.mark.parametrize(("written", "spoken"), SAME)
def test_two_ways_to_write_the_same_words_are_equal(written: str, spoken: str) -> None:
    assert normalize(written) == normalize(spoken)


@pytest.mark.parametrize(("said", "heard"), DIFFERENT)
def test_what_sounds_different_stays_different(said: str, heard: str) -> None:
    assert normalize(said) != normalize(heard)


def test_numbers_are_said_two_digits_at_a_time() -> None:
    assert normalize("1969 and 1250") == ["nineteen", "sixty", "nine", "and", "twelve", "fifty"]
    assert normalize("705") == ["seven", "zero", "five"]
    assert normalize("135,250") == ["one", "thirty", "five", "thousand", "two", "fifty"]
    assert normalize("007") == ["zero", "zero", "seven"]


def test_the_sentences_of_the_round_trip_become_plain_words() -> None:
    lines = sentences.lines("english")
    assert len(lines) >= 64
    assert len({tuple(normalize(line)) for line in lines}) == len(lines)
    assert all(word.isalpha() and word.islower() for line in lines for word in normalize(line))


@pytest.mark.parametrize("text", [written for pair in SAME + DIFFERENT for written in pair])
def test_words_of_the_ear_are_not_changed_again(text: str) -> None:
    assert normalize(" ".join(normalize(text))) == normalize(text)


@pytest.mark.parametrize(
    "text", ["", "…", "3.1 point 5", "1/0", "99/99/9999", "$ . %", "point five hundred", "2 and 中文"]
)
def test_odd_text_is_taken_as_it_comes(text: str) -> None:
    assert all(normalize(text))

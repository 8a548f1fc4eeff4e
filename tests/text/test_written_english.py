"""Figures and signs in English text, as a person reads them out; plain numbers are left to the grammars."""

import pytest

from sonorant.families.wetext import Wetext
from sonorant.text import english


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        # addresses
        ("See https://www.example.com/docs?page=2#top.", "See example dot com slash docs."),
        (
            "Mail john.smith42@mail.example.co.uk",
            "Mail john dot smith 42 at mail dot example dot C O dot U K",
        ),
        (
            "Follow @open_ai and #MachineLearning",
            "Follow at open underscore A. I and hashtag machine learning",
        ),
        ("Open README.md or main.py", "Open readme dot M D or main dot P Y"),
        ("It ends here.Then it goes on", "It ends here.Then it goes on"),
        # emoji
        ("I love it 😂", "I love it"),
        ("Well done 👍🏽👍🏽 🎉!", "Well done thumbs up party popper!"),
        # numbers that are said figure by figure
        ("Call +1 (415) 555-0132", "Call plus 1, 4 1 5, 5 5 5, 0 1 3 2"),
        ("1-800-555-0199", "1, 8 0 0, 5 5 5, 0 1 9 9"),
        ("+44 20 7946 0958", "plus 4 4, 2 0, 7 9 4 6, 0 9 5 8"),
        ("Order 20240315001", "Order 2 0 2 4 0 3 1 5 0 0 1"),
        ("Your code is 394027.", "Your code is 3 9 4 0 2 7."),
        ("commit 9f86d08", "commit 9 F 8 6 D 0 8"),
        ("agent 007", "agent 0 0 7"),
        ("7500000 people in 1984", "7500000 people in 1984"),
        # money
        ("$1,234.56, $1.2M, €3.50", "1,234 dollars and 56 cents, 1.2 million dollars, 3 euros and 50 cents"),
        ("£2bn, ¥500, $1, $0.05", "2 billion pounds, 500 yen, 1 dollar, 5 cents"),
        ("$5-10, US$20, 20 EUR, 20€", "5 to 10 dollars, 20 US dollars, 20 euros, 20 euros"),
        # ranges, fractions, versions, ratios
        ("pages 3-5, 5-10%, 2nd-3rd", "pages 3 to 5, 5 to 10%, 2nd to 3rd"),
        ("10 - 3", "10 minus 3"),
        ("2 3/4 inches, ½ cup, 3/8.", "2 and 3 quarters inches, one half cup, 3 eighths."),
        ("version 2.3.1, v1.20", "version 2 point 3 point 1, version 1 point 20"),
        ("192.168.0.1", "192 dot 168 dot 0 dot 1"),
        ("16:9, 3x3, 1e-5", "16 to 9, 3 by 3, 1 times 10 to the minus 5"),
        # measures
        ("25 m², 100W, 5GB/s, 20MB", "25 square meters, 100 watts, 5 gigabytes per second, 20 megabytes"),
        ("6'2\"", "6 foot 2"),
        # roman numerals, letters, decades
        ("Henry VIII, Chapter IV", "Henry the eighth, Chapter 4"),
        ("CO2 and vitamin A", "C O 2 and vitamin A."),
        ("the 1990s", "the 19 nineties"),
    ],
)
def test_english(written, spoken):
    assert english.normalized(written) == spoken


@pytest.mark.parametrize(
    ("written", "phonemes"),
    [
        ("NASA", "nˈæsə"),
        ("HTTP", "ˌAʧtˌitˌipˈi"),
        ("A.", "ˈA"),
        ("24/7", "twˈɛnti fˈɔɹ sˈɛvən"),
        ("$1,000, $2M", "wˈʌn θˈWzᵊnd dˈɑləɹz, tˈu mˈɪljᵊn dˈɑləɹz"),
        ("README, JSON", "ɹˈidmi, ʤˈAsən"),
        # Chinese punctuation pauses too, and is no part of the word before it
        ("list，", "lˈɪst,"),
        ("HR。", "ˌAʧˈɑɹ."),
        ("Happy birthday！Then（yes）go", "hˈæpi bˈɜɹθdˌA! ðˈɛn (jˈɛs) ɡˌO"),
    ],
)
def test_english_phonemes(written, phonemes):
    assert "".join(unit.phonemes for unit in english.units(written)) == phonemes


def test_chinese_punctuation_is_no_part_of_a_word():
    assert [unit.word for unit in english.units("Happy birthday！") if unit.word] == ["Happy", "birthday"]


@pytest.mark.parametrize(
    ("written", "phonemes"),
    [
        ("PDF", "pʰˌidˌiˈɛf"),
        ("party", "pʰˈɑɹTi"),
        ("computer", "kʰəmpʰjˈuTəɹ"),  # at the beginning, and before the stress
        ("train check", "tʰɹˈAn ʧʰˈɛk"),
        ("spicy stop", "spˈIsi stˈɑp"),  # not after s, not at the end
        ("happy", "hˈæpi"),
    ],
)
def test_aspiration_that_english_leaves_unwritten(written, phonemes):
    told = english.aspirated(english.units(written))
    assert "".join(unit.phonemes for unit in told) == phonemes
    assert [unit.word for unit in told] == [unit.word for unit in english.units(written)]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("1,234 people", "one thousand two hundred and thirty four people"),
        ("1,000 cats", "one thousand cats"),
        ("In the 1990s", "In the nineteen nineties"),
        ('Call #5 "now"', 'Call number five "now"'),
        ("What is 9@ or 2/?", "What is 9@ or 2/?"),  # where the grammar gives up
    ],
)
def test_where_wetext_slips(written, spoken):
    assert Wetext(card=None).spoken(written, "en") == spoken

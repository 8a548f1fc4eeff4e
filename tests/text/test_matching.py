"""Which words a group of phonemes speaks."""

import pytest

from sonorant.text.matching import matched


@pytest.mark.parametrize(
    ("alone", "groups", "expected"),
    [
        ("wˈʌn kˈæt", "wˈʌn kˈæt", ["0:0", "1:1"]),
        # "One of the things": espeak-ng joins "of the"
        ("wˈʌn ʌv ðə θˈɪŋz", "wˈʌn ʌvðə θˈɪŋz", ["0:0", "1,2:1", "3:2"]),
        # "at example.com site": one word takes three groups
        ("æt ɛɡzˈæmpəldˈɑːtkˈɑːm sˈaɪt", "æt ɛɡzˈæmpəl dˈɑːt kˈɑːm sˈaɪt", ["0:0", "1:1,2,3", "2:4"]),
        # as many groups as words, by chance
        ("ʌv ðə ɛɡzˈæmpəldˈɑːtkˈɑːm", "ʌvðə ɛɡzˈæmpəl dˈɑːtkˈɑːm", ["0,1:0", "2:1,2"]),
        # "in a way": a word that sounds otherwise in the sentence stands between two that do not
        ("ˈɪn ˈeɪ wˈeɪ", "ˈɪn ɐ wˈeɪ", ["0:0", "1:1", "2:2"]),
        ("xx", "yy zz", ["0:0,1"]),
        ("xx yy", "zz", ["0,1:0"]),
        ("", "a", []),
        ("a", "", []),
    ],
)
def test_words_find_their_groups(alone, groups, expected):
    found = matched(alone.split(), groups.split())
    assert [f"{','.join(map(str, a))}:{','.join(map(str, b))}" for a, b in found] == expected

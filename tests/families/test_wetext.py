"""Text normalisation both ways."""

import pytest

from sonorant.catalogue import Catalogue
from sonorant.errors import UnsupportedError
from sonorant.families import wetext
from sonorant.settings import load_settings


@pytest.fixture(scope="module")
def normalizer():
    card = Catalogue(load_settings().catalogue).find("wetext")
    return wetext.load(card, folder=None, host=None)


@pytest.mark.parametrize(
    ("language", "written", "spoken"),
    [
        ("en", "I have 123 apples.", "I have one hundred and twenty three apples."),
        ("en-GB", "It costs $25.", "It costs twenty five dollars."),
        ("zh", "今天是2024年5月3日，气温-5度。", "今天是二零二四年五月三日，气温负五度。"),
        ("zh-CN", "共123个", "共一百二十三个"),
    ],
)
def test_written_becomes_spoken(normalizer, language, written, spoken):
    assert normalizer.spoken(written, language) == spoken


@pytest.mark.parametrize(
    ("language", "spoken", "written"),
    [
        ("en", "i have two hundred and three apples", "i have 203 apples"),
        ("en", "twenty five dollars", "$25"),
        ("zh", "一百二十三个", "123个"),
        ("zh", "二零二四年五月三日", "2024/05/03"),
    ],
)
def test_spoken_becomes_written(normalizer, language, spoken, written):
    assert normalizer.written(spoken, language) == written


def test_nothing_stays_nothing(normalizer):
    assert normalizer.spoken(" \n", "en") == " \n"


def test_a_language_without_grammar_is_refused_with_the_known_ones(normalizer):
    with pytest.raises(UnsupportedError, match="'de'.*zh, en, ja"):
        normalizer.spoken("5 Euro", "de-DE")
    with pytest.raises(UnsupportedError):
        normalizer.written("fünf", "")

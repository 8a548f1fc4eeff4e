"""A user's own readings of words, in each language."""

from pathlib import Path

import pytest

from sonorant.errors import RequestError
from sonorant.tasks import Pronunciation
from sonorant.text import english, mandarin
from sonorant.text.lexicon import entries, read_lexicon

LEXICON = entries({"en": {"GIF": "/dʒɪf/", "sonorant": "SON or ant"}, "zh": {"乐清": "/yue4 qing1/"}})


def spoken(text: str, lexicon: tuple[Pronunciation, ...] = LEXICON) -> str:
    return "".join(unit.phonemes for unit in english.units(text, lexicon=lexicon))


def test_phonemes_and_respelling() -> None:
    assert "ʤɪf" in spoken("Send me a GIF, please.")
    respelled = "".join(unit.phonemes for unit in english.units("SON or ant"))
    assert spoken("We call it Sonorant.").endswith(f"{respelled}.")


def test_a_word_in_lower_case_stands_for_its_other_cases_and_no_other_for_them() -> None:
    assert spoken("Sonorant") == spoken("sonorant") == spoken("SONORANT")
    assert "ʤɪf" not in spoken("gif")


def test_parts_of_words_are_left_alone() -> None:
    assert "ʤɪf" not in spoken("GIFT")
    assert "ʤɪf" in spoken("GIF-file")


def test_the_word_stays_as_it_is_written() -> None:
    words = [unit.word for unit in english.units("A GIF is here.", lexicon=LEXICON) if unit.word]
    assert words == ["A", "GIF", "is", "here"]


def test_later_entries_hold_over_earlier_ones() -> None:
    assert "ɡɪf" in spoken("A GIF", (*LEXICON, *entries({"en": {"GIF": "/ɡɪf/"}})))


def test_other_languages_do_not_count() -> None:
    assert spoken("GIF", entries({"fr": {"GIF": "/ʒif/"}})) == spoken("GIF", ())


@pytest.mark.parametrize(
    ("ipa", "british", "symbols"),
    [
        ("təˈmeɪtoʊ", False, "təmˈAtO"),
        ("təˈmɑːtəʊ", True, "təmˈɑːtQ"),
        ("təˈmɑːtəʊ", False, "təmˈɑtO"),
        ("ˈstɹɔŋ", False, "stɹˈɔŋ"),
        ("bɝd", False, "bɜɹd"),
        ("t͡ʃɜːrtʃ", True, "ʧɜːɹʧ"),
    ],
)
def test_ipa_in_the_alphabet_of_the_network(ipa: str, british: bool, symbols: str) -> None:
    assert english.symbols(ipa, british=british) == [symbols]


def test_phonemes_that_the_network_does_not_know_are_refused() -> None:
    with pytest.raises(RequestError, match="ǃ"):
        spoken("click", entries({"en": {"click": "/kǃik/"}}))


def test_pinyin() -> None:
    assert mandarin.symbols("yue4 qing1") == [mandarin.ipa("yue4"), mandarin.ipa("qing1")]
    with pytest.raises(RequestError, match="xyz1"):
        mandarin.symbols("xyz1")


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.toml"
    path.write_text('[en]\nGIF = "/dʒɪf/"\n["*"]\nOK = "okay"\n', encoding="utf-8")
    assert read_lexicon(path) == (Pronunciation("GIF", "en", "/dʒɪf/"), Pronunciation("OK", "", "okay"))


@pytest.mark.parametrize(
    "tables",
    [
        {"en": "GIF"},
        {"en": {"GIF": ""}},
        {"en": {"GIF": "//"}},
        {"en": {" ": "a"}},
        {"en": {"a": 3}},
        {"en": {"a" * 999: "b"}},
    ],
)
def test_what_is_refused(tables: dict[str, object]) -> None:
    with pytest.raises(RequestError) as found:
        entries(tables)
    assert found.value.param == "lexicon"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.toml"
    path.write_text("GIF", encoding="utf-8")
    with pytest.raises(RequestError, match="cannot be read"):
        read_lexicon(path)

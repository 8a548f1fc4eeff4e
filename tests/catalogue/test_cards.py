"""The cards that are shipped, a user's own, and finding them by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonorant.catalogue import Catalogue
from sonorant.catalogue.card_file import parse, shipped
from sonorant.errors import SettingsError, UnknownModelError
from sonorant.families import FAMILIES
from sonorant.settings import CatalogueSettings
from sonorant.tasks import Task

CARDS = {str(card): card for card in shipped()}
TOY = """
name = "toy"
revision = "{revision}"
family = "piper"
task = "text-to-speech"
languages = ["en"]
licence = "MIT"
"""
FILE = """
[[files]]
name = "net.onnx"
sha256 = "{sha256}"
size = 5
sources = [{{ url = "https://example.org/net.onnx" }}]
""".format(sha256="0" * 64)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    (tmp_path / "cards").mkdir()
    return Catalogue(CatalogueSettings(home=tmp_path))


def write(catalogue: Catalogue, name: str, text: str) -> None:
    (catalogue.store.home / "cards" / name).write_text(text)


def test_the_models_of_the_foundation_are_shipped(catalogue: Catalogue) -> None:
    names = {card.name for card in catalogue.cards}
    assert names >= {"hibari", "piper-joe", "moonshine-tiny", "moonshine-base", "silero-vad", "wetext"}


def test_kokoro_has_all_its_voices_from_the_start(catalogue: Catalogue) -> None:
    card = catalogue.find("kokoro")
    assert len(card.voices) == 54
    assert card.voices[0].name == "af_heart"
    languages = {v.name: (v.language, v.gender) for v in card.voices}
    assert languages["bm_george"] == ("en-GB", "male")
    assert languages["zf_xiaoxiao"] == ("zh", "female")
    needed = {f.name for f in card.needed()}
    assert needed >= {f"voices/{v.name}.bin" for v in card.voices}  # a mixture may ask for any


@pytest.mark.parametrize("name", CARDS)
def test_a_shipped_card_is_consistent(name: str, catalogue: Catalogue) -> None:
    card = CARDS[name]
    assert card.family in FAMILIES
    assert card.licence
    assert card.description
    assert catalogue.find(name) == card
    assert all(part.name for part in catalogue.parts(card))
    assert len({f.name for f in card.files}) == len(card.files)
    assert all(len(f.sha256) == 64 and f.size > 0 and f.sources for f in card.files)
    if card.task is Task.SPEECH:
        assert card.voices
        assert card.sample_rate


def test_a_user_s_own_card_is_known_and_wins(catalogue: Catalogue) -> None:
    write(catalogue, "toy.toml", TOY.format(revision="1"))
    write(catalogue, "hibari.toml", TOY.format(revision="0.2.1").replace("toy", "hibari"))
    assert catalogue.find("toy").family == "piper"
    assert catalogue.find("hibari").family == "piper"


def test_a_name_means_its_newest_revision_unless_one_is_the_default(catalogue: Catalogue) -> None:
    for revision in ("1.9", "1.10"):
        write(catalogue, f"{revision}.toml", TOY.format(revision=revision))
    assert catalogue.find("toy").revision == "1.10"
    assert catalogue.find("toy@1.9").revision == "1.9"
    write(catalogue, "1.9.toml", TOY.format(revision="1.9") + "default = true")
    assert Catalogue(catalogue.settings).find("toy").revision == "1.9"


def test_an_unknown_name_is_answered_with_the_known_ones(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownModelError, match=r"Did you mean moonshine-tiny\?.*hibari.*piper-joe"):
        catalogue.find("moonshine-tny")
    with pytest.raises(UnknownModelError, match=r'no revision "9"\. Its revisions: 0\.2\.1'):
        catalogue.find("hibari@9")


def test_an_alias_finds_its_model(catalogue: Catalogue) -> None:
    assert catalogue.find("en_US-joe-medium").name == "piper-joe"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TOY + "colour = 1", "colour is not a key"),
        (TOY.replace("task", "tusk"), "task is missing"),
        (TOY.replace("text-to-speech", "singing"), "task: "),
        (TOY.replace('"toy"', '"../toy"'), "name: "),
        (TOY + FILE.replace("000000", "00000g"), "files.0.sha256"),
        (TOY + FILE.replace("net.onnx", "../net.onnx"), "files.0.name"),
        (TOY + FILE.replace("size = 5", "size = 0"), "files.0.size"),
        (TOY + FILE.replace("url =", "uri ="), "files.0.sources.0"),
        (TOY + FILE + 'voice = "eve"', '"eve", which is not listed'),
        (TOY + FILE + "optional = true", "belongs to no voice"),
        (TOY + '[[voices]]\nname = "a"\nlanguage = "en"\nage = 5', "voices.0.age is not a key"),
        ("name = ", "Invalid value"),
    ],
)
def test_a_wrong_card_is_refused_with_its_fault(text: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text.replace("{revision}", "1").encode(), "toy.toml")
    assert words in str(caught.value)
    assert "toy.toml" in str(caught.value)

"""What is told at once, before anything is started."""

from types import SimpleNamespace

import pytest

from sonorant.errors import RequestError
from sonorant.settings import Settings
from sonorant.tune import session
from sonorant.tune.session import Asked, Hear, _language, tune

VOICE = SimpleNamespace(name="piper-joe", languages=("en-US",))
ANY = SimpleNamespace(name="hifigan", languages=("*",))


@pytest.mark.parametrize(
    ("card", "asked", "language"),
    [(VOICE, "", "en"), (VOICE, "en-GB", "en"), (ANY, "", "en"), (ANY, "zh-CN", "zh")],
)
def test_sentences_are_those_of_the_primary_language(card, asked, language):
    assert _language(Asked(card.name, language=asked), card) == language


@pytest.mark.parametrize(
    ("language", "known", "why"),
    [("zh", ("en-US",), "It knows en-US"), ("", ("de-DE",), "They are in en, zh")],
)
def test_a_language_that_cannot_be_is_told_before_anything_is_started(monkeypatch, language, known, why):
    card = SimpleNamespace(name="voice", task="text-to-speech", languages=known)
    monkeypatch.setattr(session, "resolve", lambda *_: (card, None))
    monkeypatch.setattr(session.look, "check", lambda _: None)
    monkeypatch.setattr(session, "confined", lambda *_, **__: pytest.fail("the model was started"))
    with pytest.raises(RequestError, match=why):
        tune(Asked("voice", language=language), Settings(), Hear())

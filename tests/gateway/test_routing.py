"""Which replica and which voice a request means, and whether there is room."""

from dataclasses import dataclass

import pytest

from sonorant.errors import (
    FailedModelError,
    NotReadyError,
    TextError,
    UnknownModelError,
    UnknownVoiceError,
    UnsupportedError,
)
from sonorant.gateway import Router
from sonorant.gateway.text import check_text
from sonorant.gateway.voices import OPENAI_VOICES, resolve_voice
from sonorant.tasks import Described, State, Task, Voice


@dataclass
class Standing:
    """As much of a replica as routing looks at."""

    name: str
    task: Task = Task.SPEECH
    state: State = State.READY
    reason: str = ""
    languages: tuple[str, ...] = ()
    translation: bool = False

    def describe(self) -> Described:
        return Described(
            name=self.name, task=self.task, languages=self.languages, translation=self.translation
        )


def described(*voices: tuple[str, str]) -> Described:
    return Described(
        name="hibari",
        task=Task.SPEECH,
        languages=("en",),
        voices=tuple(Voice(name, "en", gender) for name, gender in voices),
    )


def test_names_and_aliases():
    router = Router([Standing("a"), Standing("b"), Standing("ears", Task.TRANSCRIPTION)])
    for name, expected in [("a", "a"), ("b", "b"), ("tts-1", "a"), ("gpt-4o-mini-tts", "a"), ("", "a")]:
        assert router.choose(name, Task.SPEECH).name == expected
    for name in ("ears", "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", ""):
        assert router.choose(name, Task.TRANSCRIPTION).name == "ears"


def test_an_alias_means_a_model_that_knows_the_texts_languages():
    router = Router([Standing("english", languages=("en",)), Standing("both", languages=("en", "zh"))])
    for languages, expected in [
        (set(), "english"),
        ({""}, "english"),
        ({"en"}, "english"),
        ({"zh"}, "both"),
        ({"", "zh"}, "both"),
        ({"zh", "en"}, "both"),
        ({"fr"}, "english"),  # nobody knows it: the first one says so itself
    ]:
        assert router.choose("tts-1", Task.SPEECH, languages).name == expected
    assert router.choose("english", Task.SPEECH, {"zh"}).name == "english"


def ears(name: str, *languages: str, **more) -> Standing:
    return Standing(name, Task.TRANSCRIPTION, languages=languages, **more)


def test_an_alias_means_a_listener_that_knows_the_language_or_else_the_most():
    router = Router([ears("english", "en"), ears("many", "en", "zh", "de"), ears("two", "zh", "en")])
    for languages, expected in [
        ({"en"}, "english"),
        ({"en-GB"}, "english"),
        ({"zh-TW"}, "many"),
        (set(), "many"),
        ({""}, "many"),
        ({"fr"}, "english"),  # nobody knows it: the first one says so itself
    ]:
        assert router.choose("whisper-1", Task.TRANSCRIPTION, languages).name == expected
        assert router.choose("", Task.TRANSCRIPTION, languages).name == expected
    assert router.choose("english", Task.TRANSCRIPTION).name == "english"
    router = Router([ears("english", "en"), ears("many", "en", "zh", state=State.FAILED)])
    assert router.choose("whisper-1", Task.TRANSCRIPTION).name == "english"


def test_translation_is_for_those_that_can():
    able = ears("many", "en", "zh", translation=True)
    router = Router([ears("most", "en", "zh", "de"), able])
    assert router.choose("whisper-1", Task.TRANSCRIPTION, translating=True).name == "many"
    assert router.choose("most", Task.TRANSCRIPTION, translating=True).name == "most", "it is named"
    router = Router([ears("english", "en"), ears("many", "en", "zh", state=State.LOADING)])
    with pytest.raises(NotReadyError, match="many is still loading"):
        router.choose("whisper-1", Task.TRANSCRIPTION, translating=True)
    router = Router([ears("english", "en")])
    assert router.choose("whisper-1", Task.TRANSCRIPTION, translating=True).name == "english"


def test_a_model_that_bears_an_aliass_name_is_meant_by_it():
    router = Router([Standing("first"), Standing("tts-1")])
    assert router.choose("tts-1", Task.SPEECH).name == "tts-1"


def test_aliases_pass_over_a_failed_model_but_its_own_name_does_not():
    router = Router([Standing("a", state=State.FAILED, reason="It is damaged."), Standing("b")])
    assert router.choose("tts-1", Task.SPEECH).name == "b"
    with pytest.raises(FailedModelError, match="It is damaged"):
        router.choose("a", Task.SPEECH)


def test_a_loading_model_is_waited_for_rather_than_replaced():
    router = Router([Standing("a", state=State.LOADING), Standing("b")])
    with pytest.raises(NotReadyError, match="a is still loading"):
        router.choose("tts-1", Task.SPEECH)


def test_wrong_task_names_the_right_endpoint():
    router = Router([Standing("a"), Standing("ears", Task.TRANSCRIPTION)])
    with pytest.raises(UnsupportedError, match="/v1/audio/transcriptions") as refused:
        router.choose("ears", Task.SPEECH)
    assert refused.value.param == "model"
    with pytest.raises(UnsupportedError, match="/v1/audio/speech"):
        router.choose("tts-1", Task.TRANSCRIPTION)


def test_unknown_names_are_answered_with_the_known_ones():
    router = Router([Standing("a"), Standing("b")])
    with pytest.raises(UnknownModelError, match="Served are: a, b"):
        router.choose("c", Task.SPEECH)
    with pytest.raises(UnknownModelError, match="No speech-to-text model is served here"):
        router.choose("", Task.TRANSCRIPTION)
    with pytest.raises(UnknownModelError) as error:
        router.choose("x" * 10_000, Task.SPEECH)
    assert len(str(error.value)) < 500


def test_openai_voices_get_a_voice_of_their_gender_and_differ_where_they_can():
    model = described(("bob", "male"), ("amy", "female"), ("eva", "female"))
    spoken = {alias: resolve_voice(model, alias) for alias in OPENAI_VOICES}
    for alias, gender in OPENAI_VOICES.items():
        assert spoken[alias] in ({"bob"} if gender == "male" else {"amy", "eva"})
    assert set(spoken.values()) == {"bob", "amy", "eva"}


def test_openai_voices_speak_the_texts_language():
    voices = [("af_heart", "en-US", "female"), ("af_nova", "en-US", "female"), ("am_echo", "en-US", "male"),
              ("zf_xiaoxiao", "zh", "female"), ("zm_yunxi", "zh", "male")]  # fmt: skip
    model = Described(
        name="kokoro", task=Task.SPEECH, languages=("en", "zh"), voices=tuple(Voice(*v) for v in voices)
    )
    assert resolve_voice(model, "nova") == "af_nova"
    assert resolve_voice(model, "echo", {""}) == "am_echo"
    assert resolve_voice(model, "nova", {"zh"}) == "zf_xiaoxiao"
    assert resolve_voice(model, "echo", {"", "zh"}) == "zm_yunxi"
    assert resolve_voice(model, "af_nova", {"zh"}) == "af_nova"  # its own name is what was asked for


def test_a_mixture_of_known_voices_is_a_voice_where_the_model_mixes():
    voices = (Voice("a", "en", "female"), Voice("b", "en", "male"))
    mixing = Described(name="m", task=Task.SPEECH, languages=("en",), voices=voices, voice_mixing=True)
    assert resolve_voice(mixing, "a+b") == "a+b"
    assert resolve_voice(mixing, "a*0.7+b*0.3") == "a*0.7+b*0.3"
    for wrong in ("a+c", "a*0+b", "a*x+b", "+", "a+"):
        with pytest.raises(UnknownVoiceError):
            resolve_voice(mixing, wrong)
    with pytest.raises(UnknownVoiceError):
        resolve_voice(described(("a", "female"), ("b", "male")), "a+b")


def test_own_voices_come_first():
    model = described(("bob", "male"), ("nova", "male"))
    assert resolve_voice(model, "nova") == "nova"
    assert resolve_voice(model, "bob") == "bob"
    assert resolve_voice(model, "") == "bob"


def test_without_a_voice_of_the_gender_the_first_one_speaks():
    assert resolve_voice(described(("bob", "male"), ("max", "")), "nova") == "bob"
    assert resolve_voice(described(), "nova") == ""


def test_unknown_voices_are_answered_with_the_known_ones():
    with pytest.raises(UnknownVoiceError, match=r"bob, amy.*alloy, ash") as error:
        resolve_voice(described(("bob", "male"), ("amy", "female")), "zoe")
    assert error.value.param == "voice"


@pytest.mark.parametrize("text", ["Hi", "Tab\tand\r\nlines", "你好 👋", "zero​width", "x" * 50])
def test_text_that_can_be_spoken(text):
    check_text(text, 50)


@pytest.mark.parametrize("text", ["", " \n ", "\x00", "a\x1b[0m", "a\x7f", "a\x85", "half \ud83d", "x" * 51])
def test_text_that_cannot(text):
    with pytest.raises(TextError) as error:
        check_text(text, 50)
    assert error.value.param == "input"

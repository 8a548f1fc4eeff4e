"""From the voice name in a request to a voice of the model."""

from __future__ import annotations

from collections.abc import Mapping, Set

from sonorant.errors import UnknownVoiceError
from sonorant.tasks import Described, mixture
from sonorant.text.languages import knows_all

OPENAI_VOICES: Mapping[str, str] = {
    "alloy": "female",
    "ash": "male",
    "ballad": "male",
    "cedar": "male",
    "coral": "female",
    "echo": "male",
    "fable": "male",
    "marin": "female",
    "nova": "female",
    "onyx": "male",
    "sage": "female",
    "shimmer": "female",
    "verse": "male",
}
"""OpenAI's voice names and how they sound to most listeners (OpenAI itself states no gender)."""


def resolve_voice(model: Described, name: str, languages: Set[str] = frozenset()) -> str:
    """The model's own name of the voice that `name` means: itself, an alias, or "" = the first.

    Aliases of one gender are spread over the model's voices of that gender, so that two of
    OpenAI's names sound different wherever the model has two voices for them. Without a voice of
    the gender the first voice speaks. Where the text is in a language that needs another voice
    (`languages`, as of `languages_of`), only voices of that language count. Raises UnknownVoiceError.
    """
    names = [voice.name for voice in model.voices]
    if name in names or (model.voice_mixing and "+" in name and mixture(name).keys() <= set(names)):
        return name
    if not name or name in OPENAI_VOICES:
        return _alias(model, name, languages) if names else ""
    shown = name if len(name) <= 80 else name[:80] + "…"
    raise UnknownVoiceError(
        f"{model.name} has no voice {shown!r}",
        why=f"Its voices are: {', '.join(names) or 'only its own, which has no name'}",
        remedy=f"Name one of them; OpenAI's names work too ({', '.join(OPENAI_VOICES)})",
        param="voice",
    )


def _alias(model: Described, name: str, languages: Set[str]) -> str:
    gender = OPENAI_VOICES.get(name)
    home = model.voices[0].language
    wanted = sorted(languages - {""}) or [home]
    speaking = [v for v in model.voices if knows_all({wanted[0]}, [v.language])] or list(model.voices)
    fitting = [v.name for v in speaking if gender and v.gender == gender]
    if not fitting:
        return speaking[0].name
    if same := [n for n in fitting if n.endswith(f"_{name}")]:
        return same[0]  # Kokoro's af_nova is OpenAI's nova
    place = [alias for alias, of in OPENAI_VOICES.items() if of == gender].index(name)
    return fitting[place % len(fitting)]

"""Text → the phonemes that a Piper voice was trained on."""

from __future__ import annotations

import unicodedata

from sonorant.errors import ModelFileError
from sonorant.families.piper.layout import BEGIN, END, PAD, VoiceConfig
from sonorant.text import espeak


def phonemize(text: str, config: VoiceConfig) -> list[str]:
    """Phonemes of a sentence, one code point each (NFD, as Piper's training has them).

    Raises MissingExtraError where the voice needs espeak-ng and the extra is not installed,
    ModelFileError for a kind of phonemes that is not known here.
    """
    if config.phoneme_type == "text":
        # rhasspy/piper's training folded case, piper1-gpl's does not: the voice's own characters tell
        characters = unicodedata.normalize("NFD", text)
        return [p for c in characters for p in (c if c in config.ids else c.casefold())]
    if config.phoneme_type != "espeak":
        raise ModelFileError(
            f"The voice {config.name} wants phonemes of the kind {config.phoneme_type!r}",
            why="Sonorant makes those of the kinds espeak and text",
            remedy="Choose another voice of this language",
        )
    return espeak.phonemize(text, config.espeak_voice)


def check_front_end(config: VoiceConfig) -> None:
    """Say at load time, not at the first request, that a front end is missing."""
    phonemize("a", config)


def to_ids(phonemes: list[str], ids: dict[str, list[int]], most: int) -> list[list[int]]:
    """Ids with padding between all phonemes, in as few pieces of at most `most` ids as it takes.

    Phonemes that the voice does not know are left out.
    """
    pad, head, tail = ids[PAD], [*ids[BEGIN], *ids[PAD]], ids[END]
    pieces, body = [], list[int]()
    for phoneme in phonemes:
        spoken = [*ids[phoneme], *pad] if phoneme in ids else []
        if len(head) + len(body) + len(spoken) + len(tail) > most:
            pieces.append([*head, *body, *tail])
            body = []
        body += spoken
    return [*pieces, [*head, *body, *tail]]

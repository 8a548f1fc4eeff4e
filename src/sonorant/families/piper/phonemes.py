"""Text → the phonemes that a Piper voice was trained on."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby

from sonorant.errors import ModelFileError, RequestError
from sonorant.families.piper.layout import BEGIN, END, PAD, VoiceConfig
from sonorant.text import espeak
from sonorant.text.matching import matched
from sonorant.text.phonemes import Piece, Unit

_WORDS = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]*[^\W\u3400-\u9fff][^\s\u3400-\u9fff]*")
"""with their punctuation; Chinese characters each for itself"""
_BETWEEN = frozenset(" .,;:!?…—")
"""phonemes that no word is made of"""


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


def units(text: str, config: VoiceConfig) -> list[Unit]:
    """The phonemes of a sentence with the words that they speak.

    espeak-ng joins words ("of the") and takes others apart ("example.com"): which, is seen by what it
    makes of each word alone.
    """
    groups = _groups(phonemize(text, config))
    spoken = [i for i, group in enumerate(groups) if any(p.isalpha() for p in group)]
    words = _WORDS.findall(text)
    alone = [_alone(word, config) for word in words]
    found, at = list[Unit](), 0
    for some, many in matched(alone, [groups[i] for i in spoken]):
        first, last = spoken[many[0]], spoken[many[-1]]
        found += (Unit(group) for group in groups[at:first])
        found.append(Unit("".join(groups[first : last + 1]), " ".join(words[i] for i in some)))
        at = last + 1
    return found + [Unit(group) for group in groups[at:]]


def symbols(ipa: str, config: VoiceConfig) -> list[str]:
    """IPA as the voice knows it. Raises RequestError for phonemes that it does not know."""
    phonemes = unicodedata.normalize("NFD", re.sub(r"[\s.\u0361]", "", ipa))
    known = config.ids if config.phoneme_type == "espeak" else {}
    if strange := [p for p in phonemes if p not in known]:
        raise RequestError(
            f"The phonemes /{ipa}/ hold {' '.join(dict.fromkeys(strange))}, which this model does not know",
            remedy="Write IPA of the language, or another spelling without slashes",
            param="lexicon",
        )
    return [phonemes]


def _groups(phonemes: Sequence[str]) -> list[str]:
    """Words as they are spoken, and what stands between them."""
    return ["".join(run) for _, run in groupby(phonemes, lambda phoneme: phoneme in _BETWEEN)]


def _alone(word: str, config: VoiceConfig) -> str:
    """The phonemes of a word by itself."""
    if config.phoneme_type == "text":
        return "".join(phonemize(word, config))
    return _espeak_alone(word, config.espeak_voice)


@lru_cache(maxsize=20_000)
def _espeak_alone(word: str, voice: str) -> str:
    return "".join(p for p in espeak.phonemize(word, voice) if p not in _BETWEEN)


def to_ids(units: Sequence[Unit], ids: Mapping[str, Sequence[int]], most: int) -> list[Piece]:
    """Ids with padding between all phonemes, in as few pieces of at most `most` ids as it takes.

    Phonemes that the voice does not know are left out. The first unit of a piece is the padding behind
    its beginning, the last one its end; neither speaks a word.
    """
    pad, tail = ids[PAD], ids[END]
    room = most - len(ids[BEGIN]) - len(pad) - len(tail)
    pieces: list[list[tuple[str, list[int]]]] = [[]]
    free = room
    for unit in units:
        spoken = [[*ids[phoneme], *pad] for phoneme in unit.phonemes if phoneme in ids]
        if sum(map(len, spoken)) > free and pieces[-1]:
            pieces.append([])
            free = room
        body: list[int] = []
        for phoneme in spoken:
            if len(phoneme) > free:
                pieces[-1].append((unit.word, body))
                pieces.append([])
                body, free = [], room
            body += phoneme
            free -= len(phoneme)
        pieces[-1].append((unit.word, body))
    return [
        Piece(
            (*ids[BEGIN], *pad, *(i for _, body in piece for i in body), *tail),
            ("", *(word for word, _ in piece), ""),
            (len(ids[BEGIN]) + len(pad) - 1, *(len(body) for _, body in piece), len(tail)),
        )
        for piece in pieces
    ]

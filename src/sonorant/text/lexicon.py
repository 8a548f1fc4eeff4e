"""Words with a reading of their own: a user's lexicon, and SSML's phoneme and sub.

A lexicon file is TOML, a table a language (primary subtag, or "*" for all):

    [en]
    Sonorant = "SON or ant"        # as it would be spelled
    GIF = "/dʒɪf/"                 # phonemes between slashes: IPA
    [zh]
    乐清 = "/yue4 qing1/"          # Mandarin: pinyin with tones
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from sonorant.errors import RequestError
from sonorant.tasks import Pronunciation
from sonorant.text.phonemes import Unit

MARK = "\u2060"
"""word joiner: sets one occurrence of a word apart from the same word elsewhere"""
LARGEST = 10_000
"""entries"""
LONGEST = 200
"""characters of a word or a reading"""


def read_lexicon(path: Path) -> tuple[Pronunciation, ...]:
    """The entries of a lexicon file. Raises RequestError."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RequestError(
            f"The lexicon {path} cannot be read",
            why=str(error),
            remedy="Correct the file, or name another",
            param="lexicon",
        ) from error
    return entries(tables)


def entries(tables: Mapping[str, object]) -> tuple[Pronunciation, ...]:
    """language → word → reading, as in a lexicon file. Raises RequestError."""
    found: list[Pronunciation] = []
    for language, words in tables.items():
        if not isinstance(words, Mapping):
            raise _refused(
                f"{language!r} is not a language with words",
                'Write {"en": {"GIF": "/dʒɪf/"}}, or [en] in a file',
            )
        for word, reading in words.items():
            if not (isinstance(reading, str) and reading.strip("/ ") and word.strip()):
                raise _refused(
                    f"{word!r} has no reading", 'Give phonemes ("/dʒɪf/") or another spelling ("jiff")'
                )
            if max(len(word), len(reading)) > LONGEST:
                raise _refused(f"{word[:40]!r}… is too long", f"Write at most {LONGEST} characters")
            found.append(Pronunciation(word.strip(), "" if language == "*" else language, reading.strip()))
    if len(found) > LARGEST:
        raise _refused(f"It has {len(found):,} words", f"Keep to {LARGEST:,}")
    return tuple(found)


def _refused(why: str, remedy: str) -> RequestError:
    return RequestError("The lexicon cannot be used", why=why, remedy=remedy, param="lexicon")


def units(
    text: str,
    language: str,
    lexicon: Sequence[Pronunciation],
    read: Callable[[str], list[Unit]],
    symbols: Callable[[str], list[str]],
) -> list[Unit]:
    """A text's units; words of the lexicon read as it says, the rest by `read`.

    language: primary subtag or BCP 47 of the text. `symbols` turns what stands between slashes into the
    network's own symbols, of each syllable or all together. A word stays as it is written.
    """
    words = _words(tuple(lexicon), language.split("-")[0])
    if not words:
        return read(text)
    found: list[Unit] = []
    at = 0
    for match in _pattern(tuple(words)).finditer(text):
        if text[at : match.start()]:
            found += _spaced(text[at : match.start()], read)
        reading, word = words.get(match[0]) or words[match[0].lower()], match[0].replace(MARK, "")
        if reading.startswith("/"):
            syllables = symbols(reading.strip("/").strip())
        else:
            syllables = ["".join(unit.phonemes for unit in read(reading))]
        if len(syllables) == len(word):
            found += map(Unit, syllables, word)
        else:
            found.append(Unit("".join(syllables), word))
        at = match.end()
    return found + (_spaced(text[at:], read) if text[at:] else [])


def _spaced(text: str, read: Callable[[str], list[Unit]]) -> list[Unit]:
    """What stands between entries, with the spaces at its ends, which front ends drop."""
    inner = read(text) if text.strip() else []
    before = [Unit(" ")] if text[0].isspace() else []
    after = [Unit(" ")] if text[-1].isspace() and text.strip() else []
    return before + inner + after


@lru_cache(maxsize=64)
def _words(lexicon: tuple[Pronunciation, ...], language: str) -> Mapping[str, str]:
    """Word → reading in one language; later entries hold over earlier ones."""
    return {entry.word: entry.reading for entry in lexicon if entry.language.split("-")[0] in ("", language)}


@lru_cache(maxsize=64)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    """Longest first; letters and digits of a script with spaces must end where the word does.

    A word in lower case stands for its other cases too ("gif" for GIF and Gif; "Polish" only for itself).
    """
    alternatives = []
    for word in sorted(words, key=len, reverse=True):
        pattern = re.escape(word)
        if word == word.lower():
            pattern = f"(?i:{pattern})"
        before = r"(?<![^\W\u2e80-\uffff])" if _alphabetic(word[0]) else ""
        after = r"(?![^\W\u2e80-\uffff])" if _alphabetic(word[-1]) else ""
        alternatives.append(before + pattern + after)
    return re.compile("|".join(alternatives))


def _alphabetic(character: str) -> bool:
    """Of a script that puts spaces between words."""
    return character.isalnum() and not "\u2e80" <= character <= "\uffff"

"""What people read, in their language: English in the code, Chinese in `zh.toml`.

The code says everything in English. A catalogue has the translations, by the English sentence with
named holes where the code fills something in; `translated` finds the entry that a finished sentence
was made from. What has no entry (the words of an operating system, of another library) stays as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

ENGLISH = "en"
LANGUAGES = (ENGLISH, "zh")
"""the code's own language, and those that have a catalogue"""

HOLE = re.compile(r"\{([a-z_]+)\}")
"""a hole of a template"""
FILLING = frozenset({"fragments", "pydantic"})
"""the tables of a catalogue that may fill the holes of the others"""

_BOUNDARY = re.compile(r"(?<=[.!?]) |; (?![^(]{0,300}\))")
"""between sentences, and between reasons that are not in brackets: the passages of a text"""
_FULL_STOP = re.compile(r"(?<![.])[.]$")
_LONGEST = 3
"""passages of an entry"""
_LARGEST, _MOST, _COLONS = 8_000, 24, 4
"""characters of a text, passages of it and colons of a passage that are looked at: messages can quote what
a client sent, and it must not decide how long this takes"""


def language_of_terminal() -> str:
    """The language that LC_ALL, LC_MESSAGES or LANG asks for (the first that is set, POSIX 8.2)."""
    name = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return _known(name)


def language_of_request(accepted: str) -> str:
    """The language that the value of an Accept-Language header (RFC 9110, 12.5.4) likes best.

    English where it names none of ours.
    """
    best, most = ENGLISH, 0.0
    for choice in accepted.split(","):
        tag, _, weight = choice.partition(";")
        found = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", weight, re.IGNORECASE)
        quality = float(found[1]) if found else 0.0 if weight.strip() else 1.0
        if quality > most and re.split("[-_]", tag.strip().lower())[0] in LANGUAGES:
            best, most = _known(tag), quality
    return best


def _known(tag: str) -> str:
    language = re.split("[-_.@]", tag.strip().lower())[0]
    return language if language in LANGUAGES else ENGLISH


def translated(text: str, language: str) -> str:
    """English text of ours in `language`: sentences, or reasons with "; " between them.

    What has no translation stays English; so does everything for a language without a catalogue.
    """
    if language == ENGLISH or language not in LANGUAGES or len(text) > _LARGEST:
        return text
    return _catalogue(language).translated(text)


def joined(sentences: Iterable[str]) -> str:
    """Sentences one after the other: Chinese ones need no space between them."""
    text = ""
    for sentence in sentences:
        text += f" {sentence}" if text and not text.endswith(("。", "！", "？", "；")) else sentence
    return text


class Catalogue:
    """The translations into one language."""

    def __init__(self, tables: Mapping[str, Mapping[str, str]]) -> None:
        """`tables`: those of the file. What fills a hole is looked up in `FILLING` ones only: the name of a
        model or a field is no word of ours, though it may be spelled like one."""
        self._sentences = _Entries(tables[name] for name in tables.keys() - FILLING)
        self._fillings = _Entries(tables[name] for name in FILLING)

    def translated(self, text: str) -> str:
        """English text of ours, as far as it is known."""
        return _passages(
            text, lambda one: self._find(self._sentences, one) or self._find(self._fillings, one)
        )

    def _find(self, entries: _Entries, text: str) -> str | None:
        """The translation of one passage, with a full stop where `text` has one; None = not known."""
        bare = _FULL_STOP.sub("", text)
        found = entries.find(bare, self._filled)
        return found and found + ("。" if bare != text else "")

    def _filled(self, text: str) -> str:
        return _passages(text, lambda one: self._find(self._fillings, one))


def _passages(text: str, find: Callable[[str], str | None]) -> str:
    """The passages of a text, each translated where it can be; an entry may be several of them long."""
    boundaries = list(islice(_BOUNDARY.finditer(text), _MOST))
    starts = [0, *(boundary.end() for boundary in boundaries)]
    ends = [*(boundary.start() for boundary in boundaries), len(text)]
    found: list[str] = []
    first = 0
    while first < len(starts):
        for last in range(min(first + _LONGEST, len(starts)) - 1, first - 1, -1):
            passage = text[starts[first] : ends[last]]
            known = find(passage) or _after_colon(passage, find)
            if known:
                break
        reasons = text[ends[last] :].startswith(";")
        found.append((known or passage) + (("；" if known else ";") if reasons else ""))
        first = last + 1
    return joined(found)


def _after_colon(text: str, find: Callable[[str], str | None]) -> str | None:
    """What comes after the name of a file or a field."""
    for colon in islice(re.finditer(": ", text), _COLONS):
        name = text[: colon.start()]
        if _BOUNDARY.search(name):
            return None
        if known := find(text[colon.end() :]):
            return f"{find(name) or name}：{known}"
    return None


@dataclass(frozen=True)
class Template:
    """A text with holes, and its translation."""

    pieces: tuple[str, ...]
    """what stands around the holes, in English"""
    names: tuple[str, ...]
    """of the holes, in the order of the English text"""
    translation: str
    fixed: int
    """how many characters are not holes: of two templates that match, the one with more is meant, then the
    one with fewer holes"""

    @classmethod
    def of(cls, english: str, translation: str) -> Template:
        pieces = tuple(HOLE.split(english)[::2])
        return cls(pieces, tuple(HOLE.findall(english)), translation, sum(map(len, pieces)))

    def fillings(self, text: str) -> dict[str, str] | None:
        """What fills the holes in `text`; None where it was not made from this template."""
        first, last = self.pieces[0], self.pieces[-1]
        if not text.startswith(first) or not text.endswith(last) or len(text) < self.fixed:
            return None
        at, end, found = len(first), len(text) - len(last), []
        for piece in self.pieces[1:-1]:
            next_at = text.find(piece, at, end)
            if next_at < 0:
                return None
            found.append(text[at:next_at])
            at = next_at + len(piece)
        found.append(text[at:end])
        whole = all(filling.count("(") == filling.count(")") for filling in found)
        return dict(zip(self.names, found, strict=True)) if whole else None

    def filled(self, fillings: Mapping[str, str]) -> str:
        """The translation with its holes filled."""
        return HOLE.sub(lambda hole: fillings[hole[1]], self.translation)


class _Entries:
    """Tables of a catalogue."""

    def __init__(self, tables: Iterable[Mapping[str, str]]) -> None:
        self._whole: dict[str, str] = {}
        self._templates: dict[int, list[Template]] = {}
        """by the number of passages"""
        for english, translation in (entry for table in tables for entry in table.items()):
            if HOLE.search(english):
                template = Template.of(english, translation)
                self._templates.setdefault(_passages_in(english), []).append(template)
            else:
                self._whole[english] = translation
        for templates in self._templates.values():
            templates.sort(key=lambda template: (-template.fixed, len(template.names), template.pieces))

    def find(self, text: str, filled: Callable[[str], str]) -> str | None:
        """The translation of `text`, with what `filled` makes of the fillings of its holes."""
        if whole := self._whole.get(text):
            return whole
        for template in self._templates.get(_passages_in(text), ()):
            found = template.fillings(text)
            if found is not None:
                return template.filled({name: filled(filling) for name, filling in found.items()})
        return None


def _passages_in(text: str) -> int:
    return len(list(islice(_BOUNDARY.finditer(text), _LONGEST))) + 1


@lru_cache
def _catalogue(language: str) -> Catalogue:
    import tomllib

    return Catalogue(tomllib.loads(Path(__file__).with_name(f"{language}.toml").read_text(encoding="utf-8")))

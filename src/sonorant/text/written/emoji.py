"""Emoji: a name where one is usual, otherwise nothing. The names are Unicode's (package `emoji`)."""

from __future__ import annotations

import re

_SOME = re.compile("[\u203c-\u3299\U0001f000-\U0001faff]")
_FACES = re.compile(
    "[\u2639\u263a\U0001f600-\U0001f644\U0001f910-\U0001f917\U0001f920-\U0001f92f\U0001f970-\U0001f97a"
    "\U0001fae0-\U0001fae9]"
)
"""they say in which tone something is meant; nobody reads them out"""
_BULLETS = re.compile(
    r"button|arrow|mark|square|circle|diamond|keycap|copyright|registered|bubble|minus|plus"
)
"""English names of what structures a text"""
_COLOURS = re.compile("[\U0001f3fb-\U0001f3ff]")
_LEFT_OVER = re.compile("[\u200d\u20e3\ufe0e\ufe0f\U0001f1e6-\U0001f1ff]")
"""what joins emoji"""


def named(text: str, language: str) -> str:
    """`text` with the names of its emoji in `language` (primary subtag); one that is repeated speaks once."""
    if not _SOME.search(text):
        return text
    import emoji

    if language in emoji.LANGUAGES:
        emoji.config.load_language(language)
    gap = "" if language in ("zh", "ja") else " "
    parts: list[str] = []
    last = ""
    for token in emoji.analyze(_COLOURS.sub("", text), non_emoji=True):
        if isinstance(token.value, str):
            parts.append(token.chars)
            last = "" if token.chars.strip() else last
            continue
        name = _name(token.chars, token.value.data or {}, language)
        parts.append(f"{gap}{name}{gap}" if name and name != last else gap)
        last = name
    return _LEFT_OVER.sub("", "".join(parts))


def _name(characters: str, data: dict[str, object], language: str) -> str:
    english = str(data.get("en", ""))
    if _FACES.match(characters) or _BULLETS.search(english):
        return characters if characters[0] in "0123456789#*©®™" else ""
    return str(data.get(language, "")).strip(":").replace("_", " ")

"""What is to be spoken: text, marked up or not, and how words in it are read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pronunciation:
    """A word with a reading of its own."""

    word: str
    """as it is written; in lower case it stands for its other cases too"""
    language: str
    """of the text in which it counts, primary subtag; "" = any"""
    reading: str
    """between slashes phonemes, "/dʒɪf/" (for Mandarin pinyin, "/yue4 qing1/"); else another spelling"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """A stretch of text in a manner of its own, from markup."""

    text: str
    """"" = only the pause"""
    voice: str = ""
    """"" = the request's, or one that `gender` and `language` name"""
    gender: str = ""
    language: str = ""
    """BCP 47; "" = the request's"""
    rate: float = 1.0
    """times the request's speed"""
    gain: float = 1.0
    """times the voice's own amplitude"""
    lexicon: tuple[Pronunciation, ...] = ()
    pause: float | None = None
    """seconds of silence after it; None = as after a sentence, or a paragraph"""
    paragraph: bool = False
    """it ends a paragraph"""


Text = AsyncIterator[str] | tuple[Utterance, ...]
"""what is spoken: text as it comes, or marked-up text, which is whole"""

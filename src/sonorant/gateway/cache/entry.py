"""How an answer is written down: `SNRE`, BLAKE2b of the rest, digest of its key, time, events.

All numbers are little endian. An event is its seconds (float64), the length of its
bytes and the number of its words (uint32; 0xFFFFFFFF = not measured), the bytes, and for each word
start, end (float64), length, UTF-8. It is read without trust: whatever is wrong with it, there is none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from hashlib import blake2b

from sonorant.tasks import Encoded, Word

MAGIC = b"SNRE"
_CHECKSUM = 16
_HEAD = struct.Struct("<32sd")
_EVENT = struct.Struct("<dII")
_WORD = struct.Struct("<ddI")
_UNMEASURED = 0xFFFFFFFF


def written(digest: str, now: float, events: Iterable[Encoded]) -> bytes:
    """`now`: seconds since 1970."""
    body = b"".join([_HEAD.pack(bytes.fromhex(digest), now), *(part for e in events for part in _event(e))])
    return MAGIC + blake2b(body, digest_size=_CHECKSUM).digest() + body


def read(data: bytes, digest: str, not_before: float) -> list[Encoded] | None:
    """The events of an entry; None where it is damaged, of another key, or older than `not_before`."""
    body = data[len(MAGIC) + _CHECKSUM :]
    if data[: len(MAGIC) + _CHECKSUM] != MAGIC + blake2b(body, digest_size=_CHECKSUM).digest():
        return None
    try:
        key, when = _HEAD.unpack_from(body)
        if key != bytes.fromhex(digest) or when < not_before:
            return None
        return list(_events(body, _HEAD.size))
    except (struct.error, UnicodeDecodeError):
        return None


def _event(event: Encoded) -> Iterator[bytes]:
    words = event.words
    yield _EVENT.pack(event.seconds, len(event.data), _UNMEASURED if words is None else len(words))
    yield event.data
    for word in words or ():
        text = word.text.encode()
        yield _WORD.pack(word.start, word.end, len(text))
        yield text


def _events(body: bytes, at: int) -> Iterator[Encoded]:
    while at < len(body):
        seconds, size, count = _EVENT.unpack_from(body, at)
        at += _EVENT.size
        data = body[at : at + size]
        at += size
        words: list[Word] = []
        for _ in range(0 if count == _UNMEASURED else count):
            start, end, length = _WORD.unpack_from(body, at)
            at += _WORD.size
            words.append(Word(body[at : at + length].decode(), start, end))
            at += length
        yield Encoded(data, seconds, None if count == _UNMEASURED else tuple(words))

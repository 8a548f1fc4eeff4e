"""What may be given to a voice: text that is there, is text, and has an end."""

from __future__ import annotations

import re

from sonorant.errors import TextError

# C0 and C1 control characters but tab, newline and carriage return; and halves of surrogate pairs
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def check_text(text: str, limit: int, param: str = "input") -> None:
    """Raise TextError for text that is empty, longer than `limit` characters, or not text."""
    if not text.strip():
        raise TextError("The text is empty", remedy=f"Send at least one word in {param!r}", param=param)
    if len(text) > limit:
        raise TextError(
            f"The text has {len(text):,} characters; this server takes {limit:,}",
            remedy="Send it in parts, or let the operator raise limits.text_characters",
            param=param,
        )
    if found := _NOT_TEXT.search(text):
        raise TextError(
            f"U+{ord(found[0]):04X} at position {found.start()} of the text cannot be spoken",
            why="Control characters and halves of surrogate pairs are not text",
            remedy="Remove it and send the text again",
            param=param,
        )

"""What may be given to a voice: text that is there, is text, and has an end."""

from __future__ import annotations

import re

from sonorant.errors import TextError

# C0 and C1 control characters but tab, newline and carriage return; and halves of surrogate pairs
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


_ENDS = re.compile(r"[.!?…]+[\"'”’)\]»]*(?=\s)|[。！？।]+[”’」』）]*|\n")
"""where a sentence may end"""


def shortened(text: str, limit: int) -> tuple[str, str]:
    """A text of at most `limit` characters, and a warning where that is not all of it.

    It ends with the last sentence that fits; where not one does, before the last word that does not.
    """
    if len(text) <= limit:
        return text, ""
    kept = text[: limit + 1]  # one more, by which a full stop shows that it is none of a number
    ends = [end for match in _ENDS.finditer(kept) if (end := match.end()) <= limit and kept[:end].strip()]
    spaces = [match.start() for match in re.finditer(r"\s", kept) if kept[: match.start()].strip()]
    kept = kept[: ends[-1] if ends else spaces[-1] if spaces else limit]
    return kept, f"The text has {len(text)} characters; only the first {len(kept)} are spoken"


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

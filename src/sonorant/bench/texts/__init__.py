"""Short sentences as an assistant says them: shipped ones, or one's own, a line each."""

from __future__ import annotations

import random
from pathlib import Path

from sonorant.errors import TextError

SHIPPED = {"en": "english.txt", "zh": "chinese.txt"}


def sentences(language: str = "en", file: Path | None = None, seed: int = 0) -> list[str]:
    """The lines of `file`, or the shipped ones, shuffled the same way every time. Raises TextError."""
    path = file or Path(__file__).with_name(SHIPPED[language])
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise TextError(f"The texts {path} cannot be read", why=why, remedy="Check the path") from error
    if not lines:
        raise TextError(f"There is no text in {path}", remedy="Write one sentence a line")
    random.Random(seed).shuffle(lines)  # noqa: S311
    return lines

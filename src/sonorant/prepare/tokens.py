"""Which tokens of a model its languages need: counted on texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonorant.errors import RequestError
from sonorant.networks.vocabulary import Vocabulary
from sonorant.prepare.passes.prune_vocabulary import most_used
from sonorant.prepare.speech import sentences


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of one network."""

    size: int
    used: Mapping[int, int]
    """token → how often the texts have it"""
    always: tuple[int, ...]
    """that stay whether they are used or not"""

    def kept(self, ratio: float) -> list[int]:
        """Those that stay where `ratio` of all go, or as many as can."""
        return most_used([self.used], size=self.size, ratio=ratio, always=self.always)

    def tree(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"size": self.size, "used": sorted(self.used.items()), "always": self.always}

    @staticmethod
    def of(tree: Mapping[str, Any]) -> Tokens:
        """What `tree` gave."""
        return Tokens(tree["size"], dict(tree["used"]), tuple(tree["always"]))


def counted(vocabulary: Vocabulary, size: int, texts: Sequence[str]) -> Tokens:
    """size: how many tokens the network chooses from."""
    used = Counter(token for text in texts for token in vocabulary.encode(text) if token < size)
    always = sorted(token for token in vocabulary.always if token < size)
    return Tokens(size, used, tuple(always))


def texts(languages: Sequence[str], files: Sequence[Path] = ()) -> list[str]:
    """The lines of the files; where there are none, the sentences that come along in these languages.

    What the gate hears is not among them: of a model that keeps the gate's own words it would hear no loss.
    Raises RequestError for a file that holds no text.
    """
    if files:
        return [line for file in files for line in _lines(file)]
    primary = dict.fromkeys(each.split("-")[0].lower() for each in languages)
    return [line for language in primary for line in sentences(language)]


def _lines(file: Path) -> list[str]:
    try:
        found = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(
            f"{file} cannot be read as text",
            why=str(error),
            remedy="Give a file in UTF-8 with one sentence a line",
            param="texts",
        ) from error
    if not found:
        raise RequestError(
            f"{file} holds no text", remedy="Give a file in UTF-8 with one sentence a line", param="texts"
        )
    return found

"""Sentences of this package's tables, in both languages, with holes that a finding fills."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HOLE = re.compile(r"\{([a-z][a-z0-9_-]*)\}")
"""named as what fills it: names of packages, too"""


@dataclass(frozen=True, slots=True)
class Text:
    en: str
    zh: str

    @classmethod
    def of(cls, table: Mapping[str, str]) -> Text:
        """From `why.en` and `why.zh` of a table."""
        return cls(table["en"], table["zh"])

    def filled(self, fillings: Mapping[str, object]) -> Text:
        """With its {holes} filled."""
        return Text(filled(self.en, fillings), filled(self.zh, fillings))

    def __getitem__(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


def filled(template: str, fillings: Mapping[str, object]) -> str:
    """`template` with its {holes} filled; what is not known stays as it is."""
    return _HOLE.sub(lambda hole: str(fillings.get(hole[1], hole[0])), template)


def table(name: str) -> dict[str, Any]:
    """A table of this package."""
    return tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text("utf-8"))

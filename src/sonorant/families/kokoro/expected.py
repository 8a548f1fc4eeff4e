"""What Kokoro will use of a folder, for who inspects it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sonorant.families.kokoro.layout import find, read_vocabulary
from sonorant.families.kokoro.networks import names, signature
from sonorant.families.kokoro.voices import read_style
from sonorant.families.layouts import NetworkFile, SettingsFile


def expected(folder: Path) -> Iterator[SettingsFile | NetworkFile]:
    """The vocabulary, the voices and the network."""
    if files := find(folder):
        yield SettingsFile(files.vocabulary, read_vocabulary)
        for path in files.voices.values():
            yield SettingsFile(path, read_style)
        yield NetworkFile(files.model, lambda inputs, outputs: signature(names(inputs, outputs)))

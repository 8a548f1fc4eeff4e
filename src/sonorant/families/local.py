"""The card of a model that is served from a local folder."""

from __future__ import annotations

import re
from pathlib import Path

from sonorant.catalogue.card import ModelCard
from sonorant.tasks import Task, Voice

REVISION = "local"


def local_card(
    folder: Path,
    *,
    family: str,
    task: Task,
    languages: tuple[str, ...],
    voices: tuple[Voice, ...] = (),
    sample_rate: int,
    parts: dict[str, str] | None = None,
) -> ModelCard:
    """A card named after the folder. Its files are checked by loading them, not by hash."""
    return ModelCard(
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-.") or family,
        revision=REVISION,
        family=family,
        task=task,
        languages=languages,
        voices=voices,
        sample_rate=sample_rate,
        licence="as stated by its publisher",
        description=f"the local folder {folder}",
        parts=parts or {},
    )

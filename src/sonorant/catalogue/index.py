"""The catalogue: which models are known, and one that is asked for made ready to load."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sonorant.catalogue import card_file
from sonorant.catalogue.card import ModelCard
from sonorant.catalogue.store import Store
from sonorant.errors import UnknownModelError
from sonorant.settings import CatalogueSettings

if TYPE_CHECKING:
    from sonorant.catalogue.part import Progress


class Catalogue:
    """The cards that Sonorant ships and the user's own, over one store."""

    def __init__(self, settings: CatalogueSettings) -> None:
        self.settings = settings
        self.store = Store(settings)

    @cached_property
    def cards(self) -> list[ModelCard]:
        """All cards by name, of one name the one that is meant first; a user's own wins over a shipped one.

        Raises SettingsError when a user's own card is wrong.
        """
        known = {str(card): card for card in card_file.shipped()}
        known |= {str(card): card for card in card_file.own(self.store.home)}
        preferred = sorted(known.values(), key=lambda c: (c.default, _natural(c.revision)), reverse=True)
        return sorted(preferred, key=lambda card: card.name)  # stable: keeps the order within a name

    def find(self, model: str) -> ModelCard:
        """The card of NAME or NAME@REVISION, where NAME may be an alias. Raises UnknownModelError."""
        name, _, revision = model.partition("@")
        named = [c for c in self.cards if c.name == name] or [c for c in self.cards if name in c.aliases]
        for card in named:
            if revision in ("", card.revision):
                return card
        if named:
            revisions = ", ".join(c.revision for c in named)
            raise UnknownModelError(
                f'The model "{name}" has no revision "{revision}"',
                remedy=f"Its revisions: {revisions}",
                param="model",
            )
        names = list(dict.fromkeys(c.name for c in self.cards))
        close = difflib.get_close_matches(name, names, n=1)
        raise UnknownModelError(
            f'No model "{name}"',
            why=f"Did you mean {close[0]}?" if close else "",
            remedy=f"Known models: {', '.join(names)}",
            param="model",
        )

    def parts(self, card: ModelCard) -> tuple[ModelCard, ...]:
        """The cards of the models that play a part in this one."""
        return tuple(self.find(name) for name in card.parts.values())

    def pull(
        self,
        card: ModelCard,
        *,
        voices: Sequence[str] = (),
        force: bool = False,
        progress: Progress | None = None,
    ) -> Path:
        """Bring what is missing (with `force`, what is damaged, too); see `sonorant.catalogue.pull.pull`."""
        from sonorant.catalogue.pull import pull  # httpx is loaded only when something is pulled

        return pull(card, self.store, self.settings, voices=voices, force=force, progress=progress)

    def ensure(
        self, card: ModelCard, *, voices: Sequence[str] = (), progress: Progress | None = None
    ) -> Path:
        """The model's folder with every needed file in it, each one checked against its sha256.

        Missing files are pulled. Raises DownloadError when that fails, and ModelFileError for a
        damaged file: those are never replaced silently. Blocks: call it in a thread.
        """
        if self.store.missing(card, voices):
            self.pull(card, voices=voices, progress=progress)
        self.store.verify(card)
        return self.store.folder(card)


def _natural(revision: str) -> list[tuple[int, str]]:
    """A key by which 1.10 is newer than 1.9."""
    pieces = re.findall(r"\d+|\D+", revision)
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in pieces]

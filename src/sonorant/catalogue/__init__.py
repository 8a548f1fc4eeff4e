"""Which models are known, where they come from and where they are kept.

    catalogue = Catalogue(settings.catalogue)
    card = catalogue.find("hibari")
    folder = catalogue.ensure(card)

Imports no engine, no family and no numpy: the gateway may use it.
"""

from sonorant.catalogue.card import File, ModelCard
from sonorant.catalogue.index import Catalogue
from sonorant.catalogue.store import Store

__all__ = ["Catalogue", "File", "ModelCard", "Store"]

"""Reading model cards: TOML files, one card each.

Shipped ones lie in `catalogue/cards`, a user's own in `<home>/cards`. Unknown keys are refused.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sonorant.catalogue.card import File, ModelCard
from sonorant.errors import SettingsError

_CARD = TypeAdapter(ModelCard)


def shipped() -> list[ModelCard]:
    """The cards that come with Sonorant."""
    return _read_all(resources.files("sonorant.catalogue") / "cards")


def own(home: Path) -> list[ModelCard]:
    """The cards that a user wrote into `home`/cards. Raises SettingsError for one that is wrong."""
    folder = home / "cards"
    return _read_all(folder) if folder.is_dir() else []


def _read_all(folder: Traversable) -> list[ModelCard]:
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return [parse(f.read_bytes(), str(f)) for f in files]


def parse(text: bytes, where: str) -> ModelCard:
    """Read one card. Raises SettingsError that names the file `where` and each fault."""
    try:
        card = _CARD.validate_python(tomllib.loads(text.decode("utf-8")))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _wrong(where, str(error)) from error
    except ValidationError as error:
        faults = "; ".join(_explain(e["loc"], e["msg"], e["type"]) for e in error.errors())
        raise _wrong(where, faults) from None
    names = {v.name for v in card.voices}
    for file in card.files:
        _check_voice(file, names, where)
    return card


def _check_voice(file: File, voices: set[str], where: str) -> None:
    if file.voice and file.voice not in voices:
        raise _wrong(where, f'the file {file.name} belongs to the voice "{file.voice}", which is not listed')
    if file.optional and not file.voice:
        raise _wrong(where, f"the file {file.name} is optional but belongs to no voice")


def _wrong(where: str, why: str) -> SettingsError:
    return SettingsError(
        f"The model card {where} is wrong",
        why=why,
        remedy="Correct it; hibari.toml in sonorant/catalogue/cards is an example",
    )


def _explain(location: tuple[int | str, ...], message: str, kind: str) -> str:
    # a source's location names each class that it might have been; only names of keys are of use
    name = ".".join(str(part) for part in location if str(part) not in ("Hub", "Url", "Package", "Joined"))
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{name} is not a key of a card"
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{name} is missing"
    return f"{name}: {message}"

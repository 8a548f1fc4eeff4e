"""One strict tree of settings: command line > environment > sonorant.toml > defaults.

Environment names are `SONORANT_` and the path in the tree with double underscores:
`SONORANT_SERVER__PORT=9000`. Unknown names are refused wherever they stand.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from sonorant.errors import SettingsError
from sonorant.tasks import DEFAULT_MODELS, OPTIONAL_LIBRARIES

PREFIX = "SONORANT_"
CONFIG_VARIABLE = "SONORANT_CONFIG"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeySettings(_Strict):
    """An API key and what its owner, a tenant, may ask for: shares, limits and caches are its own."""

    name: str = Field(min_length=1, max_length=64)
    """what logs and messages call it"""
    key: SecretStr
    requests_per_minute: int | None = Field(default=None, gt=0)
    concurrent: int | None = Field(default=None, gt=0)
    """requests that may wait or run at a time"""
    share: float = Field(default=1.0, gt=0, le=1)
    """of what the device can do, at most"""


class ServerSettings(_Strict):
    """The HTTP server."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    root_path: str = ""
    """the path under which a proxy publishes this server"""
    api_keys: tuple[SecretStr, ...] = ()
    """keys without limits of their own; where there are none of either kind, no key is asked for"""
    keys: tuple[KeySettings, ...] = ()
    """keys with names and limits"""
    cors_origins: tuple[str, ...] = ()
    """origins whose pages may call this server; "*" = all"""
    body_idle_seconds: float = Field(default=8.0, gt=0)
    """a request body that is silent for this long is ended with 408"""
    body_seconds: float = Field(default=600.0, gt=0)
    """and one that takes this long altogether, too"""
    send_seconds: float = Field(default=60.0, gt=0)
    """a client that takes nothing for this long is dropped"""
    drain_seconds: int = Field(default=20, ge=0)
    """how long running requests may go on after SIGTERM"""

    @field_validator("keys")
    @classmethod
    def _one_name_each(cls, keys: tuple[KeySettings, ...]) -> tuple[KeySettings, ...]:
        if len({key.name for key in keys}) < len(keys):
            raise ValueError("two keys have the same name")
        return keys


class LimitSettings(_Strict):
    """What one request may ask for."""

    text_characters: int = Field(default=100_000, gt=0)
    """a chapter of 20 pages is about 60,000"""
    upload_bytes: int = Field(default=256 * 2**20, gt=0)
    audio_seconds: float = Field(default=4 * 3600.0, gt=0)
    """the longest recording that is transcribed"""
    waiting: int = Field(default=256, gt=0)
    """requests that may wait or run at one model; more are answered with 429"""
    queue_seconds: float = Field(default=0.75, gt=0)
    """what the first audio, or a transcript, may be late by because of others; what would be later is
    answered with 429"""
    bulk_queue_seconds: float = Field(default=600.0, gt=0)
    """the same for requests that nobody waits for"""


class CatalogueSettings(_Strict):
    """Where models come from and where they are kept."""

    home: Path = Field(
        default_factory=lambda: Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "sonorant"
    )
    offline: bool = Field(
        default_factory=lambda: os.environ.get("HF_HUB_OFFLINE", "0") in ("1", "true", "ON", "YES")
    )
    """never dial out"""
    region: Literal["auto", "global", "china"] = "auto"
    """which hubs are asked first; auto looks at the locale and the time zone"""
    source_timeout_seconds: float = Field(default=3.0, gt=0)
    """a source that stays silent for this long is skipped for the rest of the run"""


class CacheSettings(_Strict):
    """Where what has been spoken is kept, for requests that ask for the same."""

    where: Literal["memory", "disk", "redis", "off"] = "memory"
    bytes: int = Field(default=64 * 2**20, gt=0)
    """what it may hold, in memory or on disk; Redis has a bound of its own"""
    entry_bytes: int = Field(default=4 * 2**20, gt=0)
    """the largest answer that is kept"""
    seconds: float = Field(default=24 * 3600.0, gt=0)
    """how long an answer is kept"""
    folder: Path = Path("~/.cache/sonorant/speech")
    """of the cache on disk"""
    redis: SecretStr = SecretStr("")
    """the server of the cache in Redis; an address can hold a password. "" = the one on this machine"""


def uninstalled_defaults() -> tuple[str, ...]:
    """The default models that cannot be loaded, because their libraries are not here."""
    return tuple(model for model, library in OPTIONAL_LIBRARIES.items() if find_spec(library) is None)


def installed_defaults() -> tuple[str, ...]:
    """The other ones."""
    absent = uninstalled_defaults()
    return tuple(name for names in DEFAULT_MODELS.values() for name in names if name not in absent)


class Settings(_Strict):
    """Everything that can be set."""

    models: tuple[str, ...] = Field(default_factory=installed_defaults)
    """what `serve` serves: names of the catalogue (MODEL@revision too) or folders"""
    device: str = "cpu"
    """cpu, cuda, cuda:1 …, or auto: the first that this machine really has"""
    onnxruntime: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """ONNX Runtime's own names: intra_op_num_threads = 2, graph_optimization_level = "ORT_ENABLE_ALL" …"""
    lexicon: Path | None = None
    """a file of words with readings of their own, for every request"""
    server: ServerSettings = ServerSettings()
    limits: LimitSettings = LimitSettings()
    catalogue: CatalogueSettings = Field(default_factory=CatalogueSettings)
    cache: CacheSettings = CacheSettings()


def load_settings(config: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings in force.

    `config` is a TOML file; without it, the file that $SONORANT_CONFIG names, or ./sonorant.toml
    where there is one. `overrides` is a nested mapping (the command line); None values are ignored.
    Raises SettingsError for a file that cannot be read, an unknown name or a wrong value.
    """
    tree: dict[str, Any] = {}
    path = config or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    if path is not None or Path("sonorant.toml").is_file():
        _merge(tree, _read_toml(path or Path("sonorant.toml")))
    _merge(tree, _from_environment(os.environ))
    _merge(tree, overrides or {})
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsError(
            "; ".join(_explain(e["loc"], e["msg"], e["type"]) for e in error.errors()),
            remedy="See docs/settings.md for every setting",
        ) from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"The settings file {path} cannot be read",
            why=str(error),
            remedy="Correct it, or name another with --config",
        ) from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for variable, value in sorted(environment.items()):
        if not variable.startswith(PREFIX) or variable == CONFIG_VARIABLE:
            continue
        names = variable.removeprefix(PREFIX).lower().split("__")
        leaf = tree
        for name in names[:-1]:
            leaf = leaf.setdefault(name, {})
            if not isinstance(leaf, dict):
                raise SettingsError(
                    f"{variable} and {variable.rpartition('__')[0]} cannot both be set",
                    remedy="Set only the former",
                )
        # lists are written with commas: SONORANT_MODELS=hibari,moonshine-tiny
        leaf[names[-1]] = [v.strip() for v in value.split(",") if v.strip()] if _is_list(names) else value
        if names == ["server", "keys"]:
            leaf[names[-1]] = _from_json(variable, value)
    return tree


def _from_json(variable: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise SettingsError(f"{variable} is not JSON", why=str(error)) from error


def _is_list(names: list[str]) -> bool:
    return names in (["models"], ["server", "api_keys"], ["server", "cors_origins"])


def _merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    for name, value in new.items():
        if isinstance(value, Mapping) and isinstance(into.get(name, {}), dict):
            _merge(into.setdefault(name, {}), value)
        elif value is not None:
            into[name] = value


def _explain(location: tuple[int | str, ...], message: str, kind: str) -> str:
    name = ".".join(str(part) for part in location)
    if kind != "extra_forbidden":
        return f"{name}: {message}"
    model: type[BaseModel] = Settings
    for part in location[:-1]:
        if isinstance(part, str):  # else it is a place in a list
            inner = model.model_fields[part].annotation
            inner = next(iter(get_args(inner)), inner)
            assert isinstance(inner, type)
            model = inner
    return f"{name} is not a setting; known here: {', '.join(model.model_fields)}"

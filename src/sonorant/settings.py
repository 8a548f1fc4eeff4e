"""One strict tree of settings: command line > environment > sonorant.toml > defaults.

Environment names are `SONORANT_` and the path in the tree with double underscores:
`SONORANT_SERVER__PORT=9000`. Unknown names are refused wherever they stand.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from sonorant.errors import SettingsError
from sonorant.tasks import DEFAULT_MODELS, OPTIONAL_LIBRARIES

PREFIX = "SONORANT_"
CONFIG_VARIABLE = "SONORANT_CONFIG"
USUAL_FILE = Path("sonorant.toml")


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
    overlong: Literal["refuse", "cut"] = "refuse"
    """what becomes of a longer text: cut = it ends with the last sentence that fits, which the
    answer says"""
    upload_bytes: int = Field(default=256 * 2**20, gt=0)
    audio_seconds: float = Field(default=4 * 3600.0, gt=0)
    """the longest recording that is transcribed"""
    waiting: int = Field(default=256, gt=0)
    """requests that may wait or run at one model; more are answered with 429"""
    queue_seconds: float = Field(default=0.3, gt=0)
    """what the first audio, or a transcript, may be late by because of others; what would be later is
    answered with 429"""
    bulk_queue_seconds: float = Field(default=600.0, gt=0)
    """the same for requests that nobody waits for"""


class ReplicaSettings(_Strict):
    """The processes that models run in."""

    start_seconds: float = Field(default=600.0, gt=0)
    """a process that has not loaded its model by then is replaced"""
    hang_seconds: float = Field(default=6.0, gt=1)
    """a process whose event loop has said nothing for this long is replaced"""
    retry_seconds: float = Field(default=30.0, ge=0)
    """how long a request whose answer has not begun waits for the process that replaces a dead one"""
    deaths: int = Field(default=5, gt=0)
    """after so many in a row, without a request served between, the model is given up for a while"""
    breaker_seconds: float = Field(default=120.0, gt=0)
    """and tried again after this"""
    cores: dict[str, tuple[int, ...]] = {}
    """model → the cores that its process may use, numbered from 0; the others use all"""

    @field_validator("cores")
    @classmethod
    def _there(cls, cores: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        here = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        for model, numbers in cores.items():
            if not numbers or not set(numbers) <= set(here):
                raise ValueError(
                    f"the cores of {model} are not among those of this process: {', '.join(map(str, here))}"
                )
        return cores


class MemorySettings(_Strict):
    """How much of the machine's memory the models may take."""

    budget_bytes: int = Field(default=0, ge=0)
    """of all models' processes together; 0 = `share` of what this machine, or container, has"""
    share: float = Field(default=0.8, gt=0, le=1)
    degrade_share: float = Field(default=0.8, gt=0, le=1)
    """when so much of the machine's memory is in use, by whomever, caches are emptied and batches smaller"""
    evict_share: float = Field(default=0.85, gt=0, le=1)
    """when so much is, idle models are unloaded, and then answers are fast ones"""
    refuse_share: float = Field(default=0.95, gt=0, le=1)
    """when so much still is, bulk requests are refused, and then all"""
    gpu_free_bytes: int = Field(default=3 * 2**30, ge=0)
    """a GPU that models run on and that has less left counts like evict_share; 0 = it is not looked at"""
    idle_seconds: float = Field(default=0.0, ge=0)
    """a model that nobody asks for is unloaded after this, until it is asked for again; 0 = never"""


class DegradeSettings(_Strict):
    """When steps are taken and taken back, so that a server with too much to do serves at all."""

    load_share: float = Field(default=0.7, gt=0)
    """of the promised wait, that requests of the last seconds found used (1 = refused), at which the next
    step for load is taken; it is taken back below half of it. More than 1 = none is ever taken"""
    up_seconds: float = Field(default=3.0, ge=0)
    """for which the pressure lasts before each step"""
    down_seconds: float = Field(default=30.0, ge=0)
    """for which it has been low before each step back"""


class LaneSettings(_Strict):
    """How work waits for the device, and how much of it is computed at a time."""

    streams: int = Field(default=0, ge=0)
    """pieces of work at a time; 0 = as many as the machine has cores, 2 on a GPU"""
    max_frames: int = Field(default=12_000, gt=0)
    """of a batch with its padding, in mel frames of 10 ms"""
    window_ms: float = Field(default=10.0, ge=0)
    """for so long work that can be batched lets other work go first, so that more of it gathers"""


class JobSettings(_Strict):
    """Files and batches over HTTP."""

    folder: Path | None = None
    """where they are kept; None = `jobs` below catalogue.home"""
    concurrency: int = Field(default=2, gt=0)
    """requests of batches that run at a time"""
    total_bytes: int = Field(default=16 * 2**30, gt=0)
    """of all files together, uploads and results"""
    files: int = Field(default=10_000, gt=0)
    """uploads that each tenant may keep"""
    batches: int = Field(default=100, gt=0)
    """batches of each tenant that may be unfinished"""
    lines: int = Field(default=50_000, gt=0)
    """requests of a batch"""
    days: float = Field(default=30.0, gt=0)
    """files, and batches that have ended, are kept this long"""


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


class LogSettings(_Strict):
    """What is logged, to standard error, and how."""

    format: Literal["text", "json"] = "text"
    """lines for people, or one JSON object a line"""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """of Sonorant's own lines; other libraries are heard from warning on"""
    text: bool = False
    """log what users say and write, too: for debugging"""


class TraceSettings(_Strict):
    """Where traces go. Needs the extra sonorant[otel]."""

    endpoint: str = ""
    """a collector that speaks OTLP over HTTP, such as http://127.0.0.1:4318; "" = what OpenTelemetry's own
    variables say, and no traces without them"""


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


Precision = Literal["float32", "float16", "bfloat16", "float8", "int8", "int4"]
"""from the highest to the lowest"""


class TorchSettings(_Strict):
    """What makes torch faster and leaves float32 as it is, under torch's own names; docs/engines.md.

    What rounds (autocast, TensorFloat-32) is not among them: nothing that is served so would be proven.
    """

    compile: Literal["", "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] = ""
    """a mode of torch.compile; "" = none"""
    sdpa_kernel: tuple[Literal["FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "MATH"], ...] = ()
    """what attention may take, the best first; () = torch chooses"""
    cuda_graphs: bool = False
    """capture a run of each combination of sizes, and replay it (GPU)"""


class NetworkSettings(_Strict):
    """Which engine computes a network, from what, and on how many threads."""

    engine: Literal["", "onnxruntime", "openvino", "tensorrt", "litert", "torch"] = ""
    """"" = that of the artefact, or ONNX Runtime"""
    artefact: str = Field(default="", pattern=r"^[a-z0-9+-]*$", max_length=200)
    """what `sonorant prepare` calls it; "published" = the publisher's own file, "export" = the export of a
    torch checkpoint; "" = by `precision`"""
    threads: int = Field(default=0, ge=0, le=1024)
    """of one run; 0 = as otherwise"""
    torch: TorchSettings = TorchSettings()
    """options of torch, where it computes the network"""

    @model_validator(mode="after")
    def _fits(self) -> NetworkSettings:
        if self.torch != TorchSettings() and self.engine not in ("", "torch"):
            raise ValueError(f"options of torch are not for {self.engine}")
        if self.threads and self.engine in ("tensorrt", "torch"):
            raise ValueError(f"threads cannot be chosen for {self.engine}")
        if self.artefact == "published" and self.engine in ("openvino", "tensorrt", "litert"):
            raise ValueError(f"{self.engine} computes what was prepared for it, not what is published")
        return self


class Settings(_Strict):
    """Everything that can be set."""

    models: tuple[str, ...] = Field(default_factory=installed_defaults)
    """what `serve` serves: names of the catalogue (MODEL@revision too) or folders"""
    device: str = "cpu"
    """cpu, cuda, cuda:1 …, or auto: the first that this machine really has"""
    onnxruntime: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """ONNX Runtime's own names: intra_op_num_threads = 2, graph_optimization_level = "ORT_ENABLE_ALL" …"""
    precision: Literal["auto", Precision] = "auto"
    """which prepared artefacts serve: auto = the fastest of those that are exact or passed the quality gate;
    float32 = none, what publishers ship; another = only that, and a model that has none proven is refused"""
    networks: dict[str, dict[str, NetworkSettings]] = {}
    """model, or part of one → network → what computes it, where it shall not be what `precision` says"""
    lexicon: Path | None = None
    """a file of words with readings of their own, for every request"""
    server: ServerSettings = ServerSettings()
    limits: LimitSettings = LimitSettings()
    preload: tuple[str, ...] | None = None
    """those of `models` that are loaded at the start; the others when they are first asked for. None = all"""
    replicas: ReplicaSettings = ReplicaSettings()
    memory: MemorySettings = MemorySettings()
    degrade: DegradeSettings = DegradeSettings()
    lanes: LaneSettings = LaneSettings()
    jobs: JobSettings = JobSettings()
    catalogue: CatalogueSettings = Field(default_factory=CatalogueSettings)
    cache: CacheSettings = CacheSettings()
    log: LogSettings = LogSettings()
    trace: TraceSettings = TraceSettings()

    @property
    def jobs_folder(self) -> Path:
        """Where files and batches are kept."""
        return (self.jobs.folder or self.catalogue.home / "jobs").expanduser()


def load_settings(config: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings in force.

    `config` is a TOML file; without it, the file that $SONORANT_CONFIG names, or ./sonorant.toml
    where there is one. `overrides` is a nested mapping (the command line); None values are ignored.
    Raises SettingsError for a file that cannot be read, an unknown name or a wrong value.
    """
    tree: dict[str, Any] = {}
    for layer in layers(config):
        merge(tree, layer.tree)
    merge(tree, overrides or {})
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsError(
            "; ".join(_explain(e["loc"], e["msg"], e["type"]) for e in error.errors()),
            remedy="See docs/settings.md for every setting",
        ) from None


@dataclass(frozen=True)
class Layer:
    """What one source of settings says."""

    tree: dict[str, Any]
    file: Path | None
    """None = the environment"""

    def has(self, setting: str) -> bool:
        """Whether it says something of `setting`, a path with dots; names of libraries may have dots, too."""
        return setting in _paths(self.tree)

    def origin(self, setting: str) -> str:
        """The file, or the environment variable."""
        return str(self.file) if self.file else PREFIX + setting.upper().replace(".", "__")


def layers(config: Path | None = None) -> list[Layer]:
    """The file, where there is one, and the environment: the stronger last. Raises SettingsError."""
    file = settings_file(config)
    found = [Layer(_read_toml(file), file)] if file else []
    return [*found, Layer(_from_environment(os.environ), None)]


def settings_file(config: Path | None = None) -> Path | None:
    """The file that settings are read from: `config`, or what $SONORANT_CONFIG names, or ./sonorant.toml."""
    named = os.environ.get(CONFIG_VARIABLE)
    file = config or (Path(named) if named else None)
    return USUAL_FILE if file is None and USUAL_FILE.is_file() else file


def leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting of a tree by its path, with dots; an empty mapping is one, too."""
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{above}{name}.")
        else:
            yield above + name, value


def _paths(tree: Mapping[str, Any], above: str = "") -> set[str]:
    paths: set[str] = set()
    for name, value in tree.items():
        paths |= _paths(value, f"{above}{name}.") if isinstance(value, Mapping) else {above + name}
    return paths


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
        if names in (["server", "keys"], ["replicas", "cores"], ["networks"]):
            leaf[names[-1]] = _from_json(variable, value)
    return tree


def _from_json(variable: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise SettingsError(f"{variable} is not JSON", why=str(error)) from error


def _is_list(names: list[str]) -> bool:
    return names in (["models"], ["preload"], ["server", "api_keys"], ["server", "cors_origins"])


def merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Lay one tree of settings over another; what is None changes nothing."""
    for name, value in new.items():
        if isinstance(value, Mapping) and isinstance(into.get(name, {}), dict):
            merge(into.setdefault(name, {}), value)
        elif value is not None:
            into[name] = value


def _explain(location: tuple[int | str, ...], message: str, kind: str) -> str:
    name = ".".join(str(part) for part in location)
    if kind != "extra_forbidden":
        return f"{name}: {message}"
    where: Any = Settings
    for part in location[:-1]:
        if isinstance(where, type) and issubclass(where, BaseModel):
            where = where.model_fields[str(part)].annotation
        else:  # a place in a list, or a name in a mapping
            where = get_args(where)[-1 if get_origin(where) is dict else 0]
    return f"{name} is not a setting; known here: {', '.join(where.model_fields)}"

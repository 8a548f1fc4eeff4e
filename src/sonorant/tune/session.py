"""From the name of a model to its verdict: look, search, the finalists, how many clients the best serves."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sonorant import __version__
from sonorant.bench.texts import SHIPPED, sentences
from sonorant.catalogue import Catalogue, ModelCard
from sonorant.confined import confined
from sonorant.errors import RequestError, SonorantError
from sonorant.families import resolve
from sonorant.networks.artefacts import device_class
from sonorant.networks.engines.onnxruntime import described
from sonorant.observe.gpus import Gpus
from sonorant.observe.machine import cores
from sonorant.settings import Settings
from sonorant.tasks import Task
from sonorant.tune import SECONDS, TRIALS, look
from sonorant.tune.journal import journal
from sonorant.tune.knobs import space
from sonorant.tune.laboratory import Laboratory
from sonorant.tune.load import Load
from sonorant.tune.look import Look
from sonorant.tune.pareto import axes, front
from sonorant.tune.rows import Row, Trial, chosen, nearest
from sonorant.tune.search import Bounds, Search
from sonorant.tune.slo import Slo, parse
from sonorant.tune.space import Candidate

LOOK_SECONDS = 600.0
"""for loading the model, and pulling it first"""
SPOKEN = 10
"""sentences that a speech model says for one that listens"""
MOST_CLIENTS = 64
"""at once, where it is not said how many"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be tuned, for what, and within which bounds."""

    model: str
    slo: str = ""
    clients: int = 0
    """at once; 0 = those that the SLO names, or two a core"""
    seconds: float = SECONDS
    trials: int = TRIALS
    voice: str = ""
    language: str = ""
    texts: Path | None = None
    recordings: tuple[Path, ...] = ()
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out."""

    look: Look
    slo: Slo
    clients: int
    """under whose load everything was measured"""
    refused: int
    """so many at once were too much for the settings in force, so that fewer asked; 0 = nobody was refused"""
    rows: tuple[Row, ...]
    """every configuration that was measured, in the order of their first trials"""
    front: tuple[Row, ...]
    chosen: Row | None
    """None = nothing keeps the bounds"""
    nearest: Row | None
    """then: what misses them least"""
    served: dict[Candidate, int]
    """how many clients are served at once within the bounds, where that was measured"""
    untried: tuple[tuple[str, str], ...]
    interrupted: bool
    measured: int
    """trials of this run; the others are of runs before"""
    journal: Path
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def axes(self) -> tuple[str, ...]:
        """The figures of the front."""
        return axes(self.look.task)

    @property
    def base(self) -> Row | None:
        """The settings in force."""
        return next((row for row in self.rows if row.candidate == Candidate()), None)


@dataclass(frozen=True, slots=True)
class Hear:
    """Who is told how it goes."""

    doing: Callable[[str], None] = lambda _: None
    trial: Callable[[Trial], None] = lambda _: None


def tune(asked: Asked, settings: Settings, hear: Hear) -> Verdict:
    """Raises RequestError for bounds or a model that make no sense, and what loading the model raises."""
    card, _ = resolve(asked.model, Catalogue(settings.catalogue))
    look.check(card)
    slo = parse(asked.slo, card.task)
    language = _language(asked, card)
    clients = asked.clients or slo.clients or min(MOST_CLIENTS, max(2, 2 * cores()))
    if asked.clients and slo.clients > asked.clients:
        raise RequestError(
            f"The bounds ask for {slo.clients} clients, and --clients for {asked.clients}",
            remedy="Leave --clients out",
            param="clients",
        )
    hear.doing(f"looking at {card.name}")
    found = look.read(_child("sonorant.tune.look:look", model=asked.model, settings=_tree(settings)))
    load = _load(asked, found, language, settings, hear)
    home = settings.catalogue.home.expanduser()
    around = circumstances(found, settings, load)
    bounds = Bounds(asked.seconds, asked.trials)
    with journal(home / "tune", found.name, around, fresh=asked.fresh) as kept:
        laboratory = Laboratory(
            asked.model, settings, load, clients, kept, asked.seconds,
            fewer=not (asked.clients or slo.clients), told=hear.trial,
        )  # fmt: skip
        knobs = space(found, settings, cores())
        count = sum(len(knob.options) for knob in knobs.knobs)
        hear.doing(f"{len(knobs.knobs)} knobs with {count} options, {clients} clients at once")
        done = Search(knobs, laboratory, bounds, slo).run()
        rows = tuple(done.rows)
        best = chosen(rows, slo)
        near = nearest(rows, slo) if best is None else None
        served: dict[Candidate, int] = {}
        try:
            for row in {r.candidate: r for r in (best, near) if r and slo.goals}.values():
                hear.doing(f"how many clients are served at once: {row.candidate}")
                served[row.candidate] = laboratory.most_clients(row.candidate, slo)
        except KeyboardInterrupt:
            done.interrupted = True
        except SonorantError as error:
            hear.doing(str(error))
        return Verdict(
            look=found,
            slo=slo,
            clients=laboratory.clients,
            refused=clients if clients > laboratory.clients else 0,
            rows=rows,
            front=tuple(front(rows, axes(found.task))),
            chosen=best,
            nearest=near,
            served=served,
            untried=tuple(done.untried),
            interrupted=done.interrupted,
            measured=bounds.done,
            journal=kept.file,
            facts=around,
        )


def circumstances(found: Look, settings: Settings, load: Load) -> dict[str, Any]:
    """All that figures depend on, beside the candidate and the number of clients: where any of it differs,
    they cannot be compared."""
    tree = settings.model_dump(mode="json")
    for name in ("server", "catalogue", "cache", "log", "trace", "jobs", "models", "preload"):
        del tree[name]
    gpus = [gpu.name for gpu in Gpus().read()] if settings.device != "cpu" else []
    return {
        "model": found.name,
        "identity": found.identity,
        "artefacts": found.artefacts,
        "sonorant": __version__,
        "engines": [described(settings.device), *_engines()],
        "machine": [platform.machine(), device_class(), _processor(), cores(), *gpus],
        "load": load.identity,
        "settings": tree,
    }


def _engines() -> list[str]:
    found = []
    for package in ("openvino", "tensorrt", "ai-edge-litert", "torch", "ctranslate2"):
        try:
            found.append(f"{package} {version(package)}")
        except ImportError:  # PackageNotFoundError: it is not here
            continue
    return found


def _processor() -> str:
    from sonorant.doctor.processor import processor

    return processor().model


def _language(asked: Asked, card: ModelCard) -> str:
    """Of what is said under load: the one asked for, or the model's first of which sentences come along, as
    a primary subtag; "" where neither is.

    Raises RequestError for one that the model does not know, or of which there are no sentences.
    """
    known = [tag.split("-")[0].lower() for tag in card.languages]
    shipped = [one for one in SHIPPED if one in known or "*" in known]
    language = asked.language.split("-")[0].lower() or next(iter(shipped), "")
    if asked.language and language not in known and "*" not in known:
        raise RequestError(
            f"{card.name} does not know the language {asked.language!r}",
            why=f"It knows {', '.join(card.languages)}",
            remedy="Name one of those with --language",
            param="language",
        )
    if language not in SHIPPED and not asked.texts and not asked.recordings:
        raise RequestError(
            f"No sentences come along in a language of {card.name}",
            why=f"They are in {', '.join(SHIPPED)}",
            remedy="Name some with --texts, or recordings with --recording",
            param="language",
        )
    return language


def _load(asked: Asked, found: Look, language: str, settings: Settings, hear: Hear) -> Load:
    """What is asked for under load: sentences, or recordings that a speech model makes of them once."""
    if found.task is Task.SPEECH:
        texts = tuple(sentences(language, asked.texts))
        return Load(found.task, found.name, asked.voice, asked.language, texts)
    heard = tuple(path.resolve() for path in asked.recordings)
    heard = heard or _spoken(sentences(language, asked.texts)[:SPOKEN], settings, language, hear)
    return Load(found.task, found.name, language=language, recordings=heard)


def _spoken(texts: list[str], settings: Settings, language: str, hear: Hear) -> tuple[Path, ...]:
    """Recordings that are made once and kept, so that figures of another day are of the same."""
    said = hashlib.sha256("\n".join([language, *texts]).encode()).hexdigest()[:16]
    folder = settings.catalogue.home.expanduser() / "tune" / f"spoken-{said}"
    files = tuple(folder / f"{number}.wav" for number in range(len(texts)))
    if not all(file.is_file() for file in files):
        hear.doing("a speech model says what is to be heard")
        folder.mkdir(parents=True, exist_ok=True)
        _child(
            "sonorant.tune.child:speak",
            settings=_tree(settings), language=language, texts=texts, folder=str(folder),
        )  # fmt: skip
    return files


def _child(target: str, **arguments: Any) -> Any:
    return confined(target, arguments, title="Getting ready to tune", seconds=LOOK_SECONDS)


def _tree(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json")


def overruled(candidate: Candidate) -> list[str]:
    """Variables of the environment that would come before a file with these settings."""
    from sonorant.settings import PREFIX

    names = {PREFIX + "__".join(path).upper() for path, _ in candidate.settings}
    names |= {f"{PREFIX}NETWORKS" for path, _ in candidate.settings if path[0] == "networks"}
    return sorted(names & set(os.environ))

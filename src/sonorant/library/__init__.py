"""The library: models in this process, for scripts and for pipelines of one's own."""

from __future__ import annotations

import logging
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sonorant.catalogue import Catalogue
from sonorant.library.answers import Speech, Transcript
from sonorant.library.given import Audio, Text
from sonorant.library.model import Model
from sonorant.settings import load_settings, uninstalled_defaults
from sonorant.tasks import DEFAULT_MODELS, Task
from sonorant.text.fitting import fitting
from sonorant.text.languages import languages_of

if TYPE_CHECKING:
    from sonorant.catalogue.part import Progress

__all__ = ["Model", "Speech", "Transcript", "default_model", "load", "say", "transcribe"]

# What goes wrong is raised; who wants the log as well gives it a handler.
logging.getLogger("sonorant").addHandler(logging.NullHandler())


def load(
    model: str,
    *,
    device: str | None = None,
    offline: bool | None = None,
    config: Path | None = None,
    onnxruntime: dict[str, str | int | float | bool] | None = None,
    progress: Progress | None = None,
) -> Model:
    """Load a model of the catalogue (NAME or NAME@REVISION) or a local folder, fetching what is missing.

    Raises UnknownModelError, LayoutError, DownloadError, ModelFileError, EngineError, SettingsError.
    """
    overrides = {"device": device, "onnxruntime": onnxruntime, "catalogue": {"offline": offline}}
    return Model(model, load_settings(config, overrides), progress)


def say(text: Text, *, model: str = "", voice: str = "", speed: float = 1.0) -> Speech:
    """Speak with a model that is loaded once and kept. See Model.say.

    Without `model` it is the default that knows the languages of `text`, where that is a string.
    """
    languages = frozenset(languages_of(text)) if isinstance(text, str) else frozenset[str]()
    return _kept(model or default_model(Task.SPEECH, languages)).say(text, voice=voice, speed=speed)


def transcribe(audio: Audio, *, model: str = "", language: str = "", quality: str = "") -> Transcript:
    """Write down speech with a model that is loaded once and kept. See Model.transcribe.

    Without `model` it is the default that knows `language`, and without that, the one that knows most.
    """
    named = model or default_model(Task.TRANSCRIPTION, frozenset({language}))
    return _kept(named).transcribe(audio, language=language, quality=quality)


@cache
def default_model(task: Task, languages: frozenset[str] = frozenset()) -> str:
    """The default model that fits `languages` (BCP 47; "" = unknown), as the server chooses.

    One whose library is not installed is meant only where no other knows them: it says how to install it.
    """
    catalogue = Catalogue(load_settings().catalogue)
    wanted = languages - {""}
    absent = () if wanted else uninstalled_defaults()
    candidates = [name for name in DEFAULT_MODELS[task] if name not in absent]
    listening = task is Task.TRANSCRIPTION
    return fitting(candidates, lambda name: catalogue.find(name).languages, wanted, listening=listening)


_keeping = threading.Lock()
_models: dict[str, Model] = {}


def _kept(model: str) -> Model:
    with _keeping:
        if model not in _models:
            _models[model] = load(model)
        return _models[model]

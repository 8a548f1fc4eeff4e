"""`sonorant say --batch FILE`: every line of a file, into a folder."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonorant.cli.batch import AT_A_SERVER, Make, Source, patiently, run, until
from sonorant.cli.batch_list import read, significant, target
from sonorant.cli.manifest import Item, unfinished
from sonorant.errors import TextError
from sonorant.tasks import AudioFormat, Task

if TYPE_CHECKING:
    from sonorant.library import Model
    from sonorant.settings import Settings

_FIELDS: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "format": (str,),
    "model": (str,),
    "voice": (str,),
    "language": (str,),
    "speed": (int, float),
    "seed": (int,),
    "sample_rate": (int,),
    "loudness": (int, float),
    "trim_silence": (bool,),
    "quality": (str,),
}


def say_batch(file: Path, folder: Path, defaults: dict[str, Any], source: Source) -> None:
    """Speak every line of `file` that is not in `folder` yet. `defaults`: what a line does not say itself.

    Raises RequestError, what loading a model raises, and typer.Exit where a line failed.
    """

    def itemize(number: int, fields: dict[str, Any]) -> Item:
        return _item(number, significant(defaults) | fields, named=source.server is None)

    items, wrong = read(file, folder, "text", _FIELDS, itemize)
    left = unfinished(items, folder)
    kept = len(items) - len(left)
    if source.server is not None or not left:
        run(left, wrong, kept, folder, _asking(source), AT_A_SERVER)
        return
    from sonorant.replica.device import default_slots

    run(left, wrong, kept, folder, _speaking(left, source.settings()), default_slots())


def _item(number: int, fields: dict[str, Any], *, named: bool) -> Item:
    """`named`: by the model that it means, where it names none."""
    if not str(fields.get("text", "")).strip():
        raise TextError("The text is empty", remedy="Say what to speak", param="text")
    if "format" not in fields and "file" in fields:
        fields["format"] = AudioFormat.of(Path(fields["file"]))
    kind = AudioFormat.named(fields.get("format", AudioFormat.WAV))
    file = target(number, fields, kind.ending)
    if named and "model" not in fields:
        from sonorant.library import default_model
        from sonorant.text.languages import languages_of

        languages = {fields["language"]} if "language" in fields else languages_of(fields["text"])
        fields["model"] = default_model(Task.SPEECH, frozenset(languages))
    return Item(number, file, significant(fields) | {"format": str(kind)})


def _speaking(items: Iterable[Item], settings: Settings) -> Make:
    """By models that are loaded here and now."""
    from sonorant.audio.encoding import output_rate
    from sonorant.audio.files import write
    from sonorant.cli.pull import Bars
    from sonorant.library import Model
    from sonorant.stream import begun

    models: dict[str, Model] = {}
    with Bars() as bars:
        for name in dict.fromkeys(item.request["model"] for item in items):
            models[name] = Model(name, settings, bars)

    def make(item: Item, path: Path, stop: threading.Event) -> float:
        asked = dict(item.request)
        model, kind = models[asked.pop("model")], AudioFormat(asked.pop("format"))
        voice_rate = model.describe().sample_rate or 0
        asked["sample_rate"] = output_rate(kind, voice_rate, asked.get("sample_rate"))
        with model.say(asked.pop("text"), **asked) as spoken:
            chunks = begun(until(stop, spoken))
            with path.open("w+b") as file:
                return write(chunks, file, kind, spoken.sample_rate)

    return make


def _asking(source: Source) -> Make:
    """By a server, after everybody who waits for an answer."""
    from sonorant.cli.remote import seal, speech, speech_body

    def make(item: Item, path: Path, stop: threading.Event) -> float:
        asked = dict(item.request)
        text, kind = asked.pop("text"), AudioFormat(asked.pop("format"))
        body = speech_body(text, kind, **asked) | {"service_tier": "flex"}

        def ask() -> None:
            with path.open("w+b") as file:
                for data in until(stop, speech(source.server or "", source.key, body)):
                    file.write(data)
                seal(file, kind)

        patiently(stop, ask)
        return 0.0

    return make

"""`sonorant transcribe --batch FILE`: every recording that a file lists, into a folder."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonorant.cli.batch import AT_A_SERVER, Make, Source, patiently, run, until
from sonorant.cli.batch_list import read, significant, target
from sonorant.cli.manifest import Item, unfinished
from sonorant.cli.transcript import ENDINGS, Shape, form, written
from sonorant.errors import RequestError
from sonorant.tasks import Task

if TYPE_CHECKING:
    from sonorant.library import Model
    from sonorant.settings import Settings

_FIELDS: dict[str, tuple[type, ...]] = {
    "audio": (str,),
    "format": (str,),
    "model": (str,),
    "language": (str,),
    "itn": (bool,),
    "translate": (bool,),
    "quality": (str,),
}


def transcribe_batch(file: Path, folder: Path, defaults: dict[str, Any], source: Source) -> None:
    """Write down every recording of `file` that is not in `folder` yet. Raises as `say_batch`."""

    def itemize(number: int, fields: dict[str, Any]) -> Item:
        return _item(number, significant(defaults) | fields, named=source.server is None)

    items, wrong = read(file, folder, "audio", _FIELDS, itemize)
    left = unfinished(items, folder)
    kept = len(items) - len(left)
    if source.server is not None or not left:
        run(left, wrong, kept, folder, _asking(source), AT_A_SERVER)
        return
    from sonorant.replica.device import default_slots

    run(left, wrong, kept, folder, _hearing(left, source.settings()), default_slots())


def _item(number: int, fields: dict[str, Any], *, named: bool) -> Item:
    audio = Path(fields.get("audio", "")).expanduser()
    if not audio.is_file():
        raise RequestError(f"There is no file {audio}", remedy="Check the path", param="audio")
    try:
        shape = Shape(fields.get("format", Shape.TEXT))
    except ValueError:
        raise RequestError(
            f"The format {fields['format']!r} is not known",
            remedy=f"Choose {', '.join(Shape)}",
            param="format",
        ) from None
    if "file" not in fields:
        fields.setdefault("id", audio.stem)
    file = target(number, fields, ENDINGS[shape])
    if named and "model" not in fields:
        from sonorant.library import default_model

        language = "" if fields.get("translate") else fields.get("language", "")
        fields["model"] = default_model(Task.TRANSCRIPTION, frozenset({language}))
    seen = audio.stat()
    recording = {"audio": str(audio), "bytes": seen.st_size, "changed": seen.st_mtime_ns}
    return Item(number, file, significant(fields) | recording | {"format": str(shape)})


def _hearing(items: Iterable[Item], settings: Settings) -> Make:
    """By models that are loaded here and now."""
    from sonorant.cli.pull import Bars
    from sonorant.library import Model
    from sonorant.library.answers import Whole

    models: dict[str, Model] = {}
    with Bars() as bars:
        for name in dict.fromkeys(item.request["model"] for item in items):
            models[name] = Model(name, settings, bars)

    def make(item: Item, path: Path, stop: threading.Event) -> float:
        asked, audio = item.request, Path(item.request["audio"])
        with models[asked["model"]].transcribe(
            audio,
            language=asked.get("language", ""),
            itn=asked.get("itn", False),
            translate=asked.get("translate", False),
            quality=asked.get("quality", ""),
        ) as transcript:
            segments = tuple(until(stop, transcript))
            whole = Whole(segments, transcript.duration or 0.0)
        text = written(whole, audio, Shape(asked["format"]), many=False)
        path.write_text(text + "\n", encoding="utf-8")
        return whole.duration

    return make


def _asking(source: Source) -> Make:
    """By a server, after everybody who waits for an answer."""
    from sonorant.cli.remote import transcription

    def make(item: Item, path: Path, stop: threading.Event) -> float:
        asked = item.request
        fields = form(
            asked.get("model"),
            asked.get("language", ""),
            asked.get("itn", False),
            Shape(asked["format"]),
            asked.get("quality", ""),
        )
        ask = partial(
            transcription,
            source.server or "",
            source.key,
            Path(asked["audio"]),
            fields | {"service_tier": "flex"},
            translate=asked.get("translate", False),
        )
        path.write_text(patiently(stop, ask).rstrip("\n") + "\n", encoding="utf-8")
        return 0.0

    return make

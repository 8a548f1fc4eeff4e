"""How `sonorant transcribe` writes a transcript, or asks a server to write it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from sonorant.text.subtitles import srt, vtt

if TYPE_CHECKING:
    from sonorant.library.answers import Whole


class Shape(StrEnum):
    """How a transcript is written."""

    TEXT = "text"
    JSON = "json"
    SRT = "srt"
    VTT = "vtt"


ENDINGS = {Shape.TEXT: "txt", Shape.JSON: "json", Shape.SRT: "srt", Shape.VTT: "vtt"}


def written(whole: Whole, file: Path, shape: Shape, *, many: bool) -> str:
    """A transcript as it is printed, without the last newline. `many`: with the name of its recording."""
    match shape:
        case Shape.TEXT:
            return whole.text
        case Shape.JSON:
            named = {"file": str(file)} if many else {}
            return _json(named | {"text": whole.text, "duration": whole.duration}, whole.segments)
        case Shape.SRT:
            return srt(whole.segments).rstrip("\n")
        case Shape.VTT:
            return vtt(whole.segments).rstrip("\n")


def _json(head: dict[str, object], segments: Sequence[object]) -> str:
    return json.dumps(head | {"segments": [asdict(s) for s in segments]}, ensure_ascii=False)  # type: ignore[call-overload]


def form(model: str | None, language: str, itn: bool, shape: Shape, quality: str = "") -> dict[str, str]:
    """The fields of POST /v1/audio/transcriptions."""
    form = {
        "model": model or "whisper-1",
        "response_format": "verbose_json" if shape is Shape.JSON else shape,
    }
    form |= {"language": language} if language else {}
    form |= {"quality": quality} if quality else {}
    return form | ({"itn": "true"} if itn else {})

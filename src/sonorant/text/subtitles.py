"""SRT and WebVTT: a cue for each segment, with its measured times."""

from __future__ import annotations

from collections.abc import Iterable

from sonorant.tasks import Segment


def srt(segments: Iterable[Segment]) -> str:
    """SubRip: numbered cues, HH:MM:SS,mmm."""
    return "".join(
        f"{number}\n{_time(s.start, ',')} --> {_time(s.end, ',')}\n{_cue(s.text)}\n\n"
        for number, s in enumerate(segments, start=1)
    )


def vtt(segments: Iterable[Segment]) -> str:
    """WebVTT (W3C): a header, HH:MM:SS.mmm; markup characters are escaped."""
    return "WEBVTT\n\n" + "".join(
        f"{_time(s.start, '.')} --> {_time(s.end, '.')}\n{_escaped(_cue(s.text))}\n\n" for s in segments
    )


def _cue(text: str) -> str:
    """Without empty lines, which would end the cue, and arrows, which would look like its times."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line).replace("-->", "→")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{point}{rest % 1000:03}"

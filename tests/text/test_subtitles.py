"""SRT and WebVTT."""

from sonorant.tasks import Segment
from sonorant.text.subtitles import srt, vtt

SEGMENTS = [Segment(0.0, 1.2345, "First & <last>."), Segment(3599.9996, 7325.25, "Two\n\nlines --> here")]


def test_srt():
    assert srt(SEGMENTS) == (
        "1\n00:00:00,000 --> 00:00:01,234\nFirst & <last>.\n\n"
        "2\n01:00:00,000 --> 02:02:05,250\nTwo\nlines → here\n\n"
    )


def test_vtt():
    assert vtt(SEGMENTS) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.234\nFirst &amp; &lt;last&gt;.\n\n"
        "01:00:00.000 --> 02:02:05.250\nTwo\nlines → here\n\n"
    )


def test_nothing_was_said():
    assert srt([]) == ""
    assert vtt([]) == "WEBVTT\n\n"

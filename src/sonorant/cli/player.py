"""Playing audio through whichever player the machine has."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from sonorant.errors import SonorantError

PLAYERS = (
    ("pw-cat", "--playback", "--raw", "--format=s16", "--channels=1", "--rate={rate}", "-"),
    ("paplay", "--raw", "--format=s16le", "--channels=1", "--rate={rate}"),
    ("aplay", "-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", "{rate}"),
    ("ffplay", "-autoexit", "-nodisp", "-loglevel", "error", "-f", "s16le", "-ar", "{rate}", "-i", "-"),
    ("play", "-q", "-t", "raw", "-e", "signed", "-b", "16", "-c", "1", "-r", "{rate}", "-"),
)
"""programs that play raw signed 16 bit audio from standard input, the likeliest first"""


@contextmanager
def player(rate: int) -> Iterator[BinaryIO]:
    """A file that plays the s16le audio written to it; leaving waits until it has been heard.

    Raises SonorantError where the machine has no player, or one that fails.
    """
    command = next((words for words in PLAYERS if shutil.which(words[0])), None)
    if command is None:
        raise SonorantError(
            "There is no program here that plays audio",
            why=f"None of {', '.join(words[0] for words in PLAYERS)} is installed",
            remedy="Write a file instead: `sonorant say … -o hello.wav`",
        )
    process = subprocess.Popen([word.format(rate=rate) for word in command], stdin=subprocess.PIPE)
    assert process.stdin is not None
    try:
        with suppress(BrokenPipeError), process.stdin:  # a player that ended says why by itself
            yield process.stdin  # type: ignore[misc]
        if process.wait():
            raise SonorantError(
                f"{command[0]} could not play the audio",
                why=f"It ended with status {process.returncode}",
                remedy="Write a file instead: `sonorant say … -o hello.wav`",
            )
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()

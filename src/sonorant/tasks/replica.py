"""One served model, as the gateway sees it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sonorant.tasks.audio import Encoded, Upload
from sonorant.tasks.described import Described
from sonorant.tasks.figures import Snapshot
from sonorant.tasks.requests import Delivery, SpeechRequest, TranscriptionRequest, VocodingRequest
from sonorant.tasks.task import Task
from sonorant.tasks.text import Text
from sonorant.tasks.transcript import TranscriptEvent


class State(StrEnum):
    """Where a replica stands."""

    LOADING = "loading"
    UNLOADED = "unloaded"
    """it is loaded when it is asked for"""
    READY = "ready"
    RESTARTING = "restarting"
    """its process ended and the next one loads; requests wait for it"""
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How busy a replica is at this moment."""

    slots: int
    """pieces of work that its device does at a time"""
    running: int = 0
    """that it does now"""
    waiting: int = 0
    """that wait for a slot"""
    waiting_seconds: float = 0.0
    """predicted device-seconds of those"""
    longest_running: float = 0.0
    """seconds since the oldest of those that run has begun"""
    memory: int = 0
    """resident bytes of its process; 0 = it shares the gateway's"""


class Replica(Protocol):
    """One served model, as the gateway sees it: here in process, elsewhere across a boundary.

    Requests stop computing when their iterator is closed or the awaiting task is cancelled.
    Bad ones raise `RequestError` before the first event.
    """

    @property
    def name(self) -> str: ...

    @property
    def task(self) -> Task: ...

    @property
    def state(self) -> State: ...

    @property
    def reason(self) -> str:
        """Why it is FAILED or RESTARTING, with the remedy; "" otherwise."""
        ...

    @property
    def notice(self) -> str:
        """What is wrong although it works; "" = nothing."""
        ...

    def describe(self) -> Described: ...

    def load(self) -> Load: ...

    async def wake(self) -> None:
        """Load the model where it is not, so that `describe` tells all. Raises NotReadyError."""
        ...

    @property
    def idle_seconds(self) -> float:
        """since it last showed by real work that it can"""
        ...

    async def probe(self, seconds: float) -> bool:
        """Try it with a small piece of its real work; whether that was done within so long."""
        ...

    def figures(self) -> tuple[Snapshot, ...]:
        """What its processes have measured so far: of each that lives the latest snapshot; () = nothing."""
        return ()

    def tune(self, window_ms: float, max_frames: int) -> None:
        """How long its lanes gather, and the largest batch in frames, from now on; see LaneSettings."""

    async def unload(self) -> bool:
        """Give back all its memory, if it answers nobody now, until it is asked again; whether it did."""
        return False

    def speak(
        self, request: SpeechRequest, text: Text, delivery: Delivery
    ) -> AsyncGenerator[Encoded, None]: ...

    def transcribe(
        self, request: TranscriptionRequest, upload: Upload
    ) -> AsyncGenerator[TranscriptEvent, None]: ...

    def vocode(
        self, request: VocodingRequest, upload: Upload, delivery: Delivery
    ) -> AsyncGenerator[Encoded, None]: ...

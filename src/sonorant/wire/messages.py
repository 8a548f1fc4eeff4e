"""The messages between the gateway and a replica's process.

    gateway ──▶ Speak, Piece, PiecesEnd, Transcribe, Vocode, Cancel, Taken, Probe, Tune ──▶ replica
    gateway ◀── Settled, Beat, Begun, Spoken, Heard, Ended, Done, Refused ◀── replica

`call` numbers the requests of one connection. Nothing is pickled: MessagePack, checked against these types
by msgspec. Audio is bytes, encoded already.
"""

from __future__ import annotations

import msgspec

from sonorant import errors
from sonorant.errors import EngineError, SonorantError
from sonorant.tasks import (
    Delivery,
    Described,
    Encoded,
    Load,
    Segment,
    Snapshot,
    SpeechRequest,
    TranscriptEnd,
    TranscriptionRequest,
    Utterance,
    VocodingRequest,
)


class _Message(msgspec.Struct, frozen=True, tag=True, array_like=True):
    pass


class Fault(msgspec.Struct, frozen=True):
    """An error of the tree in `sonorant.errors`, as it crosses the boundary."""

    kind: str
    what: str
    why: str
    remedy: str
    param: str | None

    @classmethod
    def of(cls, error: SonorantError) -> Fault:
        return cls(type(error).__name__, error.what, error.why, error.remedy, error.param)

    def error(self) -> SonorantError:
        """The error itself; of a kind that is not known here, an EngineError."""
        kind = getattr(errors, self.kind, EngineError)
        return kind(self.what, why=self.why, remedy=self.remedy, param=self.param)


class Speak(_Message, frozen=True):
    """Begin to speak: the utterances, or None = pieces of text that follow."""

    call: int
    request: SpeechRequest
    utterances: tuple[Utterance, ...] | None
    delivery: Delivery


class Piece(_Message, frozen=True):
    """The next piece of a text."""

    call: int
    text: str


class PiecesEnd(_Message, frozen=True):
    """The text is complete."""

    call: int


class Transcribe(_Message, frozen=True):
    """Begin to write down a recording: its bytes, or a file that both sides can read."""

    call: int
    request: TranscriptionRequest
    name: str
    data: bytes | None
    path: str


class Vocode(_Message, frozen=True):
    """Begin to make sound of a mel spectrogram or a recording: its bytes, or a file that both can read."""

    call: int
    request: VocodingRequest
    delivery: Delivery
    name: str
    data: bytes | None
    path: str


class Cancel(_Message, frozen=True):
    """Nobody wants the rest."""

    call: int


class Taken(_Message, frozen=True):
    """So many more events have been taken: as many may be sent again (see `WINDOW`)."""

    call: int
    count: int


class Probe(_Message, frozen=True):
    """Do a small piece of the model's real work, to show that it can."""

    call: int


class Tune(_Message, frozen=True):
    """How long lanes gather, and the largest batch in frames, from now on."""

    window_ms: float
    max_frames: int


class Settled(_Message, frozen=True):
    """The model works, or has failed."""

    described: Described
    fault: Fault | None = None
    seconds: float = 0.0
    """that loading and warming up took"""


class Beat(_Message, frozen=True):
    """The event loop runs; how busy the replica is, and what it has measured so far."""

    load: Load
    figures: tuple[Snapshot, ...] = ()


class Begun(_Message, frozen=True):
    """The request has had its first turn on the device."""

    call: int


class Spoken(_Message, frozen=True):
    call: int
    event: Encoded


class Heard(_Message, frozen=True):
    call: int
    event: Segment


class Ended(_Message, frozen=True):
    call: int
    event: TranscriptEnd


class Done(_Message, frozen=True):
    """There is nothing more of this request."""

    call: int


class Refused(_Message, frozen=True):
    """The request ended with an error."""

    call: int
    fault: Fault


Asked = Speak | Transcribe | Vocode | Probe
"""what begins a request"""
ToReplica = Asked | Piece | PiecesEnd | Cancel | Taken | Tune
ToGateway = Settled | Beat | Begun | Spoken | Heard | Ended | Done | Refused

WINDOW = 16
"""events of a request that may be on their way and not taken: a client that does not read stops the work"""

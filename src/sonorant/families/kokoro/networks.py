"""What Kokoro's network takes and gives. Publishers' exports differ in names, not in meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sonorant.errors import ModelFileError
from sonorant.networks import Axis, Signature, Tensor

STYLE = 256
LARGEST_ID = 177
ROOM = 510
"""phonemes at once, without the 0 at both ends: the rows of a voice"""
PHONEMES = Axis("phonemes", unit="phoneme id", min=3, typical=60, max=ROOM + 2)
SAMPLES = Axis("samples", unit="sample at 24 kHz", typical=90_000)

DURATIONS = "/encoder/Round_output_0"
"""inside the graph: how many steps of 600 samples (25 ms) each phoneme lasts"""
DURATION_STEP = 0.025
"""seconds"""


@dataclass(frozen=True)
class Names:
    """What an export calls its tensors."""

    tokens: str
    audio: str
    batched: bool
    """the audio is [1, samples], not [samples]"""
    timed: bool
    """the durations have been made an output"""


def names(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Names:
    """Read off what a file declares. Raises ModelFileError where it is not Kokoro's."""
    tokens = [t.name for t in inputs if t.name in ("tokens", "input_ids")]
    audio = [t for t in outputs if t.name in ("audio", "waveform")]
    if len(tokens) != 1 or len(audio) != 1:
        raise ModelFileError(
            "The model is not Kokoro's",
            why=f"It takes {', '.join(map(str, inputs))} and gives {', '.join(map(str, outputs))}",
            remedy="Use an export of Kokoro-82M v1.0 with tokens (or input_ids), style and speed",
        )
    return Names(tokens[0], audio[0].name, len(audio[0].dims) == 2, any(t.name == DURATIONS for t in outputs))


def signature(names: Names) -> Signature:
    """The network under the export's names."""
    durations = Tensor(DURATIONS, "float32", (1, PHONEMES), about="steps of 25 ms that each phoneme lasts")
    return Signature(
        inputs=(
            Tensor(names.tokens, "int64", (1, PHONEMES), low=0, high=LARGEST_ID, about="0 at both ends"),
            Tensor("style", "float32", (1, STYLE), low=-10, high=10, typical=(0,), about="a row of a voice"),
            Tensor("speed", "float32", (1,), low=0.25, high=4, typical=(1,), about="divides the durations"),
        ),
        outputs=(
            Tensor(names.audio, "float32", (1, SAMPLES) if names.batched else (SAMPLES,)),
            *([durations] if names.timed else []),
        ),
    )

"""What a Piper voice's network takes and gives."""

import numpy as np

from sonorant.networks import BATCH, Axis, Signature, Tensor

PHONEMES = Axis("phonemes", unit="phoneme id", min=3, typical=120, max=4000)

DURATIONS = "/Ceil_output_0"
"""inside the graph, as torch's exporter calls it: how many steps each phoneme lasts"""
DURATION_STEP = 256
"""samples"""

FIRST_SECONDS = 0.23
"""of the first window of a sentence: 100 ms behind the onset, which is up to 60 ms late, and some more"""
WINDOW_SECONDS = 0.35
"""of a later window, at most: less than streams have in hand where as many speak as a machine can serve.
Shorter ones cost more work (benchmarks/windows.py), longer ones let streams run dry (benchmarks/load.py)"""
QUIET = {"scales": np.array([0, 1, 0], np.float32)}
"""feeds with which the noise that the network draws is not heard"""
TRIED = (3, 61, 160)
"""phonemes with which the parts of a voice are compared with the whole"""


def signature(*, symbols: int, speakers: int, rate: int, timed: bool = False) -> Signature:
    """`speakers` > 1: with the speaker's number; `rate`: of the sound, hertz; `timed`: the durations have
    been made an output."""
    inputs = [
        Tensor(
            "input", "int64", (BATCH, PHONEMES), low=0, high=symbols - 1, about="phoneme ids, padded between"
        ),
        Tensor("input_lengths", "int64", (BATCH,), low=1, lengths_of=PHONEMES.name),
        Tensor(
            "scales",
            "float32",
            (3,),
            low=0,
            high=16,
            typical=(0.667, 1.0, 0.8),
            about="noise, length, noise of the durations",
        ),
    ]
    if speakers > 1:
        inputs.append(Tensor("sid", "int64", (BATCH,), low=0, high=speakers - 1, about="speaker"))
    samples = Axis("samples", unit=f"sample at {rate} Hz", typical=3 * rate)
    audio = Tensor("output", "float32", (BATCH, 1, 1, samples))
    durations = Tensor(DURATIONS, "float32", (BATCH, 1, PHONEMES), about="steps that each id lasts")
    return Signature(tuple(inputs), (audio, durations) if timed else (audio,))

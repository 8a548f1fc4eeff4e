"""What hibari's one network takes and gives."""

from sonorant.networks import Axis, Signature, Tensor

IDS = 177
"""the largest phoneme id of vocab.json"""

PHONEMES = Axis("phonemes", unit="phoneme id", min=3, typical=80, max=512)
FRAMES = Axis("frames", unit="12.5 ms", typical=320)

DURATIONS = "/Round_output_0"
"""inside the graph: how many steps of 25 ms (two frames) each phoneme lasts"""
DURATION_STEP = 0.025
"""seconds"""


def signature(*, timed: bool = False) -> Signature:
    """`timed`: the durations have been made an output."""
    durations = Tensor(DURATIONS, "float32", (PHONEMES,), about="steps of 25 ms that each phoneme lasts")
    return Signature(
        inputs=(
            Tensor("ids", "int64", (1, PHONEMES), low=0, high=IDS, about="phonemes, 0 at both ends"),
            Tensor("speed", "float32", (1,), low=0.25, high=4, typical=(1,), about="divides the durations"),
        ),
        outputs=(
            *(Tensor(name, "float32", (1, 601, FRAMES)) for name in ("lh", "theta", "ln", "lr", "phi")),
            Tensor("f0", "float32", (1, FRAMES), about="pitch in hertz, 0 where unvoiced"),
            *([durations] if timed else []),
        ),
    )

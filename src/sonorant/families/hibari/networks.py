"""What hibari's one network takes and gives."""

from sonorant.networks import Axis, Signature, Tensor

IDS = 177
"""the largest phoneme id of vocab.json"""

PHONEMES = Axis("phonemes", unit="phoneme id", min=3, typical=80, max=512)
FRAMES = Axis("frames", unit="12.5 ms", typical=320)

SIGNATURE = Signature(
    inputs=(
        Tensor("ids", "int64", (1, PHONEMES), low=0, high=IDS, about="phonemes, 0 at both ends"),
        Tensor(
            "speed", "float32", (1,), low=0.25, high=4.0, typical=(1.0,), about="durations are divided by it"
        ),
    ),
    outputs=(
        *(Tensor(name, "float32", (1, 601, FRAMES)) for name in ("lh", "theta", "ln", "lr", "phi")),
        Tensor("f0", "float32", (1, FRAMES), about="pitch in hertz, 0 where unvoiced"),
    ),
)

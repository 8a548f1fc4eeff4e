"""What CAM++'s network takes and gives."""

from __future__ import annotations

from sonorant.networks import BATCH, Axis, Signature, Tensor

BINS, SIZE = 80, 192
SHORTEST, LONGEST = 0.5, 30.0
"""seconds that make an embedding"""
FRAMES = Axis("frames", unit="10 ms", min=48, typical=500, max=2998)
"""25 ms every 10 ms: 48 in the shortest audio, 2998 in the longest"""


def signature(feats: str = "feats", embedding: str = "embedding") -> Signature:
    """The two tensors, under the names that a file gives them.

    A batch is equal to solo runs only where all its rows are equally long: the means and deviations over
    the frames, and the convolutions' edges, would hear padding. There is no mask to keep it out.
    """
    return Signature(
        inputs=(
            Tensor(
                feats,
                "float32",
                (BATCH, FRAMES, BINS),
                about="log mel energies minus their means; all rows as long as each other",
            ),
        ),
        outputs=(Tensor(embedding, "float32", (BATCH, SIZE)),),
    )

"""What Moonshine's encoder takes and gives. Its decoder is Optimum's merged one (networks/generate.py)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sonorant.networks import BATCH, Axis, Signature, Tensor
from sonorant.networks.signature import Array

SHORTEST = 1536
"""samples; the convolutions' receptive field needs 895, below this the text is noise"""
SAMPLES = Axis("samples", unit="sample at 16 kHz", min=SHORTEST, typical=48_000, max=30 * 16_000)


def frames(sizes: Mapping[str, int]) -> int:
    """Encoder frames of so many samples: convolutions (127, 64), (7, 3), (3, 2)."""
    n = (sizes["samples"] - 127) // 64 + 1
    n = (n - 7) // 3 + 1
    return (n - 3) // 2 + 1


def encoder_signature(*, hidden: int, masked: bool) -> Signature:
    """`masked`: the export takes an attention mask over the samples (tiny does, base does not)."""
    mask = (
        (Tensor("attention_mask", "int64", (BATCH, SAMPLES), low=0, high=1, typical=(1,)),) if masked else ()
    )
    return Signature(
        inputs=(Tensor("input_values", "float32", (BATCH, SAMPLES), low=-1, high=1), *mask),
        outputs=(
            Tensor("last_hidden_state", "float32", (BATCH, Axis("frames", "24 ms", length=frames), hidden)),
        ),
    )


def encoder_feeds(signature: Signature, samples: Array) -> dict[str, Array]:
    """samples: float32 [1, n], all of them real"""
    masked = any(tensor.name == "attention_mask" for tensor in signature.inputs)
    return {"input_values": samples} | (
        {"attention_mask": np.ones(samples.shape, np.int64)} if masked else {}
    )

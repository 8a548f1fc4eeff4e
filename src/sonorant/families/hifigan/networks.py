"""What HiFi-GAN's generator takes and gives."""

from __future__ import annotations

from sonorant.families.hifigan.config import Config
from sonorant.networks import BATCH, Axis, Signature, Tensor
from sonorant.networks.cut import Input, Stage

QUIETEST, LOUDEST = -17.0, 6.0
"""of log mel energies: the authors clip at log 1e-5, others at log 1e-7; full scale comes to 4"""


def signature(config: Config) -> Signature:
    """One network. Rows of a batch are equally long: padding would be heard at the end."""
    hop, rate = config.hop_size, config.sampling_rate
    frames = Axis("frames", unit=f"{1000 * hop / rate:.1f} ms", typical=100)
    samples = Axis("samples", unit=f"sample at {rate} Hz", length=lambda sizes: sizes["frames"] * hop)
    return Signature(
        inputs=(
            Tensor(
                "mel",
                "float32",
                (BATCH, config.num_mels, frames),
                low=QUIETEST,
                high=LOUDEST,
                about="natural logarithm of mel energies",
            ),
        ),
        outputs=(Tensor("audio", "float32", (BATCH, 1, samples), about="in [-1, 1]"),),
        alike=True,
    )


def stage(config: Config) -> Stage:
    """All of it is local in time, so it runs in windows of frames."""
    return Stage((Input("mel", 2, 1),), "audio", 2, config.hop_size, config.context)

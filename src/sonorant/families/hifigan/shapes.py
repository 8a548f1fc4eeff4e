"""The names and shapes of a generator's weights, told without torch for who inspects a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sonorant.families.hifigan.config import ENDS, Config

Shape = tuple[int, ...]
UNDER = "generator."
"""what their names begin with in an official checkpoint"""


def wanted(config: Config, held: Mapping[str, Shape]) -> dict[str, Shape]:
    """Those of a checkpoint that holds these: with weight norm where it has it, at each layer by itself."""
    found: dict[str, Shape] = {}
    for name, weight, channels in _convolutions(config):
        place = f"{UNDER}{name}"
        found[f"{place}.bias"] = (channels,)
        if f"{place}.weight" in held:
            found[f"{place}.weight"] = weight
        else:
            found[f"{place}.weight_v"], found[f"{place}.weight_g"] = weight, (weight[0], 1, 1)
    return found


def _convolutions(config: Config) -> Iterator[tuple[str, Shape, int]]:
    """Name, shape of the weight, and output channels. A transposed one has its inputs first."""
    channels = config.upsample_initial_channel
    lists = ("convs1", "convs2") if config.resblock == "1" else ("convs",)
    blocks = [*zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True)]
    yield "conv_pre", (channels, config.num_mels, ENDS), channels
    for level, kernel in enumerate(config.upsample_kernel_sizes):
        half = channels // 2
        yield f"ups.{level}", (channels, half, kernel), half
        channels = half
        for number, (size, dilations) in enumerate(blocks, level * len(blocks)):
            for part in lists:
                for i in range(len(dilations)):
                    yield f"resblocks.{number}.{part}.{i}", (channels, channels, size), channels
    yield "conv_post", (1, channels, ENDS), 1

"""HiFi-GAN's generator in torch; its discriminators are for training only.

Kong, Kim and Bae, "HiFi-GAN: Generative Adversarial Networks for Efficient and High Fidelity Speech
Synthesis" (NeurIPS 2020), section 2.2. Parameters are named as in the authors' checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from sonorant.families.hifigan.config import ENDS, Config

SLOPE = 0.1
"""of the leaky activations, but for the last one, which has torch's usual 0.01"""


class Generator(nn.Module):
    """mel: float32 [batch, bins, frames] → audio: float32 [batch, 1, frames · hop], in [-1, 1]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels = config.upsample_initial_channel
        block = Twofold if config.resblock == "1" else Onefold
        self.conv_pre = nn.Conv1d(config.num_mels, channels, ENDS, padding=ENDS // 2)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        for rate, kernel in zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True):
            padding = (kernel - rate) // 2
            self.ups.append(nn.ConvTranspose1d(channels, channels // 2, kernel, rate, padding))
            channels //= 2
            for size, dilations in zip(
                config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True
            ):
                self.resblocks.append(block(channels, size, dilations))
        self.conv_post = nn.Conv1d(channels, 1, ENDS, padding=ENDS // 2)
        self._blocks = len(config.resblock_kernel_sizes)
        """at each level"""

    def forward(self, mel: Tensor) -> Tensor:
        x = self.conv_pre(mel)
        for level, up in enumerate(self.ups):
            x = up(leaky_relu(x, SLOPE))
            first = level * self._blocks
            heard = self.resblocks[first](x)
            for block in self.resblocks[first + 1 : first + self._blocks]:
                heard = heard + block(x)
            x = heard / self._blocks
        return torch.tanh(self.conv_post(leaky_relu(x)))

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Takes an official checkpoint: the weights under "generator", weight norm not yet removed."""
        return super().load_state_dict(folded(state_dict["generator"]), *args, **kwargs)


class Twofold(nn.Module):
    """A residual block of the larger generators: a dilated convolution and a plain one behind it."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(_conv(channels, kernel, dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(_conv(channels, kernel, 1) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            x = plain(leaky_relu(dilated(leaky_relu(x, SLOPE)), SLOPE)) + x
        return x


class Onefold(nn.Module):
    """A residual block of the smallest generator."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_conv(channels, kernel, dilation) for dilation in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(leaky_relu(x, SLOPE)) + x
        return x


def folded(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weight norm (Salimans and Kingma 2016) removed: v · g / |v|, a norm for each slice v[i]."""
    plain = dict(weights)
    for name in weights:
        if name.endswith(".weight_v"):
            stem = name.removesuffix("_v")
            v, g = plain.pop(name), plain.pop(f"{stem}_g")
            plain[stem] = v * (g / v.flatten(1).norm(dim=1).reshape(g.shape))
    return plain


def _conv(channels: int, kernel: int, dilation: int) -> nn.Conv1d:
    return nn.Conv1d(channels, channels, kernel, padding=kernel // 2 * dilation, dilation=dilation)

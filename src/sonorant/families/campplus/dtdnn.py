"""CAM++'s network in torch: a densely connected TDNN whose layers mask their output by context.

Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware Masking"
(Interspeech 2023). Parameters are named as in the publisher's checkpoints (3D-Speaker, Apache-2.0).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

GROWTH = 32
"""channels that a dense layer adds"""
BOTTLENECK = 128
SEGMENT = 100
"""frames (of 20 ms) over which a mask's context is averaged"""
BLOCKS = ((12, 1), (24, 2), (16, 2))
"""(layers, dilation) of each dense block"""


class CAMPPlus(nn.Module):
    """feats: float32 [batch, frames, bins] → embedding: float32 [batch, size]."""

    def __init__(self, bins: int = 80, size: int = 192) -> None:
        super().__init__()
        self.head = Front(bins)
        channels = 128
        layers: dict[str, nn.Module] = {
            "tdnn": _sequence(
                linear=nn.Conv1d(self.head.channels, channels, 5, stride=2, padding=2, bias=False),
                nonlinear=_nonlinear(channels),
            )
        }
        for number, (depth, dilation) in enumerate(BLOCKS, 1):
            layers[f"block{number}"] = DenseBlock(channels, depth, dilation)
            wide, channels = channels + depth * GROWTH, (channels + depth * GROWTH) // 2
            layers[f"transit{number}"] = _sequence(
                nonlinear=_nonlinear(wide), linear=nn.Conv1d(wide, channels, 1, bias=False)
            )
        layers["out_nonlinear"] = _nonlinear(channels)
        layers["stats"] = StatisticsPooling()
        layers["dense"] = _sequence(
            linear=nn.Conv1d(2 * channels, size, 1, bias=False),
            nonlinear=_sequence(batchnorm=nn.BatchNorm1d(size, affine=False)),
        )
        self.xvector = _sequence(**layers)

    def forward(self, feats: Tensor) -> Tensor:
        embedding: Tensor = self.xvector(self.head(feats.transpose(1, 2))).squeeze(-1)
        return embedding


class Front(nn.Module):
    """2-D convolutions over bins and frames; [batch, bins, frames] → [batch, channels, frames]."""

    def __init__(self, bins: int, width: int = 32) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = nn.Sequential(Residual(width, halving=True), Residual(width))
        self.layer2 = nn.Sequential(Residual(width, halving=True), Residual(width))
        self.conv2 = nn.Conv2d(width, width, 3, stride=(2, 1), padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.channels = width * (bins // 8)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x.unsqueeze(1))))
        x = self.layer2(self.layer1(x))
        return functional.relu(self.bn2(self.conv2(x))).flatten(1, 2)


class Residual(nn.Module):
    """Two convolutions beside a shortcut; `halving` the bins, never the frames."""

    def __init__(self, width: int, *, halving: bool = False) -> None:
        super().__init__()
        stride = (2 if halving else 1, 1)
        self.conv1 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential()
        if halving:
            self.shortcut.append(nn.Conv2d(width, width, 1, stride=stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(y + self.shortcut(x))


class DenseBlock(nn.ModuleDict):
    """Layers each of which hears all before it."""

    def __init__(self, channels: int, depth: int, dilation: int) -> None:
        inputs = range(channels, channels + depth * GROWTH, GROWTH)
        super().__init__({f"tdnnd{n}": DenseLayer(width, dilation) for n, width in enumerate(inputs, 1)})

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.values():
            x = torch.cat([x, layer(x)], dim=1)
        return x


class DenseLayer(nn.Module):
    """A bottleneck, then a masked convolution."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = _nonlinear(channels)
        self.linear1 = nn.Conv1d(channels, BOTTLENECK, 1, bias=False)
        self.nonlinear2 = _nonlinear(BOTTLENECK)
        self.cam_layer = ContextAwareMasking(dilation)

    def forward(self, x: Tensor) -> Tensor:
        masked: Tensor = self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))
        return masked


class ContextAwareMasking(nn.Module):
    """A convolution times a mask made of the means over everything and over each segment."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(BOTTLENECK, GROWTH, 3, padding=dilation, dilation=dilation, bias=False)
        self.linear1 = nn.Conv1d(BOTTLENECK, BOTTLENECK // 2, 1)
        self.linear2 = nn.Conv1d(BOTTLENECK // 2, GROWTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        context = x.mean(-1, keepdim=True) + _segment_means(x)
        mask = torch.sigmoid(self.linear2(functional.relu(self.linear1(context))))
        local: Tensor = self.linear_local(x)
        return local * mask


class StatisticsPooling(nn.Module):
    """Mean and standard deviation over the frames; [batch, channels, frames] → [batch, 2 · channels, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.mean(-1, keepdim=True), x.std(-1, keepdim=True)], dim=1)


def _segment_means(x: Tensor) -> Tensor:
    """Each frame's place taken by the mean of its segment; the last segment may be short."""
    means = functional.avg_pool1d(x, SEGMENT, SEGMENT, ceil_mode=True)
    spread = means.unsqueeze(-1).expand(-1, -1, -1, SEGMENT).flatten(2)
    return spread[..., : x.shape[-1]]


def _nonlinear(channels: int) -> nn.Sequential:
    return _sequence(batchnorm=nn.BatchNorm1d(channels), relu=nn.ReLU())


def _sequence(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))

"""DistillMOS's network in torch: convolutions over a compressed spectrogram, then a transformer.

Stahl and Gamper, "Distillation and Pruning for Scalable Self-Supervised Representation-Based Speech Quality
Assessment" (ICASSP 2025). Parameters are named as in the publisher's checkpoint (Microsoft, MIT); the
transformer and its pooling are those of xls-r-sqa (Tamm et al. 2023, MIT).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

HOP, FFT = 160, 320
"""samples: 10 and 20 ms"""
CHANNELS = (64, 64, 128, 256, 256, 256)
WIDTH, HEADS, LAYERS, FRAMES = 200, 8, 7, 384


class Predictor(nn.Module):
    """samples: float32 [batch, 122880] at 16 kHz, peak 1 → mos: float32 [batch], 1 to 5."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn = Spectral()
        self.transformer_pool_attn = Assessor(CHANNELS[-1] * self.cnn.bins)

    def forward(self, samples: Tensor) -> Tensor:
        return 1 + 4 * self.transformer_pool_attn(self.cnn(samples))

    def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        """The publisher keeps the step of training beside the weights."""
        return super().load_state_dict(state_dict.get("model", state_dict), *args, **kwargs)


class Spectral(nn.Module):
    """float32 [batch, n] → [batch, channels × bins, frames of 20 ms]."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.bins, before = FFT // 2 + 1, 2
        for i, channels in enumerate(CHANNELS):
            stride = (2 if i else 1, 2 if i == len(CHANNELS) - 1 else 1)
            layers += [nn.Conv2d(before, channels, 3, stride, padding=(0, 1)), nn.LeakyReLU(0.1)]
            self.bins, before = (self.bins - 3) // stride[0] + 1, channels
        self.cnn = nn.Sequential(*layers)

    def forward(self, samples: Tensor) -> Tensor:
        padded = functional.pad(samples, ((FFT - HOP) // 2,) * 2, mode="reflect")
        window = torch.hann_window(FFT, device=samples.device)
        spectrum = torch.view_as_real(
            torch.stft(padded, FFT, HOP, window=window, center=False, return_complex=True)
        )
        magnitude = spectrum.square().sum(-1, keepdim=True).sqrt().clip(1e-12)
        compressed = magnitude**0.3 * spectrum / magnitude
        return torch.flatten(self.cnn(compressed.permute(0, 3, 1, 2)), 1, -2)


class Assessor(nn.Module):
    """float32 [batch, size, 384] → [batch], 0 to 1."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm_input = nn.BatchNorm1d(size)
        self.transformer = Encoder(size)
        self.norm_trans = nn.BatchNorm1d(WIDTH)
        self.pool = Pooling()

    def forward(self, features: Tensor) -> Tensor:
        encoded = self.norm_trans(self.transformer(self.norm_input(features)).transpose(1, 2))
        return torch.sigmoid(self.pool(encoded.transpose(1, 2)))


class Encoder(nn.Module):
    """float32 [batch, size, 384] → [batch, 384, 200]."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(size)
        self.linear_proj = nn.Linear(size, WIDTH)
        self.position_encoding = nn.Module()
        self.position_encoding.register_buffer("pe", torch.zeros(1, FRAMES, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, dropout=0.0, batch_first=True)
        self.transformer_encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)

    def forward(self, features: Tensor) -> Tensor:
        projected: Tensor = self.linear_proj(self.norm(features).transpose(1, 2))
        encoded: Tensor = self.transformer_encoder(projected + self.position_encoding.pe)
        return encoded


class Pooling(nn.Module):
    """float32 [batch, 384, 200] → [batch]: the frames' mean by attention."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Linear(WIDTH, 2 * WIDTH)
        self.linear2 = nn.Linear(2 * WIDTH, 1)
        self.linear3 = nn.Linear(WIDTH, 1)

    def forward(self, encoded: Tensor) -> Tensor:
        attention = self.linear2(functional.relu(self.linear1(encoded))).transpose(1, 2).softmax(2)
        pooled: Tensor = self.linear3(torch.bmm(attention, encoded).squeeze(1)).squeeze(1)
        return pooled

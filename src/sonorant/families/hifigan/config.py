"""What a HiFi-GAN folder's config.json says: of the generator, and of its mel spectrograms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from sonorant.errors import ModelFileError

FILES = ("config.json", "config_v1.json", "config_v2.json", "config_v3.json")
ENDS = 7
"""samples, or frames, that the first convolution and the last one see"""
_FAR = 1 << 20
"""a frame far from both ends"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Of one generator, under the names that config.json has for it."""

    resblock: str
    """"1" = two convolutions behind each activation pair, "2" = one"""
    upsample_rates: tuple[int, ...]
    upsample_kernel_sizes: tuple[int, ...]
    upsample_initial_channel: int
    resblock_kernel_sizes: tuple[int, ...]
    resblock_dilation_sizes: tuple[tuple[int, ...], ...]
    num_mels: int
    n_fft: int
    hop_size: int
    win_size: int
    sampling_rate: int
    fmin: float
    fmax: float | None

    @property
    def context(self) -> tuple[int, int]:
        """Frames before and after a frame that its samples depend on, by the sizes of all layers."""
        low, high = _FAR * self.hop_size, (_FAR + 1) * self.hop_size - 1
        low, high = low - ENDS // 2, high + ENDS // 2
        radius = max(map(self._radius, self.resblock_kernel_sizes, self.resblock_dilation_sizes))
        for rate, kernel in reversed([*zip(self.upsample_rates, self.upsample_kernel_sizes, strict=True)]):
            padding = (kernel - rate) // 2
            low, high = low - radius + padding, high + radius + padding
            low, high = -((kernel - 1 - low) // rate), high // rate  # of a transposed convolution
        low, high = low - ENDS // 2, high + ENDS // 2
        return _FAR - low, high - _FAR

    def _radius(self, kernel: int, dilations: tuple[int, ...]) -> int:
        """Samples to each side that a residual block sees."""
        seen = sum(dilations) + (len(dilations) if self.resblock == "1" else 0)
        return kernel // 2 * seen


def parse(text: str) -> Config:
    """What a config.json says. Raises ModelFileError where no generator can be made of it."""
    try:
        tree = json.loads(text)
        if not isinstance(tree, dict):
            raise _wrong("It holds no object with keys")
        config = _config(tree)
    except KeyError as error:
        raise _wrong(f"the key {error.args[0]} is missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise _wrong(str(error)) from error
    problem = _problem(config)
    if problem:
        raise _wrong(problem)
    return config


def read(path: Path) -> Config:
    """What a file says. Raises ModelFileError, as for one that is no UTF-8 text."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _wrong(f"{path.name} is not UTF-8 text") from error


def is_one(path: Path) -> bool:
    """Whether a file is such a config: other families have a config.json, too."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(tree, dict) and {"resblock", "upsample_rates", "sampling_rate"} <= tree.keys()


def _config(tree: dict[str, Any]) -> Config:
    return Config(
        resblock=str(tree["resblock"]),
        upsample_rates=tuple(map(int, tree["upsample_rates"])),
        upsample_kernel_sizes=tuple(map(int, tree["upsample_kernel_sizes"])),
        upsample_initial_channel=int(tree["upsample_initial_channel"]),
        resblock_kernel_sizes=tuple(map(int, tree["resblock_kernel_sizes"])),
        resblock_dilation_sizes=tuple(tuple(map(int, sizes)) for sizes in tree["resblock_dilation_sizes"]),
        num_mels=int(tree["num_mels"]),
        n_fft=int(tree["n_fft"]),
        hop_size=int(tree["hop_size"]),
        win_size=int(tree["win_size"]),
        sampling_rate=int(tree["sampling_rate"]),
        fmin=float(tree["fmin"]),
        fmax=None if tree["fmax"] is None else float(tree["fmax"]),
    )


def _problem(config: Config) -> str:
    """Why no generator can be made of it; "" = one can."""
    levels = list(zip(config.upsample_rates, config.upsample_kernel_sizes, strict=False))
    sizes = (config.num_mels, config.n_fft, config.win_size, config.sampling_rate, *config.upsample_rates)
    if min(sizes) < 1 or prod(config.upsample_rates) != config.hop_size:
        return "hop_size is not the product of upsample_rates"
    if len(config.upsample_rates) != len(config.upsample_kernel_sizes) or any(
        kernel < rate or (kernel - rate) % 2 for rate, kernel in levels
    ):
        return "upsample_kernel_sizes do not fit upsample_rates"
    if len(config.resblock_kernel_sizes) != len(config.resblock_dilation_sizes) or not all(
        kernel > 0 and kernel % 2 for kernel in config.resblock_kernel_sizes
    ):
        return "resblock_dilation_sizes do not fit resblock_kernel_sizes"
    if not config.resblock_kernel_sizes or config.upsample_initial_channel >> len(levels) < 1:
        return "it has no channels left at the end"
    if config.resblock not in ("1", "2") or config.win_size > config.n_fft:
        return "resblock is neither 1 nor 2, or win_size is larger than n_fft"
    return ""


def _wrong(why: str) -> ModelFileError:
    return ModelFileError(
        "The config.json does not describe a HiFi-GAN generator",
        why=why,
        remedy="Use the config.json that came with the checkpoint",
    )

"""Choosing a token from a network's logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sonorant.networks.signature import Array


@dataclass(frozen=True, slots=True)
class Token:
    """A generated token."""

    id: int
    logprob: float
    """natural logarithm of its probability at temperature 1"""


class Sampling:
    """How one sequence's tokens are chosen."""

    def __init__(self, temperature: float = 0.0, seed: int = 0) -> None:
        """temperature 0 takes the most probable token"""
        self.temperature = temperature
        self._random = np.random.default_rng(seed)

    def choose(self, logits: Array) -> Token:
        """logits: float32 [vocabulary]"""
        best = int(logits.argmax())
        relative = logits - logits[best]
        normalizer = float(np.log(np.exp(relative).sum()))
        if self.temperature == 0:
            return Token(best, -normalizer)
        weights = np.exp(relative.astype(np.float64) / self.temperature)
        choice = int(self._random.choice(len(weights), p=weights / weights.sum()))
        return Token(choice, float(relative[choice]) - normalizer)

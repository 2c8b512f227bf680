"""Text whose entropy is known: an order-1 Markov chain, as the dossier's trained table uses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class MarkovText:
    """`vocabulary` tokens; each row of the transition matrix is a draw from a Dirichlet law."""

    vocabulary: int = 8
    length: int = 16
    concentration: float = 0.3
    seed: int = 0

    @property
    def transitions(self) -> Tensor:
        """P(next = j | now = i) [K, K], float64."""
        rows = np.random.default_rng(self.seed).dirichlet(
            np.full(self.vocabulary, self.concentration), self.vocabulary
        )
        return torch.from_numpy(0.98 * rows + 0.02 / self.vocabulary)  # no dead ends

    @property
    def stationary(self) -> Tensor:
        """The chain's own law [K]."""
        return torch.linalg.matrix_power(self.transitions, 4096)[0]

    @property
    def entropy(self) -> float:
        """Nats a token of a sequence that begins in the stationary law."""
        first = float(-(self.stationary * self.stationary.log()).sum())
        rows = -(self.transitions * self.transitions.log()).sum(1)
        return (first + (self.length - 1) * float(self.stationary @ rows)) / self.length

    def draw(self, count: int, seed: int) -> Tensor:
        """Sequences [count, L]."""
        numbers = torch.Generator().manual_seed(seed)
        tokens = [torch.multinomial(self.stationary, count, True, generator=numbers)]
        for _ in range(self.length - 1):
            rows = self.transitions[tokens[-1]]
            tokens.append(torch.multinomial(rows, 1, generator=numbers)[:, 0])
        return torch.stack(tokens, 1)

    def bigram_distance(self, tokens: Tensor) -> float:
        """Total variation between the bigrams of sequences [N, L] and the chain's."""
        pairs = tokens[:, :-1] * self.vocabulary + tokens[:, 1:]
        found = torch.bincount(pairs.flatten(), minlength=self.vocabulary**2).double()
        wanted = (self.stationary[:, None] * self.transitions).flatten()
        return 0.5 * float((found / found.sum() - wanted).abs().sum())

"""Everything by enumeration, for few tokens and short sequences: the proof bench of this package.

A law over sequences is a vector [S], S = K^L, in the order of `sequences`. Posteriors and one-time
laws are sums over all clean sequences; a sampler's law is propagated through its transition matrix,
so "steps against total variation" is computed, not estimated.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lmdm.diffusion.discrete.bridge import plug_in
from lmdm.diffusion.discrete.process import TokenProcess
from lmdm.diffusion.discrete.representation import Representation, TokenPrediction
from lmdm.diffusion.discrete.sampling import times

Posterior = Callable[[float], Tensor]  # t -> [S, L, K], one row for each noisy sequence


@dataclass(frozen=True)
class ExactData:
    """A law p0 [S] over all sequences of `length` tokens of a process."""

    process: TokenProcess
    length: int
    p0: Tensor

    @property
    def sequences(self) -> Tensor:
        """All sequences [S, L], the last position running fastest."""
        tokens = torch.arange(self.process.vocabulary)
        return torch.cartesian_prod(*[tokens] * self.length).view(-1, self.length)

    @property
    def entropy(self) -> float:
        """H(p0) in nats a sequence."""
        return float(-(self.p0 * self.p0.log()).sum())

    def one_site(self, t: float) -> Tensor:
        """q(x_t = j | x0 = i) at one position [K, K]."""
        law, alpha = self.process.law(self.p0), float(self.process.alpha(t))
        return alpha * torch.eye(self.process.vocabulary).to(law) + (1.0 - alpha) * law[None]

    def forward(self, t: float) -> Tensor:
        """q(x_t | x0) [S, S], from rows x0 to columns x_t."""
        return self.product(self.one_site(t)[self.sequences])

    def marginal(self, t: float) -> Tensor:
        """p_t [S]."""
        return self.p0 @ self.forward(t)

    def product(self, per_site: Tensor) -> Tensor:
        """Rows of independent positions [N, L, K] as laws over sequences [N, S]."""
        sequences = self.sequences
        return torch.stack(
            [per_site[:, site, sequences[:, site]] for site in range(self.length)]
        ).prod(0)

    def denoiser(self, t: float) -> Tensor:
        """D = P(x0^l = j | x_t) [S, L, K], by Bayes over whole sequences."""
        joint = self.p0[:, None] * self.forward(t)
        return self._site_posterior(joint / joint.sum(0))

    def leave_one_out(self, t: float) -> Tensor:
        """R = P(x0^l = j | x_t without position l) [S, L, K], by its definition."""
        kernel, sequences = self.one_site(t), self.sequences
        sites = torch.stack(
            [kernel[sequences[:, [n]], sequences[:, n][None]] for n in range(self.length)]
        )
        found = []
        for site in range(self.length):
            others = torch.cat([sites[:site], sites[site + 1 :]])
            joint = self.p0[:, None] * others.prod(0)
            found.append(self._site_posterior(joint / joint.sum(0))[:, site])
        return torch.stack(found, 1)

    def _site_posterior(self, posterior: Tensor) -> Tensor:
        """P(x0 | .) [S, N] as laws of single positions [N, L, K]."""
        known = F.one_hot(self.sequences, self.process.vocabulary).to(posterior)
        return torch.einsum("sn,slk->nlk", posterior, known)

    def prediction(self, t: float, representation: Representation) -> TokenPrediction:
        """The perfect network at all noisy sequences."""
        exact = {
            Representation.LOO: self.leave_one_out,
            Representation.DENOISER: self.denoiser,
        }[representation](t)
        return TokenPrediction(exact.log(), representation)

    def reverse(self, t: float, s: float) -> Tensor:
        """The true q(x_s^l | x_t) [S, L, K], by summing over x0 and the bridge of each."""
        denoiser = self.denoiser(t)
        count, x_t = self.process.vocabulary, self.sequences
        kernel = torch.zeros_like(denoiser)
        for token in range(count):
            known = F.one_hot(torch.full_like(x_t, token), count).to(denoiser)
            kernel += denoiser[..., token, None] * plug_in(known, x_t, t, s, self.process)
        return kernel

    def sampled(self, steps: int, posterior: Posterior) -> Tensor:
        """The law [S] at t = 0 of the ancestral sampler that plugs `posterior` into the bridge."""
        law = self.product(self.process.law(self.p0).expand(1, self.length, -1))[0]
        for t, s in itertools.pairwise(times(steps)):
            law = law @ self.product(plug_in(posterior(t), self.sequences, t, s, self.process))
        return law

    def total_variation(self, law: Tensor) -> float:
        """TV distance of a law [S] to p0."""
        return 0.5 * float((law - self.p0).abs().sum())


# --- the lift: laws over (x, u) [S, S] -----------------------------------------------------------


def lifted_posterior(data: ExactData, t: float) -> Tensor:
    """P(x0^l = j | x_t, u) [S, S, L, K] for noisy x (first) and mask symbols u (second)."""
    alpha, sequences = float(data.process.alpha(t)), data.sequences
    x0 = sequences[:, None, None]
    x, u = sequences[None, :, None], sequences[None, None]
    chance = alpha * (x == x0) + (1.0 - alpha) * (x == u)
    joint = data.p0[:, None, None] * chance.to(data.p0).prod(-1)
    joint = joint / joint.sum(0).clamp_min(1e-300)
    known = F.one_hot(sequences, data.process.vocabulary).to(joint)
    return torch.einsum("sxu,slk->xulk", joint, known)


def lifted_sampled(data: ExactData, steps: int, remask: bool) -> Tensor:
    """The law [S] at t = 0 of AUDM or, with remask, ReAUDM with the exact posterior."""
    size = len(data.sequences)
    law = torch.eye(size).to(data.p0) / size  # x = u, uniform
    site_law = _remasking_law if remask else _absorbing_law
    x = data.sequences[:, None].expand(size, size, -1).reshape(size * size, -1)
    u = data.sequences[None].expand(size, size, -1).reshape(size * size, -1)
    for t, s in itertools.pairwise(times(steps)):
        d = lifted_posterior(data, t).view(size * size, data.length, -1)
        law = _advanced(law.flatten(), site_law(d, x, u, t, s, data.process))
    return law.sum(1)


def _absorbing_law(
    d: Tensor, x: Tensor, u: Tensor, t: float, s: float, process: TokenProcess
) -> Tensor:
    """AUDM: P(x_s, u_s | x_t, u) at each position [N, L, K, K], from posteriors d [N, L, K]."""
    alpha_t, alpha_s = float(process.alpha(t)), float(process.alpha(s))
    jump = (x == u).to(d)[..., None] * (alpha_s - alpha_t) / (1.0 - alpha_t)
    x_s = jump * d + (1.0 - jump) * F.one_hot(x, process.vocabulary)
    return x_s[..., None] * F.one_hot(u, process.vocabulary)[..., None, :]


def _remasking_law(
    d: Tensor, x: Tensor, u: Tensor, t: float, s: float, process: TokenProcess
) -> Tensor:
    """ReAUDM: as `_absorbing_law`; u enters through d alone."""
    del u
    count = process.vocabulary
    one = torch.eye(count).to(d)
    tokens = torch.arange(count)[:, None].expand(count, count)
    bridge = plug_in(one.expand(count, count, count), tokens, t, s, process)  # [x_t, x0, x_s]
    again = 1.0 / (1.0 + (count - 1) * float(process.alpha(s)))
    stays = (1.0 - (1.0 - again) * one)[..., None]  # [x0, x_s, 1]
    u_s = stays * one[None] + (1.0 - stays) / (count - 1) * (1.0 - one[None])
    return torch.einsum("nla,nlas,asu->nlsu", d, bridge[x], u_s)


def _advanced(law: Tensor, per_site: Tensor) -> Tensor:
    """The law [A^L, B^L] after independent transitions [N, L, A, B] from states [N]."""
    joint = per_site[:, 0]
    for site in range(1, per_site.shape[1]):
        a, b = joint.shape[1], joint.shape[2]
        joint = torch.einsum("nab,ncd->nacbd", joint, per_site[:, site])
        joint = joint.reshape(len(law), a * per_site.shape[2], b * per_site.shape[3])
    return torch.einsum("n,nab->ab", law, joint)


def masked_sampled(data: ExactData, steps: int) -> Tensor:
    """The law [S] at t = 0 of masked diffusion with the exact posterior."""
    count, sequences = data.process.vocabulary, data.sequences
    states = torch.cartesian_prod(*[torch.arange(count + 1)] * data.length).view(-1, data.length)
    agrees = ((states[:, None] == count) | (states[:, None] == sequences)).all(-1)
    posterior = data.p0 * agrees
    posterior = posterior / posterior.sum(1, keepdim=True).clamp_min(1e-300)
    known = F.one_hot(sequences, count + 1).to(posterior)
    d = torch.einsum("ns,slk->nlk", posterior, known)
    law = torch.zeros(len(states)).to(d)
    law[-1] = 1.0  # all masked
    for t, s in itertools.pairwise(times(steps)):
        alpha_t, alpha_s = float(data.process.alpha(t)), float(data.process.alpha(s))
        jump = (states == count).to(d)[..., None] * (alpha_s - alpha_t) / (1.0 - alpha_t)
        after = jump * d + (1.0 - jump) * F.one_hot(states, count + 1)
        law = _advanced(law, after[..., None])[:, 0]
    return law[(states < count).all(1)]


def integrated(integrand: Callable[[float], float], points: int = 64, power: float = 3.0) -> float:
    """The integral of a function over t in 0..1 by Gauss-Legendre nodes, dense near t = 0."""
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(points)
    u = 0.5 * (nodes + 1.0)
    slope = power * u ** (power - 1.0) * 0.5 * weights
    return sum(integrand(float(t)) * float(w) for t, w in zip(u**power, slope, strict=True))

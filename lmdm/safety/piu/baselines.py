"""What PIU is measured against: UCE's closed form, and SISS's weighted unlearning by images.

UCE: Gandikota et al. 2024, arXiv 2308.14761, eq. 7. SISS: Alberti et al. 2025, arXiv 2503.06618.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from lmdm.fitting import fit_network, generator_at
from lmdm.safety.piu.unlearning import IdentityModel

Tokens = Callable[[Tensor], Tensor]  # embeddings [N, D] -> condition tokens [N, T, width]


def uce(
    denoiser: nn.Module,
    tokens: Tokens,
    forget: Tensor,
    anchor: Tensor,
    retain: Tensor,
    erase: float = 20.0,
    preserve: float = 1.0,
    ridge: float = 0.7,
) -> nn.Module:
    """A copy whose cross-attention keys and values map the target's tokens where the anchor's go.

    W' = (e Σ W c_a c_fᵀ + p Σ W c_r c_rᵀ + λ W) (e Σ c_f c_fᵀ + p Σ c_r c_rᵀ + λ I)⁻¹, over tokens
    in their places. forget, retain: embeddings [N, D]; anchor [D].
    """
    edited = copy.deepcopy(denoiser)
    source = tokens(forget).flatten(0, 1).double()
    goal = tokens(anchor.expand(len(forget), -1)).flatten(0, 1).double()
    kept = tokens(retain).flatten(0, 1).double()
    identity = torch.eye(source.shape[1], dtype=torch.float64)
    gram = erase * source.T @ source + preserve * kept.T @ kept + ridge * identity
    cross = erase * goal.T @ source + preserve * kept.T @ kept + ridge * identity
    change = torch.linalg.solve(gram, cross.T).T  # cross gram⁻¹, gram being symmetric
    for name, module in edited.named_modules():
        if isinstance(module, nn.Linear) and name.endswith(("attn2.to_k", "attn2.to_v")):
            with torch.no_grad():
                module.weight.copy_(module.weight.double() @ change)
    return edited.requires_grad_(False)


def siss(
    model: IdentityModel,
    forget_latents: Tensor,
    forget_conditions: Tensor,
    retain_latents: Tensor,
    retain_conditions: Tensor,
    folder: Path,
    steps: int = 60,
    batch: int = 64,
    rate: float = 5e-6,
    ratio: float = 0.1,
    mixture: float = 0.5,
    seed: int = 42,
    quiet: bool = False,
) -> nn.Module:
    """Subtracted importance-sampled scores: descent on data kept, ascent on data forgotten.

    One noised latent m per pair, drawn from the mixture of the two forward processes, serves both
    terms, each weighted by its own density over the mixture's. ratio: the norm of the forgetting
    gradient over that of the other. Needs latents of real images: [N, ...] with conditions [N, D].
    """
    student = copy.deepcopy(model.denoiser).requires_grad_(True)
    parameters = list(student.parameters())
    optimizer = torch.optim.AdamW(parameters, rate)

    def loss_of(step: int) -> Tensor:
        generator = generator_at(seed, step)
        x = torch.randint(len(retain_latents), (batch,), generator=generator)
        a = torch.randint(len(forget_latents), (batch,), generator=generator)
        kept, gone = retain_latents[x], forget_latents[a]
        t = torch.randint(model.training_steps, (batch,), generator=generator)
        noise = torch.randn(kept.shape, generator=generator)
        alpha, sigma = _levels(model, kept, t)
        from_gone = torch.rand(batch, generator=generator) < mixture
        centre = torch.where(_as(from_gone, kept), alpha * gone, alpha * kept)
        m = centre + sigma * noise
        eps_kept, eps_gone = (m - alpha * kept) / sigma, (m - alpha * gone) / sigma
        distance = torch.stack([_square(eps_kept), _square(eps_gone)]) * -0.5
        prior = torch.tensor([1.0 - mixture, mixture]).log()[:, None]
        weights = (distance - torch.logsumexp(distance + prior, dim=0)).exp()
        keep = weights[0] * _square(model.predict(student, m, t, retain_conditions[x]) - eps_kept)
        lose = weights[1] * _square(model.predict(student, m, t, forget_conditions[a]) - eps_gone)
        size = kept[0].numel()
        keep_loss, lose_loss = keep.mean() / size, lose.mean() / size
        scale = ratio * _norm(keep_loss, parameters) / _norm(lose_loss, parameters).clamp_min(1e-12)
        return keep_loss - scale * lose_loss

    state = folder / "siss.state.safetensors"
    fit_network(student, optimizer, loss_of, state, steps, quiet=quiet)
    return student.eval().requires_grad_(False)


def _levels(model: IdentityModel, like: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """α_t and σ_t of each sample, read off the model's own forward process."""
    ones, zeros = torch.ones_like(like), torch.zeros_like(like)
    return model.noised(ones, zeros, t), model.noised(zeros, ones, t)


def _norm(value: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    gradients = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    return torch.stack([g.detach().norm() for g in gradients if g is not None]).norm()


def _square(difference: Tensor) -> Tensor:
    return difference.flatten(1).square().sum(dim=1)


def _as(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.dim() - 1))

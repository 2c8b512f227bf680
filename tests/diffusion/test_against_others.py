"""Solvers beside diffusers' schedulers and k-diffusion's samplers, where they overlap.

Development only: skipped where diffusers is not installed. diffusers keeps its tables in float32.
"""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from lmdm.diffusion import grid
from lmdm.diffusion.prediction import Kind, Prediction
from lmdm.diffusion.samplers import guided_velocity
from lmdm.diffusion.sampling import gaussian, sample
from lmdm.diffusion.schedule import EDM, VP, RectifiedFlow
from lmdm.diffusion.solvers import DDIM, DDPM, DPMpp2M, EDMHeun, Euler, Solver
from tests.laws.network import random

TRAIN, STEPS = 1000, 10
BETAS = grid.ddpm_chain(VP(), torch.linspace(0, 1, TRAIN + 1, dtype=torch.float64))[1]
TIMES = grid.ddpm_indices(STEPS, TRAIN)


def network(x: Tensor, t: float | Tensor) -> Tensor:
    """Something smooth, as eps, v or x0."""
    return torch.tanh(0.7 * x) + 0.1 * x


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(4)


def diffusers_walk(name: str, x: Tensor, options: dict, **step: object) -> Tensor:
    """A scheduler's walk over its own timesteps, by the network at k = timestep + 1."""
    diffusers = pytest.importorskip("diffusers")
    scheduler = getattr(diffusers, name)(**options)
    scheduler.set_timesteps(STEPS)
    for timestep in scheduler.timesteps:
        x = scheduler.step(network(x, 0.0), timestep, x, **step).prev_sample
    return x


VP_TABLE = {
    "num_train_timesteps": TRAIN,
    "trained_betas": BETAS.tolist(),
    "timestep_spacing": "trailing",
}


@pytest.mark.parametrize(
    ("name", "options", "step", "solver"),
    [
        ("DDIMScheduler", {"clip_sample": False}, {}, DDIM()),
        ("DDIMScheduler", {"clip_sample": False}, {"eta": 0.7}, DDIM(eta=0.7)),
        ("DDPMScheduler", {"clip_sample": False}, {}, DDPM()),
        ("DPMSolverMultistepScheduler", {"final_sigmas_type": "zero"}, {}, DPMpp2M()),
    ],
    ids=["ddim", "ddim eta", "ddpm", "dpm++ 2m"],
)
@pytest.mark.parametrize("kind", [("epsilon", Kind.EPS), ("v_prediction", Kind.VP_V)])
def test_vp_schedulers(
    name: str, options: dict, step: dict, solver: Solver, kind: tuple[str, Kind]
) -> None:
    x = random(4, 3, seed=1).float()
    step = dict(step)
    if not isinstance(solver, DPMpp2M):
        step["generator"] = generator()
    theirs = diffusers_walk(name, x, VP_TABLE | options | {"prediction_type": kind[0]}, **step)
    denoiser = lambda x, t: Prediction(network(x, t), kind[1])  # noqa: E731
    ours = sample(denoiser, VP(), TIMES, solver, x, generator())
    assert (ours - theirs).abs().max() < 2e-4 * (1 + theirs.abs().max())


def test_flow_matching_scheduler_and_its_shift() -> None:
    x = random(4, 3, seed=1).float()
    theirs = diffusers_walk("FlowMatchEulerDiscreteScheduler", x, {"shift": 3.0})
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(STEPS)
    first = torch.linspace(TRAIN, scheduler.sigma_min * TRAIN, STEPS) / TRAIN
    assert (scheduler.sigmas[:-1] - grid.shifted(first, 3.0)).abs().max() < 1e-5
    denoiser = lambda x, t: Prediction(network(x, t), Kind.V)  # noqa: E731
    ours = sample(denoiser, RectifiedFlow(), scheduler.sigmas.double(), Euler(), x)
    assert (ours - theirs).abs().max() < 1e-5


def test_edm_scheduler_and_preconditioning() -> None:
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, sigma_data=0.5)
    scheduler.set_timesteps(STEPS)
    levels = grid.edm_rho(EDM(), STEPS - 1, 0.002, 80.0)
    assert torch.allclose(scheduler.sigmas[:-1].double(), levels, rtol=1e-5)
    x = theirs = 80 * random(4, 3, seed=1).float()
    for timestep in scheduler.timesteps:
        scaled = scheduler.scale_model_input(theirs, timestep)
        theirs = scheduler.step(network(scaled, 0.0), timestep, theirs).prev_sample

    def denoiser(x: Tensor, t: float | Tensor) -> Prediction:
        return Prediction(network(x / math.sqrt(t**2 + 0.25), t), Kind.EDM_F)

    ours = sample(denoiser, EDM(), grid.to_clean(levels, EDM()), DDIM(), x)
    assert (ours - theirs).abs().max() < 1e-4


# --- k-diffusion's samplers, written anew in its own terms: D(x; sigma), sigmas falling to 0 -----


def k_heun(denoise, x, sigmas, churn, noise):
    for sigma, after in itertools.pairwise(sigmas):
        gamma = min(churn / (len(sigmas) - 1), 2**0.5 - 1)
        hat = sigma * (gamma + 1)
        if gamma > 0:
            x = x + noise(x) * (hat**2 - sigma**2) ** 0.5
        d = (x - denoise(x, hat)) / hat
        if after == 0:
            x = x + d * (after - hat)
        else:
            x_2 = x + d * (after - hat)
            d_2 = (x_2 - denoise(x_2, after)) / after
            x = x + (d + d_2) / 2 * (after - hat)
    return x


def k_euler_ancestral(denoise, x, sigmas, noise):
    for sigma, after in itertools.pairwise(sigmas):
        up = min(after, (after**2 * (sigma**2 - after**2) / sigma**2) ** 0.5)
        down = (after**2 - up**2) ** 0.5
        denoised = denoise(x, sigma)
        x = x + (x - denoised) / sigma * (down - sigma)
        if up > 0:
            x = x + noise(x) * up
    return x


def k_dpmpp_2m(denoise, x, sigmas):
    old, time = None, lambda sigma: -math.log(sigma)
    for index, (sigma, after) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, sigma)
        if after == 0:
            x = denoised
        else:
            h, mixed = time(after) - time(sigma), denoised
            if old is not None:
                r = (time(sigma) - time(sigmas[index - 1])) / h
                mixed = (1 + 1 / (2 * r)) * denoised - 1 / (2 * r) * old
            x = after / sigma * x - math.expm1(-h) * mixed
        old = denoised
    return x


def test_k_diffusion_s_samplers() -> None:
    levels = grid.to_clean(grid.edm_rho(EDM(), 12, 0.02, 20.0), EDM()).tolist()
    x = 20 * random(5, 2, seed=1)

    def denoise(y: Tensor, sigma: float) -> Tensor:
        return (y + torch.tanh(y)) / (1 + sigma**2)

    def noise() -> object:
        numbers = generator()
        return lambda like: gaussian(like, numbers)

    denoiser = lambda y, t: Prediction(denoise(y, t), Kind.X0)  # noqa: E731
    for theirs, solver in (
        (k_heun(denoise, x, levels, 0.0, noise()), EDMHeun()),
        (k_heun(denoise, x, levels, 4.0, noise()), EDMHeun.churned(4.0, len(levels) - 1)),
        (k_euler_ancestral(denoise, x, levels, noise()), DDIM(eta=1.0)),
        (k_euler_ancestral(denoise, x, levels, noise()), DDPM()),
        (k_dpmpp_2m(denoise, x, levels), DPMpp2M()),
    ):
        ours = sample(denoiser, EDM(), levels, solver, x, noise=noise())
        assert (ours - theirs).abs().max() < 1e-11, solver


@pytest.mark.parametrize("parallel", [0.0, 0.3, 1.0])
def test_projected_guidance_of_velocities_is_diffusers_of_data(parallel: float) -> None:
    guiders = pytest.importorskip("diffusers.guiders.adaptive_projected_guidance")
    x, conditional, null = (random(2, 4, 3, seed=n) for n in range(3))
    t, guidance = 0.7, 2.5
    ours = x - t * guided_velocity(x, t, (conditional, null), guidance, parallel)
    data = x - t * conditional, x - t * null
    theirs = guiders.normalized_guidance(
        *data, guidance - 1.0, eta=parallel, use_original_formulation=True
    )
    assert (ours - theirs).abs().max() < 1e-12

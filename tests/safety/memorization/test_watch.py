"""Watched schedulers: the same samples as the plain ones, and the norms of their own updates."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, PNDMScheduler

from lmdm.errors import InputError
from lmdm.safety.memorization.mitigation import Mitigation
from lmdm.safety.memorization.region import Region, norms_of
from lmdm.safety.memorization.watch import Watch, watched

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def walk(scheduler: Any, steps: int = 12) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """A trajectory under a fixed, non-linear stand-in for a network; its latents, step by step."""
    scheduler.set_timesteps(steps)
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    seen = [latents]
    for t in scheduler.timesteps:
        latents = scheduler.step(torch.tanh(latents) + 0.1 * latents, t, latents).prev_sample
        seen.append(latents)
    return latents, seen


@pytest.mark.parametrize("kind", ["ddim", "pndm"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_watching_changes_nothing(kind: str, prediction: str) -> None:
    plain = {"ddim": DDIMScheduler, "pndm": PNDMScheduler}[kind](
        **BETAS, prediction_type=prediction,
        **({"skip_prk_steps": True} if kind == "pndm" else {"clip_sample": False}),
    )  # fmt: skip
    watch = Watch()
    twin = watched(plain, watch)
    expected, seen = walk(plain)
    made, _ = walk(twin)
    assert torch.equal(made, expected)
    traces = watch.traces()
    assert traces.shape == (2, 12 + (kind == "pndm"), 3)
    moved = torch.stack([(b - a).double().flatten(1).norm(dim=1) for a, b in pairwise(seen)])
    if kind == "ddim":
        assert torch.allclose(traces[:, :, 0].T, moved, rtol=1e-6)
    else:  # the warm-up makes the first step twice, from the same latent
        assert torch.allclose(traces[:, 2:, 0].T, moved[2:], rtol=1e-6)


def test_the_denoised_of_pndm_explains_its_proposal() -> None:
    """Formula 9 is DDIM's step in x̂0 and ε: z' = √ᾱ' x̂0 + √(1 − ᾱ') ε."""
    plain = PNDMScheduler(**BETAS, skip_prk_steps=True)
    found = []

    class Recording(Watch):
        def __call__(self, latents, proposal, denoised, coefficient):  # type: ignore[no-untyped-def]
            found.append((latents, proposal, denoised, coefficient))
            return proposal

    twin = watched(plain, Recording())
    walk(twin)
    for index, (latents, proposal, denoised, coefficient) in enumerate(found[2:], start=2):
        t = int(twin.timesteps[index])
        signal = float(plain.alphas_cumprod[t])
        noise = (latents - signal**0.5 * denoised) / (1 - signal) ** 0.5
        expected = coefficient * denoised + (1 - coefficient**2) ** 0.5 * noise
        assert torch.allclose(proposal, expected, atol=2e-5)


def test_a_mitigation_acts_through_the_scheduler() -> None:
    plain = DDIMScheduler(**BETAS, clip_sample=False)
    tight = Region(torch.full((12, 3), 1.0).double(), torch.full((12, 3), 0.01).double(), {}, 9)
    watch = Watch(tight, Mitigation())
    made, _ = walk(watched(plain, watch))
    assert not torch.equal(made, walk(plain)[0])
    assert bool(torch.stack(watch.active).all())
    assert norms_of(made, made, made)[2].tolist() == pytest.approx([1.03, 1.03], abs=1e-3)


def test_other_schedulers_and_longer_runs_are_refused() -> None:
    with pytest.raises(InputError, match="DPMSolverMultistepScheduler cannot be watched"):
        watched(DPMSolverMultistepScheduler(), Watch())
    with pytest.raises(InputError, match="Runge-Kutta"):
        watched(PNDMScheduler(**BETAS), Watch())
    short = Region(torch.ones(3, 3).double(), torch.ones(3, 3).double(), {}, 9)
    with pytest.raises(InputError, match="more than the 3 steps"):
        walk(watched(DDIMScheduler(**BETAS, clip_sample=False), Watch(short)))

"""Schedulers of diffusers whose steps are watched: norms are recorded, and guarded if asked.

watch = Watch(region, Mitigation())
pipeline.scheduler = watched(pipeline.scheduler, watch)

What is judged is the scheduler's own update, after guidance and after a multistep solver has
combined its history; the history itself is not edited (§2.4).
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import torch
from diffusers import DDIMScheduler, PNDMScheduler
from torch import Tensor

from lmdm.errors import InputError
from lmdm.safety.memorization.mitigation import UNLABELLED, Mitigation, guard
from lmdm.safety.memorization.region import Region, norms_of


class Watch:
    """Sees every step of one batch of trajectories. Call `begin` before each batch.

    Without a region it only records norms; with one it labels; with a mitigation it acts.
    """

    def __init__(self, region: Region | None = None, mitigation: Mitigation | None = None) -> None:
        if mitigation is not None and region is None:
            raise ValueError("a mitigation needs a region")
        self.region, self.mitigation = region, mitigation
        self.begin()

    def begin(self) -> None:
        """Forgets the batch before."""
        self.norms: list[Tensor] = []  # a step: [3, B]
        self.active: list[Tensor] = []  # a step: bool [B]
        self.labels: Tensor | None = None  # [B]

    def __call__(
        self, latents: Tensor, proposal: Tensor, denoised: Tensor, coefficient: float
    ) -> Tensor:
        """The proposal, or what the mitigation makes of it. Latents [B, ...]."""
        step = len(self.norms)
        self.norms.append(norms_of(latents, proposal, denoised).cpu())
        if self.labels is None:
            self.labels = torch.full((len(latents),), UNLABELLED)
        if self.region is None:
            self.active.append(torch.zeros(len(latents), dtype=torch.bool))
            return proposal
        if step >= self.region.steps:
            raise InputError(
                f"this run takes more than the {self.region.steps} steps the region was "
                "calibrated for; calibrate one for this setting"
            )
        guarded = guard(
            latents,
            proposal,
            denoised,
            coefficient,
            self.labels,
            step,
            self.region,
            self.mitigation,
        )
        self.labels = guarded.labels
        self.active.append(guarded.active)
        return guarded.proposal

    def traces(self) -> Tensor:
        """Norms of the batch, [B, K, 3]."""
        return torch.stack(self.norms).permute(2, 0, 1).contiguous()


class WatchedDDIM(DDIMScheduler):
    """DDIM; the proposal is its previous sample, x̂0 its predicted original."""

    watch: Watch

    @wraps(DDIMScheduler.step)
    def step(
        self, model_output: Tensor, timestep: int, sample: Tensor, *rest: Any, **more: Any
    ) -> Any:
        """See `DDIMScheduler.step`."""
        as_output = more.pop("return_dict", True)
        out = super().step(model_output, timestep, sample, *rest, **more)
        earlier = timestep - self.config.num_train_timesteps // self.num_inference_steps
        signal = self.alphas_cumprod[earlier] if earlier >= 0 else self.final_alpha_cumprod
        proposal = self.watch(
            sample, out.prev_sample, out.pred_original_sample, float(signal) ** 0.5
        )
        out.prev_sample = proposal
        return out if as_output else (proposal, out.pred_original_sample)


class WatchedPNDM(PNDMScheduler):
    """PNDM's linear multistep; x̂0 comes from its combined ε, the update from where it starts.

    In its warm-up the first step is made twice from the same latent; both are recorded, so a run of
    N steps has N + 1 rows.
    """

    watch: Watch

    def _get_prev_sample(
        self, sample: Tensor, timestep: int, prev_timestep: int, model_output: Tensor
    ) -> Tensor:
        proposal = super()._get_prev_sample(sample, timestep, prev_timestep, model_output)
        signal = self.alphas_cumprod[timestep]
        noise = 1 - signal
        if self.config.prediction_type == "v_prediction":
            denoised = signal**0.5 * sample - noise**0.5 * model_output
        else:
            denoised = (sample - noise**0.5 * model_output) / signal**0.5
        later = (
            self.alphas_cumprod[prev_timestep] if prev_timestep >= 0 else self.final_alpha_cumprod
        )
        return self.watch(sample, proposal, denoised, float(later) ** 0.5)


SCHEDULERS: dict[str, tuple[Any, Any]] = {
    "ddim": (DDIMScheduler, WatchedDDIM),
    "pndm": (PNDMScheduler, WatchedPNDM),
}


def watched(scheduler: Any, watch: Watch, kind: str | None = None) -> Any:
    """The watched twin of a scheduler, of its own kind or of `kind` with its configuration.

    Raises:
        InputError: a kind that has no watched twin, or PNDM with Runge-Kutta warm-up.
    """
    for name, (plain, twin) in SCHEDULERS.items():
        if name == kind or (kind is None and isinstance(scheduler, plain)):
            made = twin.from_config(scheduler.config)
            if name == "pndm" and not made.config.skip_prk_steps:
                raise InputError(
                    "PNDM with a Runge-Kutta warm-up cannot be watched; set skip_prk_steps, as "
                    "Stable Diffusion does"
                )
            made.watch = watch
            return made
    wanted = kind or type(scheduler).__name__
    raise InputError(f"the scheduler {wanted} cannot be watched; choose {' or '.join(SCHEDULERS)}")

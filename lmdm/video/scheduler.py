"""A diffusers scheduler whose step is one's own: the hook by which tools enter a real pipeline."""

from __future__ import annotations

from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
    FlowMatchEulerDiscreteSchedulerOutput,
)
from torch import Tensor


class SteppingScheduler(FlowMatchEulerDiscreteScheduler):
    """Leaves timesteps and bookkeeping to diffusers; a subclass says what one step does."""

    sigmas: Tensor
    timesteps: Tensor
    _step_index: int | None

    def moved(self, velocity: Tensor, latents: Tensor, index: int) -> Tensor:
        """The latents after step `index`, from sigmas[index] to sigmas[index + 1]; float32."""
        raise NotImplementedError

    def step(
        self,
        model_output: Tensor,
        timestep: float | Tensor,
        sample: Tensor,
        return_dict: bool = True,
        **_: Any,
    ) -> FlowMatchEulerDiscreteSchedulerOutput | tuple[Tensor]:
        """One step in float32; what is returned has the precision of `sample`."""
        if self.step_index is None:
            self._init_step_index(timestep)
        index = int(self.step_index)
        stepped = self.moved(model_output.float(), sample.float(), index).to(sample.dtype)
        self._step_index = index + 1
        if not return_dict:
            return (stepped,)
        return FlowMatchEulerDiscreteSchedulerOutput(prev_sample=stepped)

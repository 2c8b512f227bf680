"""From an instruction to a video: plan, then render under chained guidance (dossier §4)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lmdm.video import words
from lmdm.video.bernini.guidance import Condition, Omegas, chain_of, chained
from lmdm.video.bernini.planner import Instruction, Planner, plan
from lmdm.video.bernini.renderer import segments_of
from lmdm.video.bernini.tasks import FRAMES, MOST_REFERENCES, SIZE
from lmdm.video.bernini.training import Batch, instruction_of
from lmdm.video.bernini.vit import VisualEncoder
from lmdm.video.dit import VideoDiT
from lmdm.video.timesteps import flow_timesteps

# velocity of the target x at t, with the source tokens and the context of a condition
Predict = Callable[[Tensor, float, Condition], Tensor]


@dataclass(frozen=True)
class RenderSettings:
    """Everything that a rendering depends on besides its inputs."""

    omegas: Omegas
    plan_steps: int = 25
    vit_steps: int = 5
    text_guidance: float = 1.2
    image_guidance: float = 1.0
    steps: int = 40
    shift: float = 5.0
    apg: bool = True
    merged: bool = False
    cot: str = "none"  # none, text, visual (which includes text)
    planned: bool = True
    seed: int = 0


def guided_walk(
    predict: Predict,
    noise: Tensor,
    settings: RenderSettings,
    *,
    video: bool,
    images: bool,
    planned: bool,
) -> Tensor:
    """Euler steps of the guided velocity, from noise to clean latents."""
    x = noise
    timesteps = flow_timesteps(settings.steps, settings.shift).tolist()
    for t, t_next in itertools.pairwise(timesteps):
        chain, strengths = chain_of(
            settings.omegas.at(t), video=video, images=images, plan=planned, merged=settings.merged
        )
        predictions = [predict(x, t, condition) for condition in chain]
        v = chained(predictions, strengths, apg=settings.apg)
        x = x + (t_next - t) * v
    return x


@dataclass(frozen=True)
class Rendered:
    """Latents [B, 3, T, 16, 16], the plan [B, 16, WIDTH] or None, and what was reasoned."""

    latents: Tensor
    plan: Tensor | None
    said: tuple[str, ...] = ()  # the instruction made explicit, where it was
    sketch: Tensor | None = None  # the picture that was edited first, [B, 3, 1, 16, 16]


@dataclass(frozen=True)
class Bernini:
    """The toy's three networks; renderer: None where only plans are asked for."""

    vit: VisualEncoder
    planner: Planner
    renderer: VideoDiT | None

    @torch.no_grad()
    def render(
        self, batch: Batch, settings: RenderSettings, given_plan: Tensor | None = None
    ) -> Rendered:
        """A batch of instructions of one task. given_plan: instead of the planner's own."""
        said: tuple[str, ...] = ()
        sketch = None
        instruction = instruction_of(self.vit, batch)
        text = batch.words
        if settings.cot != "none":
            instruction, said = self.explicit(instruction)
            text = torch.stack([words.encode(prompt) for prompt in said])
        if settings.cot == "visual" and len(batch.references) < MOST_REFERENCES:
            first = replace(settings, cot="none")
            sketch = self._drawn(batch, text, self._plan(instruction, first), first)[:, :, :1]
            batch = replace(batch, references=(*batch.references, sketch))
            shown = instruction_of(self.vit, batch)
            instruction = replace(
                instruction, references=shown.references,
                present=instruction.present | shown.present,
            )  # fmt: skip
        made = given_plan
        if made is None and settings.planned:
            made = self._plan(instruction, settings)
        return Rendered(self._drawn(batch, text, made, settings), made, said, sketch)

    def explicit(self, instruction: Instruction) -> tuple[Instruction, tuple[str, ...]]:
        """The instruction with its answer filled in, and the answers as words."""
        answer = self.planner.explicit(instruction)
        present = instruction.present.clone()
        present[:, 5] = True
        said = tuple(
            " ".join(words.VOCABULARY[index] for index in row if index != words.PAD)
            for row in answer.tolist()
        )
        return replace(instruction, answer=answer, present=present), said

    def _plan(self, instruction: Instruction, settings: RenderSettings) -> Tensor:
        embeddings, residual = plan(
            self.planner, instruction, steps=settings.plan_steps, vit_steps=settings.vit_steps,
            text_guidance=settings.text_guidance, image_guidance=settings.image_guidance,
            seed=settings.seed,
        )  # fmt: skip
        return embeddings + residual

    def _drawn(
        self, batch: Batch, text: Tensor, made: Tensor | None, settings: RenderSettings
    ) -> Tensor:
        renderer, size = self.renderer, len(text)
        assert renderer is not None, "these networks only plan"
        generator = torch.Generator().manual_seed(settings.seed)
        noise = torch.randn(size, 3, FRAMES, SIZE, SIZE, generator=generator)
        clip = () if batch.source is None else (batch.source,)
        nothing = torch.stack([words.encode("")] * size)

        def predict(x: Tensor, t: float, condition: Condition) -> Tensor:
            sources = {"none": (), "video": clip, "all": (*clip, *batch.references)}
            shown = sources[condition.sources]
            return renderer(
                x,
                x.new_full((size,), t),
                nothing if condition.context == "negative" else text,
                made if condition.context == "plan" else None,
                shown,
                segments_of(len(shown)),
            )

        return guided_walk(
            predict, noise, settings, video=bool(clip), images=bool(batch.references),
            planned=made is not None,
        )  # fmt: skip

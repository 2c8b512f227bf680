"""Bernini's renderer through a Wan pipeline folder: sources by its codec, text by its encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lmdm.errors import InputError
from lmdm.video import pipelines
from lmdm.video.bernini.guidance import EXPERT_SWITCH, Condition
from lmdm.video.bernini.renderer import segments_of
from lmdm.video.bernini.rendering import RenderSettings, guided_walk
from lmdm.video.bernini.wan import TextBudget, as_renderer, context_of


@dataclass(frozen=True)
class WanInputs:
    """Pictures in -1..1: source [3, T, H, W] or None, references [3, 1, H, W] each.

    plan: rows [m, text_dim] as `for_gen` gives them, or None.
    """

    prompt: str
    negative: str
    source: Tensor | None
    references: tuple[Tensor, ...]
    plan: Tensor | None


class WanBernini:
    """A Wan pipeline whose transformers (one, or two experts) are packed-segment renderers."""

    def __init__(self, pipe: Any) -> None:
        """Raises InputError for a pipeline that is not Wan's."""
        if pipelines.kind_of(pipe).name != pipelines.WAN.name:
            raise InputError("Bernini renders with a Wan pipeline; this is another")
        self.pipe = pipe
        self.high = as_renderer(pipe.transformer)
        low = getattr(pipe, "transformer_2", None)
        self.low = self.high if low is None else as_renderer(low)
        self.experts = 1 if low is None else 2

    @torch.no_grad()
    def render(
        self, inputs: WanInputs, settings: RenderSettings, frames: int, height: int, width: int
    ) -> tuple[Tensor, list[TextBudget]]:
        """The video [3, frames, H, W] and what became of the contexts' tokens.

        Raises:
            InputError: sizes that do not divide, or a plan of another width.
        """
        grid = pipelines.wan_grid(pipelines.kind_of(self.pipe), frames, height, width)
        contexts, budgets = self._contexts(inputs)
        clip = () if inputs.source is None else (self._encoded(inputs.source),)
        pictures = tuple(self._encoded(each) for each in inputs.references)
        shape = (1, self.high.config.in_channels, *grid)
        generator = torch.Generator().manual_seed(settings.seed)
        noise = torch.randn(shape, generator=generator).to(self.pipe.device)

        def predict(x: Tensor, t: float, condition: Condition) -> Tensor:
            expert = self.high if t >= EXPERT_SWITCH else self.low
            shown = {"none": (), "video": clip, "all": (*clip, *pictures)}[condition.sources]
            timestep = x.new_full((1,), 1000 * t)
            velocity = expert(
                x.to(expert.dtype), timestep, contexts[condition.context], shown,
                segments_of(len(shown)),
            )  # fmt: skip
            return velocity[0].float()

        latents = guided_walk(
            predict, noise, settings, video=bool(clip), images=bool(pictures),
            planned=inputs.plan is not None,
        )  # fmt: skip
        return pipelines.decode(self.pipe, latents[0]), budgets

    def _contexts(self, inputs: WanInputs) -> tuple[dict[str, Tensor], list[TextBudget]]:
        """Contexts [1, 512, text_dim] by name; no plan in text and negative."""
        width = self.high.config.text_dim
        if inputs.plan is not None and (inputs.plan.dim() != 2 or inputs.plan.shape[1] != width):
            raise InputError(
                f"the plan has shape {list(inputs.plan.shape)}; this renderer reads rows of {width}"
            )
        text, negative = (self._text(each) for each in (inputs.prompt, inputs.negative))
        made = {
            "negative": context_of(negative, None),
            "text": context_of(text, None),
            "plan": context_of(text, inputs.plan),
        }
        contexts = {name: context[None] for name, (context, _) in made.items()}
        return contexts, [budget for _, budget in made.values()]

    def _text(self, prompt: str) -> Tensor:
        """The encoder's rows of a prompt, without padding: [n, text_dim]."""
        pipe = self.pipe
        tokens = pipe.tokenizer(
            [prompt], truncation=True, max_length=512, add_special_tokens=True, return_tensors="pt"
        )
        ids = tokens.input_ids.long().to(pipe.text_encoder.device)
        if not ids.shape[1]:  # a tokenizer without an end mark has nothing to say of ""
            return torch.zeros(
                0, self.high.config.text_dim, dtype=self.high.dtype, device=ids.device
            )
        return pipe.text_encoder(ids).last_hidden_state[0].to(self.high.dtype)

    def _encoded(self, video: Tensor) -> Tensor:
        """Pictures [3, T, H, W] as clean latents [1, C, t, h, w] of the network's scale."""
        return pipelines.wan_encode(self.pipe, video).to(self.high.dtype)


def fitted(video: Tensor, unit: int, temporal: int) -> Tensor:
    """A source cut to whole patches: sides to multiples of `unit`, frames to 1 more than of
    `temporal`.

    Raises:
        InputError: it is smaller than one patch.
    """
    frames = 1 + (video.shape[1] - 1) // temporal * temporal
    rows, columns = (side // unit * unit for side in video.shape[2:])
    if not rows or not columns:
        raise InputError(f"a source of {video.shape[2]}x{video.shape[3]} pixels is below {unit}")
    return video[:, :frames, :rows, :columns]

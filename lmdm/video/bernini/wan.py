"""The renderer in Wan's layout: packed source segments and SA-3D RoPE, its weights unchanged.

`WanTransformer3DModel` calls its rope once and hands (cos, sin) to every block, so a subclass that
packs segments and adds phases is all; the names of its weights stay Wan's, and a folder of a
Bernini renderer or of Wan itself loads strictly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import WanTransformer3DModel
from torch import Tensor

CONTEXT = 512  # tokens of cross-attention context, as upstream pads and truncates


class WanRenderer(WanTransformer3DModel):
    """Velocity of a noisy target beside clean sources; without sources it is Wan itself."""

    def forward(
        self,
        hidden_states: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        sources: Sequence[Tensor] = (),
        segments: Sequence[float] = (),
        target_segment: float = 0.0,
        return_dict: bool = False,
    ) -> tuple[Tensor]:
        """Target latents [B, C, T, H, W], timestep [B] (0..1000), context [B, M, text_dim].

        sources: clean latents of any sizes, each in its own segment; they hear the same timestep.
        """
        del return_dict  # for pipelines that ask; a tuple is what they ask for
        parts = (*sources, hidden_states)
        ids = (*segments, target_segment)
        cos, sin = zip(
            *(self.segment_rope(part, s) for part, s in zip(parts, ids, strict=True)), strict=True
        )
        rotary = torch.cat(cos, dim=1), torch.cat(sin, dim=1)
        tokens = torch.cat(
            [self.patch_embedding(part).flatten(2).transpose(1, 2) for part in parts], dim=1
        ).contiguous()
        temb, projected, context, _ = self.condition_embedder(timestep, encoder_hidden_states, None)
        projected = projected.unflatten(1, (6, -1))
        for block in self.blocks:
            tokens = block(tokens, context, projected, rotary)
        frames, rows, columns = (
            size // step
            for size, step in zip(hidden_states.shape[2:], self.config.patch_size, strict=True)
        )
        target = tokens[:, -frames * rows * columns :]
        shift, scale = (self.scale_shift_table + temb.unsqueeze(1)).chunk(2, dim=1)
        target = (self.norm_out(target.float()) * (1 + scale) + shift).type_as(target)
        patches = self.proj_out(target).unflatten(1, (frames, rows, columns))
        patches = patches.unflatten(-1, (*self.config.patch_size, -1))
        return (patches.permute(0, 7, 1, 4, 2, 5, 3, 6).flatten(6, 7).flatten(4, 5).flatten(2, 3),)

    def segment_rope(self, latents: Tensor, segment: float) -> tuple[Tensor, Tensor]:
        """Wan's (cos, sin) [1, N, 1, D] of latents, with phase s theta^(-2j/D) on channel pair j.

        By the identities of the sum of angles; s may be fractional.
        """
        cos, sin = self.rope(latents)
        if not segment:
            return cos, sin
        size = self.config.attention_head_dim
        powers = torch.arange(0, size, 2, dtype=torch.float64) / size
        phase = (segment / 10000.0**powers).repeat_interleave(2)  # pairs lie side by side
        c, s = phase.cos().to(cos), phase.sin().to(cos)
        return cos * c - sin * s, sin * c + cos * s


@dataclass(frozen=True)
class TextBudget:
    """What became of a context's tokens: the cap cuts from the end, where the plan stands."""

    text: int
    plan: int
    text_cut: int
    plan_cut: int


def context_of(
    text: Tensor, plan: Tensor | None, *, cap: int = CONTEXT, keep_plan: bool = True
) -> tuple[Tensor, TextBudget]:
    """[text; plan] of one prompt, [n, D] and [m, D], padded with zeros to `cap` tokens.

    keep_plan: a text that is too long is cut rather than the plan. Otherwise, as upstream does, the
    whole is cut at its end: a long prompt silently costs the plan; the budget says how much.
    """
    rows = 0 if plan is None else len(plan)
    room = max(0, cap - rows) if keep_plan else cap
    kept_text = text[:room]
    kept_plan = text[:0] if plan is None else plan[: cap - len(kept_text)].to(text)
    budget = TextBudget(len(text), rows, len(text) - len(kept_text), rows - len(kept_plan))
    joined = torch.cat([kept_text, kept_plan])
    return torch.nn.functional.pad(joined, (0, 0, 0, cap - len(joined))), budget


def as_renderer(transformer: WanTransformer3DModel) -> WanRenderer:
    """A renderer with the weights of a loaded Wan transformer, tensor for tensor (strict)."""
    with torch.device("meta"):
        renderer = WanRenderer.from_config(transformer.config)
    renderer.load_state_dict(transformer.state_dict(), strict=True, assign=True)
    renderer.rope = transformer.rope  # its tables are not weights
    return renderer.eval()

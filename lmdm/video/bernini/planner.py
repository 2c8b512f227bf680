"""The planner: reads an instruction and its sources, and fills in the target's visual tokens.

One sequence [words | source | references | answer | target]. Everything before the target is causal
and never sees it; target tokens see all of that and each other (dossier §2). The hidden states of
the penultimate layer feed two heads: `for_vit` conditions the flow head, `for_gen` the renderer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmdm.config import from_dict
from lmdm.video import checkpoint, words
from lmdm.video.bernini.flow_head import FlowHead
from lmdm.video.bernini.tasks import MOST_REFERENCES
from lmdm.video.bernini.vit import TOKENS_A_PAIR, WIDTH
from lmdm.video.dit import VideoDiTConfig, VideoLayer, rotation_of

KIND = "planner"
TEXT = words.LONGEST_PROMPT
CLIP = 4 * TOKENS_A_PAIR  # tokens of a source or target clip
ANSWER = 4  # words of the instruction made explicit
KINDS = ("text", "source", *("reference",) * MOST_REFERENCES, "answer", "target")
LENGTHS = (TEXT, CLIP, *(TOKENS_A_PAIR,) * MOST_REFERENCES, ANSWER, CLIP)
TARGET = slice(sum(LENGTHS[:-1]), sum(LENGTHS))
VISUAL = slice(TEXT, TEXT + CLIP + MOST_REFERENCES * TOKENS_A_PAIR)
ANSWERS = slice(VISUAL.stop, VISUAL.stop + ANSWER)


@dataclass(frozen=True)
class PlannerConfig:
    """Sizes."""

    dim: int = 96
    depth: int = 4
    heads: int = 4


@dataclass(frozen=True)
class Instruction:
    """A batch of instructions. What is absent is removed, not zeroed: `present` says so.

    words [B, TEXT], source [B, CLIP, WIDTH], references [B, 3 * 4, WIDTH], answer [B, ANSWER];
    present: bool [B, 6], for text, source, three references, answer.
    """

    words: Tensor
    source: Tensor
    references: Tensor
    answer: Tensor
    present: Tensor

    def without(self, text: bool, visuals: bool) -> Instruction:
        """A copy that lacks its text (and answer), its visuals, or both."""
        present = self.present.clone()
        if text:
            present[:, [0, 5]] = False
        if visuals:
            present[:, 1:5] = False
        return Instruction(self.words, self.source, self.references, self.answer, present)


def attention_mask(present: Tensor) -> Tensor:
    """Who sees whom: bool [B, 1, N, N], True allows (dossier §2).

    Text, sources and answer: causal, never the target. Target: all before it, and bidirectional
    among itself. Absent tokens are seen by none but themselves.
    """
    total = sum(LENGTHS)
    index = torch.arange(total)
    target = index >= TARGET.start
    allowed = (index[None, :] <= index[:, None]) | (target[:, None] & target[None, :])
    there = torch.cat([present, torch.ones_like(present[:, :1])], dim=1)
    there = there.repeat_interleave(torch.tensor(LENGTHS), dim=1)
    itself = torch.eye(total, dtype=torch.bool)
    return ((allowed & there[:, None, :]) | itself)[:, None]


class Planner(nn.Module):
    """Hidden states of a sequence, and the three heads that read them."""

    def __init__(self, config: PlannerConfig = PlannerConfig()) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        head = dim // config.heads
        self.layer_config = VideoDiTConfig(
            dim=dim, depth=config.depth, heads=config.heads, axes=(head, 0, 0), multiplier=3,
            rope_base=1000.0,
        )  # fmt: skip
        self.embed_words = nn.Embedding(len(words.VOCABULARY), dim)
        self.embed_visual = nn.Linear(WIDTH, dim)
        self.mask_vector = nn.Parameter(0.1 * torch.randn(dim))
        self.kind = nn.Embedding(len(KINDS), dim)
        self.place = nn.Embedding(CLIP, dim)
        self.time = nn.Parameter(0.1 * torch.randn(dim))
        self.layers = nn.ModuleList(VideoLayer(self.layer_config) for _ in range(config.depth))
        self.to_words = nn.Linear(dim, len(words.VOCABULARY))
        self.for_vit = nn.Sequential(
            nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim), nn.RMSNorm(dim),
            nn.Linear(dim, dim),
        )  # fmt: skip
        last = nn.Linear(WIDTH, WIDTH)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.for_gen = nn.Sequential(nn.Linear(dim, WIDTH), nn.GELU(), nn.RMSNorm(WIDTH), last)
        self.flow_head = FlowHead(WIDTH, dim)

    def hidden(
        self, instruction: Instruction, target: Tensor, known: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Hidden states [B, N, dim] of the penultimate and of the last layer.

        target [B, CLIP, WIDTH] where known [B, CLIP]; elsewhere stands the mask vector.
        """
        visual = self.embed_visual(target)
        slots = torch.where(known[..., None], visual, self.mask_vector)
        tokens = torch.cat(
            [
                self.embed_words(instruction.words),
                self.embed_visual(instruction.source),
                self.embed_visual(instruction.references),
                self.embed_words(instruction.answer),
                slots,
            ],
            dim=1,
        )
        kinds = torch.arange(len(KINDS)).repeat_interleave(torch.tensor(LENGTHS))
        places = torch.cat([torch.arange(length) for length in LENGTHS])
        tokens = tokens + self.kind(kinds) + self.place(places)
        positions = torch.zeros(sum(LENGTHS), 3)
        positions[:, 0] = torch.arange(sum(LENGTHS))
        rotation = rotation_of(self.layer_config, positions)
        time = self.time.expand(len(tokens), 1, -1)
        mask = attention_mask(instruction.present)
        penultimate = tokens
        for index, layer in enumerate(self.layers):
            if index == len(self.layers) - 1:
                penultimate = tokens
            tokens, _ = layer(tokens, time, rotation, None, mask, None)
        return penultimate, tokens

    def losses(
        self, instruction: Instruction, target: Tensor, ratio: Tensor, draws: int,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """L_visual over masked tokens and L_ntp over the answer's words (dossier §3 (a), (b)).

        ratio [B]: share of target tokens that are masked; at least one is.
        """
        count = (ratio * CLIP).ceil().clamp(1, CLIP)
        order = torch.rand(len(target), CLIP, generator=generator).argsort(-1).argsort(-1)
        known = order >= count[:, None]
        penultimate, last = self.hidden(instruction, target, known)
        h = self.for_vit(penultimate[:, TARGET])
        visual = self.flow_head.loss(target[~known], h[~known], draws, generator)
        said = instruction.present[:, 5]
        if not said.any():
            return visual, visual.new_zeros(())
        before = last[said, ANSWERS.start - 1 : ANSWERS.stop - 1]
        logits = self.to_words(before).flatten(0, 1)
        return visual, F.cross_entropy(logits, instruction.answer[said].flatten())

    @torch.no_grad()
    def explicit(self, instruction: Instruction) -> Tensor:
        """The answer's words [B, ANSWER], read one after another: what is to be seen, explicitly.

        Self-text reasoning: "recolour red" over a source becomes "disc red left fast".
        """
        answer = torch.zeros_like(instruction.answer)
        present = instruction.present.clone()
        present[:, 5] = True
        nothing = torch.zeros(len(answer), CLIP, WIDTH)
        unknown = torch.zeros(len(answer), CLIP, dtype=torch.bool)
        for index in range(ANSWER):
            filled = Instruction(
                instruction.words, instruction.source, instruction.references, answer, present
            )
            _, last = self.hidden(filled, nothing, unknown)
            logits = self.to_words(last[:, ANSWERS.start - 1 + index])
            answer[:, index] = logits.argmax(-1)
        return answer


def masked_after(step: int, steps: int, tokens: int, masked: int) -> int:
    """Tokens still masked after step k of K: max(1, min(|M| - 1, floor(N cos(pi/2 (k+1)/K))));
    the last step leaves none.
    """
    if step == steps - 1:
        return 0
    cosine = math.floor(tokens * math.cos(math.pi / 2 * (step + 1) / steps))
    return max(1, min(masked - 1, cosine))


@torch.no_grad()
def plan(
    planner: Planner, instruction: Instruction, *, steps: int = 25, vit_steps: int = 5,
    text_guidance: float = 1.2, image_guidance: float = 1.0, seed: int = 0,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The plan: embeddings [B, CLIP, WIDTH] of the target, and for_gen of its tokens (dossier §4).

    Tokens are filled in a random order, some at a time, and what stands is not revised. Velocities
    are guided: u + image (i - u) + text (c - i), where u hears neither text nor visuals and i text
    only; predictions are written into all three copies.
    """
    generator = torch.Generator().manual_seed(seed)
    batch = len(instruction.words)
    copies = [
        (text_guidance, instruction),
        (image_guidance - text_guidance, instruction.without(text=False, visuals=True)),
        (1 - image_guidance, instruction.without(text=True, visuals=True)),
    ]
    target = torch.zeros(batch, CLIP, WIDTH)
    known = torch.zeros(batch, CLIP, dtype=torch.bool)
    order = torch.randperm(CLIP, generator=generator)
    masked = CLIP
    for step in range(steps):
        keep = masked_after(step, steps, CLIP, masked)
        todo = order[keep:masked]
        if not len(todo):
            continue
        hidden = []
        for weight, copy in copies:
            if weight:
                penultimate, _ = planner.hidden(copy, target, known)
                h = planner.for_vit(penultimate[:, TARGET][:, todo])
                hidden.append((weight, h.flatten(0, 1)))
        target[:, todo] = planner.flow_head.sample(hidden, vit_steps, generator).unflatten(
            0, (batch, len(todo))
        )
        known[:, todo] = True
        masked = keep
    penultimate, _ = planner.hidden(instruction, target, known)
    return target, planner.for_gen(penultimate[:, TARGET])


def build(settings: dict[str, Any]) -> Planner:
    """The network of a config.json."""
    return Planner(from_dict(PlannerConfig, settings, "the planner"))


def load(folder: Path | None = None) -> Planner:
    """A trained planner; None is the one that comes with the program."""
    return checkpoint.load(checkpoint.shipped_or(folder, KIND), KIND, build)

"""What the four stages learn from: batches of cases, and their losses (dossier §3, §7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lmdm.diffusion.path import interpolate, velocity
from lmdm.video import words
from lmdm.video.bernini.planner import ANSWER, CLIP, Instruction, Planner
from lmdm.video.bernini.renderer import segments_of
from lmdm.video.bernini.tasks import (
    MOST_REFERENCES,
    TASKS,
    Case,
    make_case,
    picture_of,
    video_of,
)
from lmdm.video.bernini.vit import TOKENS_A_PAIR, WIDTH, VisualEncoder
from lmdm.video.dit import VideoDiT
from lmdm.video.timesteps import shifted

# task -> (alpha, beta) of the Beta distribution of the masked share (paper, Table 3): the stronger
# the sources, the more is masked, or the planner would copy
MASK_RATIO = {"t2v": (8.0, 1.05), "v2v": (12.0, 0.9), "r2v": (10.0, 1.0), "rv2v": (12.0, 0.9)}
TEXT_WEIGHT = 0.2  # of L_ntp
DROPPED = 0.1  # share of examples without text, and of those without visuals
ANSWERED = 0.5  # share of examples whose answer stands before the target
NOISES = 4  # draws a token for the flow head
PLANLESS = 0.3  # share of the renderer's batches without a plan


@dataclass(frozen=True)
class Batch:
    """Cases as tensors. source, references, target: latents [B, 3, T, 16, 16] or None."""

    cases: tuple[Case, ...]
    words: Tensor
    answer: Tensor
    target: Tensor
    source: Tensor | None
    references: tuple[Tensor, ...]


def collate(cases: Sequence[Case]) -> Batch:
    """Cases of one task with equally many references."""
    first = cases[0]
    source = None
    if first.source is not None:
        source = torch.stack([video_of(case.source) for case in cases if case.source is not None])
    references = tuple(
        torch.stack([picture_of(case.references[index]) for case in cases])
        for index in range(len(first.references))
    )
    return Batch(
        tuple(cases),
        torch.stack([words.encode(case.prompt) for case in cases]),
        torch.stack([words.encode(case.target.prompt)[:ANSWER] for case in cases]),
        torch.stack([video_of(case.target) for case in cases]),
        source,
        references,
    )


def cases_of(task: str, size: int, generator: np.random.Generator) -> list[Case]:
    """Cases of one task that can be collated."""
    cases = [make_case(task, generator)]
    while len(cases) < size:
        case = make_case(task, generator)
        if len(case.references) == len(cases[0].references):
            cases.append(case)
    return cases


def instruction_of(
    vit: VisualEncoder, batch: Batch, *, answered: Tensor | None = None
) -> Instruction:
    """What the planner reads. answered: bool [B], whose answer is given; None: nobody's."""
    size = len(batch.words)
    present = torch.zeros(size, 2 + MOST_REFERENCES + 1, dtype=torch.bool)
    present[:, 0] = True
    source = torch.zeros(size, CLIP, WIDTH)
    references = torch.zeros(size, MOST_REFERENCES * TOKENS_A_PAIR, WIDTH)
    with torch.no_grad():
        if batch.source is not None:
            source, present[:, 1] = vit(batch.source), True
        for index, picture in enumerate(batch.references):
            where = slice(index * TOKENS_A_PAIR, (index + 1) * TOKENS_A_PAIR)
            references[:, where], present[:, 2 + index] = vit(picture), True
    if answered is not None:
        present[:, 5] = answered
    return Instruction(batch.words, source, references, batch.answer, present)


def planner_loss(
    planner: Planner, vit: VisualEncoder, batch: Batch, generator: np.random.Generator
) -> Tensor:
    """L_visual + 0.2 L_ntp of one batch, with conditions dropped for guidance."""
    size = len(batch.words)
    answered = torch.from_numpy(generator.random(size) < ANSWERED)
    instruction = instruction_of(vit, batch, answered=answered)
    dropped = torch.from_numpy(generator.random((2, size)) < DROPPED)
    instruction.present[dropped[0], 0] = False
    instruction.present[dropped[0], 5] = False
    instruction.present[dropped[1], 1:5] = False
    alpha, beta = MASK_RATIO[batch.cases[0].task]
    ratio = torch.from_numpy(generator.beta(alpha, beta, size)).float()
    with torch.no_grad():
        target = vit(batch.target)
    draws = torch.Generator().manual_seed(int(generator.integers(2**62)))
    visual, text = planner.losses(instruction, target, ratio, NOISES, draws)
    return visual + TEXT_WEIGHT * text


def renderer_loss(
    renderer: VideoDiT, batch: Batch, plan: Tensor | None, generator: np.random.Generator
) -> Tensor:
    """L_dit: flow matching of the target, clean sources packed beside it.

    The renderer reads what is to be seen as plain words, never the relational instruction.
    """
    size = len(batch.words)
    draws = torch.Generator().manual_seed(int(generator.integers(2**62)))
    t = shifted(torch.rand(size, generator=draws), 3.0)
    noise = torch.randn(batch.target.shape, generator=draws)
    noisy = interpolate(batch.target, noise, t.view(-1, 1, 1, 1, 1))
    said = [
        "" if generator.random() < 2 * DROPPED else _in_part(case.target.prompt, generator)
        for case in batch.cases
    ]
    text = torch.stack([words.encode(prompt) for prompt in said])
    sources = () if batch.source is None else (batch.source,)
    sources = (*sources, *batch.references)
    if generator.random() < DROPPED:
        sources = ()
    guess = renderer(noisy, t, text, plan, sources, segments_of(len(sources)))
    return (guess - velocity(batch.target, noise)).square().mean()


def _in_part(prompt: str, generator: np.random.Generator) -> str:
    """Some of the words: what is left unsaid must come from the plan, or from anywhere."""
    return " ".join(word for word in prompt.split() if generator.random() < 0.7)


def stage_planner(vit: VisualEncoder, size: int, seed: int) -> Callable[[nn.Module, int], Tensor]:
    """Stage 1: the loss of one step."""

    def loss_of(network: nn.Module, step: int) -> Tensor:
        assert isinstance(network, Planner)
        generator = np.random.default_rng((seed, step))
        task = TASKS[generator.integers(len(TASKS))]
        return planner_loss(network, vit, collate(cases_of(task, size, generator)), generator)

    return loss_of


def stage_renderer(vit: VisualEncoder, size: int, seed: int) -> Callable[[nn.Module, int], Tensor]:
    """Stage 2: the loss of one step, with the true target's embeddings as the plan."""

    def loss_of(network: nn.Module, step: int) -> Tensor:
        assert isinstance(network, VideoDiT)
        generator = np.random.default_rng((seed, step))
        weights = (0.55, 0.2, 0.2, 0.05)  # sources make long sequences: most steps do without
        task = str(generator.choice(TASKS, p=weights))
        batch = collate(cases_of(task, size, generator))
        plan = None
        if generator.random() >= PLANLESS:
            with torch.no_grad():
                plan = vit(batch.target)
        return renderer_loss(network, batch, plan, generator)

    return loss_of


class Together(nn.Module):
    """Planner and renderer as one network, for the joint stage."""

    def __init__(self, planner: Planner, renderer: VideoDiT) -> None:
        super().__init__()
        self.planner, self.renderer = planner, renderer


def stage_joint(vit: VisualEncoder, size: int, seed: int) -> Callable[[nn.Module, int], Tensor]:
    """Stage 3: L = 0.2 L_ntp + L_visual + L_dit (paper, Eq. 3).

    The renderer's plan is the true embeddings plus `for_gen` of the planner's own states, which
    begins at zero: gradients of the rendering reach the planner through it.
    """

    def loss_of(network: nn.Module, step: int) -> Tensor:
        assert isinstance(network, Together)
        generator = np.random.default_rng((seed, step))
        task = TASKS[generator.integers(len(TASKS))]
        batch = collate(cases_of(task, size, generator))
        loss = planner_loss(network.planner, vit, batch, generator)
        with torch.no_grad():
            target = vit(batch.target)
        instruction = instruction_of(vit, batch)
        known = torch.ones(len(target), CLIP, dtype=torch.bool)
        penultimate, _ = network.planner.hidden(instruction, target, known)
        plan = target + network.planner.for_gen(penultimate[:, -CLIP:])
        given = None if generator.random() < PLANLESS else plan
        return loss + renderer_loss(network.renderer, batch, given, generator)

    return loss_of

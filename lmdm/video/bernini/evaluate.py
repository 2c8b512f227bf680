"""The toy's claims, each with the measure that could falsify it (dossier §7)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmdm.video import metrics
from lmdm.video.base import to_pictures
from lmdm.video.bernini.guidance import DEFAULTS
from lmdm.video.bernini.known import plan_is_read
from lmdm.video.bernini.planner import CLIP, plan
from lmdm.video.bernini.rendering import Bernini, RenderSettings
from lmdm.video.bernini.tasks import COUNTS, Case, any_scene
from lmdm.video.bernini.training import Batch, cases_of, collate, instruction_of
from lmdm.video.bernini.vit import TOKENS_A_PAIR
from lmdm.video.words import COLOURS, SHAPES

FAST = RenderSettings(
    replace(DEFAULTS["t2v"], txt=2.0, img=1.0, vid=1.0, tgt=1.0), steps=16, shift=3.0, plan_steps=8
)


@dataclass(frozen=True)
class Accuracy:
    """Share of clips whose shape, colour, direction and speed are as wanted, and their mean."""

    shape: float
    colour: float
    direction: float
    speed: float

    @property
    def mean(self) -> float:
        """Of the four."""
        return (self.shape + self.colour + self.direction + self.speed) / 4

    def to_dict(self) -> dict[str, float]:
        """For reports."""
        return asdict(self) | {"mean": self.mean}


CHANCE = Accuracy(*(1 / count for count in COUNTS))


def accuracy(latents: Tensor, cases: Sequence[Case]) -> Accuracy:
    """Of rendered latents [B, ...] against what their cases ask for; read without a network."""
    hits = np.zeros(4)
    for video, case in zip(latents, cases, strict=True):
        wanted = (case.target.shape, case.target.colour, case.target.direction, case.target.speed)
        hits += np.array(metrics.read_scene(to_pictures(video))) == np.array(wanted)
    return Accuracy(*(float(hit) / len(cases) for hit in hits))


def relational_batch(count: int, seed: int) -> Batch:
    """Cases "shape of second colour of first ...": the renderer was never taught such words."""
    return collate(cases_of("r2v", count, np.random.default_rng((seed, 77))))


def plan_carries_meaning(bernini: Bernini, count: int, seed: int = 0) -> dict[str, Any]:
    """Relational prompts with the plan, without it, and with the plans of other cases."""
    batch = relational_batch(count, seed)
    settings = replace(FAST, seed=seed)
    planned = bernini.render(batch, settings)
    assert planned.plan is not None
    shuffled = bernini.render(batch, settings, planned.plan.roll(1, 0))
    text_only = bernini.render(batch, replace(settings, planned=False))
    with torch.no_grad():
        truth = bernini.render(batch, settings, bernini.vit(batch.target))
    rows = {
        "plan": accuracy(planned.latents, batch.cases),
        "text only": accuracy(text_only.latents, batch.cases),
        "shuffled plans": accuracy(shuffled.latents, batch.cases),
        "true embeddings as plan": accuracy(truth.latents, batch.cases),
        "chance": CHANCE,
    }
    semantic = {name: (row.shape + row.colour) / 2 for name, row in rows.items()}
    falsified = (
        semantic["plan"] <= semantic["text only"]
        or abs(semantic["plan"] - semantic["shuffled plans"]) < 0.05
    )
    return {"rows": {name: row.to_dict() for name, row in rows.items()}, "falsified": falsified}


def planner_accuracy(bernini: Bernini, count: int, seed: int = 0) -> dict[str, Any]:
    """Attributes read off the plan itself by the encoder's heads, by task."""
    rows = {}
    for index, task in enumerate(("t2v", "v2v", "r2v", "rv2v")):
        batch = collate(cases_of(task, count, np.random.default_rng((seed, index))))
        embeddings, _ = plan(
            bernini.planner, instruction_of(bernini.vit, batch), steps=8, seed=seed
        )
        rows[task] = _read(bernini, embeddings, batch.cases).to_dict()
    return {"rows": rows}


def _read(bernini: Bernini, embeddings: Tensor, cases: Sequence[Case]) -> Accuracy:
    with torch.no_grad():
        logits = bernini.vit.attributes(embeddings)
    wanted = torch.tensor(
        [[c.target.shape, c.target.colour, c.target.direction, c.target.speed] for c in cases]
    )
    return Accuracy(
        *(
            float((each.argmax(-1) == wanted[:, index]).float().mean())
            for index, each in enumerate(logits)
        )
    )


def ambiguous_batch(count: int) -> Batch:
    """One and the same prompt "any colour square left slow", `count` times."""
    generator = np.random.default_rng(0)
    cases = [
        Case("t2v", f"any colour {SHAPES[0]} left slow", any_scene(generator), free=("colour",))
        for _ in range(count)
    ]
    return collate(cases)


def colours_of_pairs(bernini: Bernini, embeddings: Tensor) -> Tensor:
    """The colour that the encoder reads off each pair of frames by itself: long [B, pairs]."""
    pairs = embeddings.unflatten(1, (-1, TOKENS_A_PAIR)).flatten(0, 1)
    with torch.no_grad():
        logits = bernini.vit.attributes(pairs)[1]
    return logits.argmax(-1).unflatten(0, (len(embeddings), -1))


def entropy(labels: Tensor) -> float:
    """Of the labels' frequencies, in nats; at most log 6."""
    shares = torch.bincount(labels.flatten(), minlength=len(COLOURS)).double()
    shares = shares / shares.sum()
    return float(-(shares * shares.clamp_min(1e-12).log()).sum())


def iterative_planning(
    bernini: Bernini, count: int, seed: int = 0, steps: Sequence[int] = (1, 4, 12)
) -> dict[str, Any]:
    """Whether the pairs of a clip agree on the colour that was left open, by planning steps."""
    batch = ambiguous_batch(count)
    instruction = instruction_of(bernini.vit, batch)
    agreement = {}
    for k in steps:
        embeddings, _ = plan(bernini.planner, instruction, steps=k, seed=seed)
        colours = colours_of_pairs(bernini, embeddings)
        agreement[k] = float((colours == colours.mode(1, keepdim=True).values).float().mean())
    values = list(agreement.values())
    return {"agreement": agreement, "falsified": values[-1] <= values[0] + 0.05}


def distribution_head(bernini: Bernini, count: int, seed: int = 0) -> dict[str, Any]:
    """Colours of "any colour": drawn by the flow head, and as its mean, which L2 would learn.

    The L2-optimal head returns E[e | h]; here that is the mean over many draws of the same token.
    """
    instruction = instruction_of(bernini.vit, ambiguous_batch(count))
    drawn, _ = plan(bernini.planner, instruction, steps=12, seed=seed)
    with torch.no_grad():
        nothing = torch.zeros_like(drawn)
        unknown = torch.zeros(count, CLIP, dtype=torch.bool)
        penultimate, _ = bernini.planner.hidden(instruction, nothing, unknown)
        hidden = bernini.planner.for_vit(penultimate[:1, -CLIP:]).expand(256, -1, -1)
        generator = torch.Generator().manual_seed(seed)
        draws = bernini.planner.flow_head.sample([(1.0, hidden.flatten(0, 1))], 8, generator)
    mean = draws.unflatten(0, (256, CLIP)).mean(0, keepdim=True)
    flow, l2 = (
        entropy(colours_of_pairs(bernini, drawn)[:, 0]),
        entropy(colours_of_pairs(bernini, mean.expand(count, -1, -1))[:, 0]),
    )
    return {
        "flow_entropy": flow,
        "l2_entropy": l2,
        "largest_entropy": math.log(len(COLOURS)),
        "norm_of_mean": float(mean.square().mean().sqrt()),
        "norm_of_draws": float(draws.square().mean().sqrt()),
        "falsified": flow <= l2,
    }


def target_dial(
    bernini: Bernini, count: int, seed: int = 0, omegas: Sequence[float] = (0.0, 0.5, 1.0, 2.0)
) -> dict[str, Any]:
    """How well the rendering keeps to a plan of other scenes, by omega_tgt."""
    batch = relational_batch(count, seed + 1)
    with torch.no_grad():
        wanted = bernini.vit(batch.target)
    adherence = {}
    for omega in omegas:
        settings = replace(FAST, omegas=replace(FAST.omegas, tgt=omega), seed=seed)
        row = accuracy(bernini.render(batch, settings, wanted).latents, batch.cases)
        adherence[omega] = row.mean
    values = list(adherence.values())
    return {"adherence": adherence, "falsified": values[2] <= values[0]}


def reasoning(bernini: Bernini, count: int, seed: int = 0) -> dict[str, Any]:
    """Accuracy of edits: without reasoning, with the instruction explicit, and with a sketch."""
    batch = collate(cases_of("v2v", count, np.random.default_rng((seed, 5))))
    rows, said = {}, 0.0
    for cot in ("none", "text", "visual"):
        rendered = bernini.render(batch, replace(FAST, cot=cot, seed=seed))
        rows[cot] = accuracy(rendered.latents, batch.cases).to_dict()
        if cot == "text":
            pairs = zip(rendered.said, batch.cases, strict=True)
            said = sum(words_ == case.target.prompt for words_, case in pairs) / count
    return {"rows": rows, "answers_right": said}


PLANNED = ("planner_accuracy", "iterative_planning", "distribution_head")  # without a renderer
SUITE: dict[str, Callable[..., dict[str, Any]]] = {
    "plan_is_read": plan_is_read,
    "plan_carries_meaning": plan_carries_meaning,
    "planner_accuracy": planner_accuracy,
    "iterative_planning": iterative_planning,
    "distribution_head": distribution_head,
    "target_dial": target_dial,
    "reasoning": reasoning,
}

"""Chained guidance: conditions are added in a fixed order, each with its own strength (§3 (d))."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from lmdm.diffusion.guidance import projected
from lmdm.errors import InputError

EXPERT_SWITCH = 0.875  # the time below which the low-noise expert, and weaker guidance, act
PARALLEL = 0.2  # of each delta's part along the prediction that is kept by APG


@dataclass(frozen=True)
class Omegas:
    """Strengths of text, source video, reference images and the plan (the target).

    scale: what all of them are multiplied by once t is below EXPERT_SWITCH.
    """

    txt: float = 4.0
    vid: float = 1.25
    img: float = 1.25
    tgt: float = 0.5
    scale: float = 1.0

    @classmethod
    def parse(cls, text: str, default: Omegas) -> Omegas:
        """From "txt=4,vid=1.25,img=1.25,tgt=0.5"; what is not said stays as in `default`.

        Raises:
            InputError: an unknown name, or no number.
        """
        values = {}
        for part in text.split(","):
            name, equals, value = part.partition("=")
            try:
                if not equals or name.strip() not in ("txt", "vid", "img", "tgt"):
                    raise ValueError
                values[name.strip()] = strength = float(value)
                if not math.isfinite(strength):
                    raise ValueError
            except ValueError:
                raise InputError(
                    f"--omega {part!r} is not one of txt=, vid=, img=, tgt= and a number"
                ) from None
        return replace(default, **values)

    def at(self, t: float) -> Omegas:
        """The strengths at time t."""
        if t >= EXPERT_SWITCH:
            return self
        s = self.scale
        return Omegas(s * self.txt, s * self.vid, s * self.img, s * self.tgt, 1.0)


# upstream's settings by task (dossier §5)
DEFAULTS = {
    "t2v": Omegas(4.0, 1.0, 1.0, 1.0),
    "r2v": Omegas(4.0, 1.25, 2.5, 1.5),
    "v2v": Omegas(4.0, 1.25, 1.25, 0.5),
    "rv2v": Omegas(4.0, 1.25, 3.0, 1.5),
}


def chained(predictions: Sequence[Tensor], omegas: Sequence[float], *, apg: bool) -> Tensor:
    """eps_0 + sum_i omega_i (eps_i - eps_{i-1}), in the order in which conditions were added.

    apg: each delta is projected along the prediction with more conditions, eps_i.

    Raises:
        ValueError: not one strength a delta.
    """
    if len(predictions) != len(omegas) + 1:
        raise ValueError(f"{len(predictions)} predictions and {len(omegas)} strengths")
    guided = predictions[0].clone()
    for (before, after), omega in zip(itertools.pairwise(predictions), omegas, strict=True):
        delta = after - before
        guided = guided + omega * (projected(delta, after, PARALLEL) if apg else delta)
    return guided


@dataclass(frozen=True)
class Condition:
    """What one prediction of the chain is given: which source tokens, which context.

    sources: "none", "video" (without references) or "all"; context: "negative", "text" or "plan".
    """

    sources: str
    context: str


def chain_of(
    omegas: Omegas, *, video: bool, images: bool, plan: bool, merged: bool
) -> tuple[list[Condition], list[float]]:
    """The conditions of a task in order, and the strengths of their deltas.

    merged: source video and references are one condition (upstream's edit mode, with vid's omega).
    Conditions that a task lacks are left out, and with them their pass.
    """
    chain, strengths = [Condition("none", "negative")], []
    if merged and (video or images):
        chain.append(Condition("all", "negative"))
        strengths.append(omegas.vid)
    elif not merged:
        if video:
            chain.append(Condition("video", "negative"))
            strengths.append(omegas.vid)
        if images:
            chain.append(Condition("all", "negative"))
            strengths.append(omegas.img)
    everything = "all" if video or images else "none"
    chain.append(Condition(everything, "text"))
    strengths.append(omegas.txt)
    if plan:
        chain.append(Condition(everything, "plan"))
        strengths.append(omegas.tgt)
    return chain, strengths

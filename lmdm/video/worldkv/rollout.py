"""A long rollout of a world model under a memory policy (dossier §3).

Chunk i attends to [sink | retrieved, nearest first | recent | itself]. After its last denoising
step one more pass on the clean latents at t = 0 gives the keys and values that are kept: those of a
noisy step would poison the memory.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lmdm.diffusion.path import denoised, interpolate
from lmdm.dit.layers import KeysValues
from lmdm.errors import InputError
from lmdm.video.timesteps import flow_timesteps
from lmdm.video.worldkv.adapter import ChunkModel
from lmdm.video.worldkv.bank import MemoryBank
from lmdm.video.worldkv.compression import RULES, compressed, kept_indices
from lmdm.video.worldkv.retrieval import (
    METRICS,
    attention_distances,
    candidates,
    chunk_pose,
    joined,
    nearest,
    pose_distances,
    random_choice,
)

MODES = ("full", "sliding", "retrieval")


@dataclass(frozen=True)
class MemoryPolicy:
    """What a chunk may remember. Values out of range raise InputError.

    mode: "full", all there was; "sliding", sink and recent; "retrieval", and `retrieve` chunks
    chosen by `metric`. sink, recent, retrieve: in chunks; recent counts past ones. keep: share of
    the non-anchor tokens that is stored (1: all). rope_correction: move retrieved keys to the
    places just before the recent ones, so that no distance was unseen in training.
    sampler: "ode", or "renoise" as few-step models do.
    """

    mode: str = "retrieval"
    sink: int = 1
    recent: int = 2
    retrieve: int = 2
    metric: str = "pose"
    translation_weight: float = 0.5
    rope_correction: bool = False
    keep: float = 1.0
    rule: str = "centroid"
    pooled: bool = False
    steps: int = 8
    shift: float = 1.0
    sampler: str = "ode"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (
            ("mode", MODES), ("metric", METRICS), ("rule", RULES), ("sampler", ("ode", "renoise")),
        ):  # fmt: skip
            if getattr(self, name) not in known:
                raise InputError(
                    f"there is no {name} {getattr(self, name)!r}; known: {', '.join(known)}"
                )
        if min(self.sink, self.recent, self.retrieve) < 0 or self.steps < 1:
            raise InputError("sink, recent and retrieve cannot be below 0, nor steps below 1")
        if not 0 <= self.keep <= 1 or not 0 <= self.translation_weight <= 1:
            raise InputError("the share kept and the weight of translation lie in 0..1")


@dataclass(frozen=True)
class ChunkReport:
    """What one chunk remembered: past tokens, retrieved chunks with distances, seconds."""

    chunk: int
    past_tokens: int
    retrieved: tuple[int, ...]
    distances: tuple[float, ...]
    bank_bytes: int
    seconds: float


@dataclass
class Rollout:
    """The state of a rollout between two chunks.

    rolling: whole keys and values of the sink and of the recent chunks (of all in mode "full").
    bank: what is stored of every chunk, compressed.
    """

    model: ChunkModel
    policy: MemoryPolicy
    bank: MemoryBank
    latents: list[Tensor] = field(default_factory=list)
    rolling: dict[int, list[KeysValues]] = field(default_factory=dict)
    reports: list[ChunkReport] = field(default_factory=list)

    @property
    def chunk(self) -> int:
        """Number of the next chunk."""
        return len(self.latents)

    def chunks(self, count: int) -> Iterator[ChunkReport]:
        """Generates chunks until there are `count`."""
        while self.chunk < count:
            yield self.next_chunk()

    @torch.no_grad()
    def next_chunk(self, known: Tensor | None = None) -> ChunkReport:
        """Generates one chunk, and stores its clean keys and values.

        known: the chunk's latents, where a killed rollout goes on: its keys and values are computed
        again, in the one clean pass, and are what they were.
        """
        begun = time.perf_counter()
        number = self.chunk
        noise = self._noise(0)
        selected, distances = self._select(noise)
        past = self._past(selected)
        x = self._denoise(noise, number, past) if known is None else known
        _, clean = self.model.encode_chunk(x, 0.0, number, past)
        self._remember(number, clean)
        self.latents.append(x)
        report = ChunkReport(
            number,
            0 if past is None else past[0][0].shape[2],
            tuple(selected),
            tuple(distances),
            self.bank.bytes,
            time.perf_counter() - begun,
        )
        self.reports.append(report)
        return report

    def _denoise(self, noise: Tensor, number: int, past: list[KeysValues] | None) -> Tensor:
        policy, x = self.policy, noise
        timesteps = flow_timesteps(policy.steps, policy.shift).tolist()
        for step, (t, t_next) in enumerate(itertools.pairwise(timesteps)):
            v, _ = self.model.encode_chunk(x, t, number, past)
            if policy.sampler == "renoise" and t_next > 0:
                x = interpolate(denoised(x, v, t), self._noise(step + 1), t_next)
            else:
                x = x + (t_next - t) * v
        return x

    def _remember(self, number: int, clean: list[KeysValues]) -> None:
        """Into the bank, compressed, and whole into the rolling cache, which the oldest leaves."""
        self.bank.store(number, self._compress(clean, number))
        self.rolling[number] = [(key.clone(), value.clone()) for key, value in clean]
        leaving = number - self.policy.recent
        if self.policy.mode != "full" and leaving >= self.policy.sink:
            del self.rolling[leaving]

    def _noise(self, step: int) -> Tensor:
        number = (self.policy.seed * 1_000_003 + self.chunk) * 1009 + step
        generator = torch.Generator().manual_seed(number % 2**63)
        return torch.randn(self.model.chunk_shape, generator=generator)

    # -- selection: once a chunk, for all layers, heads and steps -------------------------------

    def _select(self, x: Tensor) -> tuple[list[int], list[float]]:
        """The chunks that are retrieved, nearest first, and their distances."""
        policy, number = self.policy, self.chunk
        choice = candidates(number, policy.sink, policy.recent)
        if policy.mode != "retrieval" or not choice or not policy.retrieve:
            return [], []
        if policy.metric == "random":
            chosen = random_choice(choice, policy.retrieve, policy.seed, number)
            return chosen, [0.0] * len(chosen)
        distances = (
            self._attention(x, choice) if policy.metric == "attention" else self._poses(choice)
        )
        chosen = nearest(distances, choice, policy.retrieve)
        by_chunk = dict(zip(choice, distances.tolist(), strict=True))
        return chosen, [by_chunk[each] for each in chosen]

    def _poses(self, choice: list[int]) -> Tensor:
        frames, poses = self.model.chunk_frames, self.model.poses()
        means = [chunk_pose(poses[j * frames : (j + 1) * frames]) for j in [*choice, self.chunk]]
        translations = torch.stack([translation for translation, _ in means])
        rotations = torch.stack([rotation for _, rotation in means])
        return pose_distances(
            translations[:-1], rotations[:-1], translations[-1], rotations[-1],
            self.policy.translation_weight,
        )  # fmt: skip

    def _attention(self, x: Tensor, choice: list[int]) -> Tensor:
        """By the keys of a middle layer at the first step, which are what a `ChunkModel` shows."""
        layer = self.model.layers // 2
        _, fresh = self.model.encode_chunk(x, 1.0, self.chunk, self._past([]))
        return attention_distances(
            fresh[layer][0], [self.bank.fetch(j, x.device)[layer][0] for j in choice]
        )

    # -- the window ----------------------------------------------------------------------------

    def _past(self, selected: list[int]) -> list[KeysValues] | None:
        """[sink | retrieved | recent] of every layer."""
        policy, number = self.policy, self.chunk
        if policy.mode == "full":
            return joined([self.rolling[j] for j in range(number)])
        sink = list(range(min(policy.sink, number)))
        recent = list(range(max(len(sink), number - policy.recent), number))
        parts = [self.rolling[j] for j in sink]
        parts += self._retrieved(selected, number - len(recent))
        parts += [self.rolling[j] for j in recent]
        return joined(parts)

    def _retrieved(self, selected: list[int], recent_start: int) -> list[list[KeysValues]]:
        """The selected chunks; with RoPE correction, at the places just before `recent_start`."""
        fetched = [self.bank.fetch(j) for j in selected]
        if not (self.policy.rope_correction and self.model.keys_are_rotated):
            return fetched
        moved = []
        for m, (chunk, layers) in enumerate(zip(selected, fetched, strict=True)):
            virtual = recent_start - (len(selected) - m)
            frames = (virtual - chunk) * self.model.chunk_frames
            moved.append([(self.model.moved(key, frames), value) for key, value in layers])
        return moved

    def _compress(self, layers: list[KeysValues], number: int) -> list[KeysValues]:
        policy = self.policy
        if policy.keep == 1:
            return layers
        generator = torch.Generator().manual_seed((policy.seed * 1_000_003 + number) % 2**63)
        tokens = self.model.frame_tokens
        return [
            compressed(
                kv,
                kept_indices(
                    kv[0], tokens, policy.keep, rule=policy.rule, pooled=policy.pooled,
                    generator=generator,
                ),
            )
            for kv in layers
        ]  # fmt: skip
